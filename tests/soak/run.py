"""Run a soak: random faults over modules of all tiers, with clients that talk to them all the time.

    python tests/soak/run.py [--minutes N] [--seed N] [--json FILE]

The same seed does the same faults to the same modules in the same order.  The exit code is 1 if there was any problem:
a message without an outcome, something that did not end, a complaint of the event loop, something that is left over.
"""

from __future__ import annotations

import argparse
import faulthandler
import random
import signal
import sys
from pathlib import Path

import msgspec

sys.path.insert(0, str(Path(__file__).parents[1]))

from soak.outcome import tables
from soak.soaking import soak


def main() -> int:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(description="Random faults over modules of all tiers, under load.")
    parser.add_argument("--minutes", type=float, default=10.0, help="how long faults are injected (default: 10)")
    parser.add_argument("--faults", type=int, help="end after so many faults instead")
    parser.add_argument("--seed", type=int, help="repeat the faults of another run; by default a new one")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the outcome there")
    options = parser.parse_args()
    seed = random.randrange(10**6) if options.seed is None else options.seed
    print(f"seed {seed}; again: python tests/soak/run.py --seed {seed}", flush=True)
    faulthandler.register(signal.SIGUSR1)  # tells where it is, to who wonders
    seconds = None if options.faults is not None else options.minutes * 60
    outcome = soak(seed, faults=options.faults, seconds=seconds, progress=Progress())
    print(f"\n{tables(outcome)}")
    if options.json is not None:
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(outcome), indent=2) + b"\n")
    return 1 if outcome.problems else 0


class Progress:
    """Shows progress on one line of a terminal; elsewhere every tenth report on a line of its own."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._reports = 0

    def __call__(self, text: str) -> None:
        self._reports += 1
        if self._terminal:
            sys.stderr.write(f"\r\033[K{text[:118]}")
        elif self._reports % 10 == 1:
            sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
