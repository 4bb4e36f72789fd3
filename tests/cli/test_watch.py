"""`hostcore run --watch` and `hostcore dev`: real files change under real hosts."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.distributions import Project, Venv, entry_points, write_files
from support.hosting import TIME, Cli, HostProcess, until
from support.modules import COUNTER, ECHO, code, install, install_files

from hostcore.control.client import Client
from hostcore.control.places import socket_path

ANSWER = """
@hookimpl
def handle_message(self, message):
    return {answer!r}
"""
GATED = """
@hookimpl
async def initialize(self, context):
    import pathlib
    if context.generation > 1:
        pathlib.Path({mark!r}).touch()
        while not pathlib.Path({gate!r}).exists():
            await asyncio.sleep(0.005)

@hookimpl
def handle_message(self, message):
    return {answer!r}
"""
"""From its second generation on, it waits in `initialize` until the test opens its gate."""


def answer(text: str, top: str = "") -> str:
    """Return the source of a package whose module answers with `text`."""
    return code(ANSWER.format(answer=text), top)


def ask(name: str, host: str = "default") -> object:
    return Client(host, socket_path(host)).call("modules.call", {"target": name})["reply"]


def init(directory: Path, name: str = "echo") -> Path:
    return directory / f"acme_{name}" / "__init__.py"


def edit(path: Path, text: str) -> None:
    """Write a file in one step, so that a busy machine cannot make two changes of it."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(text)
    os.replace(fresh, path)


def names(event: dict) -> list[str]:
    """Return the names of the files that an outcome says have changed."""
    return [os.path.basename(path) for path in event["changed"]]


def reloaded(host: HostProcess, module: str = "echo") -> dict:
    """Return the next outcome, which must be a reload of `module` that succeeded."""
    event = host.event()
    assert (event["event"], event["module"]) == ("reloaded", module), event
    assert not event["report"]["rolled_back"], event
    return event


@contextmanager
def at_once(host: HostProcess) -> Iterator[None]:
    """Have the host see nothing of what the block does until it is done."""
    status = Path(f"/proc/{host.pid}/stat")
    host.signal(signal.SIGSTOP)
    until(lambda: status.read_text().rpartition(")")[2].split()[0] == "T", "the stop")
    try:
        yield
    finally:
        host.signal(signal.SIGCONT)


# --- what is reloaded, and when --------------------------------------------------------------------------------


def test_an_edit_reloads_and_keeps_the_state(cli, write):
    """A saved file reloads its module, with its state; the line says what changed, and the report how it went."""
    project = write(COUNTER, "counter")
    with cli.host(project, command="dev") as host:
        assert host.ready["loaded"] == ["counter"]
        assert host.ready["name"] == "dev"
        assert ask("counter", "dev") == {"count": 1, "version": "1.0"}
        edit(init(project, "counter"), code(COUNTER.replace("+= 1", "+= 10")))
        event = reloaded(host, "counter")
        assert event["changed"] == [str(init(project, "counter"))]
        assert (event["report"]["old_generation"], event["report"]["new_generation"]) == (1, 2)
        assert ask("counter", "dev") == {"count": 11, "version": "1.0"}


def test_only_the_module_concerned_reloads(cli, site):
    """Of two installed modules only the one whose file was changed reloads; a shared package reloads both."""
    for name in ("one", "two"):
        package = f"acme_{name}"
        files = {f"{package}/__init__.py": answer("old"), "acme_both.py": ""}
        install_files(site, package, "1.0", entry_points({name: f"{package}:Module"}), files)
    with cli.host("--watch") as host:
        edit(init(site, "one"), answer("new"))
        assert names(reloaded(host, "one")) == ["__init__.py"]
        edit(init(site, "two"), answer("new"))
        assert names(reloaded(host, "two")) == ["__init__.py"]
        edit(site / "acme_both.py", "x = 1\n")
        both = {event["module"]: names(event) for event in (host.event(), host.event())}
        assert both == {"one": ["acme_both.py"], "two": ["acme_both.py"]}
        assert (ask("one"), ask("two")) == ("new", "new")


def test_edits_in_quick_succession_are_one_reload(cli, write):
    """A burst of saves is one reload, after the last."""
    project = write(ECHO)
    with cli.host(project, command="dev") as host:
        with at_once(host):
            for number in range(20):
                edit(init(project), answer(f"edit {number}"))
                (project / "acme_echo" / f"part{number}.py").touch()
        assert len(reloaded(host)["changed"]) == 21
        assert ask("echo", "dev") == "edit 19"
        edit(init(project), answer("last"))
        assert reloaded(host)["report"]["new_generation"] == 3


