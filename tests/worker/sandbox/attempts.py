"""What a hostile module would try, and what an honest one must be able to do: one function each.

They run in a confined process.  `w` is the world around it: paths, ports and process numbers, as `caging` makes them.
What a function returns is the outcome; what it raises too.  Nothing here may do harm if it gets through, since the same
is tried without a sandbox as well.
"""

from __future__ import annotations

import _thread
import asyncio
import contextlib
import ctypes
import errno
import fcntl
import mmap
import os
import resource
import signal
import socket
import struct
import subprocess
import threading
from array import array
from pathlib import Path
from typing import Any

from hostcore.hosts.worker.sandbox.seccomp import here

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.syscall.restype = ctypes.c_long
MEGABYTE = 1024**2
World = dict[str, Any]


def call(name: str | int, *arguments: Any) -> int:
    number = here().numbers[name] if isinstance(name, str) else name
    result = LIBC.syscall(ctypes.c_long(number), *(ctypes.c_long(a) if isinstance(a, int) else a for a in arguments))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


# --- files, honestly -------------------------------------------------------------------------------------------------


def read_code(w: World):
    return Path(w["code"], "mod.py").read_text()


def import_more(w: World):
    import colorsys
    import csv  # with a C extension

    return bool(colorsys and csv)


def write_and_read_data(w: World):
    path = Path(w["data"], f"mine-{os.getpid()}")
    path.write_text("x")
    path.rename(path.with_suffix(".new"))
    path.with_suffix(".new").unlink()
    Path(w["data"], f"folder-{os.getpid()}").mkdir()


def move_between_folders(w: World):
    folder = Path(w["data"], f"in-{os.getpid()}")
    folder.mkdir()
    path = Path(w["data"], f"moved-{os.getpid()}")
    path.write_text("x")
    path.rename(folder / "there")


def write_to_the_sink(w: World):
    Path("/dev/null").write_text("x")


def random_numbers(w: World):
    return len(Path("/dev/urandom").open("rb", buffering=0).read(4))


def own_status(w: World):
    return "Threads" in Path("/proc/self/status").read_text()


# --- files, past what was granted ------------------------------------------------------------------------------------


def write_code(w: World):
    Path(w["code"], "mod.py").open("r+").close()


def create_beside_code(w: World):
    Path(w["code"], "new.py").touch()


def read_secret(w: World):
    return Path(w["secret"]).read_text()


def read_by_dots(w: World):
    return Path(w["data"] + "/../other/secret").read_text()


def read_by_symlink(w: World):
    link = Path(w["data"], f"link-{os.getpid()}")
    link.symlink_to(w["secret"])
    return link.read_text()


def read_by_hard_link(w: World):
    link = Path(w["data"], f"hard-{os.getpid()}")
    os.link(w["secret"], link)
    return link.read_text()


def rename_into_data(w: World):
    os.rename(w["decoy"], Path(w["data"], f"got-{os.getpid()}"))


def rename_out_of_data(w: World):
    path = Path(w["data"], f"out-{os.getpid()}")
    path.write_text("x")
    os.rename(path, Path(w["other"], path.name))


def read_by_path_descriptor(w: World):
    descriptor = os.open(w["secret"], os.O_PATH)
    return Path(f"/proc/self/fd/{descriptor}").read_text()


def read_beneath_path_descriptor(w: World):
    descriptor = os.open(w["other"], os.O_PATH)
    return os.read(os.open("secret", os.O_RDONLY, dir_fd=descriptor), 10).decode()


def read_by_proc_root(w: World):
    return Path("/proc/self/root" + w["secret"]).read_text()


def read_by_proc_cwd(w: World):
    os.chdir(w["other"])
    return Path("/proc/self/cwd/secret").read_text()


def reopen_for_writing(w: World):
    descriptor = os.open(w["code"] + "/mod.py", os.O_RDONLY)
    os.close(os.open(f"/proc/self/fd/{descriptor}", os.O_RDWR))


def write_secret(w: World):
    Path(w["secret"]).open("r+").close()


def truncate_secret(w: World):
    os.truncate(w["secret"], 6)


def truncate_at_opening(w: World):
    os.close(os.open(w["decoy"], os.O_RDONLY | os.O_TRUNC))


def unlink_decoy(w: World):
    os.unlink(w["decoy"])


def make_a_folder_outside(w: World):
    os.mkdir(f"{w['other']}/folder-{os.getpid()}")


def make_a_pipe_outside(w: World):
    os.mkfifo(f"{w['other']}/pipe-{os.getpid()}")


def list_outside(w: World):
    return "secret" in os.listdir(w["other"])


