"""The manifest: read, refused with every mistake, and what it says of configuration and limits."""

from __future__ import annotations

import datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostcore.contract.manifest import Limits, Manifest, parse_manifest, read_manifest
from hostcore.contract.permissions import Permission
from hostcore.contract.versions import Capability, Requirement
from hostcore.errors import ConfigError, ManifestError

FULL = """
[counter]
interface = ">=1,<2"
summary = "Counts messages."
provides = ["counter/1.2"]
requires = ["clock>=2,<3", "metrics?"]
after = ["metrics"]
permissions = ["bus.send:log.*", "fs.read:/data", "net:api.example.org:443", "env:API_KEY"]
isolation = "wasm+worker"
state_version = 2
activate = "on-demand"
[counter.limits]
memory = "64MiB"
mailbox = 10
handle_message = "1s"
shutdown = 0.5
[counter.config.start]
type = "integer"
default = 0
"""

TEN = """
[counter]
interface = ">=7"
sumary = "Counts."
provides = ["counter 1.2"]
requires = ["clock>>2"]
permissions = ["fs.reed:/data"]
isolation = "natve"
state_version = 0
[counter.limits]
memory = "64"
handle_mesage = "1s"
[counter.config.start]
type = "integer"
default = "zero"
"""


def refused(text: str, module: str = "counter") -> ManifestError:
    with pytest.raises(ManifestError) as raised:
        parse_manifest(text, module, label=f"{module} 1.4.0 (acme-{module})")
    return raised.value


def test_a_full_manifest_is_read():
    """Every key arrives, parsed into what it means."""
    manifest = parse_manifest(FULL, "counter")
    assert manifest.summary == "Counts messages."
    assert manifest.provides == (Capability("counter/1.2"),)
    assert manifest.requires == (Requirement("clock>=2,<3"), Requirement("metrics?"))
    assert manifest.after == ("metrics",)
    assert manifest.permissions[1] == Permission("fs.read:/data")
    assert (manifest.isolation, manifest.state_version, manifest.activate) == ("wasm+worker", 2, "on-demand")
    assert manifest.limits == Limits(memory=64 * 1024**2, mailbox=10, handle_message=1.0, shutdown=0.5)
    assert manifest.config["start"].default == 0


def test_nothing_said_means_the_defaults():
    """No file, an empty file and an empty table give the same, safe defaults."""
    default = Manifest()
    assert read_manifest("", "counter") == parse_manifest("# nothing", "counter") == default
    assert parse_manifest("[counter]", "counter") == default
    assert (default.interface, default.isolation, default.state_version) == (">=1,<2", "native", 1)
    assert (default.activate, default.permissions, default.limits) == ("startup", (), Limits())


def test_ten_mistakes_are_ten_problems():
    """All mistakes of a manifest come at once, each with its line, its keys and its suggestion."""
    error = refused(TEN)
    assert [problem.where for problem in error.problems] == [
        "module.toml:3  counter.interface",
        "module.toml:4  counter.sumary",
        "module.toml:5  counter.provides[0]",
        "module.toml:6  counter.requires[0]",
        "module.toml:7  counter.permissions[0]",
        "module.toml:8  counter.isolation",
        "module.toml:9  counter.state_version",
        "module.toml:11  counter.limits.memory",
        "module.toml:12  counter.limits.handle_mesage",
        "module.toml:15  counter.config.start.default",
    ]
    text = str(error)
    for word in ("summary", "fs.read", "native", "handle_message"):
        assert f"did you mean {word!r}?" in text
    assert text.count("HC101 counter 1.4.0 (acme-counter): ") == 10


def test_a_problem_reads_well():
    """One problem in full: who, what, where, what was expected, what to do."""
    assert str(refused('[counter]\nisolation = "natve"')) == (
        "HC101 counter 1.4.0 (acme-counter): 'isolation' is the text 'natve'\n"
        "  --> module.toml:2  counter.isolation    expected: one of 'native', 'worker', 'wasm', 'wasm+worker'\n"
        "  hint: did you mean 'native'?"
    )


