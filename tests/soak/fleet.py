"""The modules of a soak: what they do, in every release, and in which host each of them runs.

A module tells the ledger of every message that it begins to handle, and then does what the first word of the topic
says: "echo.12" answers with the payload, "spin.13" never ends.  Whatever would end a process or take its memory is
done in a worker only, whichever host a module is in at that moment.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from support.modules import ModuleWriter, manifest_text
from wasm.wat import BUFFER, NOTHING, core

TIERS = ("native", "worker", "wasm", "wasm+worker")
PYTHON, GUESTS = ("native", "worker"), ("wasm", "wasm+worker")
RELEASES = {**dict.fromkeys(PYTHON, ("1.0", "2.0")), **dict.fromkeys(GUESTS, ("1.0", "2.0"))}
FAILING = {
    **dict.fromkeys(PYTHON, ("import", "initialize", "exit", "restore", "slow", "health")),
    **dict.fromkeys(GUESTS, ("garbage", "initialize")),
}
"""Releases that do not come up, by the tier of the module."""

TOP = """
import os, sys, time
AT_HOME = os.getpid() != {host}  # in a process of its own, where it can do as it likes
{import}
"""
BODY = """
@hookimpl
async def initialize(self, context):
    self.context = context
    self.count = 0
    {initialize}
    if context.config.get("listens"):
        context.subscribe("event.*")

@hookimpl
async def handle_message(self, message):
    context, word = self.context, message.topic.partition(".")[0]
    await context.invoke("ledger", "seen", topic=message.topic, who=context.name)
    self.count += 1
    if word not in ("echo", "event"):
        await getattr(self, word)(message.payload)
    return message.payload

async def relay(self, payload):
    await self.context.request(payload["to"], payload, topic=payload["topic"], timeout=payload["within"])

async def fail(self, payload):
    raise ValueError(f"asked to fail: {{payload['n']}}")

async def spin(self, payload):
    while True:
        pass

async def chew(self, payload):
    sum(range(10**12 if AT_HOME else 10**6))

async def nap(self, payload):
    time.sleep(1000.0 if AT_HOME else 0.05)

async def wait(self, payload):
    await asyncio.sleep(10**6)

async def stubborn(self, payload):
    for _ in range(10**6 if AT_HOME else 8):  # in the process of all it would go on as nobody's: not for ever
        try:
            await asyncio.sleep(0.3)
        except BaseException:
            pass

async def grow(self, payload):
    held = []
    while AT_HOME:
        held.append(bytearray(1 << 20))

async def talk(self, payload):
    for number in range(1000):
        self.context.log.info("line %d", number)
        if AT_HOME:
            print("line", number)

async def die(self, payload):
    if AT_HOME:
        os._exit(7)

async def crash(self, payload):
    if AT_HOME:
        import ctypes
        ctypes.string_at(8)

async def leave(self, payload):
    if AT_HOME:
        sys.exit(3)

@hookimpl
async def get_state(self):
    await asyncio.sleep(0.005)
    return {{"count": self.count}}

@hookimpl
async def restore_state(self, state):
    await asyncio.sleep(0.005)
    {restore}
    self.count = state["count"]

@hookimpl
def check_health(self):
    {health}
    return True
