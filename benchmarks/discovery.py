"""Finding modules among 50, 500 and 1,000 installed distributions, one in ten of which has a module.

Each figure is the median over fresh processes and counts the scan alone, not the start of Python or the import of
the library, which is shown beside it.  "no index" reads every distribution, "index" what an earlier process left,
"again" is a second scan in the same process: hostcore looks anew each time.  stevedore's scan is its own, cold and
with the cache that an earlier process left.  The whole command `hostcore modules list --json` runs as a user would
run it, with 500 distributions and an index, beside a Python that does nothing.
The files are in the operating system's cache; the distributions come on top of those of this environment.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from harness import Cell, Result, at_most, main, scratch
from sites import install

TITLE = "Discovery"
GROUP = "hostcore.modules"
HOSTCORE = "from hostcore.packages.discovery import Discovery; from pathlib import Path"
INDEX = "Path(os.environ['BENCH_CACHE']) / 'index.msgpack'"
CONTESTANTS = {
    "hostcore, no index": (HOSTCORE, "d = Discovery(index=None)", "d.scan()"),
    "hostcore, index": (HOSTCORE, f"d = Discovery(index={INDEX})", "d.scan()"),
    "hostcore, again": (HOSTCORE, "d = Discovery(index=None); d.scan()", "d.scan()"),
    "importlib.metadata": ("from importlib.metadata import entry_points", "", f"entry_points(group={GROUP!r})"),
    "importlib_metadata": ("from importlib_metadata import entry_points", "", f"entry_points(group={GROUP!r})"),
    "stevedore, cold": (
        "from stevedore._cache import Cache; import tempfile",
        "os.environ['XDG_CACHE_HOME'] = tempfile.mkdtemp(dir=os.environ['BENCH_CACHE']); c = Cache()",
        f"c.get_group_all({GROUP!r})",
    ),
    "stevedore, cached": (  # it does not write its cache where Python itself is installed under /tmp
        "from stevedore._cache import Cache",
        "c = Cache(); c._disable_caching = False",
        f"c.get_group_all({GROUP!r})",
    ),
}
CHILD = """
import os, time
t = time.perf_counter()
{imports}
imported = time.perf_counter() - t
{prepare}
t = time.perf_counter()
{scan}
print((time.perf_counter() - t) * 1000, imported * 1000)
"""


def in_child(name: str, environment: dict[str, str]) -> tuple[float, float]:
    imports, prepare, scan = CONTESTANTS[name]
    code = CHILD.format(imports=imports, prepare=prepare, scan=scan)
    done = subprocess.run([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True, check=True)
    scanned, imported = map(float, done.stdout.split())
    return scanned, imported


def compare(count: int, environment: dict[str, str], rounds: int) -> list[dict[str, Cell]]:
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in CONTESTANTS}
    for name in CONTESTANTS:
        in_child(name, environment)  # leaves the index, the cache, and compiled files
    for _ in range(rounds):
        for name, times in found.items():
            times.append(in_child(name, environment))
    return [
        {
            "what": name,
            "distributions": count,
            "scan ms": round(statistics.median(scan for scan, _ in times), 2),
            "worst ms": round(max(scan for scan, _ in times), 2),
            "import ms": round(statistics.median(imported for _, imported in times), 1),
        }
        for name, times in found.items()
    ]


def whole_command(environment: dict[str, str], rounds: int) -> tuple[list[dict[str, Cell]], float]:
    commands = {
        "hostcore modules list --json": [sys.executable, "-m", "hostcore", "modules", "list", "--json"],
        "python -c pass": [sys.executable, "-c", "pass"],
        "python -c 'entry_points(...)'": [
            sys.executable, "-c", f"from importlib.metadata import entry_points; entry_points(group={GROUP!r})"
        ],
    }  # fmt: skip
    times: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(rounds + 1):
        for name, command in commands.items():
            began = time.perf_counter()
            subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
            if number:  # the first leaves the index and compiled files
                times[name].append((time.perf_counter() - began) * 1000)
    rows: list[dict[str, Cell]] = [
        {"what": name, "distributions": 500, "whole process ms": round(statistics.median(taken), 1),
         "worst ms": round(max(taken), 1)}
        for name, taken in times.items()
    ]  # fmt: skip
    return rows, statistics.median(times["hostcore modules list --json"])


def run(quick: bool) -> Result:
    rounds = 3 if quick else 15
    rows: list[dict[str, Cell]] = []
    with scratch() as folder:
        counts = (50, 500) if quick else (50, 500, 1000)
        for count in counts:
            for number in range(count):
                install(folder / f"site-{count}", number, module=number % 10 == 0)
        time.sleep(2.2)  # a folder that has just changed is not indexed: its time stamps cannot be trusted yet
        for count in counts:
            environment = surroundings(folder, count)
            rows += compare(count, environment, rounds)
        more, command = whole_command(surroundings(folder, 500), rounds)
    return Result(rows=rows + more, budgets=[at_most("hostcore modules list, 500 distributions", command, 150, "ms")])


def surroundings(folder: Path, count: int) -> dict[str, str]:
    """Return the environment of a process that sees the site with `count` distributions, and caches of its own."""
    cache = folder / f"cache-{count}"
    cache.mkdir(exist_ok=True)
    path = os.pathsep.join(filter(None, [str(folder / f"site-{count}"), os.environ.get("PYTHONPATH", "")]))
    places = {"BENCH_CACHE": cache, "XDG_CACHE_HOME": cache, "HOSTCORE_CACHE_DIR": cache / "hostcore",
              "HOSTCORE_STATE_DIR": cache / "state", "HOSTCORE_RUNTIME_DIR": cache / "run"}  # fmt: skip
    return {**os.environ, **{name: str(place) for name, place in places.items()}, "PYTHONPATH": path}


if __name__ == "__main__":
    main(run)
