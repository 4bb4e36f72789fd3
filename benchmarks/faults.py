"""Ten minutes of random faults over 54 modules of all tiers, with clients that talk to them all the time.

This is `tests/soak/run.py`, in a process of its own: workers are killed, frozen, made to hang, to take memory and to
exit; guests trap; modules raise, are flooded, reloaded to good releases and to failing ones, moved, rolled back,
unloaded and loaded, up to six faults at a time.  Every message is accounted for: each request is answered or fails with
a named error, and what nobody awaits is handled, fails, or is a dead letter.
The bystander is a native module that nothing is done to, asked every 5 ms; its times are from when a request was due.
Native modules are made to hold the event loop for up to 150 ms, and so hold up the bystander too: only workers and
guests cannot.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
from harness import Cell, Result, at_most, main, scratch

TITLE = "Random faults"
SOAK = Path(__file__).parents[1] / "tests" / "soak" / "run.py"
SEED = 1


def rows(outcome: dict[str, Any]) -> list[dict[str, Cell]]:
    found: list[dict[str, Cell]] = []
    for kind, sent in outcome["sent"].items():
        ends = outcome["outcomes"][kind]
        good = ends.get("answered", 0) + ends.get("handled", 0)
        dead = sum(count for name, count in ends.items() if name.startswith("dead letter"))
        lost = ends.get("unanswered", 0) + ends.get("lost", 0) + ends.get("unnamed error", 0)
        gave_up = ends.get("its asker gave up", 0)
        found.append({
            "messages": kind, "sent": sent, "answered or handled": good, "dead letters": dead,
            "given up by their asker": gave_up, "a named error": sum(ends.values()) - good - dead - lost - gave_up,
            "without an outcome": lost,
        })  # fmt: skip
    return found


def run(quick: bool) -> Result:
    with scratch() as folder:
        file = folder / "outcome.json"
        length = ["--faults", "60"] if quick else ["--minutes", "10"]
        command = [sys.executable, str(SOAK), *length, "--seed", str(SEED), "--json", str(file)]
        subprocess.run(command, stdout=sys.stderr, check=False)  # that there were problems is a result
        outcome = msgspec.json.decode(file.read_bytes())
    found = rows(outcome)
    count = sum(outcome["faults"].values())
    figures: dict[str, Cell] = {
        "messages": "all", "faults": count, "crashes": outcome["crashes"], "brought back": outcome["restarts"],
        **{f"bystander {name} ms": value for name, value in outcome["bystander_ms"].items() if name != "asked"},
        "latest end after a deadline, ms": outcome["latest_ms"],
        **{f"MB {when}": value for when, value in outcome["memory_mb"].items()},
    }  # fmt: skip
    lost = sum(int(row["without an outcome"] or 0) for row in found)
    sent = sum(outcome["sent"].values())
    return Result(
        rows=[*found, figures],
        budgets=[
            at_most(f"without an outcome of {sent:,} messages over {count:,} random faults", lost, 0, "messages"),
            at_most("other problems of that soak: hangs, leftovers, complaints", len(outcome["problems"]), 0, ""),
        ],
    )


if __name__ == "__main__":
    main(run)
