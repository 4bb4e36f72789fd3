"""Isolation: which host runs a release, decided from what it is, what its manifest needs and what was asked.

    host         own process   sandbox      runs
    native       no            no           Python code in the host's own process
    worker       yes           no           Python code
    wasm         no            yes          a WebAssembly guest
    wasm+worker  yes           yes          a WebAssembly guest

Whoever asks can only tighten: the host has to give everything that the release needs.
"""

from __future__ import annotations

from hostcore.contract.manifest import Manifest
from hostcore.errors import LoadError
from hostcore.packages.locating import Release

GIVES: dict[str, frozenset[str]] = {
    "native": frozenset(),
    "worker": frozenset({"process"}),
    "wasm": frozenset({"sandbox"}),
    "wasm+worker": frozenset({"process", "sandbox"}),
}
"""Host -> what it puts between a module and the rest; nothing is known of a host that is not ours."""


def is_sandboxed(host: str) -> bool:
    """Tell whether `host` runs guests, which reach nothing but what they are granted."""
    return host.startswith("wasm")


def needed_host(manifest: Manifest, *, guest: bool) -> str:
    """Return the weakest host that will do for a release with this manifest; `guest`: it has no Python code."""
    needed = manifest.isolation
    if guest and not is_sandboxed(needed):
        return "wasm" if needed == "native" else f"wasm+{needed}"
    return needed


def choose_host(release: Release, manifest: Manifest, asked: str | None) -> str:
    """Return the host for a release.

    Args:
        release: The release.
        manifest: Its manifest.
        asked: The host that was asked for; None: the one that it needs.

    Raises:
        LoadError: What was asked for is weaker than what it needs, or it has no guest to put into a sandbox (HC209).
    """
    needed = needed_host(manifest, guest=release.is_guest)
    host = needed if asked is None else asked
    if not GIVES.get(host, frozenset()) >= GIVES[needed]:
        raise _refused(
            release, f"isolation {host!r} is weaker than {needed!r}, which it needs",
            "leave isolation out, or ask for a stronger one",
        )  # fmt: skip
    if is_sandboxed(host) and not release.wasm:
        raise _refused(
            release, f"isolation {host!r} needs a WebAssembly guest, and none was built from its Python code",
            "build it: hostcore build --wasm",
        )  # fmt: skip
    return host


def _refused(release: Release, message: str, hint: str) -> LoadError:
    return LoadError(release.name, message, code="HC209", label=release.label, hint=hint)
