"""A module in a worker is a module like any other: messages, context, state, errors, logs."""

from __future__ import annotations

import logging
import os
import textwrap
from pathlib import Path

import pytest
from support.modules import COUNTER, ECHO, ModuleWriter
from system.support import Notes, running, soon, until
from worker.puppet import EVERYTHING, PUPPET, descriptors, is_alive, pid_of, run

import hostcore
from hostcore import errors
from hostcore.hosts.worker import host


@pytest.fixture
async def puppet(system: hostcore.ModuleSystem, write: ModuleWriter) -> hostcore.ModuleSystem:
    """The system, with a puppet in a worker."""
    await system.load("puppet", source=write(PUPPET, "puppet", manifest=EVERYTHING), isolation="worker")
    return system


async def test_process_of_its_own(puppet: hostcore.ModuleSystem) -> None:
    """The module runs in another process, which gives way to the host and has a directory to itself."""
    told = await run(
        puppet, "import os\nreturn [os.getpid(), os.getpriority(0, 0), os.getcwd(), os.listdir('.'), os.getsid(0)]"
    )
    assert told[0] != os.getpid()
    assert told[1] >= os.nice(0) + 5 or told[1] == 19
    assert told[3] == []
    assert told[4] == told[0]
    assert puppet.modules["puppet"].host == "worker"


