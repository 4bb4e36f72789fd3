"""What a Python process must be able to read to go on working once it is confined."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

# Libraries and the loader's cache; time zones, languages, certificates; what programs ask of the machine.
_SYSTEM: Final = (
    "/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/local/lib", "/usr/local/lib64",
    "/etc/ld.so.cache", "/usr/share/zoneinfo", "/etc/localtime", "/etc/timezone", "/usr/share/locale",
    "/etc/ssl/certs", "/etc/ssl/cert.pem", "/etc/ssl/openssl.cnf", "/etc/pki/tls/certs", "/etc/pki/tls/cert.pem",
    "/etc/pki/tls/openssl.cnf", "/etc/pki/ca-trust/extracted", "/etc/crypto-policies", "/usr/share/ca-certificates",
    "/etc/mime.types", "/etc/services", "/dev/urandom", "/dev/random",
    "/sys/devices/system/cpu", "/proc/cpuinfo", "/proc/meminfo", "/proc/sys/vm/overcommit_memory",
)  # fmt: skip
_WIDE: Final = (
    "/",
    "/dev",
    "/etc",
    "/home",
    "/opt",
    "/proc",
    "/root",
    "/srv",
    "/sys",
    "/tmp",
    "/usr",
    "/var",
    "/var/tmp",
)
_SHARED_PREFIXES: Final = ("/", "/usr")
_OWN_PACKAGE: Final = str(Path(__file__).parents[3])


def default_read(search: Iterable[str] | None = None) -> tuple[str, ...]:
    """Return the directories and files that a Python worker must read, resolved, none inside another.

    Directories so wide that they would give away a user's own files are left out, wherever they come from: the root,
    a home directory and all above it, and the directory of temporary files.

    Args:
        search: Where it imports from; None: `sys.path`.
    """
    wide = _too_wide()
    found = {os.path.realpath(path) for path in _candidates(sys.path if search is None else search)}
    kept = sorted(path for path in found if path not in wide and _exists(path))
    return tuple(path for path in kept if not any(_inside(path, other) for other in kept))


def without(paths: Iterable[str], private: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what to read instead of `paths`, so that nothing private is below, and what may only be listed for that.

    A directory that something private lies in is replaced by what else is in it: whoever imports from a directory has
    to list it.  What is named that lies in something private itself, is meant.
    """
    hidden = [os.path.realpath(path) for path in private]
    read, listed = [], []
    todo = [os.path.realpath(path) for path in paths]
    while todo:
        path = todo.pop()
        if path in hidden or not any(_inside(other, path) for other in hidden):
            read.append(path)
            continue
        listed.append(path)
        with suppress(OSError):
            # A link gives nothing: what it leads to is below and so has its own place here, or is none of this.
            children = [str(child) for child in Path(path).iterdir() if not child.is_symlink()]
            todo += [child for child in children if child not in hidden]
    return tuple(read), tuple(listed)


def _exists(path: str) -> bool:
    return os.path.exists(path)  # noqa: PTH110 (`Path.exists` raises where the way to it cannot be searched)


def _candidates(search: Iterable[str]) -> Iterator[str]:
    yield from _SYSTEM
    yield _OWN_PACKAGE
    yield from (path for path in search if path)  # "" is wherever the process happens to stand
    yield sys.executable
    for prefix in {sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix}:
        # The system's own prefix holds much else, and its libraries are named above.
        if os.path.realpath(prefix) not in _SHARED_PREFIXES:
            yield prefix


def _too_wide() -> set[str]:
    homes = {os.path.expanduser("~"), os.environ.get("TMPDIR", "/tmp")}  # noqa: PTH111 (a home need not exist)
    wide = {*_WIDE}
    for home in map(os.path.realpath, homes):
        wide |= {home, *map(str, Path(home).parents)}
    return wide


def _inside(path: str, other: str) -> bool:
    return path.startswith(other.rstrip("/") + "/")
