"""The native host: generations in this process.

Importing happens in a thread of its own, so that a slow import does not hold the event loop and one that never
ends can be given up on.  Hooks run on the loop, under the guard; those declared blocking in the module's lane.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import time
from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING, Any

from hostcore.contract.messages import Envelope
from hostcore.contract.spec import PROJECT
from hostcore.contract.validation import check_hooks, marked
from hostcore.errors import CallCycleError, DeadlineError, HookError, HostcoreError
from hostcore.generations import Generation, table
from hostcore.generations.belonging import belongs_to
from hostcore.hosts import faults
from hostcore.hosts.aside import Box, fill, import_aside, import_here
from hostcore.hosts.base import Crash, Job, Refusal, Tools
from hostcore.hosts.handlers import Handler, handlers_of, projects_of, register
from hostcore.hosts.importing import make_plugin
from hostcore.hosts.leaving import stop_threads
from hostcore.messaging import wire
from hostcore.messaging.guard import Overrun
from hostcore.messaging.lane import Lane
from hostcore.messaging.stepping import NEW, Stepper
from hostcore.messaging.wire import Reply

if TYPE_CHECKING:
    from hostcore.generations.holders import Holder

_LEAVE_TIME = 1.0
"""Seconds that a closing generation's tasks get to end."""


class NativeHost:
    """Loads generations in this process.

    Args:
        tools: What the system lends.
        aside: Import in a thread; else on the event loop, which then does nothing else.
    """

    def __init__(self, tools: Tools, *, aside: bool = True) -> None:
        self._tools = tools
        self._import = import_aside if aside else import_here

    async def load(self, job: Job) -> NativeInstance:
        """Load a release as a new generation; see `Host.load`."""
        release = job.release
        generation = Generation(release.name, release.paths, owned=release.owned, kept=job.kept)
        try:
            plugin = await self._import(self._tools, (generation, release), job.load_time, make_plugin)
            return _make_instance(job, generation, plugin, self._tools)
        except BaseException:
            generation.unload()
            raise

    def close(self) -> None:
        """Do nothing: its instances share nothing."""


def _make_instance(job: Job, generation: Generation, plugin: Any, tools: Tools) -> NativeInstance:
    try:
        return NativeInstance(job, generation, plugin, tools)
    except HostcoreError:
        raise
    except Exception as exc:  # noqa: BLE001 - looking at a module's object runs its code
        reason, place, text = faults.summary_of(exc), faults.place_of(exc), faults.traceback_of(exc)
        exc.__traceback__ = None
    raise HookError(
        job.release.name, f"its hooks cannot be used: {reason}", code="HC311", label=job.release.label, where=place,
        hint="look at the annotations of its hooks, and at its class's special methods", traceback=text,
    )  # fmt: skip