def test_a_thousand_files_at_once_are_one_reload(cli, write, tmp_path):
    """A checkout that brings thousands of files leads to one reload."""
    write_files(tmp_path / "many", {f"d{n % 50}/f{n}.py": "" for n in range(3000)})
    project = write(ECHO)
    with cli.host(project, command="dev") as host:
        (tmp_path / "many").rename(project / "acme_echo" / "many")
        assert len(reloaded(host)["changed"]) == 3000
        with at_once(host):
            for path in sorted((project / "acme_echo" / "many").rglob("*.py")):
                path.write_text("x = 1\n")
        assert len(reloaded(host)["changed"]) == 3000
        edit(init(project), answer("last"))
        assert reloaded(host)["report"]["new_generation"] == 4


def test_changes_during_a_reload_lead_to_one_more(cli, write, tmp_path):
    """What is saved while the module is being reloaded reloads it once more, and then not again."""
    mark, gate = tmp_path / "mark", tmp_path / "gate"
    project = write(ECHO)
    with cli.host(project, command="dev") as host:
        edit(init(project), code(GATED.format(mark=str(mark), gate=str(gate), answer="first")))
        until(mark.exists, "the reload")
        with at_once(host):
            for number in range(5):
                edit(init(project), answer(f"during {number}"))
                (project / "acme_echo" / f"data{number}").touch()
        gate.touch()
        assert names(reloaded(host)) == ["__init__.py"]
        assert len(reloaded(host)["changed"]) == 6
        assert ask("echo", "dev") == "during 4"
        edit(init(project), answer("last"))
        assert reloaded(host)["report"]["new_generation"] == 4


def test_modules_reload_side_by_side(cli, write, tmp_path):
    """A module whose reload takes long does not keep another from being reloaded."""
    mark, gate = tmp_path / "mark", tmp_path / "gate"
    project = write(ECHO, "slow")
    other = write(ECHO, "quick")
    (cli.directory / "hostcore.toml").write_text(
        f"autoload = false\n[modules.slow]\nsource = '{project}'\n[modules.quick]\nsource = '{other}'\n"
    )
    with cli.host("--watch") as host:
        edit(init(project, "slow"), code(GATED.format(mark=str(mark), gate=str(gate), answer="slow")))
        until(mark.exists, "the slow reload")
        edit(init(other, "quick"), answer("quick"))
        reloaded(host, "quick")
        assert ask("quick") == "quick"
        gate.touch()
        reloaded(host, "slow")


@pytest.mark.parametrize("command", ["dev", "run"])
def test_every_kind_of_change(cli, write, command):
    """Data, a new submodule, a removed file, a file renamed over, the manifest, an odd name: each reloads, once."""
    project = write(ECHO, manifest="provides = ['echo/1.0']", files={"acme_echo/data/t.csv": "1", "acme_echo/a.py": ""})
    package = project / "acme_echo"
    arguments: tuple[str | Path, ...] = (project,)
    if command == "run":
        (cli.directory / "hostcore.toml").write_text(f"autoload = false\n[modules.echo]\nsource = '{project}'\n")
        arguments = ("--watch",)
    with cli.host(*arguments, command=command) as host:
        with at_once(host):
            (package / "data" / "t.csv").write_text("2")  # in place
        assert names(reloaded(host)) == ["t.csv"]
        write_files(package, {"sub/deep/new.py": ""})
        assert names(reloaded(host)) == ["new.py"]
        edit(package / "sub" / "deep" / "new.py", "x = 1\n")  # its directory is watched by now
        assert names(reloaded(host)) == ["new.py"]
        (package / "a.py").unlink()
        assert names(reloaded(host)) == ["a.py"]
        (package / ".__init__.py.swp").write_text(answer("renamed"))
        os.replace(package / ".__init__.py.swp", package / "__init__.py")
        assert names(reloaded(host)) == ["__init__.py"]
        edit(package / "module.toml", "[echo]\nprovides = ['echo/2.0']\n")
        assert names(reloaded(host)) == ["module.toml"]
        Path(os.fsdecode(bytes(package / "caf") + b"\xe9.txt")).touch()
        assert names(reloaded(host)) == ["caf\\xe9.txt"]
        edit(project / "pyproject.toml", (project / "pyproject.toml").read_text().replace("1.0", "1.1"))
        assert reloaded(host)["report"]["new_version"] == "1.1"
        shutil.rmtree(package / "sub")
        assert names(reloaded(host)) == ["new.py"]
        for name in ("__pycache__/x.pyc", ".git/HEAD", "x.py~", "4913", "../build/lib/x.py", "../.venv/x.py"):
            write_files(package, {name: "x"})
        (package / "last.py").touch()
        assert names(reloaded(host)) == ["last.py"]
        assert host.errors() == ""


