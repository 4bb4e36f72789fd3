"""What is tried on a module of somebody's: not what it does, but what becomes of all else when it goes wrong.

It is loaded as it would be, in a host of its own, and made to die, hang and choke from outside.  Where its isolation
claims nothing, nothing is tried: a native module's process is the host's.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from typing import Any, Final

from hostcore.errors import HostcoreError
from hostcore.sdk.isolation import processes
from hostcore.sdk.isolation.garbage import payloads
from hostcore.sdk.isolation.places import Trial
from hostcore.sdk.isolation.ring import Attack, Ring, Subject, Through, Untried

LIMITS: Final = {"handle_message": "0.5s", "restore_state": "0.5s"}
_SEED = 20_24
_GONE = frozenset({"HC402", "HC501", "HC502", "HC508", "HC511", "HC512"})
"""Errors after which the module has to be started anew."""
_WAIT = 20.0


def _needs_process(ring: Ring, what: str) -> None:
    if not ring.pid:
        raise Untried(f"it has no process of its own to {what}")


async def loads(ring: Ring, attack: Attack) -> str:
    """It comes up, answers whatever it answers to a message, and goes, leaving nothing."""
    await ring.load(attack)
    info = ring.system.modules[attack.module]
    left = await ring.system.unload(attack.module, force=True)
    if left:
        raise Through(f"of it is left: {', '.join(left)[:120]}")
    if ring.pid:
        await ring.gone()
    return f"it came up in the host {info.host!r}, and went without a trace"


async def chokes(ring: Ring, attack: Attack) -> str:
    """Whatever it is sent, it replies or fails with a named error; if it dies of it, it dies alone."""
    await ring.load(attack)
    came: Counter[str] = Counter()
    for number, payload in enumerate(payloads(_SEED, 40 if ring.quick else 200)):
        code = await _send(ring, attack, payload, executed=number % 4 == 3)
        came[code] += 1
        if code in _GONE:
            await _again(ring, attack)
    told = ", ".join(f"{code} {count}x" for code, count in came.most_common(6))
    died = sum(count for code, count in came.items() if code in _GONE)
    return f"{came.total()} payloads: {told}{f'; it died {died}x, alone' if died else ''}"


async def _send(ring: Ring, attack: Attack, payload: Any, *, executed: bool) -> str:
    try:
        if executed:
            await ring.system.execute(attack.module, payload, timeout=_WAIT)
        else:
            await ring.system.request(attack.module, payload, topic="garbage", timeout=_WAIT)
    except HostcoreError as error:
        if error.code == "HC404" and "stopped" not in error.message:
            raise Through(f"it was not answered within {_WAIT:.0f} s") from None
        return error.code
    return "answered"


async def _again(ring: Ring, attack: Attack) -> None:
    """Start it anew."""
    await ring.system.unload(attack.module, force=True)
    await ring.load(attack)


async def is_killed(ring: Ring, attack: Attack) -> str:
    """Killed in the middle of a message, it leaves nobody waiting."""
    await ring.load(attack)
    _needs_process(ring, "kill")
    os.kill(ring.pid, signal.SIGSTOP)  # so that the message is surely in its hands, and not done with
    asking = asyncio.ensure_future(ring.system.request(attack.module, topic="garbage", timeout=_WAIT))
    await asyncio.sleep(0)
    began = asyncio.get_running_loop().time()
    os.kill(ring.pid, signal.SIGKILL)
    error = await _error_of(asking)
    if error.code != "HC501":
        raise Through(f"the caller heard of something else: {error.code} {error.message}")
    noticed = asyncio.get_running_loop().time() - began
    await ring.gone()
    await _again(ring, attack)
    return f"the caller was told in {noticed * 1e3:.1f} ms, and it came up again; {error.code}: {error.message[:80]}"


async def hangs(ring: Ring, attack: Attack) -> str:
    """Stopped, as if it hung, it is ended when its time is up."""
    await ring.load(attack)
    _needs_process(ring, "stop")
    os.kill(ring.pid, signal.SIGSTOP)
    error = await _error_of(ring.system.request(attack.module, topic="garbage", timeout=_WAIT))
    if error.code != "HC501":
        raise Through(f"the caller heard of something else: {error.code} {error.message}")
    await ring.gone()
    await _again(ring, attack)
    return f"it was ended, and came up again; {error.code}: {error.message[:100]}"


async def _error_of(asking: Any) -> HostcoreError:
    try:
        reply = await asking
    except HostcoreError as error:
        return error
    raise Through(f"it was answered, with {reply!r:.60}")


_OWN = 2 * 1024**2
"""Bytes that a worker's own parts are given beside the module's."""


async def is_limited(ring: Ring, attack: Attack) -> str:
    """The kernel holds its process to the memory that its manifest and configuration say."""
    await ring.load(attack)
    if not ring.pid and attack.isolation.startswith("wasm"):
        raise Untried("its memory is a guest's own, which the sandbox of guests bounds")
    _needs_process(ring, "limit")
    copy = ring.system.record(attack.module).copy
    most = copy.limits.memory if copy is not None else None
    if most is None:
        raise Untried("it has no limit: limits.memory, in its manifest or in the host's configuration, sets one")
    found = processes.limit_of(ring.pid, "Max data size")
    used = processes.bytes_of(ring.pid, "VmData")
    if found is None or found > used + most + _OWN:
        raise Through(f"the kernel lets it have {found or 'any number of'} bytes")
    return f"{most / 1024**2:.0f} MB, to which the kernel holds its process"


async def restores(ring: Ring, attack: Attack) -> str:
    """Whatever state it is given, it takes it or fails with a named error, and a fresh copy serves."""
    await ring.load(attack)
    copy = ring.system.record(attack.module).copy
    if copy is None or copy.instance is None or "restore_state" not in copy.hooks:
        raise Untried("it keeps no state")
    came: Counter[str] = Counter()
    for state in payloads(_SEED + 1, 20 if ring.quick else 60):
        try:
            assert copy is not None and copy.instance is not None
            await copy.instance.call("restore_state", state=state, from_version=1)
            came["taken"] += 1
        except HostcoreError as error:
            came[error.code] += 1
            if error.code in _GONE:
                await _again(ring, attack)
                copy = ring.system.record(attack.module).copy
    report = await ring.system.reload(attack.module, state="fresh")
    if report.rolled_back:
        raise Through(f"a fresh copy did not come up after that: {report.reason[:100]}")
    told = ", ".join(f"{code} {count}x" for code, count in came.most_common(5))
    return f"{came.total()} states: {told}; then a fresh copy served"


async def is_reloaded(ring: Ring, attack: Attack) -> str:
    """It is reloaded again and again, and nothing of the old copies is left."""
    await ring.load(attack)
    base = processes.descriptors()
    left: list[str] = []
    times = 10 if ring.quick else 100
    for number in range(times):
        report = await ring.system.reload(attack.module)
        if report.rolled_back:
            raise Through(f"reload {number + 1} was undone: {report.reason[:120]}")
        left += report.leaks
    if left:
        raise Through(f"of old copies is left: {left[0][:120]}")
    if processes.descriptors() > base + 8:
        raise Through(f"{processes.descriptors() - base} descriptors more than before")
    return f"{times} reloads, nothing of the old copies is left"


def trials(name: str, isolation: str) -> dict[str, Attack]:
    """Return what is tried on module `name`, which will run in the host `isolation`, by the names of the trials."""
    table = (
        ("load", "is loaded and unloaded", loads),
        ("garbage", "is sent what nobody expects", chokes),
        ("kill", "is killed in the middle of a message", is_killed),
        ("hang", "is stopped in the middle of a message", hangs),
        ("memory", "has a limit of memory", is_limited),
        ("bad-state", "is given states that are none", restores),
        ("reload", "is reloaded again and again", is_reloaded),
    )
    return {each: Attack(each, tried, play, name, isolation) for each, tried, play in table}


def subject(trial: Trial) -> Subject:
    """Return what the ring has to know of the module."""
    return Subject(trial.source, LIMITS, trial.options, obeys=False, isolation=trial.isolation)
