"""Coming to an end: work that a cancellation must not stop half-way."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

T = TypeVar("T")


async def to_its_end(work: Awaitable[T]) -> T:
    """Await `work`; a cancellation in between takes effect when it has ended."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await wait_out(task)
        raise


async def wait_out(task: asyncio.Future[Any]) -> None:
    """Wait until `task` has ended, after a cancellation: further ones change nothing, and what it raises is dropped."""
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            continue
    if not task.cancelled():
        task.exception()  # looked at: nobody else will, and the event loop would complain
