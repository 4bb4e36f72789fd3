"""Permits: what a release gets when it is loaded, from the policy and from what was agreed to.

Consent is for one release: module, distribution, publisher, digest, and the exact set asked for.  A release with
another digest goes on with the consent of the one before if every permission that it asks for was decided then; that
is written down as carried over.  As soon as it asks for more, somebody has to be asked again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple
from weakref import WeakKeyDictionary

import msgspec

from hostcore.contract.grants import SET_UP, ModuleGrants
from hostcore.contract.isolation import is_confined
from hostcore.contract.manifest import Manifest
from hostcore.contract.permissions import Permission, growth, narrowed
from hostcore.errors import ConsentError, DeniedError, HostcoreError, LifecycleError
from hostcore.packages.identity import publisher_of, release_digest
from hostcore.packages.locating import Release
from hostcore.runtime.consents import Consent, Consents
from hostcore.runtime.isolating import choose_host
from hostcore.runtime.policy import NOT_GRANTED, OBSERVED, TRUSTED, Asker, Bounds, Policy
from hostcore.runtime.refusals import Refusals

log = logging.getLogger("hostcore")


class Permit(NamedTuple):
    """What a copy may do, why, and the digest of its release; "" if that was not needed.

    `trusted`: it runs in the host's process and may do everything, or did so before the host itself moved it out.
    """

    grants: ModuleGrants
    trust: str
    digest: str = ""
    trusted: bool = False


class Verdict(NamedTuple):
    """What follows from earlier consents: what is granted, what is missing, and the consent to be carried over."""

    granted: tuple[Permission, ...]
    missing: tuple[Permission, ...]
    carried: Consent | None
    last: Consent | None


class _Resting(NamedTuple):
    """What the grants of a copy rest on."""

    asker: Asker
    asked: tuple[Permission, ...]
    digest: str


class GrantReport(msgspec.Struct, frozen=True, kw_only=True):
    """What one module asks for and has.

    Attributes:
        module: The module's name.
        version: The release that a load would take.
        distribution: Its distribution.
        publisher: Its author or maintainer, as its metadata says, which nothing proves.
        host: What runs it, or would.
        trust: Why it may do what it may, as in "granted"; "not granted": it does not load.
        digest: The SHA-256 of the release.
        asked: What its manifest asks for.
        granted: What it has.
        missing: What nobody has decided yet.
        declined: What it asks for, and somebody decided that it does not get.
        everything: It may do everything.
        last_version: The release of the last consent, "" if there is none.
        new: What it asks for and that release did not.
        gone: What that release asked for and it does not.
    """

    module: str
    version: str = ""
    distribution: str = ""
    publisher: str = ""
    host: str = "native"
    trust: str = ""
    digest: str = ""
    asked: tuple[str, ...] = ()
    granted: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    declined: tuple[str, ...] = ()
    everything: bool = False
    last_version: str = ""
    new: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()


def judge(known: Sequence[Consent], asker: Asker, asked: Sequence[Permission], digest: str) -> Verdict:
    """Return what a release gets from the consents so far, oldest first; touches nothing."""
    own = [c for c in known if c.module == asker.module]
    same = [c for c in own if (c.distribution, c.publisher) == (asker.distribution, asker.publisher)]
    exact = next((c for c in reversed(same) if c.digest == digest), None)
    basis = exact or (same[-1] if same else None)
    last = own[-1] if own else None
    missing = growth(asked, basis.asked if basis is not None else ())
    granted = narrowed(basis.granted, asked) if basis is not None else ()
    carried = None
    if basis is not None and exact is None and not missing:
        carried = msgspec.structs.replace(
            basis, digest=digest, asked=tuple(asked), granted=granted, how="carried", when=_now()
        )
    return Verdict(granted, missing, carried, last)


class Permits:
    """The permits of one system, or of a command that looks at its files.

    Args:
        policy: What the operator said beforehand.
        consents: What was agreed to.
        refusals: Where attempts are counted.
    """

    def __init__(self, policy: Policy, consents: Consents, refusals: Refusals) -> None:
        self.policy = policy
        self.consents = consents
        self.refusals = refusals
        self._resting: WeakKeyDictionary[ModuleGrants, _Resting] = WeakKeyDictionary()

    def host_for(self, release: Release, manifest: Manifest, asked: str | None) -> str:
        """Return the host for a release, if `asked` was asked for; raises as `choose_host`."""
        return choose_host(release, manifest, asked, self.policy.floor(self._asker(release)))

    def _asker(self, release: Release) -> Asker:
        publisher = publisher_of(release) if self.policy.asks_for_publishers else ""
        return Asker(release.name, release.distribution, publisher)

    # --- loading -----------------------------------------------------------------------------------------------

    async def admit(
        self, release: Release, manifest: Manifest, host: str, digest: str = "", *, trusted: bool = False
    ) -> Permit:  # fmt: skip
        """Return what a copy of a release may do.

        Args:
            release: The release.
            manifest: Its manifest.
            host: What runs it.
            digest: The release's digest, if its files may be others by now.
            trusted: The same release was trusted in the host's process until now.  What it asks for is less than it
                had, so that nobody has to agree.

        Raises:
            ConsentError: It asks for something that nobody has agreed to.
            ConfigError, DeniedError: The file of consents cannot be used.
            LoadError: Its files cannot be read.
        """
        bounds = self.policy.bounds(self._asker(release), host, manifest.permissions)
        if trusted and bounds.consent:
            bounds = Bounds(TRUSTED, manifest.permissions)
        observed = self.policy.observes(release.name)
        grants = ModuleGrants(
            bounds.granted, everything=bounds.everything, module=release.name, asked=manifest.permissions,
            observed=observed, watcher=self.refusals,
        )  # fmt: skip
        if bounds.consent:
            asker, digest = await asyncio.to_thread(_identified, release, digest)
            self._resting[grants] = _Resting(asker, manifest.permissions, digest)
            missing = self._settle(grants, release.version)
            if missing and not observed:
                raise refused(release.name, missing, manifest.permissions)
        if observed and is_confined(host):
            self._note_closed(grants, manifest.permissions)
        trusted = trusted or bounds.everything
        return Permit(grants, OBSERVED if observed else bounds.trust, digest, trusted)

    def _settle(self, grants: ModuleGrants, version: str) -> tuple[Permission, ...]:
        """Give what was agreed to; return what nobody has decided."""
        rests = self._resting[grants]
        verdict = judge(self.consents.all(), rests.asker, rests.asked, rests.digest)
        if verdict.carried is not None:
            self._carry(msgspec.structs.replace(verdict.carried, version=version))
        grants.change(verdict.granted)
        return verdict.missing

    def refresh(self, module: str) -> None:
        """Have every copy of a module, also one in the making, rest on the consents of this moment."""
        known = self.consents.all()
        for grants, rests in list(self._resting.items()):
            if rests.asker.module == module:
                grants.change(judge(known, rests.asker, rests.asked, rests.digest).granted)

    def _carry(self, consent: Consent) -> None:
        try:
            self.consents.record(consent)
        except HostcoreError as error:  # it holds all the same, and is carried over again at the next start
            log.warning("that the consent for %r holds for %s cannot be written down: %s", consent.module,
                        consent.version, error.message)  # fmt: skip

    def _note_closed(self, grants: ModuleGrants, asked: Iterable[Permission]) -> None:
        """Count what observing cannot let through, as it was to be set up before: those attempts are not seen."""
        for each in asked:
            if each.kind in SET_UP and not grants.given(each.kind, each.target):
                self.refusals.note(grants.module, each.kind, each.target, refused=False)

    # --- looking and deciding ----------------------------------------------------------------------------------

    def report(self, release: Release, manifest: Manifest, host: str) -> GrantReport:
        """Return what a release asks for and has, and what is new since the last consent; raises as `admit` does."""
        asked = manifest.permissions
        asker, digest = _identified(release, "")
        bounds = self.policy.bounds(asker, host, asked)
        verdict = judge(self.consents.all(), asker, asked, digest)
        granted = verdict.granted if bounds.consent else bounds.granted
        missing = verdict.missing if bounds.consent else ()
        decided = growth(asked, missing)
        trust = OBSERVED if self.policy.observes(release.name) else NOT_GRANTED if missing else bounds.trust
        last = verdict.last
        return GrantReport(
            module=release.name, version=release.version, distribution=release.distribution, publisher=asker.publisher,
            host=host, trust=trust, digest=digest, asked=_texts(asked), granted=_texts(granted),
            missing=_texts(missing), everything=bounds.everything,
            declined=() if bounds.everything else _texts(each for each in growth(decided, granted) if each in decided),
            last_version=last.version if last else "", new=_texts(growth(asked, last.asked if last else ())),
            gone=_texts(growth(last.asked, asked)) if last else (),
        )  # fmt: skip

    def give(
        self, release: Release, manifest: Manifest, permissions: Iterable[Permission] | None = None, digest: str = ""
    ) -> Consent:  # fmt: skip
        """Write down that a release was agreed to.

        Args:
            release: The release.
            manifest: Its manifest.
            permissions: What it gets; None: all that it asks for.  The rest of that counts as declined, except for
                what was granted before.
            digest: The digest of the release that was looked at; another one is not agreed to.

        Raises:
            DeniedError: It does not ask for one of them (HC606), or it changed meanwhile.
        """
        asked = manifest.permissions
        asker, found = _identified(release, "")
        if digest and digest != found:
            raise DeniedError(f"{release.name!r} has changed since it was looked at",
                              hint=f"look again: hostcore grants diff {release.name}")  # fmt: skip
        chosen = asked if permissions is None else tuple(permissions)
        more = growth(chosen, asked)
        if more:
            raise DeniedError(
                f"{release.name!r} does not ask for {', '.join(map(repr, _texts(more)))}", code="HC606",
                expected=f"it asks for: {', '.join(_texts(asked)) or 'nothing'}",
                hint="grant what it asks for, or less; policy.grants in the configuration can grant anything",
            )  # fmt: skip
        before = judge(self.consents.all(), asker, asked, found)
        consent = Consent(
            module=release.name, distribution=release.distribution, publisher=asker.publisher, version=release.version,
            digest=found, asked=asked, granted=tuple(dict.fromkeys((*before.granted, *chosen))), when=_now(),
        )  # fmt: skip
        self.consents.record(consent)
        return consent

    def take(self, module: str, permissions: Iterable[Permission] | None = None) -> tuple[Permission, ...]:
        """Take back what a module was granted, all or some of it; return what was.

        Raises:
            LifecycleError: There is nothing of that to take back.
        """
        wanted = None if permissions is None else tuple(permissions)
        own = self.consents.of(module)
        had = tuple(dict.fromkeys(each for consent in own for each in consent.granted))
        if not own or (wanted is not None and len(growth(had, wanted)) == len(had)):
            what = "nothing" if wanted is None else f"nothing under {', '.join(map(repr, _texts(wanted)))}"
            raise LifecycleError(
                f"{module!r} was granted {what} by hostcore grant",
                expected=f"it was granted: {', '.join(_texts(had))}" if had else "",
                hint="what the configuration grants is changed there" if not own else "",
            )  # fmt: skip
        return self.consents.withdraw(module, wanted)


def _identified(release: Release, digest: str) -> tuple[Asker, str]:
    asker = Asker(release.name, release.distribution, publisher_of(release))
    return asker, digest or release_digest(release)


def refused(module: str, missing: Sequence[Permission], asked: Sequence[Permission]) -> ConsentError:
    """Return the error for a module that asks for what nobody has agreed to."""
    rest = "" if len(missing) == len(asked) else f"it asks for: {', '.join(_texts(asked))}"
    hint = f"look at it and decide: hostcore grant {module}"
    return ConsentError(module, _texts(missing), hint=hint, expected=rest)


def check_set_up(set_up: Iterable[Permission], grants: ModuleGrants) -> None:
    """Make sure that what a copy was set up with is granted still.

    Raises:
        DeniedError: Some of it was taken back meanwhile.
    """
    lost = growth(set_up, grants.granted)
    if lost:
        raise DeniedError(
            f"{grants.module!r} has lost {', '.join(sorted(map(repr, _texts(lost))))} while it was made",
            hint="it was revoked meanwhile: try again, and it is made without",
        )


def _texts(permissions: Iterable[Permission]) -> tuple[str, ...]:
    return tuple(map(str, permissions))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
