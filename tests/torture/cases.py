"""The cases of the threat model, and for each tier the tests that prove what is claimed, or why there is none.

`docs/architecture/threats.md` shows this table; `test_cases.py` compares the two, and checks that each test exists.
`python tests/torture/cases.py` writes the table anew.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

PAGE = Path(__file__).parents[2] / "docs" / "architecture" / "threats.md"
BEGIN, END = "<!-- cases -->", "<!-- end of cases -->"
TIERS = ("native", "worker", "WASM")


class Without(NamedTuple):
    """Why no test proves anything for a tier."""

    reason: str


Proof = tuple[str, ...] | Without
TRUSTED = Without("not claimed: a native module is trusted")
NO_GUEST = Without("WebAssembly only")
SANDBOX = ("worker/sandbox/test_attempts.py::test_what_is_refused_to_a_confined_process",)


class Case(NamedTuple):
    """One case: what is tried, and what proves that it is contained, by tier."""

    name: str
    tried: str
    native: Proof
    worker: Proof
    wasm: Proof

    def proofs(self) -> dict[str, Proof]:
        """Return what there is, by tier."""
        return dict(zip(TIERS, (self.native, self.worker, self.wasm), strict=True))


def attack(tier: str, *names: str) -> tuple[str, ...]:
    """Return the tests of attacks on the list in `attacks.py`."""
    return tuple(f"torture/test_attacks.py::test_attack[{tier}: {name}]" for name in names)


def _tests(file: str, *names: str) -> tuple[str, ...]:
    return tuple(f"{file}::test_{name}" for name in names)


INSTALLED = (
    Case("poisoned cache", "compiled code that was changed on the disk, or written by another user",
         Without("nothing is compiled ahead"), Without("nothing is compiled ahead; of guests in workers, as WASM"),
         _tests("wasm/test_cache.py", "a_poisoned_entry_is_dropped", "an_entry_of_another_user_is_dropped",
                "a_link_in_the_cache_is_not_followed_when_it_is_dropped")
         + _tests("wasm/test_compiling.py", "poisoned_code_is_compiled_anew", "well_kept_junk_is_compiled_anew")),
)  # fmt: skip
CODE = (
    Case("endless loop", "in a handler, while it is loaded, in any hook",
         attack("native", "endless loop")
         + _tests("system/test_bad_modules.py", "an_import_that_spins", "initialize_that_hangs")
         + _tests("system/test_reload_phases.py", "a_phase_that_fails"),
         attack("worker", "endless loop", "endless loop in C", "stopped process")
         + _tests("worker/test_worker_death.py", "hang") + _tests("torture/test_state.py", "phase_that_fails"),
         attack("wasm", "endless loop")
         + _tests("wasm/test_hostile_time.py", "an_endless_loop_before_anything_is_asked",
                  "an_endless_loop_in_any_hook", "two_endless_loops_and_twenty_that_answer")),
    Case("recursion", "in Python, in C, in a guest, and through the host",
         attack("native", "recursion"),
         attack("worker", "recursion", "recursion in C"),
         attack("wasm", "recursion")
         + _tests("wasm/test_hostile_memory.py", "an_endless_recursion", "a_recursion_through_the_host")),
    Case("memory bomb", "at once, by and by, of one piece or of many; several modules together",
         Without("not claimed: memory of the host's process has no owner"),
         attack("worker", "memory bomb", "memory bomb of one text", "memory bomb that is kept")
         + _tests("torture/test_bombs.py", "two_bombs_at_once") + _tests("worker/test_worker_death.py", "memory_limit"),
         attack("wasm", "memory bomb")
         + _tests("wasm/test_hostile_memory.py", "two_memories_have_together_what_one_may_have",
                  "too_much_memory_at_the_start", "too_many_memories")),
    Case("table bomb", "tables that are too large, too many, or grow", NO_GUEST, NO_GUEST,
         _tests("wasm/test_hostile_memory.py", "tables_too_large_or_too_many", "a_table_bomb_gets_what_it_may_have",
                "too_many_parts")),
    Case("huge copy", "one instruction or call of C that takes long",
         Without("not claimed: C code that never looks for signals holds the event loop"),
         attack("worker", "huge copy", "endless loop in C"), _tests("wasm/test_hostile_memory.py", "a_huge_copy_ends")),
    Case("blocking call", "a sleep, and a call to the host that is never answered",
         attack("native", "blocking sleep", "wait without end"),
         attack("worker", "blocking sleep", "wait without end")
         + _tests("worker/test_worker_wire.py", "flood_of_unanswered_requests"),
         _tests("wasm/test_hostile_time.py", "a_sleep_through_wasi", "a_host_call_that_never_answers",
                "a_sleep_of_months")),
    Case("compile bomb", "code that takes the compiler long or much memory; truncated and garbage files", NO_GUEST,
         NO_GUEST,
         _tests("wasm/test_compiling.py", "a_bomb_is_ended_when_its_time_is_over",
                "a_bomb_is_ended_when_it_takes_too_much_memory", "garbage_is_refused_with_what_wasmtime_says")
         + _tests("wasm/test_processes.py", "a_compilation_ends_with_its_host")),
    Case("escape from a directory", "by symbolic and hard links, renames, `..`, descriptors, /proc", TRUSTED, SANDBOX,
         _tests("wasm/test_hostile_world.py", "there_is_no_way_out_of_a_granted_directory",
                "a_directory_that_it_may_only_read", "without_a_grant_there_is_no_file")),
    Case("flood of output", "on standard output and in the log; escapes for terminals",
         Without("not claimed: it writes to the host's own output"),
         attack("worker", "flood of output", "flood of log", "flood of loggers")
         + _tests("torture/test_bombs.py", "escapes_for_a_terminal") + _tests("worker/test_worker.py", "log"),
         _tests("wasm/test_hostile_world.py", "a_flood_on_standard_output", "a_wall_of_output", "a_flood_in_the_log")
         + _tests("wasm/test_asking.py", "a_line_of_a_guests_log_is_its_own")),
    Case("hostile pointer", "places and lengths outside of its memory", NO_GUEST,
         _tests("worker/test_worker_wire.py", "attack", "long_frame"),
         _tests("wasm/test_hostile_pointers.py", "a_result_outside_of_memory",
                "places_outside_of_memory_in_calls_to_the_host", "an_input_buffer_outside_of_memory")),
    Case("undeclared import", "functions that no host provides, or of another type", NO_GUEST, NO_GUEST,
         _tests("wasm/test_hostile_shapes.py", "undeclared_imports_of_a_core_module",
                "undeclared_imports_of_a_component", "imports_of_another_type")),
    Case("way to the network", "loopback, metadata address, redirect, a name that changes its address", TRUSTED,
         _tests("worker/sandbox/test_attempts.py", "what_is_refused_to_a_confined_process", "no_interfaces"),
         _tests("wasm/test_hostile_world.py", "there_is_no_network")
         + _tests("runtime/test_http.py", "everything_does_not_include_the_inside", "a_redirect_is_no_way_in",
                  "the_address_that_was_checked_is_the_one_that_is_connected_to")),
)  # fmt: skip
DATA = (
    Case("payload that is none", "oversized, nested, NaN, duplicate keys, unknown enum, bytes that are no data",
         attack("native", "huge reply", "nested reply")
         + _tests("messaging/test_wire.py", "no_bytes_can_do_worse_than_a_named_error", "nested_too_deeply")
         + _tests("torture/test_payloads.py", "unknown_enum", "oversized"),
         attack("worker", "huge reply", "nested reply")
         + _tests("torture/test_payloads.py", "odd_replies", "replies_that_cannot_be_read",
                  "messages_that_cannot_be_read", "numbers_that_are_none", "unknown_enum", "oversized"),
         _tests("wasm/test_hostile_pointers.py", "a_reply_that_is_not_json", "a_reply_of_a_hundred_megabytes",
                "a_reply_nested_twenty_thousand_deep", "json_nested_deep_in_a_call_to_the_host")),
    Case("mailbox and circle", "a full mailbox, a circle of calls, a reply after the deadline",
         _tests("torture/test_meeting.py", "full_mailbox", "circle", "reply_after_the_deadline")
         + attack("native", "flood of messages", "flood of requests"),
         _tests("torture/test_meeting.py", "full_mailbox", "circle", "reply_after_the_deadline")
         + attack("worker", "flood of messages", "flood of requests"),
         _tests("torture/test_meeting.py", "circle")
         + _tests("wasm/test_hostile_pointers.py", "a_core_guest_cannot_be_entered_while_it_asks")
         + _tests("wasm/test_hostile_time.py", "the_asker_gives_up_while_the_guest_works")),
    Case("forgery", "of a sender, a grant, a reply, an error, a line of another's log",
         Without("not claimed: a native module can change the host's own objects"),
         _tests("torture/test_forging.py", "forged_grant", "any_error_is_one", "two_calls_of_one_number",
                "another_modules_log", "nonsense_on_the_side", "nonsense_to_a_service", "loggers_without_end",
                "subscriptions_without_end")
         + _tests("worker/test_worker_wire.py", "forged_sender", "forged_error", "two_replies", "attack"),
         _tests("system/test_isolation.py", "a_guest_may_do_what_it_was_granted")
         + _tests("wasm/test_asking.py", "an_error_of_a_guests_is_short_and_its_code_one_line",
                  "a_line_of_a_guests_log_is_its_own")),
    Case("bad state", "`restore_state` raises, hangs, gets nonsense; a state too large, or none",
         _tests("system/test_reload_phases.py", "a_phase_that_fails")
         + _tests("system/test_reload_state.py", "a_large_state", "kinds_of_state"),
         _tests("torture/test_state.py", "state_that_is_none", "state_that_is_not_taken", "state_of_nonsense")
         + _tests("torture/test_payloads.py", "state_that_cannot_be_read", "store_that_cannot_be_read"),
         _tests("wasm/test_hostile_hooks.py", "a_trap_in_get_state_keeps_the_old_copy",
                "a_trap_of_the_new_copy_keeps_the_old_one")),
    Case("death between drain and swap", "of the old or the new copy, in any phase; a state newer than the release",
         _tests("system/test_reload_phases.py", "a_swap_that_fails", "a_drain_that_takes_too_long")
         + _tests("system/test_reload_state.py", "a_newer_state"),
         _tests("torture/test_killing.py", "killed_in_a_phase") + _tests("torture/test_state.py", "newer_state"),
         _tests("wasm/test_hostile_hooks.py", "a_trap_of_the_new_copy_keeps_the_old_one",
                "a_trap_in_shutdown_ends_it_all_the_same")),
    Case("storm of reloads", "a hundred at once; of dependents at once; under load",
         _tests("torture/test_meeting.py", "storm_of_reloads", "dependents_at_once")
         + _tests("system/test_reload.py", "under_load")
         + _tests("system/test_cascade.py", "100_reloads_of_one_module"),
         _tests("torture/test_meeting.py", "storm_of_reloads", "dependents_at_once", "reload_under_load"),
         _tests("torture/test_meeting.py", "storm_of_reloads")
         + _tests("wasm/test_hostile_time.py", "a_reload_while_the_guest_waits")),
)  # fmt: skip
PROCESS = (
    Case("crash of the process", "segfault, `os._exit`, `abort`",
         Without("not contained: it ends the host, and its workers with it "
                 "(torture/test_process.py::test_not_contained shows that)"),
         attack("worker", "segfault", "os._exit") + _tests("worker/test_worker_death.py", "death", "many_wait"),
         attack("wasm", "trap") + _tests("wasm/test_hostile_hooks.py", "a_guest_that_exits",
                                         "every_kind_of_trap_is_told")),
    Case("fork bomb", "processes, threads and files without end",
         Without("not claimed: the host's own limits hold"),
         SANDBOX + attack("worker", "threads that spin", "files without end")
         + _tests("worker/test_worker_death.py", "no_fork_without_grant", "spawned_processes_die_with_it"),
         Without("a guest has no way to start a process or a thread")),
    Case("end of the program", "`sys.exit`, KeyboardInterrupt, exceptions that cannot be shown",
         attack("native", "sys.exit", "KeyboardInterrupt", "exception that cannot be shown")
         + _tests("torture/test_process.py", "contained"),
         attack("worker", "sys.exit", "KeyboardInterrupt", "exception that cannot be shown"),
         _tests("wasm/test_hostile_hooks.py", "a_guest_that_exits", "anything_raised_in_a_host_function")),
    Case("stolen place", "signal handlers, `sys.stdout` closed, builtins and hooks of the interpreter replaced",
         _tests("torture/test_process.py", "contained")
         + _tests("messaging/test_guard.py", "a_stolen_signal_is_taken_back")
         + _tests("generations/test_patches.py", "builtins"),
         Without("its own process's affair"), Without("a guest reaches no object of the host's")),
    Case("leaked thread", "threads, tasks and timers that outlive their module",
         _tests("torture/test_process.py", "contained") + _tests("system/test_undoing.py", "threads_end")
         + _tests("system/test_stopping.py", "what_is_left_is_named"),
         _tests("worker/test_worker.py", "nothing_is_left"),
         _tests("wasm/test_asking.py", "no_thread_of_a_guest_stays_behind")),
    Case("another thread", "calls from the wrong thread, and into the wrong store",
         _tests("system/test_blocking.py", "many_threads"), _tests("worker/test_worker.py", "store_from_a_thread"),
         _tests("wasm/test_hostile_hooks.py", "a_guest_is_not_called_from_another_thread",
                "many_systems_each_in_its_own_thread")),
    Case("coming and going", "loads and unloads without end",
         _tests("system/test_reload.py", "100_reloads_leave_one_generation"),
         _tests("torture/test_meeting.py", "many_that_come_and_go"),
         _tests("wasm/test_many.py", "guests_that_come_and_go", "guests_that_are_refused_or_stopped")),
    Case("blocked loop", "a module that holds the event loop",
         _tests("system/test_bad_handlers.py", "a_handler_that_holds_the_loop_is_named")
         + _tests("system/test_supervision_native.py", "a_module_that_holds_the_loop", "strikes"),
         Without("it has an event loop of its own"),
         _tests("wasm/test_fast_path.py", "a_guest_that_only_asks_gives_others_their_turns")),
    Case("end of the host", "SIGTERM or a kill during a reload, a load, a message",
         _tests("system/test_reload_phases.py", "a_stop_in_a_phase")
         + _tests("torture/test_ending.py", "ended_while_it_reloads"),
         _tests("torture/test_ending.py", "ended_while_it_reloads")
         + _tests("worker/test_worker_death.py", "host_is_killed", "system_stops"),
         _tests("wasm/test_hostile_time.py", "stopping_the_system_in_the_middle_of_a_message")),
)  # fmt: skip
GROUPS = {
    "Installed code": INSTALLED, "A module's code": CODE, "Messages and state": DATA, "The host's process": PROCESS,
}  # fmt: skip


def shown(proof: Proof) -> str:
    """Return a proof as it stands in the table; a test is named by its file and function."""
    if isinstance(proof, Without):
        return proof.reason
    return "<br>".join(f"`{node}`" for node in dict.fromkeys(proof))


def table() -> str:
    """Return all cases as Markdown: for each group a table with a line for each case and tier."""
    parts = []
    for title, cases in GROUPS.items():
        lines = [f"### {title}", "", "| case | tier | proved by, or why not |", "|---|---|---|"]
        for case in cases:
            for number, (tier, proof) in enumerate(case.proofs().items()):
                name = "" if number else f"**{case.name}**: {case.tried}"
                lines.append(f"| {name} | {tier} | {shown(proof)} |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def page(text: str) -> str:
    """Return the text of the page with the table in its place."""
    head, _, rest = text.partition(BEGIN)
    return f"{head}{BEGIN}\n\n{table()}\n\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
