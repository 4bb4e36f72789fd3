"""A module that has nothing to do with any of it, and must go on as if nothing happened."""

from __future__ import annotations

from typing import Any

import hostcore
from hostcore import hookimpl


class Bystander:
    """Answers each request with its token, and tells who has asked for what."""

    def __init__(self) -> None:
        self.senders: dict[str, int] = {}

    @hookimpl
    def initialize(self, context: hostcore.Context) -> None:
        """Listen to what is published."""
        context.subscribe("flood.*")

    @hookimpl
    def handle_message(self, message: hostcore.Message[Any]) -> Any:
        """Reply with the token; take note of the sender."""
        self.senders[message.sender] = self.senders.get(message.sender, 0) + 1
        if message.topic == "senders":
            return self.senders
        payload = message.payload
        return payload.get("token") if isinstance(payload, dict) else None
