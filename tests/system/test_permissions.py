"""What modules may do in a running system: consent, growth, revoking while they run, observing."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from support import guests
from support.modules import ModuleWriter
from system.support import running

import hostcore
from hostcore import errors
from hostcore.runtime.reload import Orders

ACTOR = """
@hookimpl
def initialize(self, context):
    self.context, self.count = context, 0
    self.store = None

@hookimpl
async def handle_message(self, message):
    self.count += 1
    context, what = self.context, message.payload
    if what == "kv":
        self.store = self.store or context.kv
        self.store.set("x", 1)
    elif what == "publish":
        await context.publish("log.x", 1)
    elif what == "subscribe":
        context.subscribe("told.>")
    elif what == "clock":
        await context.invoke("clock", "now")
    elif isinstance(what, list):
        return [context.granted(each) for each in what]
    return self.count

@hookimpl
def get_state(self):
    return {"count": self.count}

@hookimpl
def restore_state(self, state):
    self.count = state["count"]
"""
ASKS = ["kv", "bus.send:log.*", "bus.subscribe:told.>", "cap:clock"]


class Clock:
    """A service."""

    def now(self) -> float:
        """Return something."""
        return 1.0


@asynccontextmanager
async def asking(**policy: Any) -> AsyncIterator[hostcore.ModuleSystem]:
    """A system whose policy says only this."""
    async with running({"clock": Clock()}, policy=policy, load_timeout=20.0) as system:
        yield system


@pytest.fixture
def guest(tmp_path: Path) -> Callable[..., Path]:
    """Write a guest whose manifest asks for something; the same place each time, with another release."""

    def make(*permissions: str, more: str = "") -> Path:
        folder = tmp_path / "guests"
        folder.mkdir(exist_ok=True)
        (folder / "module.toml").write_text(f"[asker]\npermissions = {list(permissions)}\n{more}\n")
        return Path(shutil.copy(guests.guest("c"), folder / "asker.wasm"))

    return make


def actor(write: ModuleWriter, *permissions: str, **more: Any) -> Path:
    """Write the project of a module in a worker that asks for these."""
    return write(ACTOR, "actor", manifest=f"isolation = 'worker'\npermissions = {list(permissions)}", **more)


# --- consent -------------------------------------------------------------------------------------------------------


async def test_a_guest_that_asks_is_not_loaded_before_somebody_agreed(guest) -> None:
    """It is refused with what is missing and the command that grants it; once granted, it loads and has that."""
    async with asking() as system:
        source = guest("kv", "clock")
        with pytest.raises(errors.ConsentError) as caught:
            await system.load("asker", source=source)
        assert (caught.value.code, caught.value.exit_code, caught.value.missing) == ("HC603", 12, ("kv", "clock"))
        assert "hostcore grant asker" in caught.value.hint
        change = await system.grant("asker")
        assert (change.granted, change.effect) == (("kv", "clock"), "not loaded")
        info = await system.load("asker", source=source)
        assert (info.host, info.trust) == ("wasm", "granted")
        assert await system.request("asker", "kv", topic="granted") is True
        assert await system.request("asker", "random", topic="granted") is False


async def test_one_that_asks_for_nothing_needs_nobody(guest) -> None:
    """It has nothing, so there is nothing to agree to."""
    async with asking() as system:
        assert (await system.load("asker", source=guest())).trust == "confined"
        assert await system.request("asker", "kv", topic="granted") is False


async def test_what_is_declined_is_decided(guest) -> None:
    """A module that was granted only some of what it asks for loads, with that."""
    async with asking() as system:
        source = guest("kv", "clock", "env:HOME")
        with pytest.raises(errors.ConsentError):
            await system.load("asker", source=source)
        await system.grant("asker", ["kv"])
        await system.load("asker", source=source)
        report = await system.grants("asker")
        assert (report.granted, report.missing, report.declined) == (("kv",), (), ("clock", "env:HOME"))
        assert [await system.request("asker", each, topic="granted") for each in report.asked] == [True, False, False]


async def test_only_what_is_asked_for_can_be_granted(guest) -> None:
    """More than it asks for is the configuration's to give; and what does not parse is an error of the caller."""
    async with asking() as system:
        with pytest.raises(errors.ConsentError):
            await system.load("asker", source=guest("bus.send:log.*"))
        with pytest.raises(errors.DeniedError, match="does not ask for 'kv'") as caught:
            await system.grant("asker", ["kv", "bus.send:log.x"])
        assert caught.value.code == "HC606"
        with pytest.raises(ValueError, match="not a permission"):
            await system.grant("asker", ["kvv"])
        assert (await system.grant("asker", ["bus.send:log.x"])).granted == ("bus.send:log.x",)


