"""What one module may do: asked, remembered, changed while it runs, observed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostcore.contract.grants import ALL, ModuleGrants
from hostcore.contract.meanings import meaning
from hostcore.contract.permissions import BARE, TARGETED, Permission, growth, narrowed
from hostcore.errors import DeniedError

WORDS = st.sampled_from(["a", "b", "*"])
PATTERNS = st.builds(
    lambda words, rest: ".".join([*words, *([">"] if rest else [])]),
    st.lists(WORDS, min_size=1, max_size=3),
    st.booleans(),
)
PATHS = st.lists(st.sampled_from(["a", "b", "c"]), max_size=3).map(lambda parts: "/" + "/".join(parts))
NETS = st.sampled_from(["*", "h", "h:1", "h:2", "g", "[::1]", "[::1]:1"])
NAMES = st.sampled_from(["*", "A", "B"])
PERMISSIONS = st.one_of(
    st.sampled_from(sorted(BARE)),
    st.builds("{}:{}".format, st.sampled_from(["bus.send", "bus.subscribe", "bus.request"]), PATTERNS),
    st.builds("{}:{}".format, st.sampled_from(["fs.read", "fs.write"]), PATHS),
    st.builds("net:{}".format, NETS),
    st.builds("{}:{}".format, st.sampled_from(["env", "cap"]), NAMES),
).map(Permission)
SETS = st.lists(PERMISSIONS, max_size=6)


class Noted:
    """Takes note of what is refused."""

    def __init__(self) -> None:
        self.taken: list[tuple[Any, ...]] = []

    def note(self, module: str, kind: str, target: str, *, refused: bool) -> None:
        self.taken.append((module, kind, target, refused))


def grants(*texts: str, **more: Any) -> ModuleGrants:
    return ModuleGrants(map(Permission, texts), everything=False, **more)


@given(granted=SETS, asked=PERMISSIONS)
def test_what_is_granted_is_what_some_permission_covers(granted, asked) -> None:
    """A set of grants allows a permission exactly if one of them covers it, the first time and every other time."""
    found = ModuleGrants(granted, everything=False)
    for _ in range(2):
        assert found.allows(asked.kind, asked.target) is any(each.covers(asked) for each in granted)


@given(asked=SETS, had=SETS)
def test_growth_is_never_missed(asked, had) -> None:
    """Whatever is asked is covered by what one had, or is growth, and never both."""
    more = growth(asked, had)
    assert set(more) <= set(asked)
    for each in asked:
        assert (each in more) is not any(other.covers(each) for other in had)
    assert growth(had, had) == ()


@given(granted=SETS, asked=SETS, probe=PERMISSIONS)
def test_what_is_carried_over_is_never_more(granted, asked, probe) -> None:
    """What is both granted and asked allows nothing that either of the two does not."""
    both = ModuleGrants(narrowed(granted, asked), everything=False)
    if both.allows(probe.kind, probe.target):
        assert growth([probe], granted) == growth([probe], asked) == ()


@given(granted=SETS, later=SETS, probe=PERMISSIONS)
def test_a_change_holds_for_the_next_check(granted, later, probe) -> None:
    """Whatever was answered before, the next answer goes by what is granted now."""
    found = ModuleGrants(granted, everything=False)
    found.allows(probe.kind, probe.target)
    found.change(later)
    assert found.allows(probe.kind, probe.target) is (growth([probe], later) == ())


def test_what_is_refused_says_what_to_do() -> None:
    """Who lacks what its manifest asks for has it granted; who does not ask has to ask first."""
    noted = Noted()
    found = grants(module="m", asked=[Permission("net:*")], watcher=noted)
    with pytest.raises(DeniedError, match=r"'m' has no permission 'net:h:1'") as caught:
        found.require("net", "h:1")
    assert (caught.value.code, caught.value.hint) == (
        "HC601", "its manifest asks for it; grant it: hostcore grant m net:h:1"
    )  # fmt: skip
    with pytest.raises(DeniedError) as caught:
        found.require("kv", "")
    assert 'permissions = ["kv"]' in caught.value.hint
    assert noted.taken == [("m", "net", "h:1", True), ("m", "kv", "", True)]


def test_asking_is_not_trying() -> None:
    """A question that the host asks for itself, or that a module asks of itself, is noted nowhere."""
    noted = Noted()
    found = grants("kv", watcher=noted)
    assert not found.allows("clock", "") and not found.has("clock", "") and not found.given("clock", "")
    assert found.allows("kv", "") and found.has("kv", "") and found.given("kv", "")
    assert noted.taken == []


def test_who_is_observed_is_refused_nothing() -> None:
    """What would have been refused is let through and noted, each time; what is granted is not."""
    noted = Noted()
    found = grants("kv", module="m", observed=True, watcher=noted)
    found.require("kv", "")
    assert found.has("clock", "") and not found.given("clock", "") and noted.taken == []
    found.require("net", "h:1")
    assert found.allows("net", "h:1")
    assert noted.taken == [("m", "net", "h:1", False)] * 2
    assert repr(found) == "<ModuleGrants ['kv'], observed>"


def test_what_is_set_up_beforehand_is_read_off() -> None:
    """A host that sets up files or variables gets the targets of a kind; a name itself is not everything."""
    found = grants("fs.read:/a", "fs.write:/b", "env:*", "net:*", "net:h")
    assert found.targets("fs.read") == {"/a"} and found.targets("env") == {"*"} and found.targets("cap") == frozenset()
    assert found.names("net", "h:1") and not found.names("net", "g:1") and not found.names("net", "h:1:2%eth0")


def test_a_host_is_reached_by_any_of_its_ports() -> None:
    """A name may be looked up where one of its ports, all of them, or everything is granted."""
    found = grants("net:a.org:443", "net:[::1]:80", "net:b.org", "cap:c")
    assert all(found.reaches(host) for host in ("a.org", "A.ORG", "b.org", "[::1]"))
    assert not any(found.reaches(host) for host in ("c.org", "c", "www.a.org", "a.org:80", "", "x y"))
    assert grants("net:*").reaches("c.org")


def test_nonsense_is_refused() -> None:
    """A kind or target that no permission has is allowed to nobody but who may do everything."""
    for kind, target in (("nope", ""), ("bus.send", "a b"), ("kv", "x"), ("net", "")):
        assert not grants("net:*", "bus.send:>", "kv").allows(kind, target)
        assert ALL.allows(kind, target)


def test_so_many_answers_are_remembered() -> None:
    """A module that tries ever new targets does not fill the host's memory."""
    found = grants("bus.send:a.>")
    for number in range(10_000):
        assert found.allows("bus.send", f"a.{number}")
    assert len(found._answers) <= 4096


@given(permission=PERMISSIONS)
def test_every_permission_has_a_meaning(permission) -> None:
    """Each is told in a sentence that names its target, unless that is everything."""
    text = meaning(permission)
    assert text and not text.endswith(".")
    if permission.target not in ("", "*", ">", "/"):
        assert permission.target in text


def test_all_kinds_have_one() -> None:
    """No kind is forgotten."""
    for kind in BARE:
        assert meaning(Permission(kind))
    for kind, target in TARGETED.items():
        assert target in meaning(Permission(f"{kind}:{target}"))
