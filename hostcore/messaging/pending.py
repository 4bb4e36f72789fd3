"""A reply in waiting.

Most requests are answered before the asker's coroutine gives way even once, so a future is made only when
somebody really waits.  The first outcome counts; later ones are dropped.
"""

from __future__ import annotations

import asyncio
from typing import Any

from hostcore.errors import DeadlineError


class Pending:
    """Where the outcome of one request goes.

    Attributes:
        settled: There is an outcome, or the asker has gone; such a message need not be handled any more.
        value: The outcome, if it came before anybody waited.
        error: The same for an error.
    """

    __slots__ = ("error", "future", "settled", "target", "timeout", "topic", "value")

    def __init__(self, target: str, topic: str, timeout: float) -> None:
        self.settled = False
        self.value: Any = None
        self.error: BaseException | None = None
        self.future: asyncio.Future[Any] | None = None
        self.target = target
        self.topic = topic
        self.timeout = timeout

    def resolve(self, value: Any) -> None:
        """Give the reply."""
        if self.settled:
            return
        self.settled = True
        if self.future is None:
            self.value = value
        elif not self.future.done():
            self.future.set_result(value)

    def fail(self, error: BaseException) -> None:
        """Give an error instead of a reply."""
        if self.settled:
            return
        self.settled = True
        if self.future is None:
            self.error = error
        elif not self.future.done():
            self.future.set_exception(error)

    def expire(self) -> None:
        """Give the error of a passed deadline."""
        self.fail(deadline_error(self.target, self.topic, self.timeout))

    def outcome(self) -> Any:
        """Return the reply, or raise the error, of a settled request that nobody waited for."""
        if self.error is not None:
            error, self.error = self.error, None
            raise error
        return self.value

    async def wait(self, loop: asyncio.AbstractEventLoop) -> Any:
        """Wait for the outcome; if the waiting is cancelled, the message is abandoned but its handler is not."""
        if self.settled:
            return self.outcome()
        self.future = loop.create_future()
        try:
            return await self.future
        finally:
            self.settled = True


def deadline_error(target: str, topic: str, timeout: float) -> DeadlineError:
    """Return the error of a request that was not answered in time."""
    about = f" to {topic!r}" if topic else ""
    return DeadlineError(f"no reply from {target!r}{about} within {timeout:.3g} s")