def test_directories_that_vanish_and_come_back(cli, write):
    """A package, and a whole project, may be removed and made anew, or moved away and back: watching goes on."""
    project = write(ECHO)
    package, aside = project / "acme_echo", project.with_name("aside")
    with cli.host(project, command="dev") as host:
        for number in range(2):
            with at_once(host):
                shutil.copytree(package, aside)
                shutil.rmtree(package)
                aside.rename(package)
            reloaded(host)  # the copies are other files
            edit(init(project), answer(f"package {number}"))
            reloaded(host)
            assert ask("echo", "dev") == f"package {number}"
        project.rename(aside)
        event = host.event()
        assert event["report"]["rolled_back"]
        assert ask("echo", "dev") == "package 1"
        aside.rename(project)
        reloaded(host)
        edit(init(project), answer("back"))
        reloaded(host)
        assert ask("echo", "dev") == "back"


def test_without_notifications_files_are_polled(cli, write):
    """Where the kernel tells nothing, as in some containers and shares, watchfiles can be told to poll."""
    cli.environment["WATCHFILES_FORCE_POLLING"] = "1"
    project = write(ECHO)
    with cli.host(project, command="dev") as host:
        edit(init(project), answer("polled"))
        reloaded(host)
        assert ask("echo", "dev") == "polled"


def test_a_parent_directory_that_is_renamed(cli, tmp_path, write):
    """What no notification tells, such as another directory under a parent's name, is noticed all the same."""
    project = write(ECHO)
    outer = tmp_path / "outer"
    outer.mkdir()
    project.rename(outer / "project")
    with cli.host(outer / "project", command="dev") as host:
        with at_once(host):
            shutil.copytree(outer, tmp_path / "other")
            edit(init(tmp_path / "other" / "project"), answer("other"))
            outer.rename(tmp_path / "away")
            (tmp_path / "other").rename(outer)
        reloaded(host)
        assert ask("echo", "dev") == "other"


def test_a_module_that_writes_into_its_package_does_not_reload_for_ever(cli, write):
    """A file that a module writes whenever it is loaded soon reloads it no more; an edit still does."""
    top = "import pathlib, time\npathlib.Path(__file__).with_name('cache').write_text(str(time.monotonic_ns()))"
    project = write(ECHO, top=top)
    with cli.host(project, command="dev") as host:
        count = 0
        while "writes" not in host.errors():
            assert names(reloaded(host)) == ["cache"]
            count += 1
            if count >= 3:
                until(lambda: "writes" in host.errors(), "the warning")
        edit(init(project), answer("mine", top))
        assert "__init__.py" in names(reloaded(host))
        assert ask("echo", "dev") == "mine"


# --- what fails ------------------------------------------------------------------------------------------------


def test_a_broken_edit_is_rolled_back_and_its_fix_reloads(cli, write):
    """After a broken edit the old generation serves, and the report names the place; the fix reloads."""
    project = write(ANSWER.format(answer="old"))
    with cli.host(project, command="dev") as host:
        edit(init(project), "def broken(:\n")
        event = host.event()
        assert (event["event"], event["module"]) == ("reloaded", "echo")
        assert event["report"]["rolled_back"]
        assert "SyntaxError" in event["report"]["reason"]
        assert "--> acme_echo/__init__.py:1" in event["report"]["reason"]
        assert ask("echo", "dev") == "old"
        edit(init(project), answer("new"))
        reloaded(host)
        assert ask("echo", "dev") == "new"


def test_a_module_that_failed_at_first_is_loaded_upon_the_fix(cli, write):
    """A module that is broken when the host starts is loaded once its file is mended; the host runs all the while."""
    project = write(ECHO, top="def broken(:")
    with cli.host(project, command="dev") as host:
        assert list(host.ready["failed"]) == ["echo"]
        edit(init(project), "raise ValueError('still bad')\n")
        event = host.event()
        assert (event["event"], event["module"]) == ("failed", "echo")
        assert "still bad" in event["error"]["text"]
        assert "ValueError: still bad" in event["error"]["traceback"]
        edit(init(project), answer("mended"))
        event = host.event()
        assert (event["event"], event["report"]["old_generation"]) == ("loaded", 0)
        assert ask("echo", "dev") == "mended"
        assert host.errors() == ""


