"""What a confined process can still do, and what it cannot: tried for real, by whoever runs the tests and by nobody."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import pytest

from hostcore.hosts.worker.sandbox.cage import LAYERS

pytestmark = pytest.mark.usefixtures("fully")

ALLOWED = {
    "read_code": "secret",
    "write_and_read_data": None,
    "move_between_folders": None,
    "write_to_the_sink": None,
    "random_numbers": 4,
    "own_status": True,
    "start_a_thread": None,
    "signal_itself": 3,
    "use_a_pair": "ping",
    "send_along_a_pair_by_path": "x",
    "run_an_event_loop": "ping",
    "memory_files": True,
}
REFUSED = {
    "write_code": "EACCES",
    "create_beside_code": "EACCES",
    "read_secret": "EACCES",
    "read_by_dots": "EACCES",
    "read_by_symlink": "EACCES",
    "read_by_hard_link": "EXDEV",
    "rename_into_data": "EACCES",
    "rename_out_of_data": "EACCES",
    "read_by_path_descriptor": "EACCES",
    "read_beneath_path_descriptor": "EACCES",
    "read_by_proc_root": "EACCES",
    "read_by_proc_cwd": "EACCES",
    "reopen_for_writing": "EACCES",
    "write_secret": "EACCES",
    "truncate_secret": "EACCES",
    "truncate_at_opening": "EACCES",
    "unlink_decoy": "EACCES",
    "make_a_folder_outside": "EACCES",
    "make_a_pipe_outside": "EACCES",
    "list_outside": "EACCES",
    "list_root": "EACCES",
    "read_users": "EACCES",
    "change_mode": "EPERM",
    "change_mode_of_descriptor": "EPERM",
    "change_mode_the_newest_way": "EPERM",
    "change_owner": "EPERM",
    "change_times": "EPERM",
    "set_attribute": "EPERM",
    "watch_a_folder": "EPERM",
    "open_by_handle": "EPERM",
    "fork": "EPERM",
    "posix_spawn": "EPERM",
    "run_a_program": "EPERM",
    "replace_itself": "EPERM",
    "run_from_memory": "EPERM",
    "run_the_loader": "EPERM",
    "signal_host": "EPERM",
    "signal_thread_of_host": "EPERM",
    "signal_host_by_descriptor": "EPERM",
    "have_host_signalled": "EPERM",
    "have_host_signalled_by_command": "EPERM",
    "limit_host": "EPERM",
    "move_host_to_a_processor": "EPERM",
    "slow_host_down": "EPERM",
    "become_dumpable": "EPERM",
    "outlive_the_host": "EPERM",
    "connect": "EPERM",
    "connect_at_the_first_byte": "EPERM",
    "connect_at_the_first_message": "EPERM",
    "listen": "EPERM",
    "listen_without_an_address": "EPERM",
    "send_a_datagram": "EPERM",
    "send_a_datagram_as_message": "EPERM",
    "connect_by_path": "EPERM",
    "connect_by_abstract_name": "EPERM",
    "send_a_datagram_by_path": "EPERM",
}
REFUSED_ANYWAY = {  # to an ordinary process too, or dangerous to let through: not tried without the sandbox
    "read_environment_of_host": "EACCES",
    "read_memory_of_host": "EACCES",
    "read_maps_of_host": "EACCES",
    "list_files_of_host": "EACCES",
    "make_a_device": "EACCES",
    "change_root": "EPERM",
    "vfork": "EPERM",
    "signal_everybody": "EPERM",
    "queue_signal_to_host": "EPERM",
    "trace_host": "EPERM",
    "read_host_by_call": "EPERM",
    "take_a_file_of_host": "EPERM",
    "raise_priority": "EPERM",
    "raise_a_limit": "ValueError",
    "leave_the_session": "EPERM",
    "leave_the_group": "EPERM",
    "clone_with_hidden_flags": "ENOSYS",
    "a_call_of_the_future": "ENOSYS",
    "type_into_the_terminal": "EPERM",
    "regain_capabilities": "EPERM",
    "resolve_a_name": "gaierror",
}
OWNERS_ONLY = {"signal_host", "signal_thread_of_host", "signal_host_by_descriptor", "limit_host", "slow_host_down",
               "move_host_to_a_processor", "change_mode", "change_mode_of_descriptor", "change_mode_the_newest_way",
               "change_owner", "have_host_signalled"}  # fmt: skip
"""What the host's own user can do unconfined, but nobody else."""
KERNEL_LACKS = {"EOPNOTSUPP", "ENOSYS", "ENOTSUP"}