def test_a_range_without_this_contract_names_both():
    """A module for another version of the contract is refused with its range and this version."""
    (problem,) = refused('[counter]\ninterface = ">=2,<3"').problems
    assert "'>=2,<3' leaves out 1.0" in problem.message


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('interface = "soon"', "'soon' is not a version range"), ("interface = 1", "the integer 1 is not text"),
        ('after = ["a b"]', "'a b' is not a module's name"),
        ('requires = ["a>=1", "b", "a<2"]', "'a' is required twice"),
        ('restart.follows = ["clock"]', "'clock' is followed but not required"),
        ('restart.follows = ["a b"]', "'a b' is not a name"), ('restart.policy = "always"', "'always'"),
        ("snapshot.messages = 0", "0"), ('snapshot.interval = "0s"', "duration '0s' is out of range"),
        ("requires = 'a'", "'requires' is the text 'a'"), ("state_version = true", "'state_version' is true"),
        ("state_version = 1.5", "the number 1.5"), ("state_version = 4294967296", "the integer 4294967296"),
        ("limits = 5", "'limits' is the integer 5"), ("limits.mailbox = 0", "'mailbox' is the integer 0"),
        ("limits.execute = nan", "out of range"), ("config.x = 1", "'x' is the integer 1"),
        ("config.x = {}", "'type' is missing"), ("summary = 1979-05-27", "the date"),
    ],
)  # fmt: skip
def test_single_mistakes(line, says):
    """Each wrong value alone is one problem that shows it."""
    (problem,) = refused(f"[counter]\n{line}").problems
    assert says in problem.message
    assert problem.where.startswith("module.toml:2  counter.")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("type = 'text'", "'type' is the text 'text'"),
        ("type = 'string', minimum = 1", "do not go with type 'string'"),
        ("type = 'number', minimum = 5, maximum = 1", "'minimum' 5 is above 'maximum' 1"),
        ("type = 'number', minimum = nan", "must be finite"),
        ("type = 'integer', choices = [1, 'two']", "choice 'two' is not an integer"),
        ("type = 'integer', choices = [1, 2], default = 3", "'default' is the integer 3"),
        ("type = 'integer', maximum = 2, default = 3", "'default' is the integer 3"),
        ("type = 'boolean', default = 1", "'default' is the integer 1"),
        ("type = 'integer', default = true", "'default' is true"),
        ("type = 'string', default = 'x', required = true", "a default cannot be required"),
    ],
)
def test_an_option_that_contradicts_itself(line, says):
    """An option whose type, bounds, choices and default do not go together is the author's mistake."""
    (problem,) = refused(f"[counter]\nconfig.x = {{{line}}}").problems
    assert says in problem.message
    assert problem.where.startswith("module.toml:2  counter.config.x")


def test_only_the_modules_own_table_counts():
    """A mistake in the table of another module of the file is not this module's."""
    assert parse_manifest("[other]\nfoo = 1\n[counter]\nstate_version = 3", "counter").state_version == 3


@pytest.mark.parametrize(
    ("text", "module", "hint"),
    [
        ("[conter]", "counter", "did you mean 'conter'?"),
        ("[xyz]", "counter", "add a table [counter], or name the entry point as the table"),
        ("[acme.counter]", "acme.counter", 'a name with dots needs quotes: ["acme.counter"]'),
        ("summary = 'x'", "counter", "put it below a line [counter]"),
    ],
)
def test_a_file_without_the_modules_table(text, module, hint):
    """A file that has something to say, but not of this module, is refused with what to write."""
    (problem,) = refused(text, module).problems
    assert problem.hint == hint


def test_a_dotted_name_in_quotes_is_found():
    """A module whose name has dots has its table under the quoted name."""
    assert parse_manifest('["acme.counter"]\nstate_version = 2', "acme.counter").state_version == 2


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"[counter\n", "not TOML"), (b"[counter]\nsummary = '\xff'", "not UTF-8"), (b"counter = 1", "the integer 1"),
        pytest.param(b"#" * 2**21, "larger than 1 MiB", id="large"), (None, "No such file"),
    ],
)  # fmt: skip
def test_files_that_are_no_manifest(tmp_path, content, says):
    """A file that is missing, too large, not UTF-8 or not TOML is a ManifestError that names it and the release."""
    path = tmp_path / "module.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ManifestError, match=says) as raised:
        read_manifest(str(path), "counter", "counter 1.0 (acme)")
    assert raised.value.module == "counter"
    assert raised.value.problems[0].where.startswith(str(path))
    assert "counter 1.0 (acme)" in str(raised.value)


