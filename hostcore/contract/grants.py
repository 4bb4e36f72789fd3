"""Grants: what one module may do, and the one place that decides it.

Every check of a permission, in every tier, is a question to the `ModuleGrants` of the module's copy: `allows` answers,
`require` raises what the module is told.  Nobody else compares permissions, so nobody can forget to (a test holds the
code to this).  An answer is remembered: the next check of the same kind and target is one look into a dict.

Grants change while the module runs: `change` replaces what is granted and forgets all answers, so that the next check
is a new one.  A module that is observed is refused nothing; what it would have been refused is told to a `Watcher`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from hostcore.contract.permissions import Permission
from hostcore.errors import DeniedError

SET_UP = frozenset({"fs.read", "fs.write", "env", "spawn"})
"""The kinds that a host sets up before any code of a module runs: a change takes a new copy."""
_REMEMBERED = 4096
Key = tuple[str, str]


class Watcher(Protocol):
    """Is told what was refused, or would have been."""

    def note(self, module: str, kind: str, target: str, *, refused: bool) -> None:
        """Take note of one attempt; `refused`: it really was."""
        ...


class ModuleGrants:
    """What one module may do.

    Args:
        granted: The permissions.
        everything: There are no bounds; `granted` then says nothing.
        module: Its name, for messages.
        asked: What its manifest asks for; it only makes a better hint.
        observed: Nothing is refused; what would have been is noted.
        watcher: Who is told.

    Attributes:
        granted: The permissions, each written as it was granted.
        everything: As given.
        module: As given.
        observed: As given.
    """

    def __init__(
        self, granted: Iterable[Permission], *, everything: bool, module: str = "", asked: Iterable[Permission] = (),
        observed: bool = False, watcher: Watcher | None = None,
    ) -> None:  # fmt: skip
        self.module = module
        self.observed = observed
        self._asked = tuple(asked)
        self._watcher = watcher
        self.change(granted, everything=everything)

    def __repr__(self) -> str:
        observed = ", observed" if self.observed else ""
        return f"<ModuleGrants {'everything' if self.everything else list(map(str, self.granted))}{observed}>"

    def change(self, granted: Iterable[Permission], *, everything: bool = False) -> None:
        """Replace what is granted; every check from now on goes by it."""
        self.granted = tuple(granted)
        self.everything = everything
        self._exact = frozenset((each.kind, each.target) for each in self.granted)
        # Last of all: a check in another thread keeps its answer, got from the old grants, in the old dict.
        self._answers: dict[Key, bool] = {}

    # --- questions ---------------------------------------------------------------------------------------------

    def allows(self, kind: str, target: str) -> bool:
        """Tell whether the module may do `kind:target`; `target` is "" for kinds without one."""
        if self.everything:
            return True
        answer = self._answers.get((kind, target))
        if answer is None:
            answer = self._decide(kind, target)
        if answer or not self.observed:
            return answer
        self._note(kind, target, refused=False)
        return True

    def require(self, kind: str, target: str) -> None:
        """Make sure that the module may do `kind:target`.

        Raises:
            DeniedError: It may not; it is noted.
        """
        if not self.allows(kind, target):
            self._note(kind, target, refused=True)
            raise self.denied(kind, target)

    def has(self, kind: str, target: str) -> bool:
        """Tell the same as `allows`, for who only wants to know: nothing is noted."""
        if self.everything or self.observed:
            return True
        return self.given(kind, target)

    def given(self, kind: str, target: str) -> bool:
        """Tell whether `kind:target` is granted, observed or not."""
        answer = self._answers.get((kind, target))
        return self.everything or (self._decide(kind, target) if answer is None else answer)

    def names(self, kind: str, target: str) -> bool:
        """Tell whether a grant names `kind:target` itself, and not just everything of its kind."""
        asked = _permission(kind, target)
        return asked is not None and any(each.target != "*" and each.covers(asked) for each in self.granted)

    def reaches(self, host: str) -> bool:
        """Tell whether `net` is granted for any port of `host`, an IPv6 address in brackets."""
        asked = _permission("net", host)
        return self.everything or any(
            asked is not None and (each.covers(asked) or asked.covers(each)) for each in self.granted
        )

    def targets(self, kind: str) -> frozenset[str]:
        """Return the targets that are granted of a kind, for what a host has to set up before any code runs."""
        return frozenset(each.target for each in self.granted if each.kind == kind)

    def set_up(self) -> frozenset[Permission]:
        """Return what is granted of the kinds that a host sets up before any code runs."""
        return frozenset(each for each in self.granted if each.kind in SET_UP)

    def _decide(self, kind: str, target: str) -> bool:
        answers, key = self._answers, (kind, target)
        answer = key in self._exact
        if not answer:
            asked = _permission(kind, target)
            answer = asked is not None and any(each.kind == kind and each.covers(asked) for each in self.granted)
        if len(answers) >= _REMEMBERED:
            answers.clear()
        answers[key] = answer
        return answer

    # --- answers to the module ---------------------------------------------------------------------------------

    def denied(self, kind: str, target: str) -> DeniedError:
        """Return what a module is told that may not do `kind:target`."""
        wanted = f"{kind}:{target}" if target else kind
        who = repr(self.module) if self.module else "the module"
        return DeniedError(f"{who} has no permission {wanted!r}", hint=self.advice(kind, target))

    def advice(self, kind: str, target: str) -> str:
        """Return what is to be done for the module to have `kind:target`."""
        wanted = f"{kind}:{target}" if target else kind
        asked = _permission(kind, target)
        if self.module and asked is not None and any(each.covers(asked) for each in self._asked):
            return f"its manifest asks for it; grant it: hostcore grant {self.module} {wanted}"
        return f'ask for it in module.toml: permissions = ["{wanted}"], and have it granted'

    def _note(self, kind: str, target: str, *, refused: bool) -> None:
        if self._watcher is not None:
            self._watcher.note(self.module, kind, target, refused=refused)


def reserved(module: str, topic: str) -> DeniedError:
    """Return what a module is told that publishes one of the host's own topics, which no grant allows."""
    return DeniedError(f"{module!r} may not publish {topic!r}: 'hostcore.' topics are the host's own")


def _permission(kind: str, target: str) -> Permission | None:
    try:
        return Permission(f"{kind}:{target}" if target else kind)
    except ValueError:
        return None


ALL = ModuleGrants((), everything=True, module="host")
