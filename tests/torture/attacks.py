"""Attacks that can be told in a line: what a module does, in which tier, and how that has to end.

The same list is run by the tests, which look at facts, and by `benchmarks/isolation.py`, which measures bystanders.
"""

from __future__ import annotations

import tempfile
import textwrap
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from support.modules import ECHO, ModuleWriter
from system.support import soon
from wasm.wat import core
from worker.puppet import EVERYTHING, PUPPET

import hostcore
from hostcore import errors

RAISED, OVERRAN, DIED, LIMIT, BROKE, TOO_LONG = "HC302", "HC303", "HC501", "HC503", "HC511", "HC512"
TRAPPED, STACK_USED = "HC502", "HC506"
NOT_DATA = "HC351"
NAME = "puppet"
PATIENCE = 60.0


class Attack(NamedTuple):
    """One attack in one tier.

    Attributes:
        name: What is tried.
        tier: "native", "worker" or "wasm".
        does: The body of a coroutine function, or of a guest's `handle_message` in WebAssembly's text.
        codes: Of the errors that it may end with; none: it is answered.
        limits: The module's.
        lives: Whether the module answers afterwards, without anybody's help.
        slow: Whether it is left to those who have time.
    """

    name: str
    tier: str
    does: str
    codes: tuple[str, ...] = ()
    limits: Mapping[str, Any] = {}
    lives: bool = True
    slow: bool = False

    @property
    def key(self) -> str:
        """What the attack is called among all."""
        return f"{self.tier}: {self.name}"


SHORT = {"handle_message": "200ms"}
SMALL = {"memory": "64MiB", "handle_message": "5s"}
SLOW = {"handle_message": "10s"}
SPIN = "(loop $for_ever (br $for_ever)) (unreachable)"
_worker = partial(Attack, tier="worker")
_native = partial(Attack, tier="native")
_wasm = partial(Attack, tier="wasm")

RECURSION = "def deeper(): return deeper()\nreturn deeper()"
STACK = """
import functools, sys, threading
sys.setrecursionlimit(10**9)
class Deep:
    def __repr__(self): return repr(self)
repr(Deep())
"""
DOUBLING = "grown = [0]\nwhile True: grown += grown"
TEXTS = "grown = 'x'\nwhile True: grown += grown"
KEPT = "state['kept'] = [b'x' * (1 << 20)]\nwhile True: state['kept'].append(b'x' * (1 << 20))"
STDOUT = """
import os
for _ in range(32): os.write(1, b"x" * (1 << 20))
for _ in range(8): os.write(2, b"flood\\n" * (1 << 17))
"""
LOGGED = "for number in range(20_000): context.log.warning('line %d', number)"
LOGGERS = """
import logging
for number in range(5_000): logging.getLogger(f"made.up.{number}").warning("x")
"""
THREADS = """
import threading
for number in range(200):
    threading.Thread(target=lambda: [None for _ in iter(int, 1)], daemon=True).start()
"""
FILES = """
import os
held = []
try:
    while True: held.append(os.open("/dev/null", os.O_RDONLY))
except OSError: return len(held)
"""
HUGE = "return b'x' * (64 << 20)"
DEEP = """
deep = []
for _ in range(100_000): deep = [deep]
return deep
"""
SEND = """
sent = [context.send("victim", number) for number in range(3_000)]
for each in sent: await each
"""
ASK = """
asked = [asyncio.ensure_future(context.request('victim', number)) for number in range(1_000)]
await asyncio.gather(*asked, return_exceptions=True)
"""
COPY = "held = bytearray(1 << 26)\nfor _ in range(4): held[:] = held[::-1]"
SYS_EXIT = "import sys\nsys.exit(3)"
INTERRUPT = "raise KeyboardInterrupt"
EVERY_EXCEPTION = """
class Odd(BaseException):
    def __str__(self): raise KeyboardInterrupt
    __repr__ = __str__
raise Odd
"""
STOPPED = "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)"
GROW = "(loop $on (br_if $on (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) (unreachable)"
DEEPER = "(call $deeper) (i64.const 0)"

