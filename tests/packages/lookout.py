"""A long-running program for tests: answers, one JSON line for each line asked, what it sees installed.

Started as `python lookout.py INDEX_DIRECTORY`.  Each question is a module's name; three discoveries are asked: one
without an index, one with an index, and one that trusts its index at once instead of after two seconds, so that a
test need not wait to see stamps at work.  They must agree.
"""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from hostcore.errors import LoadError
from hostcore.packages import folders
from hostcore.packages.discovery import Discovery
from hostcore.packages.locating import locate


def answer(discovery: Discovery, name: str, settled_after: int) -> dict[str, object]:
    folders.SETTLED_AFTER = settled_after
    try:
        release = locate(discovery.find(name))
    except LoadError as error:
        return {"error": str(error)}
    return msgspec.to_builtins(release)


def main(directory: Path) -> None:
    careful = folders.SETTLED_AFTER
    discoveries = [
        (Discovery(), careful),
        (Discovery(index=directory / "careful.json"), careful),
        (Discovery(index=directory / "trusting.json"), -(1 << 62)),
    ]
    for line in sys.stdin:
        answers = [answer(discovery, line.strip(), settled) for discovery, settled in discoveries]
        assert answers[0] == answers[1] == answers[2], answers
        print(msgspec.json.encode(answers[0]).decode(), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
