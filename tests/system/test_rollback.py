"""Going back to a generation that served before: by hand, with its files gone, and with the state both ways."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support.modules import COUNTER, ModuleWriter, package_of
from system.support import Gate, running, soon

import hostcore
from hostcore import errors
from hostcore.generations import table


async def load_releases(system: hostcore.ModuleSystem, *sources: Path) -> None:
    """Load the first release of "counter", and reload it to each of the others."""
    first, *others = sources
    await system.load("counter", source=first)
    for source in others:
        await system.reload("counter", source=source, strict=True)


def counters(write: ModuleWriter, *versions: str) -> list[Path]:
    return [write(COUNTER, "counter", version=version) for version in versions]


async def version_and_count(system: hostcore.ModuleSystem) -> tuple[str, int]:
    reply = await soon(system.request("counter"))
    return reply["version"], reply["count"]


async def test_by_hand(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """A rollback brings the code before back as a generation of its own, with the state of now."""
    await load_releases(system, *counters(write, "1.0", "2.0"))
    await system.request("counter")
    report = await system.rollback("counter")
    assert await version_and_count(system) == ("1.0", 2)
    assert (report.kind, report.why, report.rolled_back, report.leaks) == ("rollback", "asked", False, ())
    assert (report.old_generation, report.new_generation) == (2, 3)
    assert (report.old_version, report.new_version) == ("2.0", "1.0")
    entry = system.history("counter")[-1]
    assert (entry.what, entry.previous, entry.generation, entry.version) == ("rolled back", 2, 3, "1.0")
    assert len(table.by_id) == 1


async def test_a_second_rollback(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """What has been gone back from is not kept: with one generation kept, there is no second rollback."""
    await load_releases(system, *counters(write, "1.0", "2.0"))
    await system.rollback("counter", strict=True)
    with pytest.raises(errors.LifecycleError, match="no earlier generation of it is kept") as caught:
        await system.rollback("counter")
    assert "reload.keep" in str(caught.value)
    report = await system.reload("counter", source=counters(write, "3.0")[0], strict=True)
    assert (report.old_version, report.new_version) == ("1.0", "3.0")
    assert (await system.rollback("counter")).new_version == "1.0"


async def test_nothing_is_kept(write: ModuleWriter) -> None:
    """With keep = 0, and before the first reload, there is nothing to go back to; the error says what to raise."""
    async with running(reload={"keep": 0}) as system:
        await system.load("counter", source=counters(write, "1.0")[0])
        for _ in range(2):
            with pytest.raises(errors.LifecycleError) as caught:
                await system.rollback("counter")
            assert "none is kept" in str(caught.value)
            assert "raise reload.keep" in str(caught.value)
            await system.reload("counter", strict=True)
        assert await version_and_count(system) == ("1.0", 1)
        with pytest.raises(errors.UnknownModuleError, match="did you mean 'counter'"):
            await system.rollback("countr")


async def test_to_a_generation(write: ModuleWriter) -> None:
    """`to` names one of several that are kept; those after it are gone then; of an unknown one the error says so."""
    async with running(reload={"keep": 3}) as system:
        await load_releases(system, *counters(write, "1.0", "2.0", "3.0", "4.0", "5.0"))
        with pytest.raises(errors.LifecycleError, match="generation 1 of it") as caught:
            await system.rollback("counter", to=1)
        assert "kept: 2, 3, 4" in str(caught.value)
        report = await system.rollback("counter", to=3, strict=True)
        assert (report.new_version, report.new_generation) == ("3.0", 6)
        with pytest.raises(errors.LifecycleError, match="generation 4 of it"):
            await system.rollback("counter", to=4)
        assert (await system.rollback("counter")).new_version == "2.0"
        assert await version_and_count(system) == ("2.0", 1)
        assert len(table.by_id) == 1


async def test_a_reload_after_a_rollback(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """A reload without a source goes to where the generation that runs came from: what was gone back to."""
    first, second = counters(write, "1.0", "2.0")
    await load_releases(system, first, second)
    await system.rollback("counter", strict=True)
    report = await system.reload("counter", strict=True)
    assert (report.new_version, system.modules["counter"].source) == ("1.0", str(first))


@pytest.mark.parametrize("what", ["deleted", "overwritten", "broken"])
async def test_files_that_are_gone(system: hostcore.ModuleSystem, write: ModuleWriter, what: str) -> None:
    """The old code comes back although its files are gone, hold another release, or nothing that compiles."""
    first, second = counters(write, "1.0", "2.0")
    await load_releases(system, first, second)
    if what == "deleted":
        shutil.rmtree(first)
    else:
        code = first / "acme_counter" / "__init__.py"
        code.write_text("raise OSError('new')\n" if what == "overwritten" else "def broken(:\n")
    report = await system.rollback("counter", strict=True)
    assert report.leaks == ()
    assert await version_and_count(system) == ("1.0", 1)


LAZY = """
@hookimpl
def handle_message(self, message):
    from acme_counter import late
    return late.VALUE
