"""Isolation: which host runs a release, decided from what it is, what its manifest needs and what was asked.

Whoever asks can only tighten: the host has to give everything that the release needs, and what the policy demands.
"""

from __future__ import annotations

from hostcore.contract.isolation import NATIVE, gives_less, joined
from hostcore.contract.manifest import Manifest
from hostcore.errors import DeniedError, LoadError
from hostcore.packages.locating import Release


def is_sandboxed(host: str) -> bool:
    """Tell whether `host` runs guests, which reach nothing but what they are granted."""
    return host.startswith("wasm")


def needed_host(manifest: Manifest, *, guest: bool) -> str:
    """Return the weakest host that will do for a release with this manifest; `guest`: it has no Python code."""
    needed = manifest.isolation
    if guest and not is_sandboxed(needed):
        return "wasm" if needed == "native" else f"wasm+{needed}"
    return needed


def choose_host(release: Release, manifest: Manifest, asked: str | None, floor: str = NATIVE) -> str:
    """Return the host for a release.

    Args:
        release: The release.
        manifest: Its manifest.
        asked: The host that was asked for; None: the weakest that will do.
        floor: The weakest host that the policy allows for it.

    Raises:
        LoadError: What was asked for is weaker than what it needs, or it has no guest to put into a sandbox (HC209).
        DeniedError: What was asked for is weaker than what the policy demands (HC604).
    """
    needed = needed_host(manifest, guest=release.is_guest)
    host = joined(needed, floor) if asked is None else asked
    if gives_less(host, needed):
        raise _refused(
            release, f"isolation {host!r} is weaker than {needed!r}, which it needs",
            "leave isolation out, or ask for a stronger one",
        )  # fmt: skip
    if gives_less(host, floor):
        raise DeniedError(
            f"{release.name!r} may not run in the host {host!r}: the policy demands {floor!r} or a stronger one",
            code="HC604", hint="leave isolation out; or trust it, or correct policy.isolation and policy.isolate",
        )  # fmt: skip
    if is_sandboxed(host) and not release.wasm:
        raise _refused(
            release, f"isolation {host!r} needs a WebAssembly guest, and none was built from its Python code",
            "build it: hostcore build --wasm",
        )  # fmt: skip
    return host


def _refused(release: Release, message: str, hint: str) -> LoadError:
    return LoadError(release.name, message, code="HC209", label=release.label, hint=hint)