def list_root(w: World):
    return "usr" in os.listdir("/")


def read_users(w: World):
    return Path("/etc/passwd").read_text()[:4]


def change_mode(w: World):
    os.chmod(w["secret"], 0o666)


def change_mode_of_descriptor(w: World):
    with Path(w["code"], "mod.py").open() as file:
        os.fchmod(file.fileno(), 0o644)


def change_mode_the_newest_way(w: World):
    call("fchmodat2", -100, os.fsencode(w["secret"]), 0o666, 0)


def change_owner(w: World):
    os.chown(w["secret"], os.getuid(), -1)


def change_times(w: World):
    os.utime(w["secret"])


def set_attribute(w: World):
    os.setxattr(w["secret"], "user.x", b"x")


def watch_a_folder(w: World):
    descriptor = call(LIBC_INOTIFY[os.uname().machine], 0)
    call("inotify_add_watch", descriptor, os.fsencode(w["other"]), 0x100)


LIBC_INOTIFY = {"x86_64": 294, "aarch64": 26}  # inotify_init1


def open_by_handle(w: World):
    handle = ctypes.create_string_buffer(struct.pack("II", 128, 0), 136)
    mount = ctypes.c_int()
    call("name_to_handle_at", -100, os.fsencode(w["secret"]), handle, ctypes.byref(mount), 0)


def make_a_device(w: World):
    os.mknod(f"{w['data']}/null-{os.getpid()}", 0o020666, os.makedev(1, 3))


def read_environment_of_host(w: World):
    return bool(Path(f"/proc/{w['host']}/environ").read_bytes())


def read_memory_of_host(w: World):
    Path(f"/proc/{w['host']}/mem").open("rb").close()


def read_maps_of_host(w: World):
    return bool(Path(f"/proc/{w['host']}/maps").read_bytes())


def list_files_of_host(w: World):
    return bool(os.listdir(f"/proc/{w['host']}/fd"))


def change_root(w: World):
    os.chroot(w["data"])


# --- other processes -------------------------------------------------------------------------------------------------


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


# --- the network -----------------------------------------------------------------------------------------------------


def connect(w: World):
    socket.create_connection(("127.0.0.1", w["tcp"]), 5).close()


def connect_at_the_first_byte(w: World):
    socket.socket().sendto(b"x", 0x20000000, ("127.0.0.1", w["tcp"]))


def connect_at_the_first_message(w: World):
    socket.socket().sendmsg([b"x"], [], 0x20000000, ("127.0.0.1", w["tcp"]))


def listen(w: World):
    socket.create_server(("127.0.0.1", 0)).close()


def listen_without_an_address(w: World):
    socket.socket().listen(1)


def send_a_datagram(w: World):
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", w["udp"]))


def send_a_datagram_as_message(w: World):
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendmsg([b"x"], [], 0, ("127.0.0.1", w["udp"]))


def connect_by_path(w: World):
    socket.socket(socket.AF_UNIX).connect(w["unix"])


def connect_by_abstract_name(w: World):
    socket.socket(socket.AF_UNIX).connect("\0" + w["abstract"])


def send_a_datagram_by_path(w: World):
    a, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    a.sendmsg([b"x"], [], 0, w["unix_datagrams"])


def send_along_a_pair_by_path(w: World):
    a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    a.sendmsg([b"x"], [], 0, w["unix_datagrams"])
    return b.recv(1).decode()  # the address does not count: it goes to the other end


def resolve_a_name(w: World):
    socket.getaddrinfo("localhost", 80)


FAMILIES = (
    "AF_UNIX", "AF_NETLINK", "AF_PACKET", "AF_ALG", "AF_VSOCK", "AF_BLUETOOTH", "AF_CAN", "AF_TIPC", "AF_QIPCRTR",
)  # fmt: skip
INET_KINDS = ((socket.SOCK_RAW, 1), (socket.SOCK_DGRAM, 0), (socket.SOCK_STREAM, 132), (socket.SOCK_STREAM, 262))


def open_other_families(w: World):
    return [name for name in FAMILIES if _opens(getattr(socket, name, None), socket.SOCK_STREAM, 0)] + [
        f"{kind} {protocol}"
        for kind, protocol in INET_KINDS
        if _opens(socket.AF_INET, kind, protocol)
    ]  # fmt: skip


def _opens(family: int | None, kind: int, protocol: int) -> bool:
    if family is None:
        return False
    try:
        socket.socket(family, kind, protocol).close()
    except PermissionError as error:
        return error.errno != errno.EPERM
    except OSError:
        return True  # the kernel itself looked at it
    return True


