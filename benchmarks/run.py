"""Run the benchmarks, each subject in a process of its own, and write results/*.json and RESULTS.md.

    python benchmarks/run.py [--quick] [--out DIRECTORY | --update] [SUBJECT ...]

A quick run, or one of some subjects only, is printed and not written unless `--out` says where, or `--update` that the
other subjects' results are to be kept.  Curves are drawn into docs/images/, with `--out` into images/ there.
The exit code is 0 unless a benchmark could not run: whether a budget is met is information.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec
from drawing import draw
from harness import Cell, Result

HERE = Path(__file__).parent
PICTURES = HERE.parent / "docs" / "images"
SUBJECTS = (
    "request", "clients", "throughput", "modules", "discovery", "importing", "reload", "memory", "soak", "faults",
    "guard", "policy", "worker_calls", "worker_life", "isolation", "wasm_calls", "wasm_many", "wasm_loading",
    "wasm_spin", "wasm_memory", "wasm_reload",
)  # fmt: skip
LIBRARIES = ("hostcore", "msgspec", "pluggy", "pykka", "stevedore", "importlib-metadata", "wasmtime", "extism")


def cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def memory_gb() -> str:
    try:
        return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.1f} GB"
    except (ValueError, OSError):
        return "unknown"


def library(name: str) -> str:
    try:
        return f"{name} {version(name)}"
    except PackageNotFoundError:
        return f"{name} missing"


def machine() -> dict[str, str]:
    """Return what the figures depend on."""
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "CPU": cpu_model(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": memory_gb(),
        "system": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}, {platform.python_compiler()}",
        "libraries": ", ".join(map(library, LIBRARIES)),
        "load average at the start": " ".join(f"{load:.2f}" for load in os.getloadavg()),
    }


def circumstances() -> str:
    """Return when a subject is measured, and what changes from one to the next."""
    facts = machine()
    return f"{facts['date']}, {facts['Python'].partition(',')[0]}, load average {facts['load average at the start']}"


def run(subject: str, quick: bool) -> Result:
    """Run one subject in a process of its own and return its result."""
    measured = circumstances()
    command = [sys.executable, str(HERE / f"{subject}.py"), *(["--quick"] if quick else [])]
    done = subprocess.run(command, stdout=subprocess.PIPE)
    if done.returncode:
        return Result(subject=subject, title=subject, error=f"ended with exit code {done.returncode}")
    result = msgspec.json.decode(done.stdout, type=Result)
    result.measured = measured
    return result


def with_earlier(results: list[Result]) -> list[Result]:
    """Return `results`, and of the subjects that were not run those that were written before."""
    known = {result.subject: result for result in results}
    for path in (HERE / "results").glob("*.json"):
        if path.stem in SUBJECTS and path.stem not in known:
            known[path.stem] = msgspec.json.decode(path.read_bytes(), type=Result)
    return [known[subject] for subject in SUBJECTS if subject in known]


def cell(value: Cell) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:g}"
    return f"{value:,}" if isinstance(value, int) else value or ""


def grid(rows: list[dict[str, Cell]]) -> str:
    """Return `rows` as a Markdown table; columns stand in the order in which they first come."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    lines = ["| " + " | ".join(columns) + " |", "|---|" + "---:|" * (len(columns) - 1)]
    lines += ["| " + " | ".join(cell(row.get(name)) for name in columns) + " |" for row in rows]
    return "\n".join(lines)


def budget_rows(results: list[Result]) -> list[dict[str, Cell]]:
    return [
        {
            "budget": entry.what,
            "limit": entry.limit,
            "measured": entry.measured,
            "met": "yes" if entry.met else "**no**",
        }
        for result in results
        for entry in result.budgets
    ]


def document(facts: dict[str, str], results: list[Result]) -> str:
    """Return the text of RESULTS.md."""
    quick = any(result.quick for result in results)
    parts = [
        "# Results",
        "Written by `python benchmarks/run.py`; read [how it is measured](../docs/benchmarks.md) first.",
    ]
    if quick:
        parts.append("**A quick run: good for seeing that the benchmarks work, not for its figures.**")
    parts.append(grid([{"machine": name, " ": value} for name, value in facts.items()]).replace("---:|", "---|"))
    budgets = budget_rows(results)
    if budgets:
        parts += ["## Budgets", grid(budgets)]
    for result in results:
        parts += [f"## {result.title}", result.about]
        parts.append(f"Measured {result.measured}." if result.measured else "")
        parts.append(grid(result.rows) if not result.error else f"**Failed:** {result.error}.")
    return "\n\n".join(part for part in parts if part) + "\n"


def write(out: Path, facts: dict[str, str], results: list[Result]) -> None:
    """Write each result, the machine's description, RESULTS.md and the pictures into `out`."""
    folder = out / "results"
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in {"machine": facts, **{result.subject: result for result in results}}.items():
        (folder / f"{name}.json").write_bytes(msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n")
    for result in results:
        for name, readings in result.curves.items():
            draw(name, readings, (PICTURES if out == HERE else out / "images") / f"{name}.svg")
    (out / "RESULTS.md").write_text(document(facts, results), "utf-8")
    print(f"\nwritten: {out / 'RESULTS.md'}")


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description="Measure hostcore against its budgets and its peers.")
    parser.add_argument("subjects", nargs="*", metavar="SUBJECT", help=f"which of {', '.join(SUBJECTS)}; none: all")
    parser.add_argument("--quick", action="store_true", help="a fraction of the time: to see that it works")
    parser.add_argument("--out", type=Path, help="where to write; by default here for a full run, else nowhere")
    parser.add_argument("--update", action="store_true", help="write here, and keep what other subjects gave before")
    options = parser.parse_args()
    unknown = [name for name in options.subjects if name not in SUBJECTS]
    if unknown:
        parser.error(f"unknown subject {', '.join(unknown)}; there are {', '.join(SUBJECTS)}")
    facts, results = machine(), []
    for subject in options.subjects or SUBJECTS:
        print(f"{subject} ...", flush=True)
        result = run(subject, options.quick)
        results.append(result)
        print(grid(result.rows) if not result.error else f"failed: {result.error}", flush=True)
    print(f"\n{grid(budget_rows(results))}" if budget_rows(results) else "")
    out = options.out or (None if (options.quick or options.subjects) and not options.update else HERE)
    if options.update:
        results = with_earlier(results)
    if out is not None:
        write(out, facts, results)
    return 1 if any(result.error for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
