"""Confine this process: apply each layer in its order, and report what became of it.

A layer that the platform refuses never keeps the others from being applied.  Nothing is raised for it: whoever demands
a level looks at the report, before any of the module's code runs.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Final

from hostcore.hosts.worker.sandbox import kernel, landlock, limits, namespaces, seccomp
from hostcore.hosts.worker.sandbox.cage import LAYERS, Cage, Layer
from hostcore.hosts.worker.sandbox.rules import rules

Report = dict[str, Layer]


def confine(cage: Cage) -> Report:
    """Confine this process for good; return what became of each layer, by its name.

    It must be a process with one thread, freshly forked: a thread that exists already would stay unconfined.

    Raises:
        RuntimeError: It has further threads; nothing was done.
        ValueError: `cage.layers` names one that does not exist; nothing was done.
    """
    unknown = set(cage.layers) - set(LAYERS)
    if unknown:
        raise ValueError(f"no layers of the sandbox: {', '.join(sorted(unknown))}")
    if kernel.LINUX and kernel.status()["Threads"] != 1:
        raise RuntimeError("a process with several threads cannot be confined: those that run already would not be")
    report: Report = {}
    for name in LAYERS:
        report[name] = _applied(name, cage, report) if name in cage.layers else Layer(False, "switched off")
    return report


def _applied(name: str, cage: Cage, report: Report) -> Layer:
    try:
        return Layer(True, _APPLY[name](cage, report))
    except OSError as error:
        return Layer(False, error.strerror or str(error))


def _pdeathsig(_cage: Cage, _report: Report) -> str:
    kernel.prctl(kernel.SET_PDEATHSIG, signal.SIGKILL)
    return "dies with the process that forked it"


def _session(_cage: Cage, _report: Report) -> str:
    if os.getsid(0) != os.getpid():
        os.setsid()
    return "a session and process group of its own"


def _namespaces(_cage: Cage, _report: Report) -> str:
    return namespaces.enter()


def _capabilities(_cage: Cage, _report: Report) -> str:
    return namespaces.drop_capabilities()


def _rlimits(cage: Cage, report: Report) -> str:
    return limits.limit(cage, counts_tasks=report["namespaces"].in_force)


def _undumpable(_cage: Cage, _report: Report) -> str:
    kernel.prctl(kernel.SET_DUMPABLE, 0)
    return "no other process of its user can trace it or read its memory"


def _no_new_privs(_cage: Cage, _report: Report) -> str:
    kernel.prctl(kernel.SET_NO_NEW_PRIVS, 1)
    return "no program gives it more rights"


def _landlock(cage: Cage, _report: Report) -> str:
    return landlock.restrict(cage.read, cage.write, cage.listed, programs=cage.processes)


def _seccomp(cage: Cage, report: Report) -> str:
    # Landlock is asked before this, or not at all: its version does not change.
    held = report["landlock"].in_force and landlock.version() >= landlock.TRUNCATES
    return seccomp.install(rules(processes=cage.processes, shared_memory=cage.shared_memory, truncate=held))


_APPLY: Final[dict[str, Callable[[Cage, Report], str]]] = {
    "pdeathsig": _pdeathsig,
    "session": _session,
    "namespaces": _namespaces,
    "capabilities": _capabilities,
    "rlimits": _rlimits,
    "undumpable": _undumpable,
    "no_new_privs": _no_new_privs,
    "landlock": _landlock,
    "seccomp": _seccomp,
}
