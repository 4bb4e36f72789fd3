"""`[policy]` and `policy.toml`: read, anchored to their lines, and refused with every mistake at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostcore.config import HostConfig, PolicyConfig, TrustConfig, load_config
from hostcore.contract.manifest import Limits
from hostcore.contract.patterns import Chosen, distribution_fits, fits, matches_all, publisher_fits
from hostcore.contract.permissions import Permission
from hostcore.errors import ConfigError

FULL = """
default = "deny"
isolation = "worker"
observe = ["noisy", "acme-*"]
sandbox = "files"
gate = true

[grants]
counter = ["kv"]

[trust]
modules = ["clock*"]
distributions = ["acme-*"]
publishers = ["*@acme.example"]

[isolate]
"acme-*" = "wasm+worker"

[ceiling]
memory = "64MiB"
"""
MEANT = PolicyConfig(
    default="deny", isolation="worker", observe=Chosen(["noisy", "acme-*"]), sandbox="files", gate=True,
    grants={"counter": (Permission("kv"),)}, isolate={"acme-*": "wasm+worker"}, ceiling=Limits(memory=64 * 1024**2),
    trust=TrustConfig(modules=("clock*",), distributions=("acme-*",), publishers=("*@acme.example",)),
)  # fmt: skip


def problems(source) -> list[str]:
    """Return what is wrong with a configuration, each with its place."""
    with pytest.raises(ConfigError) as caught:
        load_config(source)
    return [f"{problem.where}: {problem.message}" for problem in caught.value.problems]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A directory with a configuration that says nothing."""
    (tmp_path / "hostcore.toml").write_text('name = "dev"\n')
    return tmp_path


def test_a_policy_stands_beside_the_configuration(folder: Path) -> None:
    """`policy.toml` has the keys of [policy] on its top level."""
    (folder / "policy.toml").write_text(FULL)
    assert load_config(folder / "hostcore.toml") == HostConfig(name="dev", policy=MEANT)
    (folder / "pyproject.toml").write_text('[tool.hostcore]\nname = "dev"\n')
    assert load_config(folder / "pyproject.toml").policy == MEANT
    (folder / "policy.toml").unlink()
    assert load_config(folder / "hostcore.toml").policy == PolicyConfig()


def test_the_same_in_the_configuration(folder: Path) -> None:
    """A table [policy] says the same, and so does a mapping."""
    table = FULL.replace("[", "[policy.", 0).replace("\n[", "\n[policy.")
    (folder / "hostcore.toml").write_text(f"[policy]{table}")
    assert load_config(folder / "hostcore.toml").policy == MEANT
    assert load_config({"policy": MEANT}).policy == MEANT


def test_a_policy_in_two_places_is_an_error(folder: Path) -> None:
    """Neither of the two comes before the other, so that nobody looks at the wrong one."""
    (folder / "policy.toml").write_text("default = 'deny'\n")
    (folder / "hostcore.toml").write_text('name = "dev"\n[policy]\ndefault = "allow"\n')
    (said,) = problems(folder / "hostcore.toml")
    assert "hostcore.toml:2" in said and "two places" in said and "policy.toml" in said


@pytest.mark.parametrize("content", [b"\xff", b"default = ", b"x" * (1 << 20 | 1)])
def test_a_policy_that_cannot_be_read_is_not_passed_over(folder: Path, content: bytes) -> None:
    """A damaged file, one that is a directory, or a dangling link, keeps the host from starting without a policy."""
    (folder / "policy.toml").write_bytes(content)
    assert "policy.toml" in problems(folder / "hostcore.toml")[0]


@pytest.mark.parametrize("make", [lambda path: path.mkdir(), lambda path: path.symlink_to("nowhere")])
def test_what_is_no_file_is_not_passed_over(folder: Path, make) -> None:
    """Whatever stands in its place was meant as the policy."""
    make(folder / "policy.toml")
    assert "policy.toml" in problems(folder / "hostcore.toml")[0]


def test_every_mistake_has_its_line(folder: Path) -> None:
    """Unknown keys, impossible paths, contradictions: all in one error, in the file in which they stand."""
    (folder / "policy.toml").write_text(
        "defualt = 'ask'\nisolation = 'strong'\nobserve = 'all'\nsandbox = 1\n"
        "[grants]\na = ['fs.read:data', 'fs.write:/x/../y', \"env:A\\u0000B\", 'kv']\n'b c' = []\n"
        "[trust]\ndistributions = ['*', 'acme-*']\n[isolate]\n'acme/*' = 'worker'\n"
    )
    said = problems(folder / "hostcore.toml")
    lines = ["1  defualt", "2  isolation", "3  observe", "4  sandbox", "6  grants.a[0]", "6  grants.a[1]",
             "6  grants.a[2]", '7  grants."b c"', "9  trust.distributions[0]", '11  isolate."acme/*"']  # fmt: skip
    assert [line.partition("policy.toml:")[2].partition(":")[0] for line in said] == lines


def test_contradictions_are_mistakes() -> None:
    """What cannot all be meant is not decided by which rule comes first."""
    said = problems({
        "modules": {"a": {"isolation": "native"}, "b": {"isolation": "wasm"}, "c": {"isolation": "wasm+worker"}},
        "policy": {"isolate": {"?": "worker"}},
    })  # fmt: skip
    assert [line.partition(":")[0] for line in said] == ["modules.a.isolation", "modules.b.isolation"]
    (said,) = problems({"policy": {"trust": {"modules": ["a", "b*"]}, "grants": {"a": ["kv"], "b": []}}})
    assert said.startswith("policy.trust.modules[0]: 'a' is trusted with what it asks for, and has grants")
    (said,) = problems({"policy": {"isolate": {"a": "native"}}})
    assert "every host is" in said


@pytest.mark.parametrize("pattern", ["*", "**", "?*", "*?"])
@pytest.mark.parametrize("key", ["modules", "distributions", "publishers"])
def test_nobody_trusts_everybody_by_the_way(key: str, pattern: str) -> None:
    """A pattern that every name falls under is said by the default, in plain sight."""
    with pytest.raises(ConfigError, match="trusts everybody") as caught:
        load_config({"policy": {"trust": {key: [pattern]}}})
    assert 'default = "allow"' in caught.value.hint


def test_names_are_compared_as_they_are_meant() -> None:
    """Modules to the letter, distributions as indexes do, publishers without regard to case."""
    assert fits("acme-x", ["acme-*"]) and not fits("Acme-x", ["acme-*"])
    assert distribution_fits("Acme_X", ["acme.*"]) and not distribution_fits("", ["*x*", "*"])
    assert publisher_fits("Ada <ADA@Acme.example>", ["*@acme.example>"]) and not publisher_fits("", ["*"])


@given(text=st.text(alphabet="*?a", max_size=6), name=st.text(alphabet="ab", min_size=1, max_size=6))
def test_what_matches_all_is_known(text: str, name: str) -> None:
    """A pattern that is told to match all matches any name that is long enough for it."""
    if matches_all(text):
        assert fits(name * len(text), [text])


PLAIN = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=8))
DATA = st.recursive(
    PLAIN, lambda it: st.one_of(st.lists(it, max_size=3), st.dictionaries(st.text(max_size=6), it, max_size=3))
)


@given(DATA)
def test_any_data_gives_a_policy_or_its_mistakes(data) -> None:
    """Whatever stands in the place of a key, the error says what is wrong."""
    for key in PolicyConfig.__struct_fields__:
        try:
            load_config({"policy": {key: data}})
        except ConfigError as error:
            assert error.problems
