"""What attacks must come to, as functions to choose from: each has one done and says how it was contained."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from typing import Any

from hostcore.errors import HostcoreError, WorkerDiedError
from hostcore.sdk.isolation import processes
from hostcore.sdk.isolation.ring import TARGET, Attack, Ring, Through, Untried

Play = Callable[[Ring, Attack], Awaitable[str]]
_MEGABYTE = 1024**2
_SLACK = 8 * _MEGABYTE
"""Bytes that a measured peak may be above a limit: the interpreter's own, between two measurements."""


def _said(error: HostcoreError) -> str:
    text = " ".join(error.message.split())
    return f"{error.code}: {text[:110]}{'...' if len(text) > 110 else ''}"


def _is_one_of(error: HostcoreError, codes: Collection[str]) -> None:
    if error.code not in codes:
        raise Through(f"expected {' or '.join(codes)}, and it was {_said(error)}")


async def behaves(ring: Ring, attack: Attack) -> str:
    """It does nothing: what the bystanders' figures are then is the machine's own doing."""
    await ring.load(attack)
    await ring.alive(attack)
    return "there is nothing to contain: this row is what the others compare with"


def dies(*codes: str, signal: str = "", status: int | None = None) -> Play:
    """The worker dies alone of it, and the error names how: with one of `codes`, by a signal or with an exit code."""

    async def play(ring: Ring, attack: Attack) -> str:
        await ring.load(attack)
        error = await ring.failure(attack)
        _is_one_of(error, codes or ("HC501",))
        if isinstance(error, WorkerDiedError):
            if signal and error.signal != signal:
                raise Through(f"expected {signal}, and it was {_said(error)}")
            if status is not None and error.status != status:
                raise Through(f"expected exit code {status}, and it was {_said(error)}")
        await ring.gone()
        return f"it died alone; {_said(error)}"

    return play


def fails(*codes: str, often: int = 1) -> Play:
    """The call fails with one of `codes`, as often as it is tried, and the module goes on."""

    async def play(ring: Ring, attack: Attack) -> str:
        await ring.load(attack)
        for _ in range(often):
            error = await ring.failure(attack)
            _is_one_of(error, codes)
            await asyncio.sleep(0)  # a module in this process is answered without one
        await ring.alive(attack)
        times = f" ({often} times)" if often > 1 else ""
        return f"the call failed{times}, the module goes on; {_said(error)}"

    return play


def ends(*codes: str) -> Play:
    """The call fails with one of `codes`; whether the worker survives is its own affair."""

    async def play(ring: Ring, attack: Attack) -> str:
        await ring.load(attack)
        error = await ring.failure(attack)
        _is_one_of(error, codes)
        return f"the call was ended; {_said(error)}"

    return play


def refused() -> Play:
    """Every way is refused."""

    async def play(ring: Ring, attack: Attack) -> str:
        await ring.load(attack)
        found: dict[str, dict[str, str]] = await ring.ask(attack)
        got = [way for way, each in found.items() if "got" in each]
        if got:
            raise Through(f"it was let, in {len(got)} of {len(found)} ways: {', '.join(got[:6])}")
        counted = Counter(each["refused"] for each in found.values() if "refused" in each)
        if not counted:
            raise Untried("nothing was tried")
        await ring.alive(attack)
        told = ", ".join(f"{name} {count}x" for name, count in counted.most_common())
        return f"all {len(found)} ways were refused: {told}"

    return play


def bounded(most: int, codes: Collection[str] = (), often: int = 1) -> Play:
    """However often it is tried, its process never has more than `most` bytes beyond what it began with."""

    async def play(ring: Ring, attack: Attack) -> str:
        await ring.load(attack)
        outcome, peak = "", 0
        for _ in range(often):
            outcome, error = await _tried(ring, attack)
            peak = max(peak, _grown(ring))
            if error is not None:
                _is_one_of(error, codes)
                break
        if peak > most + _SLACK:
            raise Through(f"it got {peak / _MEGABYTE:.0f} MB beyond what it began with, {most / _MEGABYTE:.0f} allowed")
        return f"at most {peak / _MEGABYTE:.0f} of {most / _MEGABYTE:.0f} MB; {outcome}"

    return play


async def _tried(ring: Ring, attack: Attack) -> tuple[str, HostcoreError | None]:
    try:
        return f"it got {await ring.ask(attack)!r:.40}", None
    except HostcoreError as error:
        return _said(error), error


def _grown(ring: Ring) -> int:
    return max(0, processes.bytes_of(ring.pid, "VmHWM") - ring.base)


def counts(most: int, what: str) -> Play:
    """It gets at most so many of something, as it says itself, and goes on."""

    async def play(ring: Ring, attack: Attack) -> str:
        await ring.load(attack)
        got = await ring.ask(attack)
        if got > most:
            raise Through(f"it got {got:,} {what}; {most:,} are allowed")
        await ring.alive(attack)
        return f"it got {got:,} {what}, and no more"

    return play


