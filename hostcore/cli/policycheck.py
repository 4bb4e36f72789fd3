"""What `hostcore doctor` finds about the policy and the file of grants."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from hostcore.config import HostConfig, state_dir
from hostcore.contract.isolation import NATIVE
from hostcore.errors import HostcoreError


class Found(NamedTuple):
    """One finding: "ok", "note" or "wrong", a text, and what to do."""

    state: str
    text: str
    hint: str = ""


def policy_findings(config: HostConfig) -> Iterator[Found]:
    """Yield what the policy comes to, and what of it cannot be meant."""
    policy = config.policy
    free = policy.isolation == NATIVE
    yield Found("ok", f"default {policy.default!r}; modules run in {policy.isolation!r} or a stronger host"
                + ("; those in the host's process are trusted" if free else ", unless they are trusted"))  # fmt: skip
    if policy.observe:
        yield Found("note", f"observed, and refused nothing: {', '.join(policy.observe)}",
                    "hostcore grants observed lists what they would have been refused")  # fmt: skip
    for name, permissions in policy.grants.items():
        for each in permissions:
            if each.kind.startswith("fs.") and not Path(each.target).is_dir():
                yield Found("note", f"policy.grants.{name}: there is no directory {each.target}",
                            "create it: a guest that is granted it does not load without")  # fmt: skip


def grants_findings(config: HostConfig) -> Iterator[Found]:
    """Yield whether the file of grants can be used."""
    from hostcore.runtime.consents import Consents

    consents = Consents(lambda: state_dir(config))
    try:
        known = consents.all()
    except HostcoreError as error:
        yield Found("wrong", str(error), error.hint)
        return
    there = os.path.lexists(consents.path)
    modules = len({consent.module for consent in known})
    yield Found("ok", f"{consents.path}, {modules} modules" if there else "nothing was granted yet")
