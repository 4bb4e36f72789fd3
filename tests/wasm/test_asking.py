"""What guests ask of their host, and what the host makes of it: answers as data, lines, and nothing without a bound."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from wasm.support import TIME, wasm
from wasm.text import asking, data, guest, running

from hostcore import errors
from hostcore.contract.grants import ModuleGrants
from hostcore.contract.permissions import Permission
from hostcore.hosts.lines import LINES_PER_SECOND, Output, RateLimit
from hostcore.hosts.wasm.imports import HostCalls
from hostcore.hosts.wasm.outcomes import Refused
from hostcore.hosts.wasm.translating import CODE, translate
from hostcore.packages.locating import Release

HUGE = "1" + "0" * 400
LOG = "hostcore.module.g"


class Service:
    """A service of the program's with results and faults that guests cannot have."""

    def odd(self) -> Any:
        """Return what JSON does not hold."""
        return {None: 1}

    def fail(self) -> None:
        """Raise an error of the program's own."""
        raise RuntimeError("the disk is\nfull")


def calls(limit: RateLimit | None = None) -> HostCalls:
    """Return the host as a guest sees it that may read the clock."""
    grants = ModuleGrants([Permission("clock")], everything=False)
    return HostCalls("g", "1.0", 1, grants, limit or RateLimit(LINES_PER_SECOND))


# Answers as data.


@pytest.mark.parametrize(
    ("operation", "argument", "code"),
    [
        ("cap.invoke", '{"capability": "service", "operation": "odd"}', "invalid-argument"),
        ("cap.invoke", '{"capability": "service", "operation": "fail"}', "failed"),
        ("bus.request", f'{{"target": "nobody", "timeout_ms": {HUGE}}}', "not-found"),
        ("bus.request", '{"target": "nobody", "timeout_ms": -1}', "invalid-argument"),
        ("bus.send", f'{{"target": "g", "payload": {HUGE}}}', "invalid-argument"),
        ("bus.send", "[" * 100_000, "invalid-argument"),
        ("bus.subscribe", b"\xff\0", "denied"),
    ],
)
async def test_what_cannot_be_done_is_answered_as_data(tmp_path, operation, argument, code):
    """Whatever goes wrong with what a guest asks, it is told so, and lives."""
    permissions = ["cap:service", "bus.request:>", "bus.send:>"]
    text = asking(operation, argument, reply=True).replace('"memory") 2', '"memory") 4')
    async with running(tmp_path, text, permissions=permissions, services={"service": Service()}) as system:
        for _ in range(2):
            assert (await system.request("g", topic="t"))["code"] == code


async def test_an_argument_larger_than_any_message_is_refused_before_it_is_read(tmp_path):
    """Of an argument that no message could have, not a byte is copied."""
    text = asking("kv.get", "", reply=True).replace(
        "(i32.const 2048) (i32.const 0)", "(i32.const 0) (i32.const 131073)"
    )
    text = text.replace('"memory") 2', '"memory") 4')
    async with running(tmp_path, text, permissions=["kv"], message_limit="64KiB") as system:
        assert (await system.request("g", topic="t"))["code"] == "too-large"


async def test_the_time_left_is_a_number_for_any_deadline(tmp_path):
    """A guest whose message has almost for ever is told a number that JSON and u64 hold."""
    async with running(tmp_path, asking("context.message", "", reply=True)) as system:
        told = await system.request("g", topic="t", timeout=1e300)
    assert 0 < told["remaining_ms"] < 2**53


# Lines.


def test_a_line_of_a_guests_log_is_its_own(caplog):
    """A line end in a message begins another line of the module's own, not one that another could have written."""
    with caplog.at_level(logging.INFO, LOG):
        calls().log("info", "one\n2026-01-01 CRITICAL hostcore: two\r\x1b[2J", '{"a":\n1}')
    assert [record.name for record in caplog.records] == [LOG, LOG]
    assert [record.getMessage() for record in caplog.records] == [
        "one", '2026-01-01 CRITICAL hostcore: two\\r\\x1b[2J {"a":\\n1}',
    ]  # fmt: skip


def test_lines_of_one_message_count_each(caplog):
    """A message of a thousand lines is a thousand lines to the limit of a second."""
    limit = RateLimit(5)
    with caplog.at_level(logging.INFO, LOG):
        calls(limit).log("info", "x\n" * 1000)
    assert len(caplog.records) == 5
    assert limit.dropped == 996


