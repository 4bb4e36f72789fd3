"""What a module asks of the kernel that nobody needs."""

from __future__ import annotations

import errno
import fcntl
from pathlib import Path

from worker.sandbox.attempts.calling import World, call

RARE = (
    "io_uring_setup", "io_uring_enter", "io_uring_register", "bpf", "perf_event_open", "userfaultfd", "keyctl",
    "add_key", "request_key", "mount", "umount2", "pivot_root", "unshare", "setns", "open_tree", "fsopen",
    "init_module", "kexec_load", "personality", "shmget", "msgget", "semget", "mq_open", "kcmp", "syslog",
    "sethostname", "swapon", "clock_settime", "sched_setscheduler", "sched_setattr", "ioprio_set", "move_pages",
    "process_madvise", "memfd_secret", "quotactl", "acct", "open_by_handle_at", "fanotify_init",
)  # fmt: skip


def rare_calls(w: World):
    """Call each with arguments that mean nothing; return those that the kernel looked at."""
    got_through = []
    for name in RARE:
        try:
            call(name, *(-1,) * 6)
        except PermissionError:
            continue
        except OSError as error:
            got_through.append(f"{name} {errno.errorcode[error.errno]}")
        else:
            got_through.append(name)
    return got_through


def a_call_of_the_future(w: World):
    call(999)


def type_into_the_terminal(w: World):
    fcntl.ioctl(0, 0x5412, b"x")


def regain_capabilities(w: World):
    call("unshare", 0x10000000)


def capabilities(w: World):
    lines = dict(
        line.split(":\t") for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("Cap")
    )
    return sorted({int(value, 16) for value in lines.values()})


def interfaces(w: World):
    return Path("/proc/self/net/dev").read_text().count(":")


def call_by_foreign_numbers(w: World):
    call(0x40000000 + 39)  # getpid of x32