def test_reading_a_file(tmp_path):
    """A file on disk reads as its text."""
    path = tmp_path / "module.toml"
    path.write_text(FULL)
    assert read_manifest(str(path), "counter") == parse_manifest(FULL, "counter")


def test_a_manifest_cannot_be_changed():
    """A manifest is plain, frozen data."""
    with pytest.raises(AttributeError):
        Manifest().summary = "x"


CONFIGURABLE = """
[counter.config]
start = {type = "integer", default = 0, minimum = 0, maximum = 9}
mode = {type = "string", required = true, choices = ["fast", "slow"], summary = "How to count."}
ratio = {type = "number", default = 0.5}
names = {type = "array", default = ["a"]}
table = {type = "object", default = {a = 1}}
loud = {type = "boolean"}
"""


def test_configuration_is_filled_in():
    """Defaults stand where nothing is given; an option with neither is absent."""
    manifest = parse_manifest(CONFIGURABLE, "counter")
    assert manifest.configure({"mode": "fast", "ratio": 2}) == {
        "start": 0, "mode": "fast", "ratio": 2, "names": ["a"], "table": {"a": 1},
    }  # fmt: skip


def test_configuration_shares_nothing():
    """What one generation does to its configuration, neither the user nor the next generation sees."""
    manifest = parse_manifest(CONFIGURABLE, "counter")
    given_names = ["x"]
    first = manifest.configure({"mode": "fast", "names": given_names})
    first["names"].append("y")
    first["table"]["b"] = 2
    assert given_names == ["x"]
    assert manifest.configure({"mode": "fast"})["table"] == {"a": 1}


def test_every_mistake_of_a_user_is_reported():
    """Unknown, missing, mistyped, out-of-range and unlisted values come in one ConfigError with their places."""
    manifest = parse_manifest(CONFIGURABLE, "counter")
    wrong = {"strat": 1, "start": 10, "ratio": "x", "names": "a", "table": [], "loud": "yes"}
    with pytest.raises(ConfigError) as raised:
        manifest.configure(wrong, at=("modules", "counter", "config"))
    problems = {problem.where.rpartition(".")[2]: problem for problem in raised.value.problems}
    assert list(problems) == ["mode", "strat", "start", "ratio", "names", "table", "loud"]
    assert problems["mode"].message == "'mode' is missing"
    assert problems["mode"].hint == "How to count."
    assert problems["strat"].hint == "did you mean 'start'?"
    assert problems["start"].expected == "expected: an integer from 0 up to 9"
    assert problems["start"].where == "modules.counter.config.start"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("start", True), ("start", 1.0), ("start", 2**63), ("ratio", float("nan")), ("ratio", float("inf")),
        ("loud", 1), ("mode", "fst"), ("table", {"x": object()}),
    ],
)  # fmt: skip
def test_near_misses_are_refused(name, value):
    """A boolean is no integer, a fraction none either, and nothing is infinite or not plain data."""
    manifest = parse_manifest(CONFIGURABLE, "counter")
    with pytest.raises(ConfigError) as raised:
        manifest.configure({"mode": "fast", name: value})
    (problem,) = raised.value.problems
    assert problem.where == f"config.{name}"


def test_a_module_that_declares_nothing_takes_anything_plain():
    """Without declared options any plain data is a configuration, copied; an object is not."""
    values = {"a": [1, (2, 3)], "when": datetime.date(2024, 2, 29), "raw": b"x"}
    assert Manifest().configure(values) == {"a": [1, [2, 3]], "when": "2024-02-29", "raw": b"x"}
    circle: list[object] = []
    circle.append(circle)
    for value in (object(), circle, {1: {2: print}}, 2**64, "\ud800"):
        with pytest.raises(ConfigError, match="not plain data"):
            Manifest().configure({"x": value})


def test_limits_are_overridden_one_by_one():
    """What is given at load replaces the manifest's limit; the others stay; None means the host's default."""
    limits = Limits(memory=1024, execute=1.0)
    merged = limits.merged({"execute": "200ms", "mailbox": 5, "memory": None})
    assert merged == Limits(execute=0.2, mailbox=5)
    assert limits == Limits(memory=1024, execute=1.0)
    assert limits.merged({}) == limits


