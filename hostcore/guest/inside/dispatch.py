"""From a call of the host to a hook of the module and back: JSON in, JSON out, and every failure a `Refused`.

The module's object is made at the first call, not when the guest is built: an instance is each generation's own.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from types import CoroutineType
from typing import Any, Protocol

from hostcore.contract.context import Context, Ports
from hostcore.contract.versions import Capability
from hostcore.errors import CallCycleError, HostcoreError
from hostcore.guest.inside import encoding, logs, surroundings
from hostcore.guest.inside.hooks import Hook, collect, find_object, make_plugin
from hostcore.guest.inside.loop import GuestLoop
from hostcore.guest.inside.messages import Facts, Message
from hostcore.hosts import faults

_DETAILS = 6_000
"""The most characters of a traceback that travel."""


class Refused(Exception):
    """A call that failed: what the host is told."""

    def __init__(self, code: str, message: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = json.dumps(details) if details else None


class Host(Ports, Protocol):
    """What the guest asks its host for."""

    def module(self) -> tuple[str, str, int]:
        """Return the module's name, version and generation."""
        ...

    def look(self) -> Facts:
        """Return what is known of the message in hand."""
        ...

    def log(self, level: int, message: str, fields: str | None) -> None:
        """Log a line; `level` is one of the logging module's."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class Guest:
    """One module inside, from its first call to its last."""

    def __init__(self, module: str, value: str, host: Host) -> None:
        self.module = module
        self._value = value
        self._host = host
        self._look = host.look
        self.loop = GuestLoop(host.sleep)
        self._hooks: dict[str, Hook] | None = None
        self._handle: Callable[[Any], Any] | None = None
        self._context: Context | None = None

    # --- calls of the host, each by the name of its hook -------------------------------------------------------

    def implemented(self) -> list[str]:
        """Return each hook with the arguments that it takes, as in "restore_state(state, from_version)"."""
        return [str(hook) for hook in self._guarded(self._all).values()]

    def initialize(self, config: str) -> None:
        """Call `initialize` with the context; everything is made ready whether the module has that hook or not."""
        self._guarded(self._initialize, config)

    def handle_message(self, topic: str, payload: str) -> str | None:
        """Call `handle_message`; this is the path that must be quick."""
        try:
            handle = self._handle or self._handler()
            message = Message(topic, encoding.decode(payload), self._look)
            result = handle(message)
            if type(result) is CoroutineType:
                result = self.loop.run(result)
            if self.loop.busy:
                self.loop.settle()
            if sys.getrefcount(message) > _ALONE:
                message.facts()  # whoever keeps it may ask later, when the host has another one in hand
        except BaseException as exc:  # noqa: BLE001 - nothing that a module raises may end the guest
            raise refusal(exc) from None
        return None if result is None else self._encoded(result, "the reply of 'handle_message'")

    def execute(self, request: str) -> str:
        """Call `execute`."""
        return self._encoded(self._guarded(self._call, "execute", {"request": request}), "the result of 'execute'")

    def get_capabilities(self) -> list[tuple[str, str]]:
        """Return name and version of what the module says that it provides; nothing where it has no such hook."""
        return self._guarded(self._capabilities)  # type: ignore[no-any-return]

    def get_state(self) -> str:
        """Call `get_state`."""
        return self._encoded(self._guarded(self._run, "get_state", {}), "the result of 'get_state'")

    def restore_state(self, state: str) -> None:
        """Call `restore_state`."""
        self._guarded(self._call, "restore_state", {"state": state})

    def shutdown(self) -> None:
        """Call `shutdown`, where there is one, and cut the context off."""
        self._guarded(self._shutdown)

    def call(self, hook: str, arguments: str) -> str | None:
        """Call any hook by name with a JSON object of arguments."""
        result = self._guarded(self._call_by_name, hook, arguments)
        return None if result is None else self._encoded(result, f"the result of {hook!r}")

    # --- what stands behind them -------------------------------------------------------------------------------

    def _all(self) -> dict[str, Hook]:
        """Return the module's hooks; the first time, make its object."""
        if self._hooks is None:
            surroundings.renew()
            logs.start(self._host.log)
            self.loop.install()
            plugin = make_plugin(self.module, find_object(self.module, self._value), self._value)
            self._hooks = collect(self.module, plugin)
        return self._hooks

    def _handler(self) -> Callable[[Any], Any]:
        self._handle = self._hook("handle_message").function
        return self._handle

    def _hook(self, name: str) -> Hook:
        hook = self._all().get(name)
        if hook is None:
            raise Refused("unimplemented", f"the module has no hook {name!r}")
        return hook

    def _run(self, name: str, argument: Any) -> Any:
        """Call a hook to its end."""
        hook = self._hook(name)
        result = hook.function(argument)
        if type(result) is CoroutineType:
            result = self.loop.run(result)
        if self.loop.busy:
            self.loop.settle()
        return result

    def _call(self, name: str, texts: Mapping[str, str]) -> Any:
        arguments = {key: encoding.decode(text) for key, text in texts.items()}
        return self._run(name, arguments["request"] if name == "execute" else arguments)

    def _initialize(self, config: str) -> None:
        hooks = self._all()
        name, version, generation = self._host.module()
        self.module = name
        self._context = Context(name, version, generation, encoding.arguments_of(config), self._host)
        if "initialize" in hooks:
            self._run("initialize", {"context": self._context})

    def _capabilities(self) -> list[tuple[str, str]]:
        told = self._run("get_capabilities", {}) if "get_capabilities" in self._all() else None
        found = [it if isinstance(it, Capability) else Capability(it) for it in told or ()]
        return [(it.name, str(it.version)) for it in found]

    def _shutdown(self) -> None:
        try:
            if "shutdown" in self._all():
                self._run("shutdown", {})
        finally:
            if self._context is not None:
                self._context.close()
            sys.stdout.flush()

    def _call_by_name(self, hook: str, text: str) -> Any:
        arguments = encoding.arguments_of(text)
        if hook == "get_capabilities" and hook in self._all():
            return [f"{name}/{version}" for name, version in self._capabilities()]
        if hook == "execute":
            return self._run(hook, arguments.get("request"))
        if hook == "handle_message":
            given = arguments.get("message") or {}
            return self._run(hook, Message(given.get("topic", ""), given.get("payload"), self._look))
        if hook == "initialize":
            return self._initialize(encoding.encode(arguments.get("config") or {}))
        return self._shutdown() if hook == "shutdown" else self._run(hook, arguments)

    def _guarded(self, function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return function(*arguments)
        except BaseException as exc:  # noqa: BLE001 - nothing that a module raises may end the guest
            raise refusal(exc) from None

    def _encoded(self, value: Any, what: str) -> str:
        try:
            return encoding.encode(value)
        except encoding.NotDataError as exc:
            raise Refused("invalid-argument", f"{what} cannot be encoded: {exc}") from None
        except BaseException as exc:  # noqa: BLE001 - nothing that a module raises may end the guest
            raise refusal(exc) from None


def refusal(error: BaseException) -> Refused:
    """Return what the host is told of an exception, whatever it is."""
    try:
        return _refusal(error)
    except MemoryError:
        return Refused("memory", "MemoryError")


def _refusal(error: BaseException) -> Refused:
    if isinstance(error, Refused):
        return error
    if isinstance(error, MemoryError):
        return Refused("memory", faults.summary_of(error), {"exception": "MemoryError"})
    if isinstance(error, encoding.NotDataError):
        return Refused("invalid-argument", f"what the host sent cannot be read: {error}")
    text = faults.traceback_of(error)
    details: dict[str, Any] = {"exception": type(error).__name__, "traceback": text[-_DETAILS:]}
    if place := faults.place_of(error):
        details["where"] = place
    if isinstance(error, HostcoreError):
        details["code"] = error.code
    if isinstance(error, CallCycleError):
        return Refused("cycle", error.message, {**details, "trail": list(error.trail), "hint": error.hint})
    return Refused("failed", faults.summary_of(error), details)


def _references() -> int:
    """Return what `sys.getrefcount` says of a message that nobody has kept, counted where `handle_message` does."""
    message = Message("", None, lambda: Facts("", "", "", "", 0.0))
    (lambda message: None)(message)
    return sys.getrefcount(message)


_ALONE = _references()
