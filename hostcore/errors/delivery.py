"""Errors of messages: the caller has to act."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hostcore.errors.base import HostcoreError


class DeliveryError(HostcoreError):
    """A message could not be delivered or was not answered."""

    code = "HC400"


class UnknownModuleError(DeliveryError, LookupError):
    """No module has that name, and none provides that capability."""

    code = "HC401"


class StoppedError(DeliveryError):
    """The module stopped, or failed, before it handled the message."""

    code = "HC402"


class QuarantinedError(StoppedError):
    """The module crashed again and again, and is not started until somebody revives it."""

    code = "HC407"


class MailboxFullError(DeliveryError):
    """The module's mailbox is full and the sender did not wait."""

    code = "HC403"


class DeadlineError(DeliveryError, TimeoutError):
    """The deadline passed before the reply came."""

    code = "HC404"


class CallCycleError(DeliveryError):
    """The request would wait for a module that waits for the asker; `trail` is the circle."""

    code = "HC405"

    def __init__(self, message: str, *, trail: Sequence[str] = (), **rest: Any) -> None:
        super().__init__(message, **rest)
        self.trail = tuple(trail)


class NetworkError(DeliveryError):
    """What a module asked for over the network did not come: no such host, no connection, a broken reply."""

    code = "HC406"
