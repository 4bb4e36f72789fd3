"""What keeps an unloaded generation alive is found, and named as a person would write it."""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from generations import pins
from generations.pins import HERE, IT, PINS, Release, keep, kept, leaking, places
from generations.support import living, survivors
from support.modules import COUNTER, ModuleWriter

import hostcore
from hostcore.generations import Generation
from hostcore.generations.holders import Holder, find_holders


@pytest.mark.parametrize(("pin", "what", "root"), PINS, ids=[pin.__name__ for pin, *_ in PINS])
def test_pin(tmp_path: Path, pin: Callable[[Any], Release], what: str, root: str) -> None:
    """Each kind of pin is the one place found, and named; once it is gone, the generation dies."""
    with leaking(tmp_path, pin) as watched:
        assert places(find_holders(watched)) == [(what, root)], pin.__doc__


def test_text(tmp_path: Path) -> None:
    """A holder reads as a sentence, counts what else the place keeps, and leads from the place to the object."""
    with leaking(tmp_path, pins.logging_handler) as watched:
        (holder,) = find_holders(watched)
        others = len(survivors(watched))
        assert holder == Holder(
            what=f"a Handler of acme (and {others} more)",
            root="logging.root.handlers[2]",
            chain=("logging.root.handlers[2]", "a Handler of acme", "class acme.Handler"),
        )
        assert str(holder) == f"a Handler of acme (and {others} more), kept alive by `logging.root.handlers[2]`"
    assert str(Holder("class a.B", "a.b.<cache>", ())) == "class a.B, kept alive by `a.b.<cache>`"
    assert str(Holder("class a.B", "b.c[1], of module other", ())) == (
        "class a.B, kept alive by `b.c[1]`, of module other"
    )
    assert str(Holder("class a.B", "task 'x'", ())) == "class a.B, kept alive by task 'x'"


def test_nothing_leaked(tmp_path: Path) -> None:
    """Where nothing is alive, nothing is found."""
    with leaking(tmp_path, lambda acme: lambda: None) as watched:
        assert find_holders(watched) == []
    assert find_holders([]) == []


def test_weak_references_hold_nothing(tmp_path: Path) -> None:
    """Weak references, weak containers and the subclasses that a class knows of are no holders."""

    def pin(acme: Any) -> Release:
        kept.reference, kept.set = weakref.ref(acme.Thing), weakref.WeakSet([acme.Thing])
        kept.values = weakref.WeakValueDictionary(work=acme.work)
        assert acme.Handler in importlib.import_module("logging").Handler.__subclasses__()
        return keep(acme.work)

    with leaking(tmp_path, pin) as watched:
        assert places(find_holders(watched)) == [("function acme.work", IT)]


def test_several(tmp_path: Path) -> None:
    """Each independent place is reported, one line each; a container is one place however much of it leaks."""

    def pin(acme: Any) -> Release:
        kept.list, kept.work = [acme.Thing() for _ in range(5000)], acme.work
        kept.first = kept.second = {"both": [acme.Thing()]}
        json.JSONEncoder.hook = acme.work  # type: ignore[attr-defined]
        return lambda: delattr(json.JSONEncoder, "hook")

    with leaking(tmp_path, pin) as watched:
        holders = find_holders(watched)
        assert sorted(places(holders)) == [
            ("a Thing of acme", f"{HERE}.kept.first['both'][0]"),
            ("a Thing of acme", f"{HERE}.kept.list[0]"),
            ("function acme.work", f"{HERE}.kept.work"),
            ("function acme.work", "json.JSONEncoder.hook"),
        ]
        (of_list,) = [holder for holder in holders if "kept.list" in holder.root]
        assert of_list.what == f"a Thing of acme (and {4999 + len(survivors(watched))} more)"


def test_one_object_in_two_containers(tmp_path: Path) -> None:
    """An object, or what merely wraps one, that two containers hold is reported for both."""

    def pin(acme: Any) -> Release:
        thing, method = acme.Thing(), acme.Thing().method
        kept.one, kept.two, kept.three, kept.four = [thing], [thing], [method], [method]
        return lambda: None

    with leaking(tmp_path, pin) as watched:
        names = ("one", "two", "three", "four")
        assert sorted(holder.root for holder in find_holders(watched)) == sorted(f"{HERE}.kept.{n}[0]" for n in names)


def test_circles(tmp_path: Path) -> None:
    """What wraps itself in a circle is gone through once: a recursive function, an exception in its own traceback."""

    def pin(acme: Any) -> Release:
        thing = acme.Thing()

        def recursive(again: bool) -> Any:
            return recursive(False) if again else thing

        def failing(held: Any) -> Any:
            try:
                raise ValueError
            except ValueError as exc:
                return [exc, held][0]

        kept.function, kept.error = recursive, failing(acme.Plain)
        return lambda: None

    with leaking(tmp_path, pin) as watched:
        found = {root: what for what, root in places(find_holders(watched))}
        assert found[f"{HERE}.kept.function.<closure thing>"] == "a Thing of acme"
        place = f"{__name__}.test_circles.<locals>.pin.<locals>.failing of `{HERE}.kept.error.__traceback__`"
        assert found[f"local variable `held` of function {place}"] == "class acme.Plain"


def test_shortest_name(tmp_path: Path) -> None:
    """Of several names for one container the shortest public one is told."""

    def pin(acme: Any) -> Release:
        things = [acme.Thing()]
        kept._hidden, kept.longer_name, kept.name = things, things, things
        kept.deeper = [{"x": things}]
        return lambda: None

    with leaking(tmp_path, pin) as watched:
        assert [holder.root for holder in find_holders(watched)] == [f"{HERE}.kept.name[0]"]


