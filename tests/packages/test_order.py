"""The load order follows what manifests require, and what cannot load does not stop the rest."""

from __future__ import annotations

from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from hostcore.contract.versions import Capability, Requirement
from hostcore.errors import ConflictError, CycleError, MissingError
from hostcore.packages.order import Plan, plan


class Declared(NamedTuple):
    """What `plan` needs of a manifest."""

    requires: tuple[Requirement, ...] = ()
    after: tuple[str, ...] = ()
    provides: tuple[Capability, ...] = ()


def declared(version: str = "1", requires: str = "", after: str = "", provides: str = "") -> tuple[str, Declared]:
    """Return version and manifest; the lists are given as words."""
    return version, Declared(
        tuple(map(Requirement, requires.split())), tuple(after.split()), tuple(map(Capability, provides.split()))
    )


def test_without_requirements_the_order_is_by_name() -> None:
    """Modules that do not depend on each other load in the order of their names; no modules give an empty plan."""
    assert plan({"b": declared(), "c": declared(), "a": declared()}) == Plan(["a", "b", "c"], {})
    assert plan({}) == Plan([], {})


def test_what_is_required_loads_first() -> None:
    """Requirements by name, by capability and optional ones, and `after`, all order."""
    assert plan({
        "a": declared(requires="z>=1"),
        "b": declared(requires="parser:python"),
        "c": declared(requires="y?"),
        "d": declared(after="x"),
        "e": declared(after="parser:python"),
        "w": declared(provides="parser:python/1.2"), "x": declared(), "y": declared(), "z": declared("1.5"),
    }).order == ["w", "x", "y", "z", "a", "b", "c", "d", "e"]  # fmt: skip


def test_what_is_optional_or_only_after_may_be_missing() -> None:
    """An optional requirement that is not there, or in another version, and an unknown `after`, stop nobody."""
    modules = {"a": declared(requires="gone? b>=2?", after="gone a"), "b": declared("1")}
    assert plan(modules) == Plan(["a", "b"], {})


def test_the_best_provider_counts() -> None:
    """Of several providers the highest version goes first; one that cannot load is replaced by the next."""
    modules = {"a": declared(requires="cap>=1"), "m": declared(provides="cap/1"), "z": declared(provides="cap/2")}
    assert plan(modules).order == ["m", "z", "a"]
    modules["z"] = declared(provides="cap/2", requires="gone")
    assert plan(modules).order == ["m", "a"]


def test_everything_missing_is_told_at_once() -> None:
    """All that a module lacks is in one error, with what to do; the others load."""
    result = plan({"a": declared("1.4", "gone>=2 clok clock>=3"), "b": declared(), "clock": declared("2")})
    assert result.order == ["b", "clock"]
    error = result.problems["a"]
    assert isinstance(error, MissingError)
    assert error.causes == (
        "a 1.4 requires 'gone>=2', but no module has that name or provides it",
        "a 1.4 requires 'clok', but no module has that name or provides it",
        "a 1.4 requires 'clock>=3', but clock is version 2",
    )
    assert [problem.code for problem in error.problems] == ["HC151", "HC151", "HC152"]
    assert "did you mean 'clock'?" in str(error) and "install a module named 'gone'" in str(error)


def test_a_wrong_version_is_a_conflict_that_names_all_offers() -> None:
    """A module and a provider outside the range are both named with their versions."""
    modules = {"a": declared(requires="clock>=3"), "clock": declared("2"), "sun": declared(provides="clock/1")}
    error = plan(modules).problems["a"]
    assert isinstance(error, ConflictError)
    assert "clock is version 2 and sun provides clock/1" in str(error)


def test_nobody_provides_for_itself() -> None:
    """A module that requires what only it provides lacks it; with another provider it has it."""
    modules = {"a": declared(requires="cap", provides="cap/2")}
    assert isinstance(plan(modules).problems["a"], MissingError)
    assert plan({**modules, "b": declared(provides="cap/1")}).order == ["b", "a"]


def test_failure_goes_on_to_all_that_depend_on_it() -> None:
    """A module whose requirement fails is left out too and says through whom; optional ones load."""
    result = plan({
        "a": declared(requires="b"), "b": declared(requires="c"), "c": declared(requires="gone"),
        "d": declared(requires="b?", after="c"),
    })  # fmt: skip
    assert result.order == ["d"]
    assert list(result.problems) == ["a", "b", "c"]
    assert "but b cannot load" in str(result.problems["a"])
    assert "but c cannot load" in str(result.problems["b"])


def test_a_circle_is_told_with_its_path_and_the_rest_loads() -> None:
    """Every module of each circle has the path; what requires one fails through it; others load."""
    result = plan({
        "b": declared(requires="c"), "c": declared(after="a"), "a": declared(requires="b?"),
        "d": declared(requires="a"), "e": declared(), "self": declared(requires="self"),
    })  # fmt: skip
    assert result.order == ["e"]
    for name in "abc":
        error = result.problems[name]
        assert isinstance(error, CycleError)
        assert error.causes == ("a", "b", "c", "a")
        assert "a -> b -> c -> a" in str(error)
    assert isinstance(result.problems["d"], MissingError)
    assert result.problems["self"].causes == ("self", "self")


NAMES = st.sampled_from("abcdef")
MODULE = st.builds(
    lambda version, needs, after, provides: declared(version, " ".join(needs), " ".join(after), " ".join(provides)),
    st.sampled_from(["1", "2"]),
    st.lists(st.tuples(st.sampled_from("abcdefg"), st.sampled_from(["", ">=2", "?"])).map("".join), max_size=3),
    st.lists(NAMES, max_size=1),
    st.lists(st.sampled_from(["f", "g/2"]), max_size=1),
)


@given(st.dictionaries(NAMES, MODULE), st.randoms())
def test_every_plan_is_whole_right_and_the_same(modules: dict[str, tuple[str, Declared]], random: object) -> None:
    """Each module is ordered or has a problem, none before what it requires, however the modules are given."""
    result = plan(modules)
    assert sorted([*result.order, *result.problems]) == sorted(modules)
    for place, name in enumerate(result.order):
        for need in modules[name][1].requires:
            before = {n for n in result.order[:place] for v, m in [modules[n]]
                      if (n == need.name and need.admits(v))
                      or any(c.name == need.name and need.admits(c.version) for c in m.provides)}  # fmt: skip
            assert need.optional or before
    shuffled = list(modules.items())
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    again = plan(dict(shuffled))
    assert again.order == result.order
    assert {n: str(e) for n, e in again.problems.items()} == {n: str(e) for n, e in result.problems.items()}
