"""Verify a new copy before anybody else talks to it: its own word on its health, and the probe of its manifest."""

from __future__ import annotations

from hostcore.contract.grants import ALL
from hostcore.contract.messages import Envelope
from hostcore.errors import HookError, HostcoreError, ModuleError
from hostcore.hosts import faults
from hostcore.hosts.base import HostedInstance
from hostcore.messaging.bus import HOST, Sender
from hostcore.messaging.cell import Cell
from hostcore.runtime.parts import Parts
from hostcore.runtime.registry import Copy


async def check_health(copy: Copy, within: float) -> None:
    """Ask `check_health`, if the copy has it.

    Raises:
        HookError: It said no, raised, or overran.
    """
    assert copy.instance is not None
    healthy = await copy.instance.call("check_health", within)
    if healthy is False:
        raise HookError(copy.release.name, "hook 'check_health' returned False: it cannot work", hook="check_health",
                        code="HC314", label=copy.release.label)  # fmt: skip


async def send_probe(parts: Parts, copy: Copy, within: float) -> None:
    """Send the copy the request that its manifest names as a probe, through a cell that nobody else can reach.

    Raises:
        HookError: It did not reply, or otherwise than it should have (HC315).
    """
    probe, name, label = copy.manifest.probe, copy.release.name, copy.release.label
    if probe is None:
        return
    assert copy.instance is not None
    what = f"the probe {probe.topic!r}" if probe.topic else "the probe"
    try:
        reply = await _ask(parts, copy.instance, name, probe.topic, probe.payload, within)
    except HostcoreError as error:
        text = error.traceback if isinstance(error, ModuleError) else ""
        raise HookError(name, f"{what} failed: {error.message}", hook="handle_message", code="HC315", label=label,
                        where=error.problems[0].where, traceback=text) from None  # fmt: skip
    if probe.reply is not None and reply != probe.reply:
        raise HookError(name, f"{what} was answered with {faults.repr_of(reply)}", hook="handle_message", code="HC315",
                        label=label, expected=f"expected: {faults.repr_of(probe.reply)}")  # fmt: skip


async def _ask(parts: Parts, instance: HostedInstance, name: str, topic: str, payload: object, within: float) -> object:
    cell = Cell(name, parts.bus.loop, parts.bus.deadlines, _Silent(), capacity=1, blocked_after=within)
    cell.swap(instance)
    cell.resume()
    try:
        return await parts.bus.ask(Sender(HOST, ALL), cell, payload, topic=topic, timeout=within)
    finally:
        cell.paused += 1
        cell.evict("the probe has ended")
        cell.swap(None)


class _Silent:
    """Hears of everything in a trial cell; the reload's report tells what matters."""

    def failed(self, cell: Cell, envelope: Envelope, error: Exception) -> None:
        """Hear of a handler that raised."""

    def dead(self, envelope: Envelope, reason: str) -> None:
        """Hear of a message that will not be handled."""

    def blocked(self, cell: Cell, envelope: Envelope, seconds: float) -> None:
        """Hear of a handler that held the event loop."""

    def overran(self, cell: Cell, envelope: Envelope, seconds: float) -> None:
        """Hear of a handler that ignores its cancellation."""
