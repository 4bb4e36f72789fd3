"""The message that a handler gets inside a guest.

Topic and payload come with the call.  All else is asked of the host when the handler first wants it, since most never
do and every question costs more than the rest of a call.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from types import GenericAlias
from typing import Any, NamedTuple


class Facts(NamedTuple):
    """What the host knows of a message; see `Message`."""

    id: str
    sender: str
    schema: str
    trace: str
    deadline: float


class Message:
    """What a handler gets.

    Attributes:
        topic: The topic it was sent under, or "".
        payload: Plain data.
    """

    __slots__ = ("_facts", "_look", "payload", "topic")
    __class_getitem__: Any = classmethod(GenericAlias)

    def __init__(self, topic: str, payload: Any, look: Callable[[], Facts]) -> None:
        self.topic = topic
        self.payload = payload
        self._look = look
        self._facts: Facts | None = None

    def __repr__(self) -> str:
        return f"Message(topic={self.topic!r}, payload={self.payload!r})"

    def facts(self) -> Facts:
        """Return what the host knows of the message, asked for once."""
        facts = self._facts
        if facts is None:
            facts = self._facts = self._look()
        return facts

    @property
    def id(self) -> str:
        """Unique in this host."""
        return self.facts().id

    @property
    def sender(self) -> str:
        """The module that sent it; "host" for the program that embeds the system."""
        return self.facts().sender

    @property
    def schema(self) -> str:
        """The "topic/version" of the sender's payload type; "" where it was untyped."""
        return self.facts().schema

    @property
    def trace(self) -> str:
        """The id of the message with which the whole exchange began."""
        return self.facts().trace

    @property
    def deadline(self) -> float:
        """Absolute, in seconds of `time.monotonic()`; infinite where there is none."""
        return self.facts().deadline

    def remaining(self) -> float:
        """Return the seconds left until the deadline, never negative."""
        return max(0.0, self.deadline - time.monotonic())
