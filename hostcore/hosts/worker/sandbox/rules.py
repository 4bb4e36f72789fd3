"""Which system calls a confined worker is refused, and of some only certain uses.

It is a list of what is denied: Python and its libraries use hundreds of calls, and which ones differs with every libc.
Two things keep that from leaking.  A call that is newer than the list is answered as one that the kernel does not
have.  And what needs a capability is denied by its absence too.

The network is refused here at the calls that name an address.  Those that go on with a socket which was handed in are
allowed (`recv`, `send`, `sendmsg`, `shutdown`, `setsockopt`), and so is making a TCP socket, into whose place a handed
one is then put.  A datagram can name its address in `sendmsg`, behind a pointer that a filter cannot follow; so there
are no datagram sockets, nor sockets that could reach another process by a path: only pairs of stream sockets, as event
loops use them.
"""

from __future__ import annotations

import os
from typing import Final, NamedTuple

DENIED: Final[tuple[str, ...]] = (
    # Addresses of the network and of other processes' sockets.
    "connect", "bind", "listen", "accept", "accept4",
    # Other processes' memory, files and signals.
    "ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "process_mrelease", "kcmp", "pidfd_getfd",
    "migrate_pages", "move_pages",
    # Modes, owners, times and attributes of files: Landlock has no rules for them.  So too for watching directories.
    "chmod", "fchmod", "fchmodat", "fchmodat2", "chown", "fchown", "lchown", "fchownat", "setxattr", "lsetxattr",
    "fsetxattr", "setxattrat", "removexattr", "lremovexattr", "fremovexattr", "removexattrat", "utime", "utimes",
    "futimesat", "utimensat", "file_setattr", "inotify_add_watch", "fanotify_init",
    # Files by handle, past all paths.
    "open_by_handle_at", "name_to_handle_at",
    # Mounts, roots and namespaces.
    "mount", "umount2", "pivot_root", "chroot", "move_mount", "open_tree", "open_tree_attr", "fsopen", "fsconfig",
    "fsmount", "fspick", "mount_setattr", "listmount", "statmount", "unshare", "setns",
    # Parts of the kernel that are large, seldom needed, and where most of its faults have been.
    "bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register", "keyctl",
    "add_key", "request_key", "kexec_load", "kexec_file_load", "init_module", "finit_module", "delete_module",
    "create_module", "personality", "modify_ldt", "uselib", "lookup_dcookie", "nfsservctl", "_sysctl",
    "lsm_set_self_attr",
    # The machine.
    "reboot", "swapon", "swapoff", "acct", "quotactl", "quotactl_fd", "syslog", "iopl", "ioperm", "sethostname",
    "setdomainname", "settimeofday", "clock_settime", "adjtimex", "clock_adjtime", "vhangup",
    # More of the processor than its share.
    "setpriority", "sched_setscheduler", "sched_setparam", "sched_setattr", "ioprio_set",
    # Memory that no limit of a process counts.
    "shmget", "msgget", "semget", "mq_open", "memfd_secret",
    # Out of the session by which the host ends it, with all that it started.
    "setsid", "setpgid",
)  # fmt: skip
"""Answered with EPERM, whatever the arguments."""
PROCESSES: Final[tuple[str, ...]] = ("fork", "vfork", "execve", "execveat", "pidfd_send_signal")
"""Denied besides, unless the worker may start processes."""

_THREAD: Final = 0x0001_0000
_NEW_NAMESPACES: Final = 0x7E02_0080
_FAST_OPEN: Final = 0x2000_0000
_KIND: Final = 0xF  # of a socket: the rest of the number is flags
_UNIX, _INET, _INET6 = 1, 2, 10
_STREAM, _SEQPACKET = 1, 5
_TCP: Final = 6
_PDEATHSIG, _DUMPABLE = 1, 4
_SHARED_ANONYMOUS: Final = 0x21
_COMMANDS: Final = (
    0x5412,  # TIOCSTI: type into the terminal
    0x541C,  # TIOCLINUX: paste into it
    0x8901, 0x8902,  # FIOSETOWN, SIOCSPGRP: have signals sent to another process
    0x4008_6602, 0x401C_5820,  # FS_IOC_SETFLAGS, FS_IOC_FSSETXATTR: attributes of files
)  # fmt: skip
_OWNERS: Final = (8, 10, 15, 1026)  # F_SETOWN, F_SETSIG, F_SETOWN_EX; F_NOTIFY: watch a directory


