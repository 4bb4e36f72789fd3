"""The client: what it makes of hosts that answer, refuse, say nonsense or nothing."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostcore.config import runtime_dir
from hostcore.control.client import Client, SilentHostError
from hostcore.control.protocol import RemoteError, decode_reply
from hostcore.errors import ControlError, NoHostError


@pytest.fixture
def answering():
    """Listen on a socket and do with the first connection what the test says; the client for it."""
    threads: list[threading.Thread] = []
    runtime_dir().mkdir(mode=0o700, parents=True)
    path = runtime_dir() / "toy.sock"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(1)

    def start(handle: Callable[[socket.socket], object]) -> Client:
        def work() -> None:
            connection, _ = listener.accept()
            with connection:
                handle(connection)

        threads.append(threading.Thread(target=work))
        threads[0].start()
        return Client("toy", path)

    yield start
    for thread in threads:
        thread.join()
    listener.close()


def test_the_request_is_one_line_of_json(answering):
    """A call sends version, id, method and parameters, and returns the result."""
    seen = []

    def handle(connection):
        seen.append(msgspec.json.decode(connection.makefile("rb").readline()))
        connection.sendall(b'{"id": 1, "res')
        connection.sendall(b'ult": {"x": 2}}\n')

    assert answering(handle).call("modules.info", {"name": "a"}) == {"x": 2}
    assert seen == [{"hostcore": 1, "id": 1, "method": "modules.info", "params": {"name": "a"}}]


def test_an_error_keeps_its_code_and_exit_code(answering):
    """A failure becomes a RemoteError with the very data that the host sent."""
    error = {"type": "DeniedError", "code": "HC601", "exit_code": 12, "text": "HC601 no"}

    def handle(connection):
        connection.makefile("rb").readline()
        connection.sendall(msgspec.json.encode({"id": 1, "error": error}) + b"\n")

    with pytest.raises(RemoteError) as caught:
        answering(handle).call("x")
    assert caught.value.as_data() == error
    assert str(caught.value) == "HC601 no"


def test_no_socket_means_no_host():
    """Without a socket the error says how to start a host of that name."""
    with pytest.raises(NoHostError) as caught:
        Client("dev", runtime_dir() / "dev.sock").call("host.info")
    assert caught.value.as_data()["exit_code"] == 13
    assert caught.value.hint == "start one: hostcore run --name dev"
    assert caught.value.problems[0].where.endswith("dev.sock")


def test_a_host_that_says_nothing_is_given_up_on(answering):
    """A host that does not answer in time is reported as such, and as no other error."""
    gate = threading.Event()
    client = answering(lambda connection: gate.wait(30))
    with pytest.raises(SilentHostError, match=r"did not answer 'host\.info' within 0\.05 s"):
        client.call("host.info", timeout=0.05)
    gate.set()


def test_a_host_that_hangs_up_is_reported(answering):
    """A connection that closes before the answer is an error that says so."""
    client = answering(lambda connection: connection.makefile("rb").readline())
    with pytest.raises(ControlError, match="closed the connection before it answered"):
        client.call("host.info")


def test_a_host_that_refuses_a_long_request_is_heard(answering):
    """A host may say what is wrong and close before it has read everything; the client still tells it."""

    def handle(connection):
        connection.sendall(b'{"id": null, "error": {"text": "too long", "exit_code": 1}}\n')

    with pytest.raises(ControlError):
        answering(handle).call("x", {"payload": "x" * 10_000_000})


@pytest.mark.parametrize("reply", [b"hello\n", b"[]\n", b"{}\n", b'{"error": 3}\n', b"\xff\n", b"[" * 10000 + b"\n"])
def test_nonsense_is_refused(answering, reply):
    """What is no reply of the protocol is an error that says so."""

    def handle(connection):
        connection.makefile("rb").readline()
        connection.sendall(reply)

    with pytest.raises(ControlError, match="not one of hostcore's"):
        answering(handle).call("x")


@given(st.binary(max_size=200) | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(msgspec.json.encode))
def test_any_line_is_a_reply_or_an_error(line):
    """Whatever a line holds, decoding returns a result or raises ControlError."""
    try:
        decode_reply(line)
    except ControlError:
        pass


def test_parameters_that_are_no_data_are_refused():
    """Parameters that JSON cannot say are refused before anything is sent."""
    with pytest.raises(ControlError, match="cannot be written as JSON"):
        Client("x", Path("/nowhere")).call("x", {"payload": object()})


@pytest.mark.parametrize("name", ["x" * 150, "file/x.sock"])
def test_a_path_that_cannot_be_used_is_an_error(tmp_path, name):
    """A path that cannot be a socket's is reported, not passed through as an OSError."""
    (tmp_path / "file").touch()
    with pytest.raises(ControlError):
        Client("x", tmp_path / name).call("host.info")
