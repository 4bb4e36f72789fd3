"""A module that has nothing to do with any of it, and must go on as if nothing happened; and one that is aimed at."""

from __future__ import annotations

from typing import Any

import hostcore
from hostcore import hookimpl


class Bystander:
    """Answers each request with its token."""

    @hookimpl
    def handle_message(self, message: hostcore.Message[Any]) -> Any:
        """Reply with the token."""
        return message.payload["token"]


class Target:
    """Takes whatever comes, and tells who it came from."""

    def __init__(self) -> None:
        self.senders: dict[str, int] = {}

    @hookimpl
    def initialize(self, context: hostcore.Context) -> None:
        """Listen to what is published."""
        context.subscribe("flood.*")

    @hookimpl
    def handle_message(self, message: hostcore.Message[Any]) -> Any:
        """Take note of the sender; reply with all of them, if that is asked for."""
        self.senders[message.sender] = self.senders.get(message.sender, 0) + 1
        return self.senders if message.topic == "senders" else None