async def test_a_release_that_changed_since_it_was_looked_at_is_not_agreed_to(guest) -> None:
    """Consent is for the digest that was shown."""
    async with asking() as system:
        with pytest.raises(errors.ConsentError):
            await system.load("asker", source=guest("kv"))
        seen = await system.grants("asker")
        guest("kv", "clock")
        with pytest.raises(errors.DeniedError, match="has changed since"):
            await system.grant("asker", digest=seen.digest)
        assert (await system.grants("asker")).missing == ("kv", "clock")


async def test_consent_outlives_the_system(guest) -> None:
    """The next run asks nobody again."""
    source = guest("kv")
    async with asking() as system:
        with pytest.raises(errors.ConsentError):
            await system.load("asker", source=source)
        await system.grant("asker")
    async with asking() as system:
        await system.load("asker", source=source)


async def test_a_file_of_grants_that_others_can_write_keeps_modules_out(guest) -> None:
    """Nothing that it says is believed; a module that rests on nothing in it loads all the same."""
    source = guest("kv")
    async with asking() as system:
        with pytest.raises(errors.ConsentError):
            await system.load("asker", source=source)
        await system.grant("asker")
        system.permits.consents.path.chmod(0o666)
        with pytest.raises(errors.DeniedError) as caught:
            await system.load("asker", source=source)
        assert caught.value.code == "HC605"
        guest()
        await system.load("asker", source=source)


# --- growth --------------------------------------------------------------------------------------------------------


async def test_a_release_that_asks_for_no_more_is_reloaded_unasked(guest) -> None:
    """The consent is carried over to the new digest, and written down as such."""
    async with asking() as system:
        source = guest("kv", "clock")
        with pytest.raises(errors.ConsentError):
            await system.load("asker", source=source)
        await system.grant("asker")
        await system.load("asker", source=source)
        guest("kv", more="summary = 'Asks for less.'")
        assert not (await system.reload("asker", strict=True)).rolled_back
        assert await system.request("asker", "clock", topic="granted") is False
        assert [c.how for c in system.permits.consents.all()] == ["asked", "carried"]
        await system.rollback("asker", strict=True)
        assert await system.request("asker", "clock", topic="granted") is True


async def test_a_release_that_asks_for_more_is_rolled_back(guest) -> None:
    """The old copy serves on with what it has, until somebody agrees."""
    async with asking() as system:
        source = guest("kv")
        with pytest.raises(errors.ConsentError):
            await system.load("asker", source=source)
        await system.grant("asker")
        await system.load("asker", source=source)
        guest("kv", "net:*")
        report = await system.reload("asker")
        assert (report.rolled_back, report.code, report.phase) == (True, "HC603", "prepare")
        assert "net:*" in report.reason and "hostcore grant asker" in report.reason
        assert await system.request("asker", "kv", topic="granted") is True
        seen = await system.grants("asker")
        assert (seen.new, seen.missing, seen.trust) == (("net:*",), ("net:*",), "not granted")
        await system.grant("asker")
        assert not (await system.reload("asker", strict=True)).rolled_back
        assert await system.request("asker", "net:*", topic="granted") is True


