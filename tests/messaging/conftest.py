"""What every messaging test starts from."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio
from messaging.support import World


@pytest_asyncio.fixture
async def world() -> AsyncIterator[World]:
    """A bus with no cells; it is taken down after the test."""
    made = World()
    yield made
    made.close()
