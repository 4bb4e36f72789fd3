"""Load a written project as two modules side by side, use, reload and unload them, and say what is left.

    python tests/real_packages/hosted.py DIRECTORY

It reads what the exercise gives in an ordinary import from DIRECTORY/plain.json and writes DIRECTORY/hosted.json.
Two rounds:

* *alone*: the two modules, interleaved; then one of them is reloaded three times, its state kept, while the other
  goes on; both are unloaded;
* *beside*: the host imports a copy of its own first, by an ordinary import; then the same with one reload.  The host's
  copy must be the same objects and work as before.

After each round every generation must be gone: as the reports say (`leaks`), and as a weak reference to the
generation says, which whatever a report cannot name would keep alive.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import inspect
import sys
import traceback
import weakref
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import msgspec
from holders import holders
from plain import flat
from project import MODULES

from hostcore import ModuleSystem
from hostcore.generations import Generation, installed

KEPT = 5
LIMITS = {"handle_message": "30s"}


class Outcome(msgspec.Struct):
    """What came of it.

    Attributes:
        load_ms: How long the first load took.
        second_ms: How long the second copy took, beside the first.
        faults: What did not work.
        leaks: What was still alive, as the reports name it; the first few.
        leaked: How many that were.
        held: Who holds it, where that could be found out.
    """

    load_ms: float = 0.0
    second_ms: float = 0.0
    faults: list[str] = []
    leaks: list[str] = []
    leaked: int = 0
    held: list[str] = []


class Trial:
    """One project, in one system."""

    def __init__(self, directory: Path, system: ModuleSystem, outcome: Outcome) -> None:
        self.directory = directory
        self.system = system
        self.outcome = outcome
        self.counts = dict.fromkeys(MODULES, 0)
        self.watched: dict[str, weakref.ref[Any]] = {}
        self.expected = msgspec.json.decode((directory / "plain.json").read_bytes())["results"][-1]

    def check(self, holds: bool, fault: str) -> None:
        """Note `fault` unless something holds."""
        if not holds and fault not in self.outcome.faults:
            self.outcome.faults.append(fault)

    def compare(self, who: str, result: Any) -> None:
        """The result is that of an ordinary import."""
        self.check(result == self.expected, f"{who} gave {str(result)[:120]} for {str(self.expected)[:120]}")

    def leak(self, names: Sequence[str]) -> None:
        """Note what is still alive."""
        self.outcome.leaked += len(names)
        self.outcome.leaks = [*self.outcome.leaks, *names][:KEPT]

    async def load(self) -> list[float]:
        """Load both modules; return the milliseconds that each took."""
        took = []
        for name in MODULES:
            began = perf_counter()
            await self.system.load(name, source=self.directory, limits=LIMITS)
            took.append(round((perf_counter() - began) * 1000, 1))
            self.counts[name] = 0
            self.note(name)
        self.check_distinct()
        return took

    def generation(self, name: str) -> Generation:
        """Return the generation that serves as module `name`."""
        found: Generation = self.system.record(name).copy.instance.generation  # type: ignore[union-attr]
        return found

    def note(self, name: str) -> None:
        """Remember what there is of the generation that serves as module `name`, to see that it goes."""
        generation = self.generation(name)
        here = f"{name}#{generation.id}"
        self.watched[here] = weakref.ref(generation)
        self.watched |= {f"{here} {kind} {what}": reference for kind, what, reference in generation.watch()}

    def check_distinct(self) -> None:
        """The two modules share no module object, class or function."""
        left, right = ({id(ref()) for *_, ref in self.generation(name).watch()} for name in MODULES)
        self.check(bool(left) and not left & right, "the two generations share objects")

    async def ask(self, rounds: int = 2) -> None:
        """Send both modules messages in turn."""
        for name in MODULES * rounds:
            self.counts[name] += 1
            reply = await self.system.request(name, timeout=60)
            self.check(reply["count"] == self.counts[name], f"{name} lost count")
            self.compare(name, flat(reply["result"]))

    async def reload(self, times: int) -> None:
        """Reload one module, with the other going on."""
        for _ in range(times):
            report = await self.system.reload(MODULES[0])
            self.check(not report.rolled_back, f"the reload failed: {report.reason}")
            self.leak(report.leaks)
            self.note(MODULES[0])
            self.check_distinct()
            await self.ask(1)

    async def unload(self) -> None:
        """Unload both modules, and see that everything of them is gone."""
        for name in MODULES:
            if name in self.system.modules:
                self.leak(await self.system.unload(name))
        gc.collect()
        left = [name for name, reference in self.watched.items() if reference() is not None]
        if left:
            self.leak([] if self.outcome.leaks else left)
            self.outcome.held += holders([self.watched[name] for name in left])
        self.watched.clear()
        self.check(installed() == [], f"left in the process: {installed()}")

    async def alone(self) -> None:
        """The first round."""
        self.outcome.load_ms, self.outcome.second_ms = await self.load()
        await self.ask()
        await self.reload(3)

    async def beside(self) -> None:
        """The second round, beside the host's own copy."""
        sys.path.insert(0, str(self.directory / "src"))
        exercise = importlib.import_module("wrapped").exercise
        before = own(self.directory / "src")
        await self.host(exercise)
        await self.load()
        await self.ask()
        await self.host(exercise)
        await self.reload(1)
        await self.unload()
        now = own(self.directory / "src")
        changed = [name for name in before if now.get(name) is not before[name]]
        self.check(not changed, f"the host's own copy changed: {', '.join(changed[:5])}")
        await self.host(exercise)

    async def host(self, exercise: Any) -> None:
        """Do the exercise in the host's own copy."""
        result = exercise()
        result = flat(await result if inspect.isawaitable(result) else result)
        self.compare("the host's own copy", result)


def own(source: Path) -> dict[str, Any]:
    """Return the host's own modules that were imported from below `source`."""
    below = f"{source}/"
    return {name: m for name, m in list(sys.modules.items()) if str(getattr(m, "__file__", "")).startswith(below)}


async def attempt(trial: Trial, work: Any) -> None:
    """Do one round; whatever it raises is an outcome."""
    try:
        await work()
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        trial.outcome.faults.append(f"{type(error).__name__}: {error} ({Path(last.filename).name}:{last.lineno})")
    await trial.unload()


async def run(directory: Path) -> Outcome:
    """Do both rounds."""
    outcome = Outcome()
    async with ModuleSystem({"index": False, "state_dir": directory / "state"}) as system:
        trial = Trial(directory, system, outcome)
        await attempt(trial, trial.alone)
        await attempt(trial, trial.beside)
    return outcome


def main() -> None:
    """Try the project that the command line names."""
    directory = Path(sys.argv[1])
    outcome = asyncio.run(run(directory))
    (directory / "hosted.json").write_bytes(msgspec.json.encode(outcome))


if __name__ == "__main__":
    main()
