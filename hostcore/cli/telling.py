"""`hostcore modules history`, `leaks` and `crashes`: what became of generations, what is left of them, who crashed."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from hostcore.cli import output
from hostcore.cli.commands import find_target, host_options, json_option

HEADINGS = ("when", "gen", "version", "what", "why", "took ms", "downtime ms", "held", "leaks", "reason")


@click.command()
@click.argument("name")
@host_options
@json_option
def history(name: str, config_file: Path | None, host_name: str | None, as_json: bool) -> None:
    """Tell what became of module NAME's generations since the host started, oldest first."""
    found = find_target(config_file, host_name).client.call("modules.history", {"name": name})
    if as_json:
        output.emit(found)
        return
    output.table(HEADINGS, [_cells(entry) for entry in found["history"]])
    kept = ", ".join(map(str, found["kept"]))
    output.say(f"can be rolled back to: {kept}" if kept else "no earlier generation is kept")


def _cells(entry: dict[str, Any]) -> tuple[str, ...]:
    when = _clock(entry["when"])
    generation = str(entry["generation"] or "")
    if entry["previous"]:
        generation = f"{entry['previous']} -> {generation}"
    reason = entry["reason"].partition("\n")[0]
    if entry["phase"]:
        reason = f"{entry['phase']}: {reason}"
    return (when, generation, entry["version"], entry["what"], entry["why"], _number(entry["duration_ms"]),
            _number(entry["downtime_ms"]), str(entry["held_messages"] or ""), str(len(entry["leaks"]) or ""),
            reason)  # fmt: skip


def _number(milliseconds: float) -> str:
    return f"{milliseconds:.1f}" if milliseconds else ""


@click.command()
@click.argument("name")
@host_options
@json_option
def leaks(name: str, config_file: Path | None, host_name: str | None, as_json: bool) -> int:
    """Tell what is still alive of module NAME's old generations, and through whom.  The exit code is then 1."""
    found = find_target(config_file, host_name).client.call("modules.leaks", {"name": name})
    if as_json:
        output.emit(found)
    else:
        _show(name, found["generations"])
    return 1 if found["generations"] else 0


def _show(name: str, generations: list[dict[str, Any]]) -> None:
    if not generations:
        output.say(f"nothing is left of {name}'s old generations")
    for each in generations:
        alive = each["alive"]
        output.say(f"generation {each['generation']} ({name} {each['version']}): {len(alive)} objects are alive")
        for holder in each["holders"]:
            root = f", kept alive by {holder['root']}" if holder["root"] else ""
            output.say(f"  {holder['what']}{root}")
            for depth, step in enumerate(holder["chain"]):
                output.say(f"    {'  ' * depth}-> {step}")


CRASH_HEADINGS = ("when", "module", "version", "gen", "host", "what", "how", "doing", "error", "done about it")


@click.command()
@click.argument("name", required=False)
@click.option("--verbose", "-v", is_flag=True, help="Show tracebacks and last lines, as is done for one module.")
@host_options
@json_option
def crashes(name: str | None, verbose: bool, config_file: Path | None, host_name: str | None, as_json: bool) -> None:
    """Tell who has crashed since the host started, or how module NAME did, oldest first.

    Each with the release, the hook and the message in hand, the signal or exit code, and what was done about it; for
    one module with its traceback and the last lines that it wrote.
    """
    found = find_target(config_file, host_name).client.call("modules.crashes", {"name": name})
    if as_json:
        output.emit(found)
        return
    entries = found["crashes"]
    if not entries:
        output.say(f"{name} has not crashed" if name else "no module has crashed")
        return
    output.table(CRASH_HEADINGS, [_crash_cells(entry) for entry in entries])
    if verbose or name:
        for entry in entries:
            _show_crash(entry)


def _crash_cells(entry: dict[str, Any]) -> tuple[str, ...]:
    code = entry["exit_code"]
    how = entry["signal"] or (f"exit code {code}" if code is not None else entry["code"])
    doing = " ".join(part for part in (entry["hook"], entry["topic"]) if part)
    return (_clock(entry["when"]), entry["module"], entry["version"], str(entry["generation"] or ""), entry["host"],
            entry["kind"], how, doing, entry["error"].partition("\n")[0], entry["done"])  # fmt: skip


def _show_crash(entry: dict[str, Any]) -> None:
    text = "\n".join(part for part in (entry["traceback"].rstrip(), *entry["lines"]) if part)
    if text:
        message = f", message {entry['message']}" if entry["message"] else ""
        output.say(f"{_clock(entry['when'])} {entry['module']} {entry['version']}{message}:")
        output.say("  " + text.replace("\n", "\n  "))


def _clock(when: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(when))