class NativeInstance:
    """A generation and the module's object in it, ready to handle messages."""

    def __init__(self, job: Job, generation: Generation, plugin: Any, tools: Tools) -> None:
        release = job.release
        projects = sorted(projects_of(plugin))
        problems = check_hooks(plugin, job.third_party) if marked(plugin) or not projects else []
        if problems:
            raise HookError(release.name, label=release.label, problems=problems)
        self.name = release.name
        self.generation: Generation | None = generation
        self.context = contextvars.Context()
        self.context.run(table.current.set, generation.id)
        self._release = release
        self._limits, self._hook_time, self._message_limit = job.limits, job.hook_time, job.message_limit
        self._loop, self._guard, self._thread_guard = tools.loop, tools.guard, tools.thread_guard
        self._references = tools.references
        self._lane: Lane | None = None
        self._handlers: dict[str, Handler] = {}
        self._managers = [register(plugin, self.name, project) for project in (PROJECT, *projects)]
        for manager in self._managers:
            self._handlers |= handlers_of(manager, self._limit_of, job.third_party)
        self.hooks = {hook: handler.order for hook, handler in self._handlers.items()}
        self._stuck: list[asyncio.Task[Any]] = []  # lifecycle hooks that ignore their cancellation
        self._watched: list[Any] = []
        self.undone: tuple[str, ...] = ()
        self.died: Callable[[Crash], None] | None = None
        self.revives = False

    def __repr__(self) -> str:
        return f"<NativeInstance {self.name} {self.generation!r}>"

    def _limit_of(self, hook: str) -> float:
        value: float | None = getattr(self._limits, hook, None)
        return self._hook_time if value is None else value

    # --- messages ----------------------------------------------------------------------------------------------

    def start(self, envelope: Envelope) -> Any:
        """Begin to handle a message: the result, or a coroutine that returns it."""
        handler = self._handlers.get(envelope.hook)
        if handler is None:
            raise Refusal(self._unhandled(envelope.hook))
        try:
            argument = handler.read(envelope, self.name)
        except HostcoreError as exc:
            raise Refusal(exc) from None
        if handler.by_reference:
            return self._start_by_reference(handler, argument)
        deadline = min(envelope.deadline, time.monotonic() + handler.limit)
        if handler.blocking:
            return self._in_lane(handler, argument, deadline)
        return self._guard.call(handler.function, argument, deadline)

    def step(self, resume: Callable[[Any], Any], value: Any, deadline: float) -> Any:
        """Take one step of a handler's coroutine, under the guard."""
        return self._guard.call(resume, value, deadline)

    def finish(self, envelope: Envelope, result: Any) -> Reply:
        """Encode what the handler returned."""
        try:
            what = f"the reply of {envelope.hook!r}" + (f" to {envelope.topic!r}" if envelope.topic else "")
            return wire.reply_of(result, module=self.name, what=what, limit=self._message_limit)
        except HostcoreError as exc:
            raise Refusal(exc) from None

    def limit(self, envelope: Envelope) -> float:
        """Return the seconds that the message's hook may take."""
        handler = self._handlers.get(envelope.hook)
        return inf if handler is None else handler.limit

    def translate(self, envelope: Envelope, error: BaseException) -> Exception:
        """Return the named error for what a handler raised."""
        if isinstance(error, Refusal):
            return error.error
        if isinstance(error, CallCycleError):
            return CallCycleError(error.message, trail=error.trail, hint=error.hint)
        if isinstance(error, Overrun) and time.monotonic() >= envelope.deadline:
            return DeadlineError(f"{self.name!r} did not handle {envelope.topic or envelope.hook!r} in time; stopped")
        return self._hook_error(envelope.hook, error, self._limit_of(envelope.hook))

    def _hook_error(self, hook: str, error: BaseException, limit: float) -> HookError:
        if isinstance(error, Overrun):
            return HookError(
                self.name,
                f"hook {hook!r} overran its limit of {limit:.3g} s and was stopped",
                hook=hook,
                code="HC303",
                label=self._release.label,
                hint="declare it blocking, await in between, or raise its limit in module.toml",
            )
        return HookError(
            self.name,
            f"hook {hook!r} raised {faults.summary_of(error)}",
            hook=hook,
            label=self._release.label,
            where=faults.place_of(error),
            exception=type(error).__name__,
            traceback=faults.traceback_of(error),
        )

    def _unhandled(self, hook: str) -> HookError:
        return HookError(
            self.name, f"does not implement {hook!r}", hook=hook, code="HC312", label=self._release.label,
            hint=f"it implements {', '.join(sorted(self.hooks))}",
        )  # fmt: skip

    def _start_by_reference(self, handler: Handler, token: int) -> Any:
        """Call a hook of another pluggy project: its arguments and result are live objects, left on a side table."""
        box = self._references[token]  # the caller's own: what comes late goes with it
        result = self._guard.call(handler.function, box.pop(), time.monotonic() + handler.limit)
        if inspect.iscoroutine(result):
            return self._await_by_reference(result, box)
        box.append(result)
        return None

    async def _await_by_reference(self, coroutine: Any, box: list[Any]) -> None:
        box.append(await coroutine)

    async def _in_lane(self, handler: Handler, argument: Any, deadline: float) -> Any:
        if self._lane is None:
            self._lane = Lane(self.name, self._loop)
        guard, box = self._thread_guard, Box()
        await self._lane.run(lambda: fill(box, lambda: guard.call(handler.function, argument, deadline)))
        result, error = box.pop()
        if error is not None:
            raise error
        return result

    def is_stuck_since(self, when: float) -> bool:
        """Tell whether a blocking hook that was called before then has not ended yet."""
        return self._lane is not None and self._lane.busy and self._lane.since < when

    # --- lifecycle hooks ---------------------------------------------------------------------------------------

    def accepts(self, hook: str, argument: str) -> bool:
        """Tell whether the hook is implemented and takes that argument."""
        handler = self._handlers.get(hook)
        return handler is not None and argument in handler.names

    async def call(self, hook: str, within: float = inf, /, **arguments: Any) -> Any:
        """Call a lifecycle hook, if it is implemented; see `HostedInstance.call`."""
        handler = self._handlers.get(hook)
        if handler is None:
            return None
        limit = min(handler.limit, within)
        task = asyncio.Task(
            self._call(handler, arguments, limit), loop=self._loop, name=f"hostcore:{self.name}.{hook}",
            context=self.context,
        )  # fmt: skip
        in_time = False
        try:
            in_time = bool((await asyncio.wait({task}, timeout=limit))[0])
        finally:
            if not in_time:
                await self._cancel(task)
        try:
            if in_time:
                return task.result()
            error: BaseException = Overrun()
        except asyncio.CancelledError:
            error = RuntimeError("it cancelled itself")
        except BaseException as exc:  # noqa: BLE001 - the module's
            error = exc
        named = self._hook_error(hook, error, limit)
        error.__traceback__ = None
        del error, task  # the traceback of `named` holds this frame
        raise named

    async def _cancel(self, task: asyncio.Task[Any]) -> None:
        """Cancel a lifecycle hook; one that ignores it is left behind, and named when the instance closes."""
        task.cancel()
        await asyncio.wait({task}, timeout=_LEAVE_TIME)
        if not task.done():
            self._stuck.append(task)
        elif not task.cancelled():
            task.exception()  # looked at: nobody else will

    async def _call(self, handler: Handler, arguments: dict[str, Any], limit: float) -> Any:
        deadline = time.monotonic() + limit
        try:
            if handler.blocking:
                return await self._in_lane(handler, arguments, deadline)
            result = self._guard.call(handler.function, arguments, deadline)
            return await Stepper(self, result, NEW, deadline) if inspect.iscoroutine(result) else result
        except (SystemExit, KeyboardInterrupt) as exc:
            # A task that raises these would end the event loop.
            raise RuntimeError(f"it raised {faults.summary_of(exc)}") from None

    # --- the end -----------------------------------------------------------------------------------------------

    def keep(self) -> Any:
        """Return the code of all that it has loaded."""
        return self.generation.code if self.generation is not None else None

    async def close(self) -> tuple[str, ...]:
        """Cancel its tasks, drop the module, unload the generation; return what could not be let go of."""
        generation, self.generation = self.generation, None
        if generation is None:
            return ()
        try:
            left = await self._cancel_tasks(generation)
            if self._lane is not None and not self._lane.close():
                left.append(f"thread hostcore:{self.name} is still in a blocking hook")
            plugins = [plugin for manager in self._managers for _, plugin in manager.list_name_plugin()]
            left += await stop_threads(generation, plugins)
            del plugins
            self._watched = generation.watch()
        finally:
            self._handlers, self._managers = {}, []
            self.undone = tuple(f"{registry}: {what}" if what else registry for registry, what in generation.unload())
            self.context = contextvars.Context()
        return tuple(left)

    async def _cancel_tasks(self, generation: Generation) -> list[str]:
        for timer in list(getattr(self._loop, "_scheduled", ())):  # asyncio's own loop tells; others do not
            if belongs_to(timer._callback, generation):
                timer.cancel()
        own = [task for task in asyncio.all_tasks(self._loop) if task in self._stuck or _runs(task, generation)]
        own = [task for task in own if task is not asyncio.current_task()]
        self._stuck = []
        for task in own:
            task.cancel()
        if not own:
            return []
        _, late = await asyncio.wait(own, timeout=_LEAVE_TIME)
        return [f"task {task.get_name()} ignores its cancellation" for task in late]

    def survivors(self) -> tuple[str, ...]:
        """Return the names of what is still alive of it after `close` and a garbage collection."""
        return tuple(f"{kind} {name}" for kind, name, reference in self._watched if reference() is not None)

    def holders(self) -> list[Holder]:
        """Return what keeps the survivors alive; see `HostedInstance.holders`."""
        from hostcore.generations.holders import find_holders

        return find_holders([entry for entry in self._watched if entry[2]() is not None])


def _runs(task: asyncio.Task[Any], generation: Generation) -> bool:
    """Tell whether `task` was started by the generation's code, or awaits it."""
    get_context = getattr(task, "get_context", None)  # from Python 3.12 on
    if get_context is not None and get_context().get(table.current) == generation.id:
        return True
    awaited: Any = task.get_coro()
    while awaited is not None:
        frame = getattr(awaited, "cr_frame", None)
        if frame is not None and frame.f_builtins is generation.builtins:
            return True
        awaited = getattr(awaited, "cr_await", None)
    return False