@pytest.mark.parametrize(
    ("file", "bad"),
    [("pyproject.toml", "[project"), ("acme_echo/module.toml", "[echo"), ("acme_echo/__init__.py", None)],
)
def test_whatever_keeps_a_module_from_loading_can_be_mended(cli, write, file, bad):
    """Broken metadata, a broken manifest, a package that is not there: the fix is noticed, before a load and after."""
    project = write(ECHO, manifest="provides = ['echo/1.0']")
    path = project / file
    good = path.read_text()

    def damage() -> None:
        path.unlink() if bad is None else edit(path, bad)

    (cli.directory / "hostcore.toml").write_text(f"autoload = false\n[modules.echo]\nsource = '{project}'\n")
    damage()
    with cli.host("--watch") as host:
        assert list(host.ready["failed"]) == ["echo"]
        edit(path, good)
        event = host.event()
        assert (event["event"], event["module"]) == ("loaded", "echo")
        damage()
        assert host.event()["report"]["rolled_back"]
        edit(path, good)
        reloaded(host)


def test_what_failed_for_want_of_another_is_loaded_with_it(cli, write):
    """A module that requires a broken one is loaded as well once that is mended."""
    project = write(ECHO, "lower", top="def broken(:", files={
        "acme_upper/__init__.py": code(ECHO),
        "acme_upper/module.toml": "[upper]\nrequires = ['lower']\n",
        "pyproject.toml": '[project]\nname = "acme"\n[project.entry-points."hostcore.modules"]\n'
        'lower = "acme_lower:Module"\nupper = "acme_upper:Module"\n',
    })  # fmt: skip
    with cli.host(project, command="dev") as host:
        assert sorted(host.ready["failed"]) == ["lower", "upper"]
        edit(init(project, "lower"), code(ECHO))
        events = {}
        while len(events) < 2:
            event = host.event()
            if event["event"] == "loaded":
                events[event["module"]] = event
        assert sorted(events) == ["lower", "upper"]
        assert ask("upper", "dev") is None


def test_a_module_on_demand_waits_on(cli, site):
    """A change to a module that waits for its first message does not load it; that it was changed is seen then."""
    install(site, "lazy", ECHO, manifest="activate = 'on-demand'")
    install(site, "echo", ECHO)
    with cli.host("--watch") as host:
        with at_once(host):
            edit(init(site, "lazy"), answer("changed"))
            edit(init(site), answer("changed"))
        reloaded(host, "echo")
        assert Client("default", socket_path("default")).call("host.info")["modules"] == {"running": 1, "waiting": 1}
        assert ask("lazy") == "changed"
        edit(init(site, "lazy"), answer("again"))
        reloaded(host, "lazy")


# --- installs --------------------------------------------------------------------------------------------------


@pytest.fixture
def venv(tmp_path: Path) -> Venv:
    return Venv(tmp_path / "venv")


def test_an_upgrade_reloads_once_when_it_is_done(cli, venv, tmp_path):
    """pip removes the old release, then writes the new one: the module reloads once, to the new release."""
    cli.site = venv.site
    project = Project(tmp_path / "project", version="1.0")
    venv.install(project.wheel(tmp_path / "dist"))
    with cli.host("--watch") as host:
        project.version = "2.0"
        project.write()
        venv.install(project.wheel(tmp_path / "dist"))
        event = reloaded(host, "counter")
        assert (event["report"]["old_version"], event["report"]["new_version"]) == ("1.0", "2.0")
        assert "RECORD" in names(event)
        venv.install(project.wheel(tmp_path / "again"))
        assert reloaded(host, "counter")["report"]["new_generation"] == 3
        venv.uninstall("acme-counter")
        assert ask("counter") == {"count": 1, "version": "2.0"}
        venv.install(project.wheel(tmp_path / "again"))
        assert reloaded(host, "counter")["report"]["new_generation"] == 4