@pytest.mark.parametrize("attempt", ALLOWED)
def test_what_an_honest_module_needs(caging, world, cage, uid, attempt):
    """A confined process reads and writes what was granted, imports, runs threads and an event loop."""
    done = caging.run(attempt, world, cage, uid)
    assert (done.result, done.error, done.status) == (ALLOWED[attempt], "", 0)


def test_imports_after_the_confinement(caging, world, cage):
    """A confined process imports from the standard library, C extensions too, what was not imported before."""
    assert caging.run("import_more", world, cage).result is True


@pytest.mark.parametrize("attempt", REFUSED)
def test_what_is_refused_to_a_confined_process(caging, world, cage, uid, attempt):
    """A confined process is refused what the same process can do without a sandbox, and lives on."""
    done = caging.run(attempt, world, cage, uid)
    assert (done.error, done.status) == (REFUSED[attempt], 0)


@pytest.mark.parametrize("attempt", REFUSED)
def test_what_is_refused_without_namespaces(caging, world, cage, attempt):
    """Where namespaces cannot be had, the other layers refuse the same."""
    cage["layers"] = [name for name in LAYERS if name != "namespaces"]
    assert caging.run(attempt, world, cage).error == REFUSED[attempt]


@pytest.mark.parametrize(
    ("attempt", "walls"),
    [("read_secret", "landlock"), ("read_by_symlink", "landlock"), ("change_mode", "seccomp"),
     ("open_by_handle", "seccomp"), ("connect", "namespaces landlock seccomp"),
     ("send_a_datagram", "namespaces seccomp"), ("connect_by_path", "seccomp"),
     ("send_a_datagram_by_path", "seccomp"), ("connect_by_abstract_name", "namespaces landlock seccomp"),
     ("signal_host", "landlock seccomp"), ("trace_host", "namespaces landlock seccomp"),
     ("read_memory_of_host", "namespaces landlock"), ("fork", "seccomp"), ("run_a_program", "landlock seccomp")],
)  # fmt: skip
@pytest.mark.parametrize("wall", ["namespaces", "landlock", "seccomp"])
def test_each_wall_by_itself(caging, world, cage, apart, attempt, walls, wall):
    """Each of the three layers refuses by itself what it is for, and the documentation's table says so."""
    cage["layers"] = ["no_new_privs", wall]
    done = caging.run(attempt, world, cage)
    assert bool(done.error) == (wall in walls.split())


@pytest.mark.parametrize("attempt", REFUSED)
def test_the_attempts_work_without_a_sandbox(caging, world, attempt):
    """Each attempt gets through in a process that is not confined: it is the sandbox that refuses it, nothing else."""
    for name in ("secret", "decoy"):
        with open(world[name], "w") as file:
            file.write("secret")
    done = caging.run(attempt, world, None)
    assert done.error in {"", *KERNEL_LACKS}


@pytest.mark.parametrize("attempt", REFUSED_ANYWAY)
def test_what_is_refused_for_several_reasons(caging, world, cage, uid, attempt):
    """A confined process is refused what some ordinary processes are refused as well."""
    done = caging.run(attempt, world, cage, uid)
    assert (done.error, done.status) == (REFUSED_ANYWAY[attempt], 0)


@pytest.mark.parametrize("attempt", ["rare_calls", "open_other_families"])
def test_nothing_of_a_list_gets_through(caging, world, cage, uid, attempt):
    """Of the kernel's rarely needed calls and socket families, none is reached."""
    done = caging.run(attempt, world, cage, uid)
    assert (done.result, done.error) == ([], "")