class Check(NamedTuple):
    """One condition on an argument; where it does not hold, the call is denied.

    Attributes:
        argument: Which, from 0.
        values: It is one of these; None: it has none of the bits of `mask`.
        mask: Only these bits are looked at.
        negated: It is none of the values.
        wide: All 64 bits are looked at, as for a pointer, and not only the lower half, as the kernel does for an int.
    """

    argument: int
    values: tuple[int, ...] | None
    mask: int = 0xFFFF_FFFF
    negated: bool = False
    wide: bool = False

    def holds(self, value: int) -> bool:
        """Say whether an argument of this value is allowed: what the filter does, in Python."""
        looked_at = value if self.wide else value & self.mask
        if self.values is None:
            return looked_at == 0
        return (looked_at in self.values) != self.negated


class Rules(NamedTuple):
    """What a filter does.

    Attributes:
        checks: Name -> conditions, of calls that are allowed if all hold.
        denied: Names of calls answered with EPERM.
        absent: Names of calls answered as if the kernel did not have them.
    """

    checks: dict[str, tuple[Check, ...]]
    denied: tuple[str, ...]
    absent: tuple[str, ...]


def rules(*, processes: bool, shared_memory: bool, truncate: bool = True, pid: int | None = None) -> Rules:
    """Return the rules for one worker.

    Args:
        processes: It may start processes.
        shared_memory: It may make files in memory, and maps that others can share.
        truncate: Landlock holds `truncate` to the granted files.
        pid: Its process; None: this one.
    """
    checks = dict(_ALWAYS)
    denied: tuple[str, ...] = DENIED
    if not processes:
        denied += PROCESSES
        checks |= _alone(os.getpid() if pid is None else pid)
    if not truncate:
        denied += ("truncate",)
    absent: tuple[str, ...] = ("clone3",)  # its flags are behind a pointer; libc then uses clone
    if not shared_memory:
        checks["mmap"] = (Check(3, (_SHARED_ANONYMOUS,), _SHARED_ANONYMOUS, negated=True),)
        absent += ("memfd_create",)  # libraries do as on an older kernel
    return Rules(checks, denied, absent)


def _alone(pid: int) -> dict[str, tuple[Check, ...]]:
    """Return the rules of a process that starts no other: threads only, and signals only to itself."""
    itself = (Check(0, (pid,)),)
    signals = dict.fromkeys(("kill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo"), itself)
    if _HAS_GLIBC:  # other libraries send a thread's signals with it
        signals["tkill"] = (Check(0, ()),)
    return signals | {"clone": (Check(0, (_THREAD,), _THREAD), *_ALWAYS["clone"])}


def _glibc() -> bool:
    try:
        return bool(os.confstr("CS_GNU_LIBC_VERSION"))
    except (AttributeError, ValueError, OSError):
        return False


_HAS_GLIBC: Final = _glibc()
_ALWAYS: Final[dict[str, tuple[Check, ...]]] = {
    "sendto": (Check(4, (0,), wide=True), Check(3, None, _FAST_OPEN)),
    "sendmsg": (Check(2, None, _FAST_OPEN),),
    "sendmmsg": (Check(3, None, _FAST_OPEN),),
    "socket": (Check(0, (_INET, _INET6)), Check(1, (_STREAM,), _KIND), Check(2, (0, _TCP))),
    "socketpair": (Check(0, (_UNIX,)), Check(1, (_STREAM, _SEQPACKET), _KIND)),
    "clone": (Check(0, None, _NEW_NAMESPACES & ~0xFF),),  # the lowest byte is the signal at its end
    "ioctl": (Check(1, _COMMANDS, negated=True),),
    "fcntl": (Check(1, _OWNERS, negated=True),),
    "prctl": (Check(0, (_PDEATHSIG, _DUMPABLE), negated=True),),
    "prlimit64": (Check(0, (0,)),),
    "sched_setaffinity": (Check(0, (0,)),),
}