ATTACKS = (
    _native("endless loop", does="while True: pass", codes=(OVERRAN,), limits=SHORT),
    _native("blocking sleep", slow=True, does="import time\ntime.sleep(30)", codes=(OVERRAN,), limits=SHORT),
    _native("wait without end", slow=True, does="await asyncio.Event().wait()", codes=(OVERRAN,), limits=SHORT),
    _native("recursion", does=RECURSION, codes=(RAISED,)),
    _native("sys.exit", slow=True, does=SYS_EXIT, codes=(RAISED,)),
    _native("KeyboardInterrupt", does=INTERRUPT, codes=(RAISED,)),
    _native("exception that cannot be shown", does=EVERY_EXCEPTION, codes=(RAISED,)),
    _native("huge reply", slow=True, does=HUGE, codes=(LIMIT,)),
    _native("nested reply", slow=True, does=DEEP, codes=(NOT_DATA,), limits=SLOW),
    _native("flood of messages", does=SEND),
    _native("flood of requests", does=ASK),
    _worker("endless loop", does="while True: pass", codes=(OVERRAN,), limits=SHORT),
    _worker("endless loop in C", slow=True, does="sum(range(10**12))", codes=(DIED,), limits=SHORT, lives=False),
    _worker("blocking sleep", slow=True, does="import time\ntime.sleep(10**6)", codes=(OVERRAN, DIED), limits=SHORT,
            lives=False),
    _worker("wait without end", slow=True, does="await asyncio.Event().wait()", codes=(OVERRAN,), limits=SHORT),
    _worker("stopped process", slow=True, does=STOPPED, codes=(DIED,), limits=SHORT, lives=False),
    _worker("recursion", does=RECURSION, codes=(RAISED,)),
    _worker("recursion in C", slow=True, does=STACK, codes=(RAISED, DIED), limits=SMALL, lives=False),
    _worker("memory bomb", does=DOUBLING, codes=(RAISED,), limits=SMALL),
    _worker("memory bomb of one text", slow=True, does=TEXTS, codes=(RAISED,), limits=SMALL),
    _worker("memory bomb that is kept", slow=True, does=KEPT, codes=(RAISED, DIED), limits=SMALL, lives=False),
    _worker("huge copy", slow=True, does=COPY, limits=SLOW),
    _worker("threads that spin", slow=True, does=THREADS, codes=(RAISED, OVERRAN, DIED, TOO_LONG), lives=False,
            limits={"handle_message": "2s", "cpu": "1s"}),
    _worker("files without end", does=FILES, limits=SLOW),
    _worker("flood of output", does=STDOUT, limits=SLOW),
    _worker("flood of log", does=LOGGED, limits=SLOW),
    _worker("flood of loggers", slow=True, does=LOGGERS, limits=SLOW),
    _worker("flood of messages", does=SEND, limits=SLOW),
    _worker("flood of requests", does=ASK, limits=SLOW),
    _worker("huge reply", does=HUGE, codes=(LIMIT,), limits=SLOW),
    _worker("nested reply", slow=True, does=DEEP, codes=(NOT_DATA,), limits=SLOW),
    _worker("sys.exit", slow=True, does=SYS_EXIT, codes=(RAISED,)),
    _worker("KeyboardInterrupt", slow=True, does=INTERRUPT, codes=(RAISED,)),
    _worker("exception that cannot be shown", does=EVERY_EXCEPTION, codes=(RAISED,)),
    _worker("segfault", does="import ctypes\nctypes.string_at(8)", codes=(DIED,), lives=False),
    _worker("os._exit", slow=True, does="import os\nos._exit(0)", codes=(DIED,), lives=False),
    _wasm("endless loop", does=SPIN, codes=(OVERRAN,), limits=SHORT),
    _wasm("recursion", does=DEEPER, codes=(STACK_USED,)),
    _wasm("memory bomb", does=GROW, codes=(TRAPPED,), limits={"memory": "64MiB"}),
    _wasm("trap", does="(unreachable)", codes=(TRAPPED,)),
)  # fmt: skip
BY_KEY = {attack.key: attack for attack in ATTACKS}
DOWN = "(func $deeper (result i64) (i64.add (call $deeper) (i64.const 1)))"


async def load(system: hostcore.ModuleSystem, attack: Attack, name: str = NAME) -> None:
    """Load the module that makes the attack, and the one that it is made on, if it is on any."""
    folder = Path(tempfile.mkdtemp(prefix="hostcore-attack-"))
    if "victim" in attack.does and "victim" not in system.modules:
        await system.load("victim", source=ModuleWriter(folder / "victim")(ECHO, "victim"))
    if attack.tier == "wasm":
        source = folder / "guest.wasm"
        spares = "(if (i32.eqz (local.get $1)) (then (return (i64.const 0))))"  # a message without a topic
        body = f"{spares} {attack.does.replace('(call $deeper)', '(drop (call $deeper))')}"
        source.write_bytes(core(body, more=DOWN))
        await system.load(name, source=source, limits=dict(attack.limits))
    else:
        source = ModuleWriter(folder)(PUPPET, name, manifest=EVERYTHING)
        await system.load(name, source=source, isolation=attack.tier, limits=dict(attack.limits))


async def strike(system: hostcore.ModuleSystem, attack: Attack, name: str = NAME) -> errors.HostcoreError | None:
    """Make the attack; return the error that it ends with."""
    code = None if attack.tier == "wasm" else textwrap.dedent(attack.does)
    try:
        await soon(system.request(name, code, topic="run", timeout=PATIENCE))
    except errors.HostcoreError as error:
        return error
    return None


async def still_answers(system: hostcore.ModuleSystem, attack: Attack, name: str = NAME) -> bool:
    """Tell whether the module answers an ordinary message."""
    if attack.tier == "wasm":
        error = await strike(system, attack, name)  # it attacks again: that it can is the answer
        return error is not None and error.code in attack.codes
    return await soon(system.request(name, "return 7", topic="run", timeout=PATIENCE)) == 7
