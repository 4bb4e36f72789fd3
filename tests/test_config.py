"""The host's configuration: where it is found, what it says, and what is wrong with it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostcore import config as configuration
from hostcore.config import HostConfig, ModuleConfig, PolicyConfig, find_config, load_config, state_dir
from hostcore.contract.permissions import Permission
from hostcore.errors import ConfigError

FULL = """
name = "dev"
autoload = false
disabled = ["noisy"]
safe_mode = true
mailbox = 10
message_limit = "1MiB"
state_limit = 1024
request_timeout = "5s"
handler_timeout = 0.5
load_timeout = "2m"
blocked_after = "50ms"
guard = "thread"
state_dir = "var/state"
index = false
[modules.counter]
source = "modules/counter"
enabled = false
isolation = "worker"
activate = "on-demand"
config = {start = 5}
limits = {handle_message = "200ms"}
[modules."acme.stats"]
source = "/opt/stats.whl"
[policy]
default = "deny"
grants.counter = ["kv", "bus.send:log.*"]
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home of its own, with no HOSTCORE_ or XDG variable set."""
    for name in list(os.environ):
        if name.startswith(("HOSTCORE_", "XDG_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def mistakes(source) -> dict[str, str]:
    """Return the place and message of each problem."""
    with pytest.raises(ConfigError) as raised:
        load_config(source)
    return {problem.where: problem.message for problem in raised.value.problems}


def test_nothing_means_the_defaults(tmp_path, monkeypatch):
    """Without a source the defaults hold and no file is read, though one lies in the working directory."""
    (tmp_path / "hostcore.toml").write_text("name = 'other'")
    monkeypatch.chdir(tmp_path)
    config = load_config(None)
    assert config == HostConfig() == load_config({})
    assert (config.name, config.autoload, config.mailbox, config.guard) == ("default", True, 1024, "auto")
    assert (config.message_limit, config.state_limit) == (16 * 1024**2, 64 * 1024**2)
    assert (config.request_timeout, config.blocked_after, config.policy.default) == (30.0, 0.1, "ask")


def test_a_file_is_read_with_its_paths_anchored(tmp_path):
    """Every key arrives as what it means; relative paths start at the file, not at the working directory."""
    (tmp_path / "hostcore.toml").write_text(FULL)
    config = load_config(tmp_path / "hostcore.toml")
    assert config == HostConfig(
        name="dev", autoload=False, disabled=("noisy",), safe_mode=True, mailbox=10, message_limit=1024**2,
        state_limit=1024, request_timeout=5.0, handler_timeout=0.5, load_timeout=120.0, blocked_after=0.05,
        guard="thread", state_dir=str(tmp_path / "var/state"), index=False,
        modules={
            "counter": ModuleConfig(
                source=str(tmp_path / "modules/counter"), enabled=False, isolation="worker", activate="on-demand",
                config={"start": 5}, limits={"handle_message": "200ms"},
            ),
            "acme.stats": ModuleConfig(source="/opt/stats.whl"),
        },
        policy=PolicyConfig(default="deny", grants={"counter": (Permission("kv"), Permission("bus.send:log.*"))}),
    )  # fmt: skip
    assert load_config(str(tmp_path / "hostcore.toml")) == config
    assert load_config(config) is config


def test_a_relative_file_gives_absolute_paths(tmp_path, monkeypatch):
    """A file named relatively still gives paths that outlive a change of the working directory."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "hostcore.toml").write_text("state_dir = 'x'")
    monkeypatch.chdir(tmp_path)
    assert load_config("sub/hostcore.toml").state_dir == str(tmp_path / "sub" / "x")


def test_a_pyproject_has_it_in_its_table(tmp_path):
    """In a pyproject.toml the configuration is [tool.hostcore], and the rest of the file is not looked at."""
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'x'\n[tool.hostcore]\nname = 'dev'\nmailbx = 1")
    assert mistakes(tmp_path / "pyproject.toml") == {
        f"{tmp_path}/pyproject.toml:5  tool.hostcore.mailbx": "unknown key 'mailbx'"
    }