async def test_an_author_is_asked_only_when_the_manifest_changes(write: ModuleWriter) -> None:
    """Of a project directory the digest is over its manifest: its code may change as often as it likes."""
    async with asking() as system:
        project = actor(write, "kv")
        with pytest.raises(errors.ConsentError):
            await system.load("actor", source=project)
        await system.grant("actor")
        await system.load("actor", source=project)
        code = project / "acme_actor" / "__init__.py"
        code.write_text(code.read_text().replace("self.count += 1", "self.count += 10"))
        await system.reload("actor", strict=True)
        assert await system.request("actor") == 10
        assert len(system.permits.consents.all()) == 1
        manifest = project / "acme_actor" / "module.toml"
        manifest.write_text(manifest.read_text().replace("['kv']", "['kv', 'clock']"))
        assert (await system.reload("actor")).code == "HC603"


# --- revoking ------------------------------------------------------------------------------------------------------


@pytest.fixture
async def acting(write: ModuleWriter) -> AsyncIterator[hostcore.ModuleSystem]:
    """A system with the module "actor" in a worker, granted all that it asks for."""
    async with asking() as system:
        with pytest.raises(errors.ConsentError):
            await system.load("actor", source=actor(write, *ASKS))
        await system.grant("actor")
        await system.reload("actor", strict=True)
        yield system


@pytest.mark.parametrize(("what", "permission"), [("kv", "kv"), ("publish", "bus.send:log.*"), ("clock", "cap:*")])
async def test_what_is_revoked_is_refused_from_the_next_check_on(acting, what: str, permission: str) -> None:
    """The running copy goes on, with its count; what it holds already, like its store, is of no use to it."""
    assert await acting.request("actor", what) == 1
    generation = acting.modules["actor"].generation
    change = await acting.revoke("actor", [permission])
    assert (len(change.taken), change.effect) == (1, "at once")
    with pytest.raises(errors.HostcoreError, match="has no permission"):
        await acting.request("actor", what)
    assert await acting.request("actor") == 3
    assert acting.modules["actor"].generation == generation
    assert (await acting.grant("actor")).effect == "at once"
    assert await acting.request("actor", what) == 4


async def test_a_subscription_that_is_revoked_hears_nothing_more(acting) -> None:
    """What it listened to is taken back with the permission."""
    await acting.request("actor", "subscribe")
    assert await acting.publish("told.a") == 1
    await acting.revoke("actor", ["bus.subscribe:>"])
    assert await acting.publish("told.a") == 0
    with pytest.raises(errors.HostcoreError, match="has no permission"):
        await acting.request("actor", "subscribe")


async def test_revoking_everything_takes_the_consent(acting) -> None:
    """The running copy goes on with nothing; it does not load again before somebody agrees."""
    assert set((await acting.revoke("actor")).taken) == set(ASKS)
    assert await acting.request("actor", ASKS) == [False] * 4
    assert (await acting.reload("actor")).code == "HC603"
    with pytest.raises(errors.LifecycleError, match="was granted nothing"):
        await acting.revoke("actor")
    await acting.grant("actor")
    assert await acting.request("actor", ASKS) == [True] * 4


async def test_what_was_not_granted_cannot_be_revoked(acting) -> None:
    """The error says what was."""
    with pytest.raises(errors.LifecycleError, match="nothing under 'net:\\*'") as caught:
        await acting.revoke("actor", ["net:*"])
    assert "bus.send:log.*" in caught.value.problems[0].expected
    with pytest.raises(errors.LifecycleError):
        await acting.revoke("nobody")