def use_a_pair(w: World):
    a, b = socket.socketpair()
    a.sendall(b"ping")
    return b.recv(4).decode()


def run_an_event_loop(w: World):
    async def main():
        with contextlib.ExitStack() as stack:
            a, b = socket.socketpair()
            stack.enter_context(a)
            stack.enter_context(b)
            reader, _ = await asyncio.open_connection(sock=a)
            b.sendall(b"ping")
            text = await reader.readexactly(4)
            return (await asyncio.to_thread(lambda: text)).decode()

    return asyncio.run(main())


def use_a_handed_socket(w: World):
    """Put a socket that the host connected into the place of one made here, and do all that a client does with it."""
    channel = socket.socket(fileno=os.dup(w["channel"]))
    mine = socket.socket()
    _, descriptors, _, _ = socket.recv_fds(channel, 16, 1)
    os.dup2(descriptors[0], mine.fileno())
    mine.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    mine.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    port = mine.getpeername()[1]
    mine.send(b"a")
    mine.sendall(b"b")
    mine.sendmsg([b"c"])
    mine.shutdown(socket.SHUT_WR)
    os.close(descriptors[0])
    told = b""
    while more := mine.recv(10):
        told += more
    return [port, told.decode()]


def pass_a_file_to_the_host(w: World):
    channel = socket.socket(fileno=os.dup(w["channel"]))
    descriptor = os.memfd_create("payload")
    os.write(descriptor, b"large")
    socket.send_fds(channel, [b"x"], [descriptor])


# --- the kernel ------------------------------------------------------------------------------------------------------

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


# --- limits ----------------------------------------------------------------------------------------------------------


def open_without_end(w: World):
    kept = []
    while True:
        kept.append(os.dup(0))


def fill_the_disk(w: World):
    with Path(w["data"], f"big-{os.getpid()}").open("wb") as file:
        while True:
            file.write(b"x" * MEGABYTE)


def grow_a_file(w: World):
    with Path(w["data"], f"sparse-{os.getpid()}").open("wb") as file:
        file.truncate(1024**4)


def fill_memory_with_one_block(w: World):
    return len(bytearray(1024**4))


def thread_without_end(w: World):
    """Start threads that wait, until there can be no more; they end with the process."""
    _thread.stack_size(64 * 1024)
    held = _thread.allocate_lock()
    held.acquire()
    for count in range(1000):
        try:
            _thread.start_new_thread(held.acquire, ())
        except (RuntimeError, MemoryError):
            return count
    return "no end"


def spin(w: World):
    while True:
        pass


def _fill(make: Any, size: int) -> float:
    """Return how many megabytes can be had in blocks of this size until there is no more; it lives on after that."""
    kept, got = [], 0
    try:
        while got < 2048 * MEGABYTE:
            kept.append(make(size))
            got += size
    except MemoryError:
        kept.clear()
    except OSError as error:
        if error.errno != errno.ENOMEM:
            raise
        kept.clear()
    bytearray(MEGABYTE)
    return got / MEGABYTE


def fill_with_large_blocks(w: World):
    return _fill(bytes, 256 * 1024)


def fill_with_small_objects(w: World):
    return _fill(lambda size: array("b", bytes(size)), 1024)


def fill_with_private_maps(w: World):
    return _fill(lambda size: mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS), 256 * 1024)


def fill_with_shared_maps(w: World):
    return _fill(lambda size: mmap.mmap(-1, size), 256 * 1024)


def fill_with_threads(w: World):
    """Fill memory from four threads at once; return what all of them had, and their stacks, in megabytes."""
    got = [0.0] * 4
    begin = threading.Barrier(4)
    kept: list[bytes] = []

    def work(place: int) -> None:
        begin.wait()
        with contextlib.suppress(MemoryError):
            while True:
                kept.append(bytes(128 * 1024))
                got[place] += 1 / 8

    threads = [threading.Thread(target=work, args=(place,)) for place in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept.clear()
    return sum(got) + 4 * 2


def memory_files(w: World):
    return os.memfd_create("x") > 0


# --- with processes --------------------------------------------------------------------------------------------------


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


def go_with_landlock_of(w: World):
    """Restrict files as an older kernel can; return whether the secret is still closed, and what was told."""
    from hostcore.hosts.worker.sandbox import kernel, landlock

    kernel.prctl(kernel.SET_NO_NEW_PRIVS, 1)
    told = landlock.restrict([w["code"]], [w["data"]], programs=False, newest=w["newest"])
    write_and_read_data(w)
    try:
        read_secret(w)
    except PermissionError:
        return told
    return "open"
