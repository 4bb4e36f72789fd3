"""What a hostile module would try, and what an honest one must be able to do: one function each.

They run in a confined process.  `w` is the world around it: paths, ports and process numbers, as `caging` makes them.
What a function returns is the outcome; what it raises too.  Nothing here may do harm if it gets through, since the same
is tried without a sandbox as well.
"""

from __future__ import annotations

from types import ModuleType

from worker.sandbox.attempts import bombs, files, network, processes, rare

HOMES: tuple[ModuleType, ...] = (files, processes, network, rare, bombs)


def find(name: str):
    """Return an attempt by its name."""
    return next(vars(home)[name] for home in HOMES if name in vars(home))