def test_wrong_overrides_are_all_reported():
    """Overrides are checked as a manifest is; they are the caller's mistake."""
    with pytest.raises(ConfigError) as raised:
        Limits().merged({"memory": "lots", "excute": "1s"})
    assert [problem.where for problem in raised.value.problems] == ["limits.memory", "limits.excute"]
    assert raised.value.problems[1].hint == "did you mean 'execute'?"


def test_a_ceiling_cuts_limits_down_and_stands_in_for_those_unset():
    """Each limit is the lower of the two; one that is unset is the ceiling's, unless the host takes less by itself."""
    ceiling = Limits(memory=100, fuel=10, execute=2.0, message=50, mailbox=8)
    asked = Limits(memory=1000, fuel=5, stack=7)
    assert asked.bounded(ceiling) == Limits(memory=100, fuel=5, stack=7, execute=2.0, message=50, mailbox=8)
    usual = Limits(execute=1.0, message=60, mailbox=8)
    assert asked.bounded(ceiling, usual) == Limits(memory=100, fuel=5, stack=7, message=50)
    assert Limits(execute=1.5).bounded(ceiling, usual).execute == 1.5  # asked for, and within the ceiling
    assert asked.bounded(Limits()) is asked


LIMITS = st.builds(Limits, memory=st.none() | st.integers(1, 9), execute=st.none() | st.floats(1, 9),
                   fuel=st.none() | st.integers(1, 9))  # fmt: skip


@given(LIMITS, LIMITS, LIMITS)
def test_no_limit_is_above_the_ceiling(limits, ceiling, usual):
    """What holds is at most the ceiling and at most what was asked; a second cut does nothing."""
    found = limits.bounded(ceiling, usual)
    for name in ("memory", "execute", "fuel"):
        own, top, default = (getattr(each, name) for each in (limits, ceiling, usual))
        holds = default if getattr(found, name) is None else getattr(found, name)
        assert top is None or holds is None or holds <= top
        assert own is None or holds <= own
        assert top is None or holds is not None
    assert found.bounded(ceiling, usual) == found


def test_limits_of_guests_are_read_with_their_bounds():
    """What only a guest can use is counted in whole numbers; sizes have units."""
    text = "[c.limits]\nfuel = 2_000_000_000\nmemories = 2\ntables = 3\ntable_elements = 10000000\ninstances = 30\n"
    limits = parse_manifest(f"{text}stack = '1MiB'\nlog_rate = 100\noutput = '4KiB'", "c").limits
    assert (limits.fuel, limits.memories, limits.tables, limits.table_elements) == (2 * 10**9, 2, 3, 10**7)
    assert (limits.instances, limits.stack, limits.log_rate, limits.output) == (30, 2**20, 100, 4096)
    for wrong in (
        "fuel = 0",
        "fuel = 1.5",
        "fuel = 9223372036854775807",
        "memories = 0",
        "stack = 0",
        "log_rate = '1s'",
    ):
        with pytest.raises(ManifestError) as raised:
            parse_manifest(f"[c.limits]\n{wrong}", "c")
        assert wrong.split()[0] in raised.value.problems[0].where


KEYS = st.sampled_from([*Manifest.__struct_fields__, *Limits.__struct_fields__, "x"])
VALUES = st.sampled_from(
    ['"x"', "1", "[]", '["a>=1"]', "{}", "nan", "true", "{type = 'integer'}", "1979-05-27", '"1s"']
)
LINES = st.one_of(
    st.builds("{} = {}".format, KEYS, VALUES),
    st.builds("{}.{} = {}".format, KEYS, KEYS, VALUES),
    st.builds("[c.{}]".format, KEYS),
    st.text(max_size=20),
)


@given(st.lists(LINES, max_size=8).map(lambda lines: "\n".join(["[c]", *lines])))
def test_no_text_crashes_the_reader(text):
    """Any text is a manifest or a ManifestError, with as many problems as it can tell."""
    try:
        manifest = parse_manifest(text, "c")
    except ManifestError as error:
        assert all(problem.message and problem.where for problem in error.problems)
        msgspec.json.encode(error.as_data())
    else:
        assert isinstance(manifest, Manifest)