def test_output_beyond_the_limit_is_counted_and_not_looked_at(caplog):
    """Of a flood of lines, those that may be written are; of the others only the number is kept, and the open end."""
    limit = RateLimit(5)
    output = Output(logging.getLogger(LOG), logging.INFO, limit)
    with caplog.at_level(logging.INFO, LOG):
        assert output.write(b"x\n" * 1_000_000 + b"rest") == 2_000_004
        assert len(caplog.records) == 5
        assert limit.dropped == 999_995
        assert output._rest == b"rest"


def test_an_error_of_a_guests_is_short_and_its_code_one_line():
    """A guest cannot fill a screen with its error, nor make its code look like anything else."""
    release = Release("g", "g.wasm", "g.wasm", "1.0", (), ())
    refused = Refused({"code": "x\nHC999 y" * 100, "message": "m" * 100_000, "details": None})
    error = translate(refused, release, "execute", 1.0)
    assert isinstance(error, errors.HookError)
    assert len(str(error)) < 5000
    assert "\n" not in error.exception
    assert len(error.exception) < CODE + 100


# Lists that guests write.


@pytest.mark.parametrize("export", ["hc_hooks", "hc_get_capabilities"])
@pytest.mark.parametrize("told", ["[1]", "{}", "null", '[["a"]]', b"\xff", "[" * 3000, '[{"name": 1}]'])
async def test_a_list_of_something_else_is_named(tmp_path, export, told):
    """A guest whose hooks or capabilities are no list of such things is not loaded, and is told why."""
    size = len(told if isinstance(told, bytes) else told.encode())
    field = f'(func (export "{export}") (result i64) (i64.const {1024 << 32 | size}))'
    with pytest.raises(errors.HookError, match="returned no list as the ABI has it"):
        async with running(tmp_path, guest("", data(1024, told), field)):
            pass


# What stands around it.


async def test_variables_that_are_no_text_are_left_out(tmp_path, monkeypatch):
    """A guest that is granted every variable can be loaded whatever they hold."""
    monkeypatch.setitem(os.environb, b"HOSTCORE_ODD", b"\xff\xfe")
    async with running(tmp_path, guest(""), permissions=["env:*"]) as system:
        assert await system.request("g", topic="t") is None


REMEMBERING = """
  (global $version (mut i32) (i32.const 0))
  {segments}
  (func (export "hc_hooks") (result i64) (i64.const {hooks}))
  (func (export "hc_get_state") (result i64) (i64.const {state}))
  (func (export "hc_restore_state") (param i32) (result i64) (unreachable))
  (func (export "hc_call") (param i32 i32) (result i64)
    (global.set $version (i32.load8_u offset=4094 (i32.add (local.get 0) (local.get 1))))
    (i64.const 0))
"""
HOOKS = '["handle_message()", "get_state()", "restore_state(state, from_version)"]'


async def test_a_guest_made_anew_is_told_the_version_of_its_own_state(tmp_path: Path) -> None:
    """The state that a guest gave itself is given back, after its death, as of its own release's version."""
    fields = REMEMBERING.format(
        segments=f"{data(1024, HOOKS)} {data(2048, '{}')}", hooks=1024 << 32 | len(HOOKS), state=2048 << 32 | 2
    )
    body = "(if (i32.eq (i32.load8_u (i32.const 4096)) (i32.const 116)) (then unreachable)) " \
           "(i32.store8 (i32.const 3072) (global.get $version))"  # fmt: skip
    text = guest(body, fields, result=f"(i64.const {3072 << 32 | 1})")
    worse = tmp_path / "worse.wasm"
    worse.write_bytes(wasm(text.replace("(global.set $version", "(unreachable) (global.set $version")))
    async with running(tmp_path, text, manifest="state_version = 7") as system:
        report = await system.reload("g", source=worse)
        assert (report.rolled_back, report.phase) == (True, "restore")  # it has given its state, and goes on
        with pytest.raises(errors.GuestTrapError):
            await system.request("g", topic="trap")
        assert await system.request("g", topic="version") == 7


# The plain path.


@pytest.mark.parametrize("text", [guest("(loop $for (br $for))"), asking("timers.sleep", "1000000")])
async def test_no_thread_of_a_guest_stays_behind(tmp_path: Path, text: str) -> None:
    """On the plain path, neither a guest that spins nor one that waits keeps its thread once nobody waits for it."""
    plain = {"wasm": {"calls": "plain"}, "handler_timeout": "300ms"}
    async with running(tmp_path, text, permissions=["clock"], **plain) as system:
        with pytest.raises(errors.HostcoreError):
            await system.request("g", topic="t")
        left = [thread for thread in threading.enumerate() if thread.name == "hostcore:guest"]
        await system.unload("g")
    for thread in left:
        await asyncio.to_thread(thread.join, TIME)
        assert not thread.is_alive()
