"""Import a written project in the ordinary way and do its exercise: what the modules are compared with.

    python tests/real_packages/plain.py DIRECTORY

It writes DIRECTORY/plain.json.  hostcore is imported first, as it is in the other process, so that both start with
the same part of the standard library; neither reads nor writes a `.pyc` file of the project.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

import hostcore


def flat(value: Any) -> Any:
    """Return a result as JSON would hand it back."""
    return msgspec.json.decode(msgspec.json.encode(value))


async def measure(source: Path) -> dict[str, Any]:
    """Import from `source`; return the milliseconds it took and what the exercise gave."""
    assert hostcore.ModuleSystem  # loads the parts that are imported lazily
    sys.path.insert(0, str(source))
    began = time.perf_counter()
    exercise = importlib.import_module("wrapped").exercise
    took = (time.perf_counter() - began) * 1000
    results = []
    for _ in range(2):
        result = exercise()
        results.append(flat(await result if inspect.isawaitable(result) else result))
    return {"ms": round(took, 1), "results": results}


def main() -> None:
    """Measure the project that the command line names."""
    directory = Path(sys.argv[1])
    outcome = asyncio.run(measure(directory / "src"))
    (directory / "plain.json").write_bytes(msgspec.json.encode(outcome))


if __name__ == "__main__":
    main()
