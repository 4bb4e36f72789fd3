"""The two seams of a cell: what stands behind it, and who is told what happens in it."""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from hostcore.contract.messages import Envelope
from hostcore.messaging.wire import Reply

if TYPE_CHECKING:
    from hostcore.messaging.cell import Cell


class Instance(Protocol):
    """What stands behind a cell: one running copy of a module, in whatever host.

    `context` is what its hooks run in: it lives and dies with the instance, and nothing of the askers' leaks in.
    """

    context: contextvars.Context

    def start(self, envelope: Envelope) -> Any:
        """Begin to handle a message: the result, or a coroutine that returns it."""
        ...

    def step(self, resume: Callable[[Any], Any], value: Any, deadline: float) -> Any:
        """Call `resume(value)`, a coroutine's `send` or `throw`, under the guard."""
        ...

    def finish(self, envelope: Envelope, result: Any) -> Reply:
        """Encode what the handler returned."""
        ...

    def translate(self, envelope: Envelope, error: BaseException) -> Exception:
        """Return the named error for what the handler raised; it must hold nothing of the module."""
        ...

    def limit(self, envelope: Envelope) -> float:
        """Return the seconds that the message's hook may take."""
        ...


class Observer(Protocol):
    """Who is told what happens in a cell."""

    def failed(self, cell: Cell, envelope: Envelope, error: Exception) -> None:
        """Hear of a handler that raised."""

    def dead(self, envelope: Envelope, reason: str) -> None:
        """Hear of a message that will not be handled."""

    def blocked(self, cell: Cell, envelope: Envelope, seconds: float) -> None:
        """Hear of a handler that held the event loop."""

    def overran(self, cell: Cell, envelope: Envelope, seconds: float) -> None:
        """Hear of a handler that ignores its cancellation."""