def few_lines(*codes: str) -> Play:
    """However much it writes, only so many lines of limited length reach the log, and none has control characters."""

    async def play(ring: Ring, attack: Attack) -> str:
        began = time.monotonic()
        await ring.load(attack)
        outcome, error = await _tried(ring, attack)
        if error is not None:
            _is_one_of(error, codes)
        await ring.system.unload(attack.module, force=True)  # what it wrote last is read by then
        most = 201 * (int(time.monotonic() - began) + 3)
        if ring.lines.count > most:
            raise Through(f"{ring.lines.count:,} lines reached the log")
        longest = max(map(len, ring.lines.texts), default=0)
        if longest > 20_000:
            raise Through(f"a line of {longest:,} characters reached the log")
        bad = [text for text in ring.lines.texts if not text.isprintable()]
        if bad:
            raise Through(f"a terminal would obey {bad[0][:60]!r}")
        if not ring.lines.count:
            raise Untried("nothing of it reached the log")
        return f"{ring.lines.count} lines reached the log, the longest of {longest:,} characters; {outcome}"

    return play


def harmless(*codes: str) -> Play:
    """It is answered, or fails with one of `codes`: either will do, as long as nobody else is the worse for it."""

    async def play(ring: Ring, attack: Attack) -> str:
        await ring.load(attack)
        outcome, error = await _tried(ring, attack)
        if error is not None:
            _is_one_of(error, codes)
        await ring.system.request(TARGET, {}, topic="hello", timeout=30.0)
        return f"nobody else noticed; {outcome}"

    return play


async def keeps_its_name(ring: Ring, attack: Attack) -> str:
    """Whatever it says of its sender, the other module hears its real name."""
    await ring.load(attack)
    outcome, _ = await _tried(ring, attack)
    senders = await ring.system.request(TARGET, topic="senders")
    if attack.module not in senders:
        raise Untried("nothing of it arrived")
    strangers = senders.keys() - {"host", attack.module}
    if strangers:
        raise Through(f"a module believed to hear from {sorted(strangers)}")
    return f"the other module heard from {attack.module!r}, whatever it claimed; {outcome}"


def not_replaced(*codes: str) -> Play:
    """A reload with it is undone for one of the reasons that `codes` name, and the old copy serves on."""

    async def play(ring: Ring, attack: Attack) -> str:
        await ring.load(attack)
        counted = (await ring.ask(attack, ""))["count"]
        report = await ring.system.reload(attack.module)
        if not report.rolled_back:
            raise Through("the reload came through")
        if not any(code in report.reason for code in codes):
            raise Through(f"expected {' or '.join(codes)}, and it was {report.reason[:100]}")
        after = (await ring.ask(attack, ""))["count"]
        if after != counted + 1:
            raise Through(f"the old copy lost its state: {after} after {counted}")
        return f"undone in phase {report.phase!r}, the old copy serves on; {_short(report.reason)}"

    return play


def _short(text: str) -> str:
    line = " ".join(text.split("\n", 1)[0].split())
    return line[:110] + ("..." if len(line) > 110 else "")


def not_loaded(*codes: str) -> Play:
    """It cannot be loaded, for one of the reasons that `codes` name."""

    async def play(ring: Ring, attack: Attack) -> str:
        try:
            await ring.load(attack)
        except HostcoreError as error:
            _is_one_of(error, codes)
            return f"it was not loaded; {_said(error)}"
        raise Through("it was loaded")

    return play


async def unloads(ring: Ring, attack: Attack) -> str:
    """It goes when it is told to, whatever it does in its `shutdown`."""
    await ring.load(attack)
    began = time.monotonic()
    left = await ring.system.unload(attack.module, force=True)
    if left:
        raise Through(f"of it is left: {', '.join(left)[:100]}")
    if ring.pid:
        await ring.gone()
    return f"it was unloaded all the same, in {time.monotonic() - began:.1f} s"


def reloads(often: int) -> Play:
    """It is reloaded again and again: every request in between is answered, and no process is left."""

    async def play(ring: Ring, attack: Attack) -> str:
        await ring.load(attack)
        before, base = 0, processes.descriptors()
        times = often // 10 if ring.quick else often
        for number in range(times):
            report = await ring.system.reload(attack.module)
            if report.rolled_back:
                raise Through(f"reload {number + 1} was undone: {_short(report.reason)}")
            count = (await ring.ask(attack, ""))["count"]
            if count != before + 1:
                raise Through(f"after reload {number + 1} its state was {count} instead of {before + 1}")
            before = count
        if processes.descriptors() > base + 8:
            raise Through(f"{processes.descriptors() - base} descriptors more than before")
        return f"{times} reloads, {before} requests answered, state kept"

    return play


async def undone(ring: Ring, attack: Attack) -> str:
    """What it changes in the host's process is taken back when it goes."""
    import builtins
    import logging
    import sys

    def look() -> tuple[Any, ...]:
        root = logging.getLogger()
        planted = sorted(name for name in sys.modules if name.startswith("hostcore_"))
        return builtins.open, builtins.len, logging.getLogger, sys.excepthook, *root.handlers, *planted

    before = look()
    await ring.load(attack)
    await ring.ask(attack)
    await ring.system.unload(attack.module, force=True)
    if (after := look()) != before:
        changed = [repr(each)[:80] for each in after if each not in before]
        raise Through(f"of it is still in place: {', '.join(changed) or 'that something is gone'}")
    return "taken back when it was unloaded"
