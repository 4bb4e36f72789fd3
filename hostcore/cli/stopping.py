"""Stopping a host by signal.

The first SIGINT, SIGTERM or SIGHUP asks the host to stop.  Its handler also gives the signals back to the kernel, so a
second one ends the process on the spot, even while a module holds the interpreter in C code.  Nothing then needs
cleaning up that the next host would not do: the lock goes with the process, and a socket left behind is replaced.
"""

from __future__ import annotations

import asyncio
import signal
import types

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stop:
    """A request to stop, by signal or by `ask`; made in the main thread, before the event loop.

    Attributes:
        asked: Whether it was made.
    """

    def __init__(self) -> None:
        self.asked = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._event: asyncio.Event | None = None
        self._before = {number: signal.getsignal(number) for number in SIGNALS}
        for number, handler in self._before.items():
            if number != signal.SIGHUP or handler is not signal.SIG_IGN:  # ignored: started by `nohup`
                signal.signal(number, self._signalled)

    def _signalled(self, number: int, frame: types.FrameType | None) -> None:
        for each in SIGNALS:
            if signal.getsignal(each) == self._signalled:
                signal.signal(each, signal.SIG_DFL)
        self.ask()

    def ask(self) -> None:
        """Ask the host to stop.  A second call does nothing."""
        self.asked = True
        if self._loop is not None and self._event is not None:
            self._loop.call_soon_threadsafe(self._event.set)

    async def wait(self) -> None:
        """Wait until somebody asks."""
        self._loop, self._event = asyncio.get_running_loop(), asyncio.Event()
        if self.asked:
            return
        await self._event.wait()

    def close(self) -> None:
        """Give the signals back to whoever had them."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
