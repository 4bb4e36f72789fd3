"""What hosts put between a module and the rest, and which of them are stronger.

host         own process   sandbox      runs
native       no            no           Python code in the host's own process
worker       yes           no           Python code
wasm         no            yes          a WebAssembly guest
wasm+worker  yes           yes          a WebAssembly guest
"""

from __future__ import annotations

GIVES: dict[str, frozenset[str]] = {
    "native": frozenset(),
    "worker": frozenset({"process"}),
    "wasm": frozenset({"sandbox"}),
    "wasm+worker": frozenset({"process", "sandbox"}),
}
"""Host -> what it puts between a module and the rest; nothing is known of a host that is not ours."""
NATIVE = "native"


def gives_less(host: str, wanted: str) -> bool:
    """Tell whether `host` lacks something that the host `wanted` gives."""
    return not GIVES.get(host, frozenset()) >= GIVES[wanted]


def joined(*hosts: str) -> str:
    """Return the weakest host that gives what all of these give."""
    needed = frozenset().union(*(GIVES[host] for host in hosts))
    return min((host for host in GIVES if GIVES[host] >= needed), key=lambda host: len(GIVES[host]))


def is_confined(host: str) -> bool:
    """Tell whether a module in `host` reaches only what it is granted: it is not in the host's own process."""
    return host != NATIVE