"""


@pytest.mark.parametrize("loaded", [True, False])
@pytest.mark.parametrize("changed", [True, False])
async def test_a_late_import(system: hostcore.ModuleSystem, write: ModuleWriter, loaded: bool, changed: bool) -> None:
    """A submodule that was never loaded comes from the files if they are the same; two releases are never mixed."""
    files = {"acme_counter/late.py": "VALUE = 'old'\n"}
    source = write(LAZY, "counter", files=files)
    await system.load("counter", source=source)
    if loaded:
        assert await system.request("counter") == "old"
    await system.reload("counter", source=write(LAZY, "counter", version="2.0", files=files), strict=True)
    if changed:
        code = source / "acme_counter" / "__init__.py"
        code.write_text(code.read_text() + "\nNEW = 1\n")
        (source / "acme_counter" / "late.py").write_text("VALUE = 'new'\n")
    await system.rollback("counter", strict=True)
    if changed and not loaded:
        with pytest.raises(errors.HookError, match="MixedReleaseError") as caught:
            await system.request("counter")
        assert "acme_counter.late" in str(caught.value)
    else:
        assert await system.request("counter") == "old"


async def test_a_manifest_that_is_gone(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """The kept generation has its own manifest back: capabilities, limits and all."""
    first = write(COUNTER, "counter", manifest="provides = ['count/1.0']\n[limits]\nmailbox = 7")
    await load_releases(system, first, write(COUNTER, "counter", version="2.0", manifest="provides = ['count/2.0']"))
    shutil.rmtree(first)
    await system.rollback("counter", strict=True)
    assert system.modules["counter"].provides == ("count/1.0",)
    assert (await system.request("count"))["version"] == "1.0"
    assert package_of("counter") == "acme_counter"


# --- state -----------------------------------------------------------------------------------------------------

FIELDS = """
@hookimpl
def initialize(self, context):
    self.state = dict(START)

@hookimpl
def handle_message(self, message):
    if message.topic == "set":
        self.state.update(message.payload)
    if message.topic == "drop":
        self.state.pop(message.payload)
    return self.state

@hookimpl
def get_state(self):
    return GIVES

