"""Namespaces of its own, in which a worker has no network; and no capabilities in them, nor elsewhere.

An ordinary user may make a user namespace, in which it holds every capability, and with these the others: a network
without any interface, System V IPC, a host name.  The capabilities are dropped at once.  Where user namespaces are
refused (in many containers), root may still make the others without one.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from typing import Final

from hostcore.hosts.worker.sandbox import kernel

NEW_UTS: Final = 0x0400_0000
NEW_IPC: Final = 0x0800_0000
NEW_USER: Final = 0x1000_0000
NEW_NET: Final = 0x4000_0000
_OTHERS: Final = NEW_NET | NEW_IPC | NEW_UTS

_NO_CAPABILITIES: Final = ctypes.create_string_buffer(24)
_CAPABILITIES_OF_SELF: Final = ctypes.create_string_buffer(struct.pack("<Ii", 0x2008_0522, 0), 8)


def enter() -> str:
    """Enter new namespaces; say which.

    Raises:
        OSError: The kernel, or its policy, refused.
    """
    uid, gid = os.geteuid(), os.getegid()
    try:
        kernel.unshare(NEW_USER | _OTHERS)
    except OSError as error:
        return _enter_as_root(error)
    # The files below are root's while the process is not dumpable, as it may be after a change of user.
    kernel.prctl(kernel.SET_DUMPABLE, 1)
    _write("/proc/self/setgroups", b"deny")
    _write("/proc/self/uid_map", b"%d %d 1" % (uid, uid))
    _write("/proc/self/gid_map", b"%d %d 1" % (gid, gid))
    return "user, network (none), IPC and host name of its own"


def drop_capabilities() -> str:
    """Give up all capabilities, and the ability to get them back.

    Raises:
        OSError: The kernel refused.
    """
    bounded = _drop_bounding()
    kernel.capset(ctypes.addressof(_CAPABILITIES_OF_SELF), ctypes.addressof(_NO_CAPABILITIES))
    return "no capabilities" if bounded else "no capabilities; a program with some of its own is held by no_new_privs"


def _enter_as_root(refusal: OSError) -> str:
    """Enter what needs no user namespace if one has the privilege."""
    try:
        kernel.unshare(_OTHERS)
    except OSError:
        raise refusal from None
    return f"network (none), IPC and host name of its own; no user namespace: {refusal.strerror}"


def _drop_bounding() -> bool:
    for capability in range(64):
        try:
            kernel.prctl(kernel.DROP_BOUNDING, capability)
        except OSError as error:
            return error.errno == errno.EINVAL  # beyond the last one; else it has none to drop
    return True


def _write(path: str, text: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text)
    finally:
        os.close(descriptor)