def test_no_capabilities(caging, world, cage, uid):
    """A confined process has no capabilities of any kind, whether it has a namespace of users or not."""
    assert caging.run("capabilities", world, cage, uid).result == [0]
    if uid is None:
        cage["layers"] = [name for name in LAYERS if name != "namespaces"]
        assert {*caging.run("capabilities", world, cage).result} <= {0, *_bounding()}


def _bounding() -> set[int]:
    """Return what an ordinary user cannot drop, and cannot use either: root has dropped it."""
    if os.geteuid() == 0:
        return set()
    lines = Path("/proc/self/status").read_text().splitlines()
    return {int(line.split()[1], 16) for line in lines if line.startswith("CapBnd")}


def test_no_interfaces(caging, world, cage, uid, apart):
    """The network of a confined process has only a loopback that is down."""
    assert caging.run("interfaces", world, cage, uid).result == 1


def test_becoming_another_user(caging, world, cage, uid):
    """There is no other user in its namespace; without one, it has not the capability."""
    assert caging.run("become_another_user", world, cage, uid).error in {"EINVAL", "EPERM"}


def test_calls_by_foreign_numbers_are_deadly(caging, world, cage):
    """Whoever calls the kernel by the numbers of another interface, which mean something else, is killed."""
    if os.uname().machine != "x86_64":
        pytest.skip("this architecture has no second interface")
    assert caging.run("call_by_foreign_numbers", world, cage).status == -31


def test_a_socket_that_the_host_handed_over(caging, world, cage, uid, channel):
    """A connected socket from the host takes the place of one made inside, and works there like one's own."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        peer, _ = server.accept()
        heard: list[bytes] = []

        def answer() -> None:
            with peer:
                while more := peer.recv(10):
                    heard.append(more)
                peer.sendall(b"pong")

        thread = threading.Thread(target=answer)
        socket.send_fds(channel[0], [b"connected"], [client.fileno()])
        client.close()
        thread.start()
        done = caging.run("use_a_handed_socket", world, cage, uid)
        thread.join()
        assert (done.result, done.error) == ([server.getsockname()[1], "pong"], "")
        assert b"".join(heard) == b"abc"


def test_a_file_that_the_worker_hands_over(caging, world, cage, uid, channel):
    """A confined process can make a file in memory and pass it to its host."""
    done = caging.run("pass_a_file_to_the_host", world, cage, uid)
    assert done.error == ""
    _, descriptors, _, _ = socket.recv_fds(channel[0], 1, 1)
    with os.fdopen(descriptors[0], "rb") as file:
        file.seek(0)
        assert file.read() == b"large"


def test_without_shared_memory(caging, world, cage):
    """Where it is not granted, files in memory are not there, and shared maps refused; private ones are as ever."""
    cage["shared_memory"] = False
    assert caging.run("memory_files", world, cage).error == "ENOSYS"
    assert caging.run("fill_with_shared_maps", world, cage).error == "EPERM"
    assert caging.run("fill_with_private_maps", world, {**cage, "memory": 16 << 20}).result == 16


@pytest.mark.parametrize(
    ("attempt", "result"),
    [("run_a_program", 0), ("run_a_shell", "42"), ("fork", 0), ("posix_spawn", 0),
     ("read_secret_by_a_program", 1), ("start_a_thread", None), ("signal_itself", 3)],
)  # fmt: skip
def test_with_processes_granted(caging, world, cage, uid, attempt, result):
    """A worker that may start processes runs the system's programs, which are confined as it is."""
    done = caging.run(attempt, world, {**cage, "processes": True}, uid)
    assert (done.result, done.error) == (result, "")


@pytest.mark.parametrize(
    ("attempt", "error"),
    [("run_from_data", "EACCES"), ("daemonise", "EPERM"), ("make_namespaces_with_a_child", "EPERM"),
     ("signal_host", "EPERM"), ("connect", "EPERM"), ("read_secret", "EACCES"), ("limit_host", "EPERM")],
)  # fmt: skip
def test_what_processes_do_not_grant(caging, world, cage, uid, attempt, error):
    """What may start processes still runs nothing that it wrote, leaves no session, and reaches nothing more."""
    done = caging.run(attempt, world, {**cage, "processes": True}, uid)
    assert done.error == error
