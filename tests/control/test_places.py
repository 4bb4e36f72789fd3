"""Where the control socket is, and that one host at a time has it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import stat
import subprocess
import sys
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest
from support.distributions import libraries

from hostcore.config import runtime_dir
from hostcore.control.client import Client
from hostcore.control.places import Claim, check_directory, socket_path
from hostcore.errors import ControlError, NoHostError


@pytest.fixture
def claim():
    claim = Claim("dev")
    yield claim
    claim.release()


def test_the_files_are_the_users_alone(claim):
    """The directory has mode 0700, the socket 0600."""
    claim.listen().close()
    assert stat.S_IMODE(runtime_dir().stat().st_mode) == 0o700
    assert stat.S_IMODE(claim.path.stat().st_mode) == 0o600
    assert claim.path == socket_path("dev")


def test_a_second_claim_names_the_first_ones_process(claim):
    """Who claims a name that another host has is told that host's pid."""
    with pytest.raises(ControlError) as caught:
        Claim("dev")
    assert caught.value.problems[0].code == "HC916"
    assert f"pid {os.getpid()}" in caught.value.message
    assert f"kill {os.getpid()}" in caught.value.hint


def test_hosts_of_other_names_are_not_in_the_way(claim):
    """Each name has a claim of its own."""
    Claim("other").release()


def test_a_released_name_can_be_claimed_again():
    """After `release` the socket is gone and the name free; a second release does nothing."""
    first = Claim("dev")
    first.listen().close()
    first.release()
    first.release()
    assert not first.path.exists()
    Claim("dev").release()


def test_a_late_release_leaves_the_next_hosts_socket():
    """Who has released the name no longer removes the socket that is there."""
    first = Claim("dev")
    first.release()
    second = Claim("dev")
    second.listen().close()
    first.withdraw()
    first.release()
    assert second.path.exists()
    second.release()


def test_a_withdrawn_name_is_still_held(claim):
    """A host that is stopping has no socket any more, and its name is not free yet."""
    claim.listen().close()
    claim.withdraw()
    assert not claim.path.exists()
    with pytest.raises(ControlError, match="running already"):
        Claim("dev")


def test_a_stale_socket_is_replaced(claim):
    """A socket that a dead host left behind is in nobody's way."""
    with socket.socket(socket.AF_UNIX) as old:
        old.bind(str(claim.path))
    with pytest.raises(NoHostError):
        Client("dev", claim.path).call("host.info")
    with claim.listen() as listener, socket.socket(socket.AF_UNIX) as client:
        client.connect(str(claim.path))
        assert listener.getsockname() == str(claim.path)


@pytest.mark.parametrize("make", [Path.touch, Path.mkdir], ids=["file", "directory"])
def test_what_is_no_socket_is_not_removed(claim, make):
    """A file or directory in the socket's place is reported, and stays."""
    make(claim.path)
    with pytest.raises(ControlError, match="no socket") as caught:
        claim.listen()
    assert caught.value.hint == "remove it"
    claim.release()
    assert claim.path.exists()


def test_a_directory_that_others_can_write_to_is_refused():
    """Where others could put a socket of their own no host listens, and no client asks."""
    runtime_dir().mkdir(parents=True)
    runtime_dir().chmod(0o777)
    with pytest.raises(ControlError) as caught:
        Claim("dev")
    assert caught.value.problems[0].code == "HC917"
    assert caught.value.hint == f"chmod 700 {runtime_dir()}"
    with pytest.raises(ControlError) as caught:
        Client("dev", socket_path("dev")).call("host.info")
    assert caught.value.problems[0].code == "HC917"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_another_users_directory_is_refused():
    """A directory of another user is refused, whatever its mode."""
    runtime_dir().mkdir(mode=0o700, parents=True)
    os.chown(runtime_dir(), 12345, 12345)
    with pytest.raises(ControlError, match=r"another user \(uid 12345, yours is 0\)"):
        Claim("dev")


def test_a_file_instead_of_a_directory_is_reported():
    """A file where the runtime directory belongs is named, with what to set."""
    runtime_dir().touch()
    with pytest.raises(ControlError, match="cannot be used") as caught:
        Claim("dev")
    assert "HOSTCORE_RUNTIME_DIR" in caught.value.hint
    with pytest.raises(ControlError, match="not a directory"):
        check_directory(runtime_dir())


def test_a_lock_that_is_a_link_is_not_followed(tmp_path):
    """A symbolic link in the lock file's place is refused: it could lead anywhere."""
    runtime_dir().mkdir(mode=0o700, parents=True)
    (runtime_dir() / "dev.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ControlError):
        Claim("dev")
    assert not (tmp_path / "elsewhere").exists()


def test_a_path_that_is_too_long_is_refused(monkeypatch):
    """A socket's path that the system cannot take is refused with what to do, not cut off."""
    monkeypatch.setenv("HOSTCORE_RUNTIME_DIR", "/tmp/" + "x" * 100)
    with pytest.raises(ControlError, match="longer than") as caught:
        socket_path("default")
    assert "HOSTCORE_RUNTIME_DIR" in caught.value.hint


def test_a_killed_process_lets_go_of_its_name():
    """After kill -9 the next host has the name at once."""
    code = "from hostcore.control.places import Claim; c = Claim('dev'); c.listen(); print('.', flush=True); input()"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(libraries())}
    with subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b".\n"
        with pytest.raises(ControlError, match=f"pid {process.pid}"):
            Claim("dev")
        process.send_signal(signal.SIGKILL)
        process.wait()
    claim = Claim("dev")
    claim.listen().close()
    claim.release()


def _nap(ready: Event, gate: Event) -> None:
    ready.set()
    gate.wait(30)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("killed", [False, True])
def test_a_forked_child_does_not_hold_the_name(killed):
    """A child that a module forked, and that outlives its host, does not keep the next host from starting."""
    context = multiprocessing.get_context("fork")
    ready, gate = context.Event(), context.Event()
    claim = Claim("dev")
    child = context.Process(target=_nap, args=(ready, gate))
    child.start()
    if killed:
        assert ready.wait(30)
        claim.close()  # all that the kernel does for a process that is killed
    else:
        claim.release()
    try:
        Claim("dev").release()
    finally:
        gate.set()
        child.join()
