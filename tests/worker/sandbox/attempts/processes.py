"""What a module does to other processes, and with some of its own."""

from __future__ import annotations

import ctypes
import fcntl
import os
import resource
import signal
import socket
import struct
import subprocess
import threading
from pathlib import Path

from worker.sandbox.attempts.calling import World, call


def fork(w: World):
    child = os.fork()
    if not child:
        os._exit(0)
    return os.waitpid(child, 0)[1]


def vfork(w: World):
    if os.uname().machine == "x86_64":
        # A child of vfork shares the stack: ended by the same raw call that made it.
        call("vfork") or os._exit(0)
    else:
        fork(w)


def posix_spawn(w: World):
    return os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)[1]


def run_a_program(w: World):
    return subprocess.run(["/bin/true"]).returncode


def replace_itself(w: World):
    os.execv("/bin/true", ["true"])


def run_from_memory(w: World):
    descriptor = os.memfd_create("x")
    os.write(descriptor, Path(w["data"], "run-me").read_bytes())
    os.execve(descriptor, ["true"], {})


def run_the_loader(w: World):
    loader = next(Path("/lib64" if os.path.exists("/lib64") else "/lib").glob("ld-linux*"))
    os.execv(loader, [str(loader), "--version"])


def clone_with_hidden_flags(w: World):
    call("clone3", 0, 0)


def start_a_thread(w: World):
    thread = threading.Thread(target=lambda: None)
    thread.start()
    thread.join()


def signal_host(w: World):
    os.kill(w["host"], 0)


def signal_everybody(w: World):
    os.kill(-1, 0)


def signal_thread_of_host(w: World):
    call("tgkill", w["host"], w["host"], 0)


def queue_signal_to_host(w: World):
    call("rt_sigqueueinfo", w["host"], 0, ctypes.create_string_buffer(128))


def signal_host_by_descriptor(w: World):
    signal.pidfd_send_signal(os.pidfd_open(w["host"]), 0)


def have_host_signalled(w: World):
    a, _ = socket.socketpair()
    fcntl.fcntl(a, fcntl.F_SETOWN, w["host"])


def have_host_signalled_by_command(w: World):
    a, _ = socket.socketpair()
    fcntl.ioctl(a, 0x8901, struct.pack("i", w["host"]))


def signal_itself(w: World):
    got = []
    signal.signal(signal.SIGUSR1, lambda *_: got.append(1))
    os.kill(os.getpid(), signal.SIGUSR1)
    signal.raise_signal(signal.SIGUSR1)
    signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
    return len(got)


def trace_host(w: World):
    call("ptrace", 0x4206, w["host"], 0, 0)


def read_host_by_call(w: World):
    call("process_vm_readv", w["host"], 0, 0, 0, 0, 0)


def take_a_file_of_host(w: World):
    call("pidfd_getfd", os.pidfd_open(w["host"]), 0, 0)


def limit_host(w: World):
    resource.prlimit(w["host"], resource.RLIMIT_CORE)


def move_host_to_a_processor(w: World):
    os.sched_setaffinity(w["host"], os.sched_getaffinity(w["host"]))


def slow_host_down(w: World):
    os.setpriority(os.PRIO_PROCESS, w["host"], os.getpriority(os.PRIO_PROCESS, w["host"]))


def raise_priority(w: World):
    os.nice(-1)


def become_another_user(w: World):
    os.setuid(12345)


def raise_a_limit(w: World):
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard + 1, hard + 1))


def leave_the_session(w: World):
    os.setsid()


def leave_the_group(w: World):
    call("setpgid", 0, os.getppid())


def outlive_the_host(w: World):
    call("prctl", 1, 0, 0, 0, 0)


def become_dumpable(w: World):
    call("prctl", 4, 1, 0, 0, 0)


def run_a_shell(w: World):
    return subprocess.run(["sh", "-c", "echo $((6 * 7))"], capture_output=True, text=True, check=True).stdout.strip()


def run_from_data(w: World):
    path = Path(w["data"], "run-me")
    return subprocess.run([str(path)]).returncode


def read_secret_by_a_program(w: World):
    return subprocess.run(["cat", w["secret"]], stderr=subprocess.DEVNULL).returncode


def signal_host_by_a_program(w: World):
    return subprocess.run(["kill", "-0", str(w["host"])], stderr=subprocess.DEVNULL, shell=False).returncode


def daemonise(w: World):
    return subprocess.run(["true"], start_new_session=True).returncode


def make_namespaces_with_a_child(w: World):
    call("clone", 0x10000000 | signal.SIGCHLD, 0, 0, 0, 0) or os._exit(0)


def thread_then_confine(w: World):
    from hostcore.hosts.worker.sandbox.cage import Cage
    from hostcore.hosts.worker.sandbox.confining import confine

    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    try:
        confine(Cage())
    finally:
        stop.set()
        thread.join()
