"""What the fast call path promises of its own: turns for everybody, and a process that outlives any signal."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.distributions import libraries
from wasm.support import wasm
from wasm.text import asking, guest, running

import hostcore
from hostcore import errors
from hostcore.hosts.wasm.fast import library

SIGNALS = """
import asyncio, signal, sys
import hostcore

class Struck(BaseException):
    pass

def strike(number, frame):
    while frame is not None:
        if "wasm/fast" in frame.f_code.co_filename.replace("\\\\", "/"):
            raise Struck
        frame = frame.f_back

async def main():
    signal.signal(signal.SIGALRM, strike)
    async with hostcore.ModuleSystem({"handler_timeout": "20s"}) as system:
        await system.load("g", source=sys.argv[1])
        struck = 0
        for _ in range(30):
            signal.setitimer(signal.ITIMER_REAL, 0.003)
            try:
                await system.request("g", topic="t", timeout=5)
            except hostcore.errors.HookError as error:
                struck += "Struck" in str(error)
            except hostcore.errors.GuestTrapError:
                pass
            signal.setitimer(signal.ITIMER_REAL, 0)
            await system.reload("g", state="fresh")
        print(struck)

asyncio.run(main())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs interval timers")
def test_a_signal_while_a_guest_calls_the_host_does_not_end_the_process(tmp_path: Path) -> None:
    """What a signal's handler raises at any place of a callback ends the guest's call, and nothing else."""
    source = tmp_path / "g.wasm"
    source.write_bytes(wasm(guest("(loop $more (call $log (i32.const 0) (i32.const 0) (i32.const 4)) (br $more))")))
    sources = str(Path(hostcore.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((sources, *libraries()))}
    command = [sys.executable, "-c", SIGNALS, str(source)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) > 0


def test_a_callback_is_entered_while_a_signal_waits() -> None:
    """The instruction that looks for signals where a function begins does not do so in a callback."""

    def callback(number: int) -> int:
        return number + 1

    changed = library.entered(callback)
    assert changed(1) == 2
    assert library._RESUMED in changed.__code__.co_code[:8]


async def test_a_guest_that_only_asks_gives_others_their_turns(tmp_path: Path) -> None:
    """A guest that asks for ever for what is answered at once holds the event loop no longer than one that spins."""
    async with running(tmp_path, asking("bus.send", '{"target": "nobody"}', loop=True)) as system:
        asked = asyncio.create_task(system.request("g", topic="t", timeout=0.5))
        turns = 0
        while not asked.done():
            await asyncio.sleep(0)
            turns += 1
        with pytest.raises(errors.DeadlineError):
            await asked
    assert turns > 10  # without turns of their own, others have one before it begins and one or two after its end


async def test_a_guest_that_waits_in_its_start_is_given_up_on(tmp_path: Path) -> None:
    """Waiting in a start function counts: the load ends with HC206, and the module can be loaded again."""
    source = tmp_path / "g.wasm"
    text = asking("timers.sleep", "1000000", function='(func (export "_initialize")', result="")
    source.write_bytes(wasm(text))
    (tmp_path / "module.toml").write_text('[g]\npermissions = ["clock"]\n')
    async with hostcore.ModuleSystem({"load_timeout": "200ms", "policy": {"default": "allow"}}) as system:
        for _ in range(2):
            with pytest.raises(errors.LoadError) as caught:
                await system.load("g", source=source)
            assert caught.value.code == "HC206"
            assert "load_timeout" in str(caught.value)