def test_a_program_can_pass_a_mapping(home, monkeypatch):
    """A mapping takes the same keys, and paths and permissions as objects; ~ is the home directory."""
    monkeypatch.chdir(home)
    config = load_config(
        {
            "modules": {"a": {"source": Path("dir")}, "b": {"source": "~/b.whl"}, "c": {"source": None}},
            "policy": {"grants": {"a": [Permission("kv"), "clock"]}},
            "request_timeout": 2,
        }
    )
    assert [module.source for module in config.modules.values()] == [str(home / "dir"), str(home / "b.whl"), None]
    assert config.policy.grants == {"a": (Permission("kv"), Permission("clock"))}
    assert config.request_timeout == 2.0


def test_every_mistake_is_reported_with_its_line(tmp_path):
    """All mistakes of a file come at once, unknown keys with a suggestion."""
    path = tmp_path / "hostcore.toml"
    path.write_text(
        "nmae = 'x'\nname = '../x'\nautoload = 1\nmailbox = 0\nmessage_limit = '16'\n"
        "request_timeout = '0s'\nguard = 'on'\n"
        "[modules.counter]\nsource = ''\nlimits = {memroy = 1, memory = 'lots'}\nisolation = 'wsm'\n"
        "[modules.'a b']\n[policy]\ndefault = 'maybe'\n[policy.grants]\ncounter = ['kv:x']\n"
    )
    with pytest.raises(ConfigError) as raised:
        load_config(path)
    places = [problem.where.removeprefix(f"{path}:") for problem in raised.value.problems]
    assert places == [
        "1  nmae", "2  name", "3  autoload", "4  mailbox", "5  message_limit", "6  request_timeout", "7  guard",
        "9  modules.counter.source", "10  modules.counter.limits.memroy",
        "10  modules.counter.limits.memory", "11  modules.counter.isolation", '12  modules."a b"', "14  policy.default",
        "16  policy.grants.counter[0]",
    ]  # fmt: skip
    assert raised.value.problems[0].hint == "did you mean 'name'?"
    assert raised.value.exit_code == 2


def test_limits_of_a_module_are_checked_at_once():
    """A mistake in a module's limits shows when the file is read, not when the module loads."""
    assert mistakes({"modules": {"counter": {"limits": {"memroy": 1, "memory": "lots"}}}}) == {
        "modules.counter.limits.memroy": "unknown key 'memroy'",
        "modules.counter.limits.memory": "'memory': 'lots' is not a size; expected a number with a unit, as in '64MiB'",
    }


@pytest.mark.parametrize("name", ["", ".", "a/b", "-a", "a" * 65, "a\n", 5, None])
def test_a_host_name_names_a_socket(name):
    """A host's name must be fit for a file's name."""
    assert list(mistakes({"name": name})) == ["name"]


@pytest.mark.parametrize("path", ["", "a\0b", 5, "~nobody-of-that-name/x", ["x"]])
def test_a_path_must_be_one(path):
    """What is no path, or in the home of nobody, is refused."""
    assert list(mistakes({"state_dir": path})) == ["state_dir"]


@pytest.mark.parametrize(
    "source", [{"x": 1}, {1: 2}, {"modules": []}, {"modules": {"a": 1}}, {"policy": {"grants": []}}]
)
def test_a_mapping_of_the_wrong_shape(source):
    """A mapping that has other shapes than a file could is refused, key by key."""
    assert len(mistakes(source)) == 1


def test_files_that_cannot_be_used(tmp_path):
    """A missing file, a directory, broken TOML and a pyproject without the table say what to do."""
    (tmp_path / "broken.toml").write_text("a = = 1")
    (tmp_path / "pyproject.toml").write_text("[tool.other]")
    for name, says, hint in [
        ("gone.toml", "No such file", "create it, or name no file"), (".", "is not a file", "hostcore.toml'"),
        ("broken.toml", "not TOML", ""), ("pyproject.toml", "no table [tool.hostcore]", "add a line [tool.hostcore]"),
    ]:  # fmt: skip
        with pytest.raises(ConfigError) as raised:
            load_config(tmp_path / name)
        assert says in str(raised.value)
        assert hint in raised.value.hint
        assert str(tmp_path) in raised.value.problems[0].where
    (tmp_path / "pyproject.toml").write_text("[tool]\nhostcore = 5")
    assert list(mistakes(tmp_path / "pyproject.toml").values()) == ["'hostcore' is the integer 5"]


