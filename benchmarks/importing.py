"""What `import hostcore` costs, in fresh processes, with compiled files in place.

"own clock" is the time around the statement inside the process; "importtime" what `python -X importtime` says, which
is slower by its own work; "whole process" less that of `python -c pass` is what a user waits for.  `import hostcore`
imports its parts when they are first used, so the second row also takes `ModuleSystem`, which needs nearly all.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from harness import Budget, Cell, Result, at_most, main

TITLE = "Import time"
STATEMENTS = ("import hostcore", "from hostcore import ModuleSystem", "import asyncio", "import pluggy",
              "import stevedore", "import importlib.metadata", "import pykka")  # fmt: skip
HEAVY = ("wasmtime", "stevedore")


def clock(statement: str) -> float:
    code = f"import time; t = time.perf_counter(); {statement}; print((time.perf_counter() - t) * 1000)"
    return float(subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True).stdout)


def importtime(statement: str) -> float:
    """Return the milliseconds of all that `statement` imported, not counting what Python imports at its start."""
    command = [sys.executable, "-X", "importtime", "-c", f"import sys; sys.stderr.write('MARK\\n'); {statement}"]
    text = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=True).stderr.partition("MARK\n")[2]
    return sum(int(line.split("|")[0].removeprefix("import time:")) for line in text.splitlines() if "|" in line) / 1000


def whole(code: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return (time.perf_counter() - began) * 1000


def heavy(statement: str) -> list[str]:
    code = f"import sys; {statement}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True).stdout
    return [name for name in HEAVY if name in loaded.split()]


def run(quick: bool) -> Result:
    rounds = 5 if quick else 25
    times: dict[str, list[tuple[float, float, float]]] = {statement: [] for statement in STATEMENTS}
    empty = []
    for _ in range(rounds):
        empty.append(whole("pass"))
        for statement, taken in times.items():
            taken.append((clock(statement), importtime(statement), whole(statement)))
    start = statistics.median(empty)
    rows: list[dict[str, Cell]] = []
    for statement, taken in times.items():
        own, told, process = (round(statistics.median(column), 1) for column in zip(*taken, strict=True))
        rows.append({"what": statement, "own clock ms": own, "worst ms": round(max(t[0] for t in taken), 1),
                     "importtime ms": told, "whole process ms": round(process - start, 1)})  # fmt: skip
    found = heavy("import hostcore") + heavy("from hostcore import ModuleSystem")
    none = Budget(
        "import hostcore imports neither wasmtime nor stevedore", "none", ", ".join(found) or "none", not found
    )
    return Result(
        rows=rows,
        budgets=[
            at_most("import hostcore", float(rows[0]["own clock ms"] or 0), 60, "ms"),
            none,
        ],
    )


if __name__ == "__main__":
    main(run)
