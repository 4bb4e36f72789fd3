"""The process that workers are forked from: it has imported all that they share, and does nothing else.

It has one thread, since only then is a fork safe, and an environment without the host's secrets, since a fork has all
that its parent has.  The host asks over a socket of packets; with each request come the worker's own descriptors.

It is the parent of the workers, so it reaps them and reports how they ended.  Whatever a worker leaves behind, its own
children, is handed to this process by the kernel, and killed.  When the host is gone, so is this process, and when it
is gone, so are the workers: each asks the kernel to be killed with its parent.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import os
import select
import signal
import socket
import sys
from pathlib import Path
from typing import NoReturn

import msgspec

from hostcore.hosts.worker import child
from hostcore.hosts.worker.child import Order

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
PACKET = 1 << 17
"""The most bytes of a request."""
_DESCRIPTORS = 8


def _prctl(option: int, value: int) -> None:
    ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


class Request(msgspec.Struct):
    """Fork a worker; its descriptors come along, in the order of `child.Descriptors`."""

    token: int
    order: Order


class Answer(msgspec.Struct, omit_defaults=True):
    """What the host hears: that all is ready, that a worker was forked (its pidfd comes along), how one ended."""

    ready: bool = False
    token: int = 0
    pid: int = 0
    error: str = ""
    status: int | None = None


_encode = msgspec.msgpack.Encoder().encode
_read_request = msgspec.msgpack.Decoder(Request).decode


def main(control: socket.socket, preload: list[str]) -> NoReturn:
    """Import what workers share, then fork one for each request, until the host is gone."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # a host may block signals, and what it starts inherits that
    for name in preload:
        try:
            importlib.import_module(name)
        except BaseException as exc:  # noqa: BLE001 - whatever its code raises: workers start all the same, only slower
            sys.stderr.write(f"hostcore: worker.preload: {name!r} cannot be imported: {type(exc).__name__}: {exc}\n")
    for stream in (sys.stdout, sys.stderr):
        stream.flush()  # what was printed meanwhile would be printed once more by every worker
    gc.collect()
    gc.freeze()  # what all share is not touched by their collectors, and so stays shared
    try:
        Zygote(control).serve()
    except (BrokenPipeError, ConnectionError):
        os._exit(0)  # the host is gone


class Zygote:
    """Forks and reaps."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._wake, self._woken = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._workers: set[int] = set()

    def serve(self) -> NoReturn:
        """Do what the host asks for, until it is gone."""
        signal.set_wakeup_fd(self._woken, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._control.send(_encode(Answer(ready=True)))
        poller = select.poll()  # and not `select`: descriptors may have numbers that it cannot take
        for descriptor in (self._control.fileno(), self._wake):
            poller.register(descriptor, select.POLLIN)
        while True:
            ready = {descriptor for descriptor, _ in poller.poll()}
            if self._wake in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._wake, 4096)
                self._reap()
            if self._control.fileno() in ready:
                self._answer()

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            if pid in self._workers:
                self._workers.remove(pid)
                self._control.send(_encode(Answer(pid=pid, status=os.waitstatus_to_exitcode(status))))
            self._kill_orphans()  # one that was killed may have left some, too

    def _kill_orphans(self) -> None:
        """Kill what ended workers have started and left; it has become this process's own.

        So has what a worker that still runs has started and let go of.  That has the worker's session, which none can
        leave, and stays.
        """
        try:
            text = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
        except OSError:
            return  # not every kernel tells; a worker that may not start processes has left none
        for pid in map(int, text.split()):
            with contextlib.suppress(ProcessLookupError):
                if pid not in self._workers and os.getsid(pid) not in self._workers:
                    os.kill(pid, signal.SIGKILL)

    def _answer(self) -> None:
        data, descriptors, _, _ = socket.recv_fds(self._control, PACKET, _DESCRIPTORS)
        if not data:
            os._exit(0)
        request = _read_request(data)
        parent = os.getpid()
        try:
            pid = os.fork()
        except OSError as exc:
            self._control.send(_encode(Answer(token=request.token, error=f"it cannot be forked: {exc.strerror}")))
        else:
            if not pid:
                self._become_worker(parent, request.order, descriptors)
            self._workers.add(pid)
            self._announce(request.token, pid)
        for descriptor in descriptors:
            os.close(descriptor)

    def _announce(self, token: int, pid: int) -> None:
        handle = os.pidfd_open(pid)  # it is not reaped before this, so the number is still its own
        try:
            socket.send_fds(self._control, [_encode(Answer(token=token, pid=pid))], [handle])
        finally:
            os.close(handle)

    def _become_worker(self, parent: int, order: Order, descriptors: list[int]) -> NoReturn:
        """Be the worker, in the child; whatever happens, never return into the loop of the parent."""
        try:
            _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:
                os._exit(1)
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.close(self._wake)
            os.close(self._woken)
            self._control.close()
            child.run(order, child.Descriptors(*descriptors))
        except BaseException as exc:  # noqa: BLE001 - also what tries to end it in an orderly way
            sys.stderr.write(f"hostcore: the worker cannot go on: {type(exc).__name__}: {exc}\n")
            sys.stderr.flush()
        finally:
            os._exit(70)
