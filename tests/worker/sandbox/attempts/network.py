"""What a module does with sockets."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket

from worker.sandbox.attempts.calling import World


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
