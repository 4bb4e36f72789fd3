"""What a host does for its clients: each method of the control protocol, in terms of the system."""

from __future__ import annotations

import asyncio
import os
import platform
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec

from hostcore import __version__
from hostcore.config import state_dir
from hostcore.control import explaining, granting
from hostcore.control.inventory import Inventory, Live
from hostcore.control.protocol import VERSION
from hostcore.control.requests import (
    Call,
    Change,
    Load,
    Named,
    Nothing,
    Perhaps,
    Reload,
    Revive,
    Rollback,
    Send,
    Unload,
    read_parameters,
)
from hostcore.control.server import Method
from hostcore.control.switching import switch
from hostcore.generations import installed
from hostcore.system import ModuleSystem

P = TypeVar("P", bound=msgspec.Struct)


class Methods:
    """The methods of one host.

    Args:
        system: The system that it runs.
        stop: Called when a client asks the host to stop.
        socket: The path of the control socket, to be told.
    """

    def __init__(self, system: ModuleSystem, stop: Callable[[], None], socket: str = "") -> None:
        self._system = system
        self._stop = stop
        self._socket = socket
        self._began = time.monotonic()
        self._switching = asyncio.Lock()  # the list of switches is read, changed and written

    def table(self) -> dict[str, Method]:
        """Return name -> method, as the server wants it."""
        return dict((
            _method("host.info", Nothing, self._host_info),
            _method("host.stop", Nothing, self._host_stop),
            _method("modules.list", Nothing, self._list),
            _method("modules.info", Named, self._info),
            _method("modules.why", Named, self._why),
            _method("modules.load", Load, self._load),
            _method("modules.unload", Unload, self._unload),
            _method("modules.reload", Reload, self._reload),
            _method("modules.rollback", Rollback, self._rollback),
            _method("modules.history", Named, self._history),
            _method("modules.leaks", Named, self._leaks),
            _method("modules.crashes", Perhaps, self._crashes),
            _method("modules.revive", Revive, self._revive),
            _method("modules.enable", Named, self._enable),
            _method("modules.disable", Named, self._disable),
            _method("grants.list", Nothing, self._grants),
            _method("grants.diff", Named, self._diff),
            _method("grants.grant", Change, self._grant),
            _method("grants.revoke", Change, self._revoke),
            _method("grants.refusals", Perhaps, self._refusals),
            _method("modules.call", Call, self._call),
            _method("modules.send", Send, self._send),
        ))  # fmt: skip

    # --- the host ----------------------------------------------------------------------------------------------

    async def _host_info(self, _: Nothing) -> dict[str, Any]:
        system = self._system
        states = Counter(info.state.value for info in system.modules.values())
        return {
            "name": system.config.name, "pid": os.getpid(), "socket": self._socket, "protocol": VERSION,
            "version": __version__, "python": platform.python_version(),
            "uptime_s": round(time.monotonic() - self._began, 3), "modules": dict(states),
            "dead_letters": len(system.dead_letters), "state_dir": str(state_dir(system.config)),
            "autoload": system.config.autoload, "safe_mode": system.config.safe_mode, "generations": installed(),
        }  # fmt: skip

    async def _host_stop(self, _: Nothing) -> dict[str, Any]:
        self._stop()
        return {"stopping": True}

    # --- looking -----------------------------------------------------------------------------------------------

    async def _list(self, _: Nothing) -> dict[str, Any]:
        return {"modules": await self._look(lambda inventory: inventory.rows())}

    async def _info(self, params: Named) -> Any:
        return await self._look(lambda inventory: inventory.details(params.name))

    async def _why(self, params: Named) -> Any:
        return await self._look(lambda inventory: explaining.explain(inventory, params.name))

    async def _look(self, question: Callable[[Inventory], Any]) -> Any:
        """Answer in a thread: reading many manifests would hold the loop."""
        live, system = self._live(), self._system
        return await asyncio.to_thread(
            lambda: question(Inventory(system.config, system.discover(), live, system.policy))
        )

    def _live(self) -> dict[str, Live]:
        found = {}
        for name, info in self._system.modules.items():
            record = self._system.record(name)
            error = record.error.as_data() if record.error is not None else None
            release = record.copy.release if record.copy is not None else None
            plain = msgspec.to_builtins(info)
            plain["source"] = plain["source"] or record.wish.source or ""
            crashes = self._system.crashes(name)
            crash = msgspec.to_builtins(crashes[-1]) if crashes else None
            found[name] = Live(plain, release, error, record.ordered_after, record.on_demand, crash)
        return found

    # --- changing ----------------------------------------------------------------------------------------------

    async def _load(self, params: Load) -> dict[str, Any]:
        info = await self._system.load(
            params.name, source=params.source, isolation=params.isolation, config=params.config, limits=params.limits
        )
        return {"module": info}

    async def _unload(self, params: Unload) -> dict[str, Any]:
        leaks = await self._system.unload(params.name, force=params.force)
        return {"name": params.name, "leaks": leaks}

    async def _reload(self, params: Reload) -> dict[str, Any]:
        report = await self._system.reload(
            params.name, source=params.source, isolation=params.isolation, cascade=params.cascade, state=params.state,
            why=params.why,
        )  # fmt: skip
        return {"report": report}

    async def _rollback(self, params: Rollback) -> dict[str, Any]:
        return {"report": await self._system.rollback(params.name, to=params.to, state=params.state)}

    async def _history(self, params: Named) -> dict[str, Any]:
        kept = [entry.number for entry in self._system.record(params.name).kept] if self._loaded(params.name) else []
        return {"name": params.name, "history": self._system.history(params.name), "kept": kept}

    async def _leaks(self, params: Named) -> dict[str, Any]:
        return {"name": params.name, "generations": await self._system.leaks(params.name)}

    async def _crashes(self, params: Perhaps) -> dict[str, Any]:
        return {"name": params.name, "crashes": self._system.crashes(params.name)}

    async def _revive(self, params: Revive) -> dict[str, Any]:
        return {"report": await self._system.revive(params.name, state=params.state)}

    def _loaded(self, name: str) -> bool:
        return name in self._system.modules

    async def _enable(self, params: Named) -> Any:
        return await self._switch(params.name, True)

    async def _disable(self, params: Named) -> Any:
        return await self._switch(params.name, False)

    async def _switch(self, name: str, on: bool) -> Any:
        async with self._switching:
            return await self._look(lambda inventory: switch(inventory, name, on=on))

    # --- grants ------------------------------------------------------------------------------------------------

    async def _grants(self, _: Nothing) -> Any:
        return await self._look(lambda inventory: granting.listed(inventory, self._system.permits))

    async def _diff(self, params: Named) -> Any:
        return await self._look(lambda inventory: granting.shown(inventory, self._system.permits, params.name))

    async def _grant(self, params: Change) -> Any:
        return await self._system.grant(params.name, params.permissions, digest=params.digest)

    async def _revoke(self, params: Change) -> Any:
        return await self._system.revoke(params.name, params.permissions)

    async def _refusals(self, params: Perhaps) -> Any:
        return {"attempts": self._system.refusals(params.name)}

    # --- messages ----------------------------------------------------------------------------------------------

    async def _call(self, params: Call) -> dict[str, Any]:
        system = self._system
        if params.execute:
            return {"reply": await system.execute(params.target, params.payload, timeout=params.timeout)}
        return {
            "reply": await system.request(params.target, params.payload, topic=params.topic, timeout=params.timeout)
        }

    async def _send(self, params: Send) -> dict[str, Any]:
        await self._system.send(params.target, params.payload, topic=params.topic, timeout=params.timeout)
        return {"sent": True}


def _method(name: str, shape: type[P], work: Callable[[P], Awaitable[Any]]) -> tuple[str, Method]:
    async def call(params: dict[str, Any]) -> Any:
        return await work(read_parameters(params, shape, name))

    return name, call