async def test_what_is_set_up_beforehand_takes_a_new_copy(write: ModuleWriter, tmp_path: Path) -> None:
    """A file or variable is taken away by a reload that keeps the state; if that cannot be, the module goes."""
    async with asking() as system:
        project = actor(write, "kv", "env:HOME", f"fs.read:{tmp_path}")
        with pytest.raises(errors.ConsentError):
            await system.load("actor", source=project)
        await system.grant("actor")
        await system.reload("actor", strict=True)
        assert await system.request("actor") == 1
        assert (await system.revoke("actor", ["env:*"])).effect == "reloaded"
        assert (await system.request("actor"), system.modules["actor"].generation) == (2, 2)
        assert (await system.grant("actor", ["env:HOME"])).effect == "reloaded"
        assert await system.request("actor") == 3
        change = await system.revoke("actor")  # it may not be loaded any more, nor go on with its files
        assert (change.effect, "actor" in system.modules) == ("unloaded", False)
        assert "HC603" in change.reason


async def test_a_guest_is_refused_at_once_too(guest) -> None:
    """In the sandbox as in a worker, what was revoked is refused from the next check on."""
    async with asking() as system:
        source = guest("kv")
        with pytest.raises(errors.ConsentError):
            await system.load("asker", source=source)
        await system.grant("asker")
        await system.load("asker", source=source)
        assert await system.request("asker", {"a": 1}, topic="kv") == {"a": 1}
        assert (await system.revoke("asker", ["kv"])).effect == "at once"
        with pytest.raises(errors.HostcoreError, match="has no permission 'kv'"):
            await system.request("asker", {"a": 1}, topic="kv")
        assert system.refusals("asker")[0].permission == "kv"


async def test_a_copy_in_the_making_is_revoked_too(write: ModuleWriter, gate: Any) -> None:
    """What is revoked while a new copy is being made is not in its hands when it serves."""
    slow = ACTOR.replace("def initialize(self, context):", "async def initialize(self, context):").replace(
        "self.store = None",
        "self.store = None\n    context.subscribe('told.>')\n    await context.invoke('gate', 'wait')",
    )
    async with running({"gate": gate}, policy={}, load_timeout=20.0) as system:
        manifest = f"isolation = 'worker'\npermissions = {[*ASKS, 'cap:gate']}"
        with pytest.raises(errors.ConsentError):
            await system.load("actor", source=write(slow, "actor", manifest=manifest))
        await system.grant("actor")
        loading = asyncio.ensure_future(system.reload("actor", strict=True))
        await gate.arrived.wait()
        await system.revoke("actor", ["kv", "bus.subscribe:>"])
        gate.opened.set()
        await loading
        assert await system.request("actor", ASKS) == [False, True, False, True]
        assert await system.publish("told.a") == 0


async def test_a_copy_set_up_with_what_was_revoked_does_not_serve(
    write: ModuleWriter, gate: Any, tmp_path: Path
) -> None:  # fmt: skip
    """A file that is revoked while a copy is made, whose process could read it by then, is in nobody's hands."""
    slow = ACTOR.replace("def initialize", "async def initialize").replace(
        "self.store = None", "self.store = None\n    await context.invoke('gate', 'wait')"
    )
    file = f"fs.read:{tmp_path}"
    async with running({"gate": gate}, policy={}, load_timeout=20.0) as system:
        source = write(slow, "actor", manifest=f"isolation = 'worker'\npermissions = ['cap:gate', '{file}']")
        with pytest.raises(errors.ConsentError):
            await system.load("actor", source=source)
        await system.grant("actor")
        loading = asyncio.ensure_future(system.load("actor", source=source))
        await gate.arrived.wait()
        await system.revoke("actor", [file])
        gate.opened.set()
        with pytest.raises(errors.DeniedError, match="has lost"):
            await loading

        await system.load("actor", source=source)
        gate.arrived.clear()
        gate.opened.clear()
        granting = asyncio.ensure_future(system.grant("actor", [file]))  # it is reloaded, to have it
        await gate.arrived.wait()
        assert (await system.revoke("actor", [file])).effect == "at once"  # who serves does not have it
        gate.opened.set()
        change = await granting
        assert (change.effect, "has lost" in change.reason, system.modules["actor"].generation) == ("kept", True, 2)