def test_the_nearest_file_is_found(tmp_path):
    """A directory's own hostcore.toml comes first, then its pyproject.toml, then those of its parents."""
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text("[tool.hostcore]\nname = 'x'")
    (inner / "pyproject.toml").write_text("[tool.other]\nhostcore = 1")
    assert find_config(inner) == tmp_path / "pyproject.toml"
    (tmp_path / "hostcore.toml").touch()
    assert find_config(inner) == tmp_path / "hostcore.toml"
    (tmp_path / "a" / "pyproject.toml").write_text("[tool.hostcore.modules.x]")
    assert find_config(inner) == tmp_path / "a" / "pyproject.toml"
    (inner / "hostcore.toml").touch()
    assert find_config(str(inner)) == inner / "hostcore.toml"


def test_a_search_meets_anything(tmp_path):
    """Directories, broken and binary files in the way are passed over; a broken file that is meant is found."""
    (tmp_path / "hostcore.toml").mkdir()
    assert find_config(tmp_path) is None or tmp_path not in find_config(tmp_path).parents
    for content, found in [
        (b"hostcore \xff", False), (b"# hostcore\na = = 1", False), (b"tool = 'hostcore'", False), (b"", False),
        (b"[tool.hostcore]\nname = ", True),
    ]:  # fmt: skip
        (tmp_path / "pyproject.toml").write_bytes(content)
        assert (find_config(tmp_path) == tmp_path / "pyproject.toml") is found


def test_directories_are_the_users_own(home):
    """By default, data, cache and sockets are in the user's directories for hostcore, without a warning."""
    assert home in state_dir().parents
    assert home in configuration.cache_dir().parents
    assert configuration.runtime_dir().is_absolute()
    assert state_dir().name == configuration.cache_dir().name == configuration.runtime_dir().name == "hostcore"


def test_directories_can_be_chosen(home, monkeypatch):
    """Each directory has a variable; for the state, the configuration comes before it; empty means unset."""
    for variable, function in [
        ("HOSTCORE_STATE_DIR", state_dir), ("HOSTCORE_CACHE_DIR", configuration.cache_dir),
        ("HOSTCORE_RUNTIME_DIR", configuration.runtime_dir),
    ]:  # fmt: skip
        default = function()
        monkeypatch.setenv(variable, "~/mine")
        assert function() == home / "mine"
        monkeypatch.setenv(variable, "")
        assert function() == default
    monkeypatch.setenv("HOSTCORE_STATE_DIR", "/elsewhere")
    assert state_dir(load_config({"state_dir": "/chosen"})) == Path("/chosen")
    assert state_dir(HostConfig()) == Path("/elsewhere")


def test_importing_is_cheap():
    """Importing the configuration loads none of what only some programs need."""
    code = "import sys, hostcore.config; print([m for m in sys.argv[1:] if m in sys.modules])"
    heavy = [
        "platformdirs",
        "packaging.specifiers",
        "asyncio",
        "importlib.metadata",
        "hostcore.contract.schema",
        "rich",
    ]
    done = subprocess.run([sys.executable, "-c", code, *heavy], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


KEYS = st.sampled_from([*HostConfig.__struct_fields__, *ModuleConfig.__struct_fields__, "grants", "default", "x"])
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.sampled_from(["1s", "1kB"])
)
TREES = st.recursive(
    VALUES,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(KEYS, TREES))
def test_no_mapping_crashes_the_loader(data):
    """Any mapping is a configuration or a ConfigError that names at least one place."""
    try:
        assert isinstance(load_config(data), HostConfig)
    except ConfigError as error:
        assert all(problem.where for problem in error.problems)


def test_the_table_about_building_is_no_configuration(tmp_path):
    """`[tool.hostcore.build]` is about the project's own modules: alone it is no configuration."""
    file = tmp_path / "pyproject.toml"
    build = '[tool.hostcore.build]\ninclude = ["wave"]\n'
    file.write_text(build)
    found = find_config(tmp_path)
    assert found is None or not found.is_relative_to(tmp_path)
    file.write_text('[tool.hostcore]\nname = "mine"\n' + build)
    assert find_config(tmp_path) == file
    assert load_config(file).name == "mine"
    file.write_text("[tool.hostcore]\nbuilt = 1\n" + build)
    with pytest.raises(ConfigError, match="built"):
        load_config(file)
