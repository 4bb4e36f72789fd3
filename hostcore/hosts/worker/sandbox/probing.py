"""Find out which layers this platform can enforce, by confining a process that does nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Final

from hostcore.hosts.worker.sandbox.cage import LAYERS, Cage, Layer

PATIENCE: Final = 10.0
_ROOT: Final = str(Path(__file__).parents[4])
_CHILD: Final = (
    "import sys; sys.path.append(sys.argv[1]); from hostcore.hosts.worker.sandbox.probing import report; report()"
)


def probe() -> dict[str, Layer]:
    """Return what becomes of each layer here; the caller is not confined.

    It runs a fresh interpreter, since a program with threads cannot fork safely; that takes about a tenth of a second.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _CHILD, _ROOT],
            stdin=subprocess.DEVNULL, capture_output=True, check=True, timeout=PATIENCE, cwd="/",
        )  # fmt: skip
        return {name: Layer(*layer) for name, layer in json.loads(done.stdout).items()}
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        return dict.fromkeys(LAYERS, Layer(False, f"a process to try it in failed: {error}"))


def report() -> None:
    """Confine this process, and print what became of each layer: what the child does."""
    from hostcore.hosts.worker.sandbox.confining import confine

    sys.stdout.write(json.dumps(confine(Cage(memory=64 * 1024**2))))
