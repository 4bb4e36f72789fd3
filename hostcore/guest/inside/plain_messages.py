"""The messages of the contract without typed payloads; laid out as `hostcore.contract.messages` in a guest."""

from __future__ import annotations

from hostcore.guest.inside.messages import Message

__all__ = ["Message"]