def test_another_generation(tmp_path: Path) -> None:
    """What another generation holds is named by that one's module, and by whose it is."""
    (tmp_path / "other.py").write_text("registry = []\nclass Box: ...\nbox = Box()\n")
    with living(Generation("keeper", [tmp_path], owned={"other"})) as generation:
        other = generation.load("other")

        def pin(acme: Any) -> Release:
            other.registry.append(acme.Thing())
            other.box.work = acme.work
            return lambda: (other.registry.clear(), vars(other.box).clear())

        with leaking(tmp_path, pin) as watched:
            assert sorted(places(find_holders(watched))) == [
                ("a Thing of acme", "other.registry[0], of module keeper"),
                ("function acme.work", "other.box.work, of module keeper"),
            ]


def test_next_generation_of_the_same_module(tmp_path: Path) -> None:
    """The same module's next generation is told from the one that leaks, whose names it has."""
    with living(Generation("acme", [tmp_path], owned={"acme"})) as generation:

        def pin(acme: Any) -> Release:
            following = generation.load("acme")
            following.registry["old"] = acme.Plain
            kept.things = [following.Thing(), following.Plain(), following.work]
            return lambda: following.registry.clear()

        with leaking(tmp_path, pin) as watched:
            assert places(find_holders(watched)) == [("class acme.Plain", "acme.registry['old'], of module acme")]


def test_limit(tmp_path: Path) -> None:
    """Beyond the limit, places are counted."""

    def pin(acme: Any) -> Release:
        vars(kept).update({f"name{number}": acme.Thing() for number in range(5)})
        return lambda: None

    with leaking(tmp_path, pin) as watched:
        holders = find_holders(watched, limit=2)
        assert [holder.root for holder in holders[:2]] == [f"{HERE}.kept.name0", f"{HERE}.kept.name1"]
        assert str(holders[2]) == "the generation, kept alive by 3 more places"


def test_depth(tmp_path: Path) -> None:
    """Beyond the depth, what was found so far is said."""

    def pin(acme: Any) -> Release:
        deep: Any = [acme.Thing()]
        for _ in range(20):
            deep = [deep]
        return keep(deep)

    with leaking(tmp_path, pin) as watched:
        assert places(find_holders(watched, depth=5)) == [
            ("a Thing of acme", "`[0]` of a list of builtins, whose own holder was not found")
        ]
        assert places(find_holders(watched, depth=30)) == [("a Thing of acme", f"{IT}{'[0]' * 21}")]


def test_uncollected_garbage(tmp_path: Path) -> None:
    """What only holds itself, since the garbage collector has not run, is said to do so."""

    with living(Generation("tiny", [tmp_path], owned={"tiny"})) as generation:
        (tmp_path / "tiny.py").write_text("class Thing: ...\n")
        generation.load("tiny")
        watched = generation.watch()
        gc.disable()
    try:
        del generation
        (holder,) = find_holders(watched)
    finally:
        gc.enable()
    assert holder.root == "nothing but itself, until garbage is collected"


def test_result_keeps_nothing(tmp_path: Path) -> None:
    """The result is text: with it in hand, all dies as soon as the pin is gone."""
    found: list[Holder] = []
    with leaking(tmp_path, pins.stored_traceback) as watched:
        found += find_holders(watched)
    assert found
    assert {type(part) for holder in found for part in (holder.what, holder.root, *holder.chain)} == {str}


def test_objects_instead_of_weak_references(tmp_path: Path) -> None:
    """The survivors may be given themselves; that the argument holds them does not count."""
    with leaking(tmp_path, pins.module_attribute) as watched:
        alive = [(kind, name, ref()) for kind, name, ref in watched]
        try:
            assert places(find_holders(alive)) == [("function acme.work", "hostlib.patched")]
        finally:
            alive.clear()


def test_failure_is_an_entry() -> None:
    """A search that fails says so instead of raising."""
    (holder,) = find_holders([("class",)])  # type: ignore[list-item]
    assert str(holder) == "the generation, kept alive by something that could not be found (ValueError)"


def test_a_level_is_one_pass(tmp_path: Path) -> None:
    """The heap is gone through once for what is held and once for each level above, and no more."""
    passes: list[object] = []

    def count(frame: Any, event: str, argument: Any) -> None:
        if event == "c_call" and argument is gc.get_referrers:
            passes.append(None)

    for pin, expected in ((pins.module_attribute, 1), (pins.shared_list, 3)):
        passes.clear()
        with leaking(tmp_path, pin) as watched:
            sys.setprofile(count)
            try:
                find_holders(watched)
            finally:
                sys.setprofile(None)
        assert len(passes) == expected


async def test_instance(tmp_path: Path) -> None:
    """A closed instance tells the holders of what survived, also from another thread."""
    source = ModuleWriter(tmp_path)(
        COUNTER + "\nkept.it = lambda: 0\n", "counter", top="from generations.pins import kept"
    )
    async with hostcore.ModuleSystem() as system:
        await system.load("counter", source=source)
        instance: Any = system.record("counter").copy.instance  # type: ignore[union-attr]
        assert instance.holders() == []
        await system.unload("counter")
        gc.collect()
        (holder,) = await asyncio.to_thread(instance.holders)
        assert holder.root == IT
        assert holder.what.startswith("function acme_counter.Module.<lambda> (and ")
        vars(kept).clear()
        gc.collect()
        assert instance.survivors() == ()
        assert instance.holders() == []
