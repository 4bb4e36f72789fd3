"""What the bodies of the frames hold, each way: the one place where host and worker must agree.

A worker is of the same hostcore as its host, so there are no versions here; but what it says is checked all the same.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from hostcore.packages.locating import Release

T = TypeVar("T")


class Load(msgspec.Struct, array_like=True):
    """The host's first call: load this release.

    `hosts.base.Job` tells what most fields mean.  `host` is the one that runs the module inside, and `config` its
    configuration; `log_level` is the lowest level that anybody would see.  `environment` is the variables that the
    module was granted: they go to its worker alone, and not by way of the process that all workers are forked from.
    """

    release: Release
    number: int
    limits: dict[str, Any]
    hook_time: float
    load_time: float
    message_limit: int
    third_party: dict[str, tuple[str, ...]]
    state_version: int
    host: str
    kept: bytes
    log_level: int
    granted: list[str]
    observed: bool
    config: dict[str, Any]
    environment: dict[str, str]


class Loaded(msgspec.Struct, array_like=True):
    """Its answer: each hook with its place among several modules', and the arguments that it takes."""

    hooks: dict[str, int]
    arguments: dict[str, list[str]]


class Hook(msgspec.Struct, array_like=True):
    """A call of a lifecycle hook; `arguments` are encoded by themselves."""

    hook: str
    arguments: bytes


class Start(msgspec.Struct, array_like=True):
    """The arguments of `initialize`: what the worker's own context is made from."""

    version: str
    number: int
    config: dict[str, Any]


class Delivered(msgspec.Struct, array_like=True):
    """A message for the module; as `Envelope`, but the deadline is the frame's own."""

    id: str
    sender: str
    topic: str
    schema: str
    payload: bytes
    trace: str
    hook: str


class Asked(msgspec.Struct, array_like=True):
    """What a module asks the bus for; `within` is the id of the message that it is handling, or ""."""

    target: str
    topic: str
    schema: str
    payload: bytes
    within: str


class Invoked(msgspec.Struct, array_like=True):
    """A call of a host service."""

    capability: str
    operation: str
    arguments: bytes


class Crashed(msgspec.Struct, array_like=True):
    """A guest that has died in its worker, as `Crash`; the error is as `carrying` makes it."""

    kind: str
    error: bytes
    hook: str
    topic: str
    message: str


class Line(msgspec.Struct, array_like=True):
    """A line of a log."""

    logger: str
    level: int
    text: str


encode = msgspec.msgpack.Encoder().encode


def reader(kind: type[T]) -> msgspec.msgpack.Decoder[T]:
    """Return what reads bodies of one kind."""
    return msgspec.msgpack.Decoder(kind)


READ_ERRORS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError)