@pytest.mark.parametrize(("layout", "backend"), [("src", "hatchling"), ("flat", "setuptools")])
def test_an_editable_install_is_watched_in_its_working_tree(cli, venv, tmp_path, layout, backend):
    """After `pip install -e` an edit in the working tree reloads; so does installing it anew."""
    if backend == "setuptools":
        pytest.importorskip("setuptools", minversion="70.1", reason="older ones need the package wheel to build")
    cli.site = venv.site
    extra = '[tool.setuptools]\npackages = ["acme_counter"]\n' if backend == "setuptools" else ""
    project = Project(tmp_path / "project", layout=layout, backend=backend, extra=extra)
    venv.install(project.editable(tmp_path / "dist"))
    with cli.host("--watch") as host:
        path = project.code / "acme_counter" / "__init__.py"
        edit(path, path.read_text().replace('"1.0"', '"edited"'))
        assert reloaded(host, "counter")["changed"] == [str(path)]
        assert ask("counter") == {"count": 1, "version": "edited"}
        write_files(project.code / "acme_counter", {"sub/new.py": ""})
        assert names(reloaded(host, "counter")) == ["new.py"]
        project.version = "2.0"
        (project.directory / "pyproject.toml").write_text(project.pyproject())
        venv.install(project.editable(tmp_path / "dist2"))
        event = reloaded(host, "counter")
        assert (names(event)[-1], event["report"]["new_version"]) == ("RECORD", "2.0")


def test_a_module_loaded_later_is_watched_and_one_unloaded_is_not(cli, site, write):
    """What is loaded by hand from a project is watched from then on, until it is unloaded."""
    install(site, "other", ECHO)
    project = write(ECHO)
    with cli.host("--watch") as host:
        assert cli("modules", "load", "echo", "--source", project).code == 0
        until(lambda: host.watches(project / "acme_echo"), "the watch")
        edit(init(project), answer("new"))
        reloaded(host)
        assert cli("modules", "unload", "echo").code == 0
        edit(init(project), answer("nobody hears"))
        edit(init(site, "other"), answer("heard"))
        reloaded(host, "other")


def test_a_wheel_that_is_built_anew(cli, tmp_path):
    """A module that comes from a wheel reloads when the wheel is replaced."""
    project = Project(tmp_path / "project", version="1.0")
    wheel = project.wheel(tmp_path / "dist")
    (cli.directory / "hostcore.toml").write_text(f"autoload = false\n[modules.counter]\nsource = '{wheel}'\n")
    with cli.host("--watch") as host:
        project.files["acme_counter/new.py"] = ""
        project.write()
        project.wheel(tmp_path / "dist2")
        os.replace(tmp_path / "dist2" / wheel.name, wheel)
        assert reloaded(host, "counter")["changed"] == [str(wheel)]


# --- the commands ----------------------------------------------------------------------------------------------


def test_without_watch_nothing_reloads_and_watchfiles_is_not_loaded(cli, site):
    """Only a host that watches loads watchfiles."""
    install(site, "echo", ECHO)
    with cli.host() as host:
        edit(init(site), answer("new"))
        assert ask("echo") is None
        assert not host.maps("_rust_notify")
    with cli.host("--watch") as host:
        until(lambda: host.maps("_rust_notify"), "watchfiles")


def test_importing_the_command_line_imports_no_watchfiles():
    """The commands, and all of watching but the lookout at work, do without watchfiles."""
    text = (
        "import sys, hostcore.cli.run, hostcore.cli.dev, hostcore.cli.watch.watcher; print('watchfiles' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", text], capture_output=True, text=True).stdout == "False\n"


@pytest.mark.parametrize("where", ["import", "initialize"])
def test_ctrl_c_during_a_reload(cli, write, tmp_path, where):
    """Ctrl-C while a module is being reloaded stops the host cleanly."""
    mark = tmp_path / "mark"
    project = write(ECHO)
    with cli.host(project, command="dev") as host:
        slow = code(ECHO, f"import pathlib, time\npathlib.Path({str(mark)!r}).touch()\ntime.sleep(1e6)")
        waiting = code(GATED.format(mark=str(mark), gate="/nonexistent/gate", answer=""))
        edit(init(project), slow if where == "import" else waiting)
        until(mark.exists, "the reload")
        host.signal(signal.SIGINT)
        assert [event["event"] for event in host.rest()] == ["stopping", "stopped"]
        assert host.wait() == 0
        assert host.errors() == ""
    assert not socket_path("dev").exists()


def test_ctrl_c_during_a_burst(cli, write):
    """Ctrl-C right after a save stops the host cleanly, and so does one while it starts."""
    project = write(ECHO)
    with cli.host(project, command="dev") as host:
        edit(init(project), answer("new"))
        host.signal(signal.SIGINT)
        assert host.rest()[-1]["event"] == "stopped"
        assert (host.wait(), host.errors()) == (0, "")
    starting = cli.start(project, command="dev")
    try:
        until(lambda: starting.catches(signal.SIGTERM), "the handler")
        starting.signal(signal.SIGINT)
        assert (starting.wait(), starting.errors()) == (0, "")
    finally:
        starting.end()


