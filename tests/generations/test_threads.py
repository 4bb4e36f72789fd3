"""Threads and tasks of several generations import at once; everybody gets his own modules."""

from __future__ import annotations

import asyncio
import importlib
import random
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from generations.support import PRIVATE, Sample, living, survivors, tiny

from hostcore.generations import Generation

ROUNDS = 6
WORKERS = 3


@pytest.fixture
def restless() -> Iterator[None]:
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def together(*functions: Callable[[], object]) -> list[str]:
    """Run functions in a thread each, started at the same moment; return what they raised."""
    errors: list[str] = []
    barrier = threading.Barrier(len(functions))

    def run(function: Callable[[], object]) -> None:
        try:
            barrier.wait(30)
            function()
        except BaseException as error:
            errors.append(repr(error))

    threads = [threading.Thread(target=run, args=(function,)) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors


def test_many_threads_enter_a_fresh_generation(sample: Sample, restless: None) -> None:
    """Threads that load a generation at the same moment all get the same, whole modules."""
    with living(Generation("mypkg", [sample.v1], private=PRIVATE)) as generation:
        got: list[object] = []
        errors = together(*[lambda: got.append(generation.load("mypkg").a_func.__globals__)] * 8)
        assert errors == []
        assert len(got) == 8
        assert len(set(map(id, got))) == 1


def test_circle_entered_from_both_sides(tmp_path: Path, restless: None) -> None:
    """Two threads that enter a circular import from its two ends do not wait for each other for ever."""
    package = tmp_path / "tiny"
    package.mkdir()
    (package / "__init__.py").write_text("import threading\ngate = threading.Barrier(2)\n")
    for here, there in (("a", "b"), ("b", "a")):
        (package / f"{here}.py").write_text(f"from . import gate\ngate.wait(30)\nfrom . import {there}\nDONE = True\n")
    with living(Generation("tiny", [tmp_path])) as generation:
        root = generation.load("tiny")
        errors = together(lambda: generation.load("tiny.a"), lambda: generation.load("tiny.b"))
        assert errors == []
        assert root.a.DONE
        assert root.b.DONE
        assert root.a.b is root.b is generation.modules["tiny.b"]


def test_old_generation_works_while_a_new_one_loads(sample: Sample, restless: None) -> None:
    """Threads of an old generation go on importing their own modules while new ones load, publish and unload."""
    with living(Generation("mypkg", [sample.v1], private=PRIVATE)) as old:
        root = old.load("mypkg")
        exec(
            "def poll():\n"
            "    import mypkg.core, mypkg.lazy12 as l\n"
            "    from mypkg import lazy13\n"
            "    return {l.VERSION, lazy13.VERSION, mypkg.core.helper()}\n",
            vars(root),
        )
        seen: set[str] = set()
        finished = threading.Event()

        def poll() -> None:
            while not finished.is_set():
                seen.update(root.poll())

        def reload() -> None:
            try:
                for _ in range(ROUNDS):
                    with living(Generation("mypkg", [sample.v2], private=PRIVATE)) as new:
                        new.load("mypkg")
                        new.publish()
            finally:
                finished.set()

        assert together(poll, poll, reload) == []
        assert seen == {"v1"}


async def test_tasks_go_on_with_their_generation(sample: Sample) -> None:
    """An asyncio task of an old generation goes on importing its own modules across a reload."""
    source = (
        "async def work(turn, found):\n"
        "    for number in range(6):\n"
        "        await turn.wait()\n"
        "        found.append(__import__(f'mypkg.lazy{number}', fromlist=['x']).VERSION)\n"
        "        from mypkg import core\n"
        "        found.append(core.helper())\n"
        "        import asyncio; await asyncio.sleep(0)\n"
    )
    found: dict[str, list[str]] = {"v1": [], "v2": []}
    turn = asyncio.Event()
    with living(Generation("mypkg", [sample.v1], owned={"mypkg"})) as old:
        exec(source, vars(old.load("mypkg")))
        first = asyncio.create_task(old.load("mypkg").work(turn, found["v1"]))
        await asyncio.sleep(0)
        with living(Generation("mypkg", [sample.v2], owned={"mypkg"})) as new:
            exec(source, vars(new.load("mypkg")))
            new.publish()
            second = asyncio.create_task(new.load("mypkg").work(turn, found["v2"]))
            turn.set()
            await asyncio.gather(first, second)
    assert found == {"v1": ["v1"] * 12, "v2": ["v2"] * 12}


def test_threads_are_named(sample: Sample) -> None:
    """A generation tells which threads run its code now."""
    with living(Generation("mypkg", [sample.v1], owned={"mypkg"})) as generation:
        gate = generation.load("mypkg.slow_gate")
        thread = threading.Thread(target=generation.load, args=("mypkg.slow",), name="slow-loader")
        thread.start()
        assert gate.entered.wait(30)
        assert generation.threads() == ["slow-loader"]
        gate.release.set()
        thread.join()
        assert generation.threads() == []


def test_unload_while_another_thread_loads(sample: Sample) -> None:
    """A load that is under way when its generation is unloaded ends, and leaves nothing in the process."""
    generation = Generation("mypkg", [sample.v1], owned={"mypkg"})
    with living(generation):
        gate = generation.load("mypkg.slow_gate")
        thread = threading.Thread(target=_quietly, args=(generation, "mypkg.slow"))
        thread.start()
        assert gate.entered.wait(30)
        generation.unload()
        gate.release.set()
        thread.join()
    assert generation.modules == {}
    assert [name for name in sys.modules if name.startswith("mypkg")] == []


def _quietly(generation: Generation, name: str) -> None:
    try:
        generation.load(name)
    except ImportError:
        pass


def test_owner_comes_while_the_first_is_loading(tmp_path: Path, sample: Sample) -> None:
    """A name that becomes contested while its first owner is half loaded ends with two whole owners."""
    first = Generation("mypkg", [sample.v1], owned={"mypkg"})
    with living(first):
        gate = first.load("mypkg.slow_gate")
        thread = threading.Thread(target=first.load, args=("mypkg.slow",))
        thread.start()
        assert gate.entered.wait(30)
        with living(Generation("mypkg", [sample.v2], owned={"mypkg"})) as second:
            second.load("mypkg.lazy1")
            gate.release.set()
            thread.join()
            assert first.load("mypkg.slow").VERSION == "v1"
            second.load("mypkg.slow_gate").release.set()
            assert second.load("mypkg.slow").VERSION == "v2"
        assert sys.modules["mypkg.slow"] is first.modules["mypkg.slow"]


def test_stress(sample: Sample, restless: None) -> None:
    """Threads load, use, publish and drop generations at once; none sees another's modules, and all die."""
    wrong: list[object] = []
    dead: list[Any] = []

    def cycle(seed: int) -> None:
        choose = random.Random(seed)
        for number in range(ROUNDS):
            _one_life(sample, choose, seed * 100 + number, wrong, dead)

    errors = together(*[lambda seed=seed: cycle(seed) for seed in range(WORKERS)])
    assert (errors, wrong) == ([], [])
    assert survivors(dead) == []
    assert [name for name in sys.modules if name.partition(".")[0] in ("mypkg", "stress", "onlyprivate")] == []


def _one_life(sample: Sample, choose: random.Random, seed: int, wrong: list[object], dead: list[Any]) -> None:
    version = choose.choice(["v1", "v2"])
    with living(Generation("m", [getattr(sample, version)], private=PRIVATE)) as generation:

        def run(offset: int) -> None:
            stress = generation.load("stress")
            assert version == stress.VERSION
            wrong.extend(stress.work(seed + offset, rounds=4))

        wrong += together(lambda: run(0), lambda: run(1))
        if choose.random() < 0.5:
            generation.publish()
        dead += generation.watch()


def test_host_imports_while_generations_come_and_go(tmp_path: Path, restless: None) -> None:
    """The host's imports get one whole generation or another, at any moment of a reload."""
    paths = [tiny(tmp_path, version) for version in ("1", "2")]
    finished = threading.Event()
    seen: set[str] = set()

    def look() -> None:
        while not finished.is_set():
            seen.add(importlib.import_module("tiny.part").VERSION)
            seen.add(sys.modules["tiny"].VERSION)

    def reload() -> None:
        current = first
        try:
            for number in range(4 * ROUNDS):
                fresh = Generation("tiny", [paths[(number + 1) % 2]])
                fresh.load("tiny.part")
                fresh.publish()
                current.unload()
                current = fresh
        finally:
            finished.set()
            last.append(current)

    last: list[Generation] = []
    first = Generation("tiny", [paths[0]])
    first.load("tiny.part")
    errors = together(look, look, reload)
    last[0].unload()
    assert errors == []
    assert seen == {"1", "2"}
