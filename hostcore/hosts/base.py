"""The seam between the system and its hosts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from hostcore.config import HostConfig
from hostcore.contract.manifest import Limits
from hostcore.contract.permissions import Permission
from hostcore.errors import HostcoreError, HostError
from hostcore.messaging.guard import Guard, ThreadGuard
from hostcore.messaging.seams import Instance
from hostcore.packages.locating import Release

if TYPE_CHECKING:
    from hostcore.generations.holders import Holder


class Grants(Protocol):
    """What one module may do; `hostcore.contract.grants.ModuleGrants` is it, and says more of each question."""

    @property
    def granted(self) -> tuple[Permission, ...]:
        """The permissions, each as it was granted."""
        ...

    @property
    def everything(self) -> bool:
        """Whether there are no bounds; never so for a module outside of the host's process."""
        ...

    @property
    def observed(self) -> bool:
        """Whether nothing is refused, and what would have been is counted."""
        ...

    def allows(self, kind: str, target: str) -> bool:
        """Tell whether the module may do `kind:target`; `target` is "" for kinds without one."""
        ...

    def require(self, kind: str, target: str) -> None:
        """Make sure of the same; raises DeniedError."""
        ...

    def has(self, kind: str, target: str) -> bool:
        """Tell the same as `allows`, for who only wants to know."""
        ...

    def given(self, kind: str, target: str) -> bool:
        """Tell whether `kind:target` is granted, also for a module that is observed, and refused nothing."""
        ...

    def names(self, kind: str, target: str) -> bool:
        """Tell whether a grant names `kind:target` itself, and not just everything of its kind."""
        ...

    def reaches(self, host: str) -> bool:
        """Tell whether `net` is granted for any port of a host."""
        ...

    def targets(self, kind: str) -> frozenset[str]:
        """Return the targets that are granted of a kind."""
        ...

    def advice(self, kind: str, target: str) -> str:
        """Return what is to be done for the module to have `kind:target`."""
        ...


class Job(NamedTuple):
    """What a host is asked to load.

    `grants` is what the module may do, for what a host has to set up before any of its code runs.  `hook_time` is the
    seconds that a hook may take where `limits` say nothing; `load_time` those for the import.  `kept` is what
    `HostedInstance.keep` of a copy before gave, to be made again although its files may have changed.  `state_version`
    is the version of the shape that the release gives its state.  `sandbox` is the weakest sandbox of the operating
    system that a worker may run in, as in `[policy] sandbox`; whoever cannot give it refuses to load.
    """

    release: Release
    number: int
    limits: Limits
    hook_time: float
    load_time: float
    message_limit: int
    third_party: Mapping[str, tuple[str, ...]]
    grants: Grants
    kept: Any = None
    state_version: int = 1
    sandbox: str = "none"


class Crash(NamedTuple):
    """An instance that is gone although nobody closed it.

    `kind` is "died" (its process ended), "trapped" (a guest), "hung" (it did not end when its time was up) or "limit".
    `hook`, `topic` and `message` tell what it was doing, each "" if nothing; `message` is the id.  `revived`: what
    crashed is replaced by the instance itself, as it is by one that `revives`.
    """

    kind: str
    error: HostError
    hook: str = ""
    topic: str = ""
    message: str = ""
    revived: bool = False


class HostedInstance(Instance, Protocol):
    """A loaded generation.

    Attributes:
        hooks: The hooks that it implements, each with its place among several modules': -1 early, 0, 1 late.
        undone: After `close`: what it had left in the process's registries, and was taken back, as text.
        died: Called with each crash; who serves the module sets it.
        revives: It replaces what crashed by itself, with the next message; else a new instance is needed.
    """

    undone: tuple[str, ...]
    died: Callable[[Crash], None] | None
    revives: bool

    @property
    def hooks(self) -> Mapping[str, int]: ...  # noqa: D102

    def accepts(self, hook: str, argument: str) -> bool:
        """Tell whether the hook is implemented and takes that argument."""
        ...

    async def call(self, hook: str, within: float = inf, /, **arguments: Any) -> Any:
        """Call a lifecycle hook, if it is implemented, within its time limit and `within` seconds.

        Raises:
            HookError: It raised or overran.
        """
        ...

    def keep(self) -> Any:
        """Return what its host needs to make it again later; it holds nothing of the generation."""
        ...

    async def close(self) -> tuple[str, ...]:
        """Let go of everything; return what could not be let go of, as text.  A second call does nothing."""
        ...

    def survivors(self) -> tuple[str, ...]:
        """Return the names of what is still alive of it after `close` and a garbage collection."""
        ...

    def holders(self) -> list[Holder]:
        """Return what keeps that alive, the best named first.

        It looks through the whole heap, a few times, and may be called in a thread of its own.
        """
        ...


class Host(Protocol):
    """Loads releases."""

    async def load(self, job: Job) -> HostedInstance:
        """Load a release as a new generation, beside others of the same module; its `initialize` is not called.

        Raises:
            LoadError: It cannot be imported; nothing of it is left.
            HookError: Its hooks are declared wrongly; every problem is listed.
        """
        ...

    def close(self) -> None:
        """Let go of what its instances shared; all of them are closed."""
        ...


class Refusal(Exception):
    """Carries an error of the host's own through a handler's start: it is not the module's."""

    def __init__(self, error: HostcoreError) -> None:
        super().__init__()
        self.error = error


class Tools(NamedTuple):
    """What the system lends to a host."""

    loop: Any
    guard: Guard
    thread_guard: ThreadGuard
    references: dict[int, Any]
    config: HostConfig = HostConfig()