async def test_a_revocation_that_is_cancelled_comes_to_its_end(write: ModuleWriter, tmp_path: Path) -> None:
    """Whoever asked may have gone: what was taken back is taken from the running copy all the same."""
    async with asking() as system:
        with pytest.raises(errors.ConsentError):
            await system.load("actor", source=actor(write, f"fs.read:{tmp_path}"))
        await system.grant("actor")
        await system.reload("actor", strict=True)
        revoking = asyncio.ensure_future(system.revoke("actor", ["fs.read:/"]))
        await asyncio.sleep(0)
        revoking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await revoking
        assert (system.modules["actor"].generation, (await system.grants("actor")).granted) == (2, ())


# --- isolation and observing ---------------------------------------------------------------------------------------


async def test_who_is_not_trusted_runs_where_the_policy_says(write: ModuleWriter) -> None:
    """A native module is put into a worker; who asks for less is refused; who is trusted stays."""
    async with asking(isolation="worker", trust={"modules": ["trusted"]}) as system:
        info = await system.load("echo", source=write(ACTOR, "echo"))
        assert (info.host, info.trust) == ("worker", "confined")
        assert (await system.load("trusted", source=write(ACTOR, "trusted"))).host == "native"
        with pytest.raises(errors.DeniedError, match="the policy demands 'worker'") as caught:
            await system.load("other", source=write(ACTOR, "other"), isolation="native")
        assert caught.value.code == "HC604"
        report = await system.reload("echo", isolation="native")
        assert (report.rolled_back, report.code) == (True, "HC604")


async def test_who_was_trusted_is_moved_without_asking(write: ModuleWriter) -> None:
    """A native module that the host moves to a worker has what it asks for there: less than it had; also restarted."""
    async with asking() as system:
        await system.load("actor", source=write(ACTOR, "actor", manifest="permissions = ['kv']"))
        assert await system.request("actor", "kv") == 1
        _, modules = system._running()
        for isolation, generation in (("worker", 2), (None, 3)):
            copy = system.record("actor").copy
            report = await modules.reloads.restart("actor", copy, Orders(why="moved", isolation=isolation))
            assert not report.rolled_back, report.reason
            info = system.modules["actor"]
            assert (info.host, info.trust, info.generation) == ("worker", "trusted (policy)", generation)
            assert await system.request("actor", ["kv", "clock"]) == [True, False]
        assert (await system.reload("actor")).code == "HC603"


async def test_who_is_observed_is_refused_nothing(write: ModuleWriter) -> None:
    """It loads without consent and does what it likes through the host; what that would have taken is listed."""
    async with asking(observe=["act*"]) as system:
        info = await system.load("actor", source=actor(write, "kv", "env:HOME"))
        assert info.trust == "observed"
        for _ in range(2):
            await system.request("actor", "kv")
        await system.request("actor", "publish")
        found = {attempt.permission: attempt for attempt in system.refusals("actor")}
        assert set(found) == {"kv", "bus.send:log.x", "env:HOME"}
        assert (found["bus.send:log.x"].observed, found["bus.send:log.x"].refused) == (1, 0)
        assert found["kv"].observed >= 2


async def test_what_is_refused_is_listed_too(acting) -> None:
    """An operator sees what a module tried, observed or not."""
    await acting.revoke("actor", ["bus.send:>"])
    with pytest.raises(errors.HostcoreError, match="has no permission"):
        await acting.request("actor", "publish")
    (attempt,) = acting.refusals()
    assert (attempt.module, attempt.permission, attempt.refused) == ("actor", "bus.send:log.x", 1)


def test_a_synchronous_program_has_the_same_verbs(guest) -> None:
    """Grants, grant, revoke and refusals work without an event loop of one's own."""
    with hostcore.ModuleSystem.blocking({"index": False}) as system:
        with pytest.raises(errors.ConsentError):
            system.load("asker", source=guest("kv"))
        assert system.grants("asker").missing == ("kv",)
        assert system.grant("asker").granted == ("kv",)
        assert system.revoke("asker").taken == ("kv",)
        assert system.refusals() == []
