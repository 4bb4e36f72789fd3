"""Run attempts in confined processes: a small process with one thread, run as a script, forks one for each.

So it is as in the product: what is confined was forked from a warm process that has all imported.  A request is a line
of JSON on its standard input, the answer a line on its standard output.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[3]
PATIENCE = 30


class Outcome(NamedTuple):
    """How an attempt ended: what it returned, the error it raised, or the status of a process that died of it."""

    result: Any
    error: str
    status: int
    report: dict[str, list[Any]]


class Caging:
    """The process that forks; `channel` is a socket of the host that the attempts can reach."""

    def __init__(self, channel: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(channel)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            pass_fds=[channel], env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])},
        )  # fmt: skip
        self._channel = channel

    def run(self, attempt: str, world: dict[str, Any], cage: dict[str, Any] | None, uid: int | None = None) -> Outcome:
        """Run an attempt as this user, in this cage, or in none at all."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        asked = {"attempt": attempt, "world": {**world, "channel": self._channel}, "cage": cage, "uid": uid}
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        return Outcome(**json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


def main() -> None:
    # Another user may not be able to read these where they are.
    import concurrent.futures.thread  # noqa: F401
    import encodings.idna  # noqa: F401

    from worker.sandbox.attempts import find

    from hostcore.hosts.worker.sandbox.confining import Cage, confine

    for line in sys.stdin:
        asked = json.loads(line)
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            signal.alarm(PATIENCE)
            os.dup2(os.open(os.devnull, os.O_RDWR), 1)
            if asked["uid"] is not None:
                os.setgroups([])
                os.setgid(asked["uid"])
                os.setuid(asked["uid"])
            report = confine(Cage(**asked["cage"])) if asked["cage"] is not None else {}
            answer = {"result": None, "error": "", "status": 0, "report": report}
            os.write(writing, json.dumps(answer).encode() + b"\n")  # in case what follows ends the process
            try:
                answer["result"] = find(asked["attempt"])(asked["world"])
            except OSError as error:
                answer["error"] = errno.errorcode.get(error.errno or 0, type(error).__name__)
            except BaseException as error:
                answer["error"] = type(error).__name__
            os.write(writing, json.dumps(answer).encode() + b"\n")
            os._exit(0)
        os.close(writing)
        with open(reading) as file:
            answers = file.read().splitlines()
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(json.dumps({**json.loads(answers[-1]), "status": status}), flush=True)


if __name__ == "__main__":
    main()
