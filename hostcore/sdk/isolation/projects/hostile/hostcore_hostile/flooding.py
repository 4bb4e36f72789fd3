"""Acts that are too much of what is allowed."""

from __future__ import annotations

import os
from typing import Any

from .trying import Stage

_MEGABYTE = 1024**2


def flood_log(stage: Stage) -> None:
    """Log as fast as it can."""
    for number in range(30_000):
        stage.context.log.warning("line %d of a flood", number)


def flood_stdout(stage: Stage) -> None:
    """Write without an end of line."""
    block = b"x" * _MEGABYTE
    for _ in range(48):
        os.write(1, block)


def flood_lines(stage: Stage) -> None:
    """Write short lines."""
    block = b"flood\n" * (_MEGABYTE // 6)
    for _ in range(16):
        os.write(2, block)


def flood_messages(stage: Stage) -> None:
    """Send another module more messages than it can handle."""
    for number in range(5_000):
        stage.context.send(stage.facts["target"], {"number": number}, topic="flood")


async def flood_requests(stage: Stage) -> int:
    """Ask another module for thousands of things at once."""
    import asyncio

    asked = [
        asyncio.ensure_future(stage.context.request(stage.facts["target"], {"number": number}, topic="flood"))
        for number in range(2_000)
    ]
    done = await asyncio.gather(*asked, return_exceptions=True)
    return len(done)


def flood_publish(stage: Stage) -> None:
    """Publish to a topic that others listen to."""
    for number in range(5_000):
        stage.context.publish("flood.publish", {"number": number})


def flood_reply(stage: Stage) -> Any:
    """Reply with more than a message may hold."""
    return b"x" * (32 * _MEGABYTE)


def flood_deep(stage: Stage) -> Any:
    """Reply with data that is nested too deep to be read."""
    deep: list[Any] = []
    for _ in range(200_000):
        deep = [deep]
    return deep


def escapes(stage: Stage) -> None:
    """Write what a terminal would obey: a new title, a cleared screen, a line over another."""
    evil = "\x1b]0;owned\x07\x1b[2J\x1b[31m\rroot# \x9b1;1H \u202egnp.exe"
    stage.context.log.warning("escapes %s", evil)
    os.write(1, f"escapes {evil}\n".encode())
    os.write(2, b"escapes \x1b[2J\xff\xfe\x00\n")