@hookimpl
RESTORE
"""


def fields(
    write: ModuleWriter, version: str, *, start: str = "{}", gives: str = "self.state", manifest: str = "",
    restore: str = "def restore_state(self, state):\n    self.state = state", more: str = "",
) -> Path:  # fmt: skip
    body = FIELDS.replace("START", start).replace("GIVES", gives).replace("RESTORE", restore)
    return write(body + more, "counter", version=version, manifest=manifest)


KNOWS_A = "{'a': self.state['a']}"
MIGRATES = "\n@hookimpl\ndef migrate_state(self, state, from_version):\n    return {'a': state['b'] * from_version}\n"
TAKES_ANY = "def restore_state(self, state, from_version):\n    self.state = {'a': [from_version, state]}"


@pytest.mark.parametrize(
    ("how", "expected"),
    [("migrate", {"a": 14}), ("from_version", {"a": [2, {"b": 7}]}), ("neither", {"a": 1})],
)
async def test_state_of_a_newer_version(
    system: hostcore.ModuleSystem, write: ModuleWriter, how: str, expected: object
) -> None:
    """On the way back newer state is migrated down; a release that cannot read it gets the state that it had."""
    old = fields(
        write, "1.0", start="{'a': 1}", more=MIGRATES if how == "migrate" else "",
        **({"restore": TAKES_ANY} if how == "from_version" else {}),
    )  # fmt: skip
    forward = "\n@hookimpl\ndef migrate_state(self, state):\n    return {'b': 7}\n"
    new = fields(write, "2.0", manifest="state_version = 2", more=forward)
    await load_releases(system, old, new)
    assert await system.request("counter") == {"b": 7}
    report = await system.rollback("counter", strict=True)
    assert report.new_version == "1.0"
    assert await system.request("counter") == expected
    kinds = [(entry.what, entry.phase) for entry in system.history("counter")[2:]]
    assert kinds == ([("kept", "migrate")] if how == "neither" else []) + [("rolled back", "")]


async def test_state_asked_for(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """`state` chooses: what the present generation gives, what the kept one had, or none; nothing else is tried."""
    for state, count in (("current", 3), ("last", 2), ("fresh", 1)):
        await load_releases(system, counters(write, "1.0")[0])
        await system.request("counter")
        await system.reload("counter", source=counters(write, "2.0")[0], strict=True)
        await system.request("counter")
        await system.rollback("counter", state=state, strict=True)
        assert await version_and_count(system) == ("1.0", count)
        await system.unload("counter")
    with pytest.raises(ValueError, match="'current', 'last', 'fresh', not 'old'"):
        await load_releases(system, counters(write, "1.0")[0])
        await system.rollback("counter", state="old")


@pytest.mark.parametrize("way", ["rollback", "reload"])
async def test_unknown_fields(system: hostcore.ModuleSystem, write: ModuleWriter, way: str) -> None:
    """Fields that the older release does not know survive the way back and forth; what it changed is new."""
    old = fields(write, "1.0", start="{'a': 1}", gives=KNOWS_A)
    new = fields(write, "2.0", start="{'a': 1, 'b': 2}")
    await load_releases(system, old, new)
    await system.request("counter", {"a": 5, "b": {"deep": [6]}}, topic="set")
    await (system.rollback("counter", strict=True) if way == "rollback" else
           system.reload("counter", source=old, strict=True))  # fmt: skip
    await system.request("counter", {"a": 50}, topic="set")
    await system.reload("counter", source=old, strict=True)
    await system.reload("counter", source=new, strict=True)
    assert await system.request("counter") == {"a": 50, "b": {"deep": [6]}}
    await system.request("counter", "b", topic="drop")
    await system.reload("counter", source=new, strict=True)
    assert await system.request("counter") == {"a": 50}


async def test_keys_that_were_deleted(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """State whose keys come and go has none of them brought back by the way back and forth."""
    old, new = fields(write, "1.0"), fields(write, "2.0")
    await load_releases(system, old, new)
    await system.request("counter", {"x": 1, "y": 2}, topic="set")
    await system.rollback("counter", strict=True)
    await system.request("counter", "x", topic="drop")
    await system.reload("counter", source=new, strict=True)
    assert await system.request("counter") == {"y": 2}


@pytest.mark.parametrize("gives", ["1 / 0", "object()", "exec('while True: pass')"])
@pytest.mark.parametrize("stateful", [True, False])
async def test_present_state_that_cannot_be_had(write: ModuleWriter, gives: str, stateful: bool) -> None:
    """If the present generation cannot give its state, the kept one gets what it had, or nothing if it had none."""
    plain = "\n@hookimpl\ndef handle_message(self):\n    return 'plain'\n"
    async with running(reload={"snapshot": "100ms"}) as system:
        old = fields(write, "1.0", start="{'a': 1}") if stateful else write(plain, "counter")
        await load_releases(system, old, fields(write, "2.0", start="{}", gives=gives))
        report = await soon(system.rollback("counter", strict=True))
        assert report.new_version == "1.0"
        assert await system.request("counter") == ({"a": 1} if stateful else "plain")


async def test_a_message_that_does_not_end(write: ModuleWriter, gate: Gate) -> None:
    """A present generation that is stuck is gone back from all the same, and whoever waits for it is told."""
    stuck = COUNTER.replace("    self.count += 1\n", "    await asyncio.Event().wait()\n")
    async with running({"gate": gate}, reload={"drain": "50ms"}) as system:
        await load_releases(system, *counters(write, "1.0"), write(stuck, "counter", version="2.0"))
        await system.send("counter")
        await soon(system.rollback("counter", strict=True))
        assert await version_and_count(system) == ("1.0", 1)
        assert [letter.reason for letter in system.dead_letters] == [
            "'counter' was replaced while it handled this message"
        ]