class Talk:
    """A host that tells people, line by line."""

    def __init__(self, cli: Cli, *arguments: str | Path) -> None:
        self.process = subprocess.Popen(cli.command(*arguments), cwd=cli.directory, env=cli.env(), text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)  # fmt: skip

    def until(self, word: str) -> str:
        """Return what it tells up to the line that has `word` in it."""
        lines: list[str] = []
        while not lines or word not in lines[-1]:
            lines.append(self.process.stdout.readline())
            assert lines[-1], "".join(lines)
        return "".join(lines)

    def end(self) -> None:
        self.process.terminate()
        self.process.communicate(timeout=TIME)


def test_people_get_one_line_and_the_error_below_it(cli, write):
    """A reload is told in one line; a failure too, and below it the error with its place, and the traceback."""
    project = write(ECHO)
    talk = Talk(cli, "dev", project)
    try:
        talk.until("ready")
        edit(init(project), answer("new"))
        line = talk.until("reloaded")
        assert "reloaded echo: 1.0 (generation 1) -> 1.0 (generation 2) in " in line
        assert line.endswith(" ms; acme_echo/__init__.py changed\n")
        edit(init(project), "raise ValueError('no luck')\n")
        text = talk.until("-->")
        first, *rest = text.splitlines()
        assert "rolled back echo (phase prepare): 1.0 (generation 2) serves on; acme_echo/__init__.py changed" in first
        assert rest[0].startswith("  HC201 echo 1.0")
        assert "\x1b" not in text
    finally:
        talk.end()


def test_a_syntax_error_is_shown_with_its_line(cli, write):
    """Of a syntax error the offending line is shown, with the caret, below the error."""
    project = write(ECHO, top="def broken(:")
    talk = Talk(cli, "dev", project)
    try:
        talk.until("ready")
        edit(init(project), "x = 1\ndef other(:\n")
        lines = talk.until("| SyntaxError").splitlines()
        assert "failed echo: it is not loaded; acme_echo/__init__.py changed" in lines[0]
        assert any(line.startswith("  |") and line.endswith("def other(:") for line in lines)
        assert any(line.startswith("  |") and line.strip(" |") == "^" for line in lines)
    finally:
        talk.end()


@pytest.mark.parametrize(
    ("files", "code", "text"),
    [
        ({}, 2, "there is no pyproject.toml in"),
        ({"pyproject.toml": "[project\n"}, 1, "is not TOML"),
        ({"pyproject.toml": "[project]\nname = 'x'\n"}, 1, 'add a table [project.entry-points."hostcore.modules"]'),
    ],
)
def test_dev_says_what_is_missing(cli, files, code, text):
    """A directory without a project, or with one that declares no module, ends `dev` with what to do."""
    write_files(cli.directory, files)
    done = cli("dev")
    assert done.code == code
    assert text in done.err
    assert cli("dev", "--json").json["error"]["exit_code"] == code


def test_dev_needs_a_directory(cli):
    """A PATH that is not there, or is a file, is wrong usage."""
    (cli.directory / "file").touch()
    assert cli("dev", "nowhere").code == 2
    assert cli("dev", "file").code == 2


def test_dev_loads_only_the_project_and_what_it_requires(cli, site, write):
    """Of what is installed or configured only what the project requires is loaded, and its options are heeded."""
    for name in ("needed", "other"):
        install(site, name, ECHO)
    install(site, "counter", ECHO, version="0.1")
    (cli.directory / "hostcore.toml").write_text(
        "name = 'mine'\nsafe_mode = true\n[modules.other]\n[modules.counter]\nconfig = {start = 41}\n"
    )
    project = write(COUNTER, "counter", manifest="requires = ['needed']\nactivate = 'on-demand'")
    cli.directory, above = project, cli.directory
    with cli.host("--config", above / "hostcore.toml", "--name", "edit", command="dev") as host:
        assert host.ready["name"] == "edit"
        assert sorted(host.ready["loaded"]) == ["counter", "needed"]
        assert ask("counter", "edit") == {"count": 42, "version": "1.0"}
        edit(init(site, "needed"), answer("upgraded"))
        reloaded(host, "needed")