"""
PERMISSIONS = ["cap:ledger", "bus.request:>", "bus.subscribe:>", "kv", "env:SOAK_VARIABLE"]
BROKEN = {
    "import": {"import": "raise ImportError('broken on purpose')"},
    "initialize": {"initialize": "raise RuntimeError('broken on purpose')"},
    "exit": {"initialize": "os._exit(5) if AT_HOME else 1 / 0"},
    "restore": {"restore": "raise RuntimeError('broken on purpose')"},
    "slow": {"restore": "await asyncio.sleep(10**6)"},
    "health": {"health": "raise RuntimeError('broken on purpose')"},
}


class Member(NamedTuple):
    """One module: its name, the tier that it starts in, and what its manifest and configuration say besides."""

    name: str
    tier: str
    manifest: str = ""
    config: Mapping[str, Any] = {}
    consents: bool = False  # what it may do rests on an operator's consent, which is given and taken meanwhile


def members(scale: int = 1) -> list[Member]:
    """Return the modules, in the order in which they are loaded; 53 of them if `scale` is 1, about a half if 2."""
    limits = '[limits]\nhandle_message = "150ms"\nmailbox = 64\n'
    patient = '[limits]\nhandle_message = "400ms"\nmemory = "96MiB"\nmailbox = 64\n'
    guest = '[limits]\nhandle_message = "200ms"\nmemory = "16MiB"\nmailbox = 64\n'
    listens = {"listens": True}
    fleet = [Member(f"n{i}", "native", limits, listens if i % 4 == 0 else {}) for i in range(18 // scale)]
    fleet += [Member(f"w{i}", "worker", patient, listens if i % 4 == 0 else {}) for i in range(14 // scale)]
    fleet += [Member(f"g{i}", "wasm", guest) for i in range(8 // scale)]
    fleet += [Member(f"v{i}", "wasm+worker", guest) for i in range(4 // scale)]
    fleet += [Member(f"consents{i}", "worker", patient, consents=True) for i in range(2)]
    fleet += [
        Member("keeps", "worker", patient + "[snapshot]\nmessages = 10\n"),
        Member("keeps-native", "native", limits + '[snapshot]\ninterval = "300ms"\n'),
        Member("temporary", "worker", patient + '[restart]\npolicy = "temporary"\n'),
        Member("transient", "worker", patient + '[restart]\npolicy = "transient"\n'),
        Member("below", "worker", patient),
        Member("waits", "worker", 'requires = ["below"]\n' + patient),
        Member("follows", "native", 'requires = ["below"]\n' + limits + '[restart]\nfollows = ["below"]\n'),
    ]
    return fleet


class Fleet:
    """Writes the releases of modules below a folder, each when it is first asked for."""

    def __init__(self, folder: Path, scale: int = 1) -> None:
        self.members = {member.name: member for member in members(scale)}
        self._folder = folder
        self._write = ModuleWriter(folder)
        self._written: dict[tuple[str, str], Path] = {}

    def source(self, name: str, release: str = "1.0") -> Path:
        """Return where a release of a module is."""
        found = self._written.get((name, release))
        if found is None:
            member = self.members[name]
            make = self._python if member.tier in PYTHON else self._guest
            found = self._written[name, release] = make(member, release)
        return found

    def _python(self, member: Member, release: str) -> Path:
        blanks = {"import": "", "initialize": "pass", "restore": "pass", "health": "pass", "host": os.getpid()}
        blanks |= BROKEN.get(release, {})
        version = "3.0" if release in BROKEN else release
        manifest = f"permissions = {PERMISSIONS}\n{member.manifest}"
        return self._write(
            BODY.format(**blanks), member.name, version=version, top=TOP.format(**blanks), manifest=manifest
        )

    def _guest(self, member: Member, release: str) -> Path:
        folder = self._folder / f"{member.name}-{release}"
        folder.mkdir()
        manifest = f'permissions = ["cap:ledger"]\n{member.manifest}'
        (folder / "module.toml").write_text(manifest_text(member.name, manifest))
        path = folder / f"{member.name}.wasm"
        path.write_bytes(b"\0asm garbage" if release == "garbage" else guest(member.name, release))
        return path


def guest(name: str, release: str) -> bytes:
    """Return a core module that does as the Python ones: "echo", "event", "spin", "trap" and "grow"."""
    texts = (
        "cap.invoke",
        '{"capability":"ledger","operation":"seen","args":{"topic":"',
        f'","who":"{name}"}}}}',
        f'{{"release":"{release}"}}',
    )
    places, at = [], 16
    for text in texts:
        places.append(at)
        at += len(text)
    lengths = list(map(len, texts))
    argument, out = 32768, 65536
    topic_at = argument + lengths[1]
    handle = f"""
      (memory.copy (i32.const {argument}) (i32.const {places[1]}) (i32.const {lengths[1]}))
      (memory.copy (i32.const {topic_at}) (i32.const {BUFFER}) (local.get $0))
      (memory.copy (i32.add (i32.const {topic_at}) (local.get $0)) (i32.const {places[2]}) (i32.const {lengths[2]}))
      (drop (call $call (i32.const {places[0]}) (i32.const {lengths[0]}) (i32.const {argument})
        (i32.add (local.get $0) (i32.const {lengths[1] + lengths[2]})) (i32.const {out}) (i32.const 4096)))
      (local.set $i (i32.load8_u (i32.const {BUFFER})))
      (if (i32.eq (local.get $i) (i32.const {ord("s")})) (then (loop $ever (br $ever))))
      (if (i32.eq (local.get $i) (i32.const {ord("t")})) (then (unreachable)))
      (if (i32.eq (local.get $i) (i32.const {ord("g")})) (then
        (loop $more (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) (unreachable)))
      (i64.or (i64.shl (i64.extend_i32_u (i32.add (i32.const {BUFFER}) (local.get $0))) (i64.const 32))
        (i64.extend_i32_u (local.get $1)))"""
    return core(
        handle, data="".join(texts), hooks={
            "initialize": "(unreachable)" if release == "initialize" else NOTHING,
            "get_state": f"(i64.const {places[3] << 32 | lengths[3]})",
            "restore_state": NOTHING,
        },
    )  # fmt: skip
