"""Choose the call path: the fast one, if it knows the wasmtime that is installed."""

from __future__ import annotations

from hostcore.hosts.wasm.paths import CallPath


def choose(wanted: str = "auto") -> tuple[CallPath, str]:
    """Return the call path to use, and why it is not the fast one, or "".

    Args:
        wanted: "auto", "fast" or "plain".

    Raises:
        RuntimeError: The fast one was asked for, and does not know this wasmtime.
    """
    reason = "it was asked for"
    if wanted != "plain":
        try:
            from hostcore.hosts.wasm.fast.path import fast_path

            return fast_path(), ""
        except Exception as exc:  # whatever is different in another version: names, layouts
            if wanted == "fast":
                raise RuntimeError(f"the fast call path does not know this wasmtime: {exc}") from exc
            reason = f"{type(exc).__name__}: {exc}"
    from hostcore.hosts.wasm.plain.path import plain_path

    return plain_path(), reason