async def test_messages(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """Requests are answered, whatever data they hold, and executions too."""
    body = ECHO + "\n@hookimpl\ndef execute(self, request):\n    return {'did': request}\n"
    await system.load("echo", source=write(body), isolation="worker")
    for payload in (None, 1, "text", b"\0bytes", [1, [2, {"a": None}]], 1.5, "x" * 1_000_000):
        assert await system.request("echo", payload) == payload
    assert await system.execute("echo", [1]) == {"did": [1]}


async def test_typed_payloads(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """Typed payloads travel to a worker and back with their schema, and an older one is brought up to date."""
    top = """
    class Add(hostcore.Payload[int], topic="sum.add", version=2):
        a: int
        b: int

        @classmethod
        def upcast(cls, data, from_version):
            return {"b": 100, **data}
    """
    body = """
    @hookimpl
    def handle_message(self, message: hostcore.Message[Add]):
        return message.payload.a + message.payload.b
    """

    class Add(hostcore.Payload[int], topic="sum.add", version=1):
        a: int

    await system.load("sum", source=write(body, "sum", top=top), isolation="worker")
    assert await system.request("sum", Add(1)) == 101
    with pytest.raises(errors.ContractError):
        await system.request("sum", {"a": "x", "b": 1}, topic="sum.add")


async def test_errors(puppet: hostcore.ModuleSystem) -> None:
    """What a handler raises is told with its place and traceback, and counts as the module's failure."""
    with pytest.raises(errors.HookError) as caught:
        await run(puppet, "raise ValueError('no')")
    assert caught.value.exception == "ValueError"
    assert caught.value.module == "puppet"
    assert "ValueError: no" in caught.value.traceback
    assert puppet.modules["puppet"].failed == 1
    with pytest.raises(errors.HookError, match="SystemExit"):
        await run(puppet, "import sys\nsys.exit(3)")
    assert await run(puppet, "return 1") == 1


async def test_not_data(puppet: hostcore.ModuleSystem) -> None:
    """A reply that is no data is an error of the module's, not of the connection."""
    with pytest.raises(errors.ContractError):
        await run(puppet, "return object()")
    assert await run(puppet, "return 1") == 1


async def test_third_party_hooks_by_reference(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """A hook that nobody implements is refused, with the ones that there are."""
    await system.load("echo", source=write(ECHO), isolation="worker")
    with pytest.raises(errors.HookError, match="does not implement 'execute'"):
        await system.execute("echo", 1)


async def test_context(puppet: hostcore.ModuleSystem, write: ModuleWriter, notes: Notes) -> None:
    """A worker's context reaches the system: requests, messages, topics, services, grants."""
    await puppet.load("echo", source=write(ECHO))
    assert await run(puppet, "return await context.request('echo', [1, b'2'])") == [1, b"2"]
    async with puppet.subscribe("news.*") as events:
        await run(puppet, "await context.publish('news.one', 'hear')")
        event = await soon(anext(aiter(events)))
    assert (event.topic, event.payload, event.sender) == ("news.one", "hear", "puppet")
    await run(puppet, "await context.invoke('notes', 'take', what={'a': 1})\nawait context.send('echo', 1)")
    assert notes.taken == [{"a": 1}]
    assert puppet.modules["echo"].handled == 2
    assert await run(puppet, "return [context.granted('kv'), context.granted('net:a.example:1')]") == [True, False]
    told = await run(puppet, "return [context.name, context.version, context.generation, context.config]")
    assert told == ["puppet", "1.0", 1, {}]


async def test_errors_of_the_system(puppet: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """What a request of a worker's raises is the same error as elsewhere."""
    await puppet.load("bad", source=write("@hookimpl\ndef handle_message(self, message):\n    1 / 0", "bad"))
    code = textwrap.dedent("""
        from hostcore import errors
        try:
            await context.request({target!r}, 1, timeout={timeout})
        except errors.HostcoreError as exc:
            return [type(exc).__name__, exc.code, str(exc)]
    """)
    name, found, text = await run(puppet, code.format(target="nobody", timeout=None))
    assert (name, found) == ("UnknownModuleError", "HC401")
    assert "nobody" in text
    assert (await run(puppet, code.format(target="bad", timeout=None)))[:2] == ["HookError", "HC302"]
    assert (await run(puppet, code.format(target="bad", timeout=0)))[:2] == ["DeadlineError", "HC404"]


async def test_denied(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """What a module has not asked for is refused by the host, whatever its worker says."""
    await system.load("puppet", source=write(PUPPET, "puppet"), isolation="worker")
    await system.load("other", source=write(ECHO, "other"))
    for code in ("await context.request('other', 1)", "context.kv", "context.subscribe('a.b')",
                 "await context.publish('a.b')", "await context.invoke('notes', 'take', what=1)"):  # fmt: skip
        with pytest.raises(errors.HookError) as caught:
            await run(system, code)
        assert caught.value.exception == "DeniedError", code


async def test_circle(puppet: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """A request that would come back to the worker which waits for it is refused, not waited for."""
    asks = """
    @hookimpl
    def initialize(self, context):
        self.context = context

    @hookimpl
    async def handle_message(self, message):
        return await self.context.request("puppet", "return 1", topic="run")
    """
    await puppet.load("back", source=write(asks, "back"))
    with pytest.raises(errors.CallCycleError) as caught:
        await run(puppet, "return await context.request('back', 1)")
    assert caught.value.trail == ("back", "puppet", "back")


async def test_deadline_is_inherited(puppet: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """What a worker asks for while it handles a message has no more time than that message."""
    late = "@hookimpl\ndef handle_message(self, message):\n    return message.remaining()"
    await puppet.load("late", source=write(late, "late"))
    assert await run(puppet, "return await context.request('late', 1, timeout=1000)", timeout=5.0) < 5.0
    assert await run(puppet, "return message.remaining()", timeout=5.0) < 5.0


async def test_store(puppet: hostcore.ModuleSystem) -> None:
    """The store of a worker's module is kept by the host and outlives the worker."""
    await run(puppet, "context.kv.set('a', {'b': 1})\ncontext.kv.set('c', b'2')")
    assert (await puppet.reload("puppet")).reason == ""
    code = "kv = context.kv\nkv.delete('c')\nreturn [kv.get('a'), kv.get('c', 5), kv.keys()]"
    assert await run(puppet, code) == [{"b": 1}, 5, ["a"]]
    with pytest.raises(errors.HookError, match="a key is text"):
        await run(puppet, "context.kv.get(5)")
    with pytest.raises(errors.HookError, match="cannot be encoded"):
        await run(puppet, "context.kv.set('a', object())")


async def test_store_with_many_keys(puppet: hostcore.ModuleSystem) -> None:
    """The keys of a store may take more room than a value may have, and the store goes on."""
    code = "kv = context.kv\n"
    code += (
        "for number in range(4300): kv.set(f'{number:08}' + 'k' * 500, 1)\nreturn [len(kv.keys()), kv.get('none', 5)]"
    )
    assert await run(puppet, code) == [4300, 5]


async def test_store_from_a_thread(puppet: hostcore.ModuleSystem) -> None:
    """Threads of a module may use its store, several at once."""
    code = textwrap.dedent("""
        def work(number):
            for each in range(20):
                context.kv.set(f'{number}-{each}', each)
        kv = context.kv
        await asyncio.gather(*(asyncio.to_thread(work, number) for number in range(4)))
        return len(kv.keys())
    """)
    assert await run(puppet, code) == 80


async def test_subscriptions(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """A worker hears the topics that it subscribes to in initialize."""
    body = """
    @hookimpl
    def initialize(self, context):
        context.subscribe("repo.*")
        self.heard = []

    @hookimpl
    def handle_message(self, message):
        if message.topic:
            self.heard.append(message.topic)
        return self.heard
    """
    await system.load("ears", source=write(body, "ears", manifest='permissions = ["bus.subscribe:repo.*"]'),
                      isolation="worker")  # fmt: skip
    assert await system.publish("repo.changed", 1) == 1
    assert await system.request("ears") == ["repo.changed"]


async def test_blocking_hook(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """A blocking hook runs in a thread of the worker's."""
    body = """
    @hookimpl(blocking=True)
    def handle_message(self, message):
        import threading
        return threading.current_thread() is threading.main_thread()
    """
    await system.load("slow", source=write(body, "slow"), isolation="worker")
    assert await system.request("slow") is False


async def test_state_moves_between_hosts(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """A module keeps its state when it is moved into a worker, reloaded there, and moved out again."""
    await system.load("counter", source=write(COUNTER, "counter", version="1.0"))
    for number, isolation in enumerate((None, "worker", None, "native"), 1):
        if isolation is not None or number > 1:
            assert (await system.reload("counter", isolation=isolation, strict=True)).downtime_ms >= 0
        assert (await system.request("counter"))["count"] == number
    assert system.modules["counter"].host == "native"


async def test_rollback(system: hostcore.ModuleSystem, write: ModuleWriter, tmp_path: Path) -> None:
    """A generation that ran in a worker is made again from its own code, although its files have changed."""
    source = write(COUNTER, "counter", version="1.0")
    await system.load("counter", source=source, isolation="worker")
    assert (await system.request("counter"))["count"] == 1
    package = source / "acme_counter" / "__init__.py"
    await until(lambda: system.record("counter").copy.instance.keep() is not None)
    package.write_text(package.read_text().replace('"count": self.count,', '"count": -self.count,'))
    await system.reload("counter", strict=True)
    assert (await system.request("counter"))["count"] == -2
    await system.rollback("counter", strict=True)
    assert (await system.request("counter"))["count"] == 3


async def test_capabilities(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """What a worker's module provides is found by others."""
    body = ECHO + '\n@hookimpl\ndef get_capabilities(self):\n    return {"echo:all/1.2"}\n'
    await system.load("echo", source=write(body), isolation="worker")
    assert system.modules["echo"].provides == ("echo:all/1.2",)
    assert await system.request("echo:all", 7) == 7


async def test_log(puppet: hostcore.ModuleSystem, caplog: pytest.LogCaptureFixture) -> None:
    """What a worker logs or prints goes to the module's log, by lines, and cannot forge others."""
    caplog.set_level(logging.INFO, logger="hostcore.module.puppet")
    await puppet.reload("puppet", strict=True)  # it is told the level when it loads
    code = textwrap.dedent(r"""
        import logging, sys
        context.log.warning("careful %d", 1)
        context.log.debug("unseen")
        logging.getLogger("acme.parts").error("other")
        await asyncio.to_thread(context.log.info, "from a thread")
        print("line \x1b[31mred\nforged: ERROR", end="\n")
        print("to stderr", file=sys.stderr)
    """)
    await run(puppet, code)
    await until(lambda: "to stderr" in caplog.text and "forged" in caplog.text)
    found = {(record.name.removeprefix("hostcore.module."), record.levelname, record.message)
             for record in caplog.records if record.name.startswith("hostcore.module.")}  # fmt: skip
    assert found >= {
        ("puppet", "WARNING", "careful 1"),
        ("puppet.acme.parts", "ERROR", "other"),
        ("puppet", "INFO", "from a thread"),
        ("puppet", "INFO", r"line \x1b[31mred"),
        ("puppet", "INFO", "forged: ERROR"),
        ("puppet", "WARNING", "to stderr"),
    }
    assert "unseen" not in caplog.text


async def test_environment(system: hostcore.ModuleSystem, write: ModuleWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the host's environment a worker has what it was granted; the rest is nowhere in its memory."""
    monkeypatch.setenv("ACME_KEY", "granted-value")
    monkeypatch.setenv("ACME_SECRET", "hidden-value-of-the-host")
    manifest = 'permissions = ["env:ACME_KEY"]'
    await system.load("puppet", source=write(PUPPET, "puppet", manifest=manifest), isolation="worker")
    assert await run(system, "import os\nreturn [os.environ.get('ACME_KEY'), os.environ.get('ACME_SECRET')]") == [
        "granted-value", None,
    ]  # fmt: skip
    pid = await pid_of(system)
    data = Path(f"/proc/{pid}/environ").read_bytes()
    assert b"hidden-value" not in data


async def test_private_dependencies(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """What lies beside a worker's package comes before what the host has installed."""
    body = "@hookimpl\ndef handle_message(self, message):\n    import pluggy_helper\n    return pluggy_helper.NAME"
    await system.load("echo", source=write(body, files={"pluggy_helper.py": "NAME = 'its own'\n"}), isolation="worker")
    assert await system.request("echo") == "its own"


@pytest.mark.parametrize(
    ("top", "error", "text"),
    [
        ("1 / 0", errors.LoadError, "ZeroDivisionError"),
        ("import nobody_has_this", errors.LoadError, "nobody_has_this"),
        ("import os; os._exit(3)", errors.WorkerDiedError, "exited with code 3, in 'load'"),
        ("import ctypes; ctypes.string_at(8)", errors.WorkerDiedError, "SIGSEGV, in 'load'"),
        ("import sys; sys.exit(2)", errors.LoadError, "sys.exit"),
    ],
)
async def test_import_that_fails(
    system: hostcore.ModuleSystem, write: ModuleWriter, top: str, error: type[Exception], text: str
) -> None:
    """An import that raises, or ends the process, is told as such, and leaves no process behind."""
    with pytest.raises(error, match=text):
        await system.load("echo", source=write(ECHO, top=top), isolation="worker")
    assert system.modules["echo"].state.value == "failed"


async def test_nothing_is_left(system: hostcore.ModuleSystem, write: ModuleWriter) -> None:
    """An unloaded worker leaves no process, no descriptor and no directory."""
    source = write(PUPPET, "puppet", manifest=EVERYTHING)
    await system.load("puppet", source=source, isolation="worker")
    await system.unload("puppet")
    before = descriptors()
    await system.load("puppet", source=source, isolation="worker")
    pid = await pid_of(system)
    folder = Path(await run(system, "import os\nopen('left', 'w').close()\nreturn os.getcwd()"))
    assert is_alive(pid)
    assert await system.unload("puppet") == ()
    assert not is_alive(pid)
    assert not folder.exists()
    assert descriptors() == before


async def test_shutdown_and_exit(system: hostcore.ModuleSystem, write: ModuleWriter, tmp_path: Path) -> None:
    """An unload calls shutdown and what the module registered with atexit."""
    out = tmp_path / "out"
    out.mkdir()
    body = f"""
    @hookimpl
    def shutdown(self):
        open({str(out / "shutdown")!r}, "w").close()

    @hookimpl
    def handle_message(self, message):
        import atexit
        atexit.register(lambda: open({str(out / "atexit")!r}, "w").close())
    """
    manifest = f'permissions = ["fs.write:{out}"]'
    await system.load("tidy", source=write(body, "tidy", manifest=manifest), isolation="worker")
    await system.request("tidy")
    await system.unload("tidy")
    assert {path.name for path in out.iterdir()} == {"shutdown", "atexit"}


async def test_demanded_sandbox(write: ModuleWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker runs in the sandbox that the policy demands, or not at all; which one is told."""
    source = write(ECHO)
    policy = {"default": "allow", "sandbox": "limits"}
    async with running(policy=policy) as system:
        await system.load("echo", source=source, isolation="worker")
        assert system.modules["echo"].sandbox in ("limits", "files", "full")
    monkeypatch.setattr(host.WorkerHost, "layers", ("rlimits", "no_new_privs"))
    async with running(policy={**policy, "sandbox": "full"}) as system:
        with pytest.raises(errors.DeniedError, match=r"demands a sandbox of level 'full'.*reaches 'limits'") as caught:
            await system.load("echo", source=source, isolation="worker")
        assert caught.value.code == "HC607"
        assert "landlock: switched off" in str(caught.value)


async def test_state_of_others(write: ModuleWriter) -> None:
    """What the host keeps for modules cannot be read by a worker, although it lies beside its code."""
    source = write(PUPPET, "puppet", files={"beside.py": "HERE = 1\n"})
    (source / "state" / "kv").mkdir(parents=True)
    (source / "state" / "kv" / "secret").write_text("a secret")
    (source / "link").symlink_to("/etc")
    async with running(state_dir=str(source / "state")) as system:
        await system.load("puppet", source=source, isolation="worker")
        assert await run(system, "import beside\nreturn beside.HERE") == 1
        for path in ("state/kv/secret", "link/hostname"):
            with pytest.raises(errors.HookError, match="PermissionError"):
                await run(system, f"return open({str(source / path)!r}).read()")
