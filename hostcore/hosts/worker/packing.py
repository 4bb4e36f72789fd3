"""A generation's code on its way between processes: as bytes, which nobody but a worker of the same module reads.

The host keeps them for a rollback and looks at nothing in them: what a worker says of its code is the worker's own.
"""

from __future__ import annotations

import marshal

from hostcore.generations.keeping import KeptCode, KeptModule


def pack_code(kept: KeptCode | None, limit: int) -> bytes:
    """Return what a generation was made of, as bytes; b"" if that is nothing, or more than `limit` bytes."""
    if kept is None:
        return b""
    data = marshal.dumps({name: tuple(module) for name, module in kept.modules.items()})
    return data if len(data) <= limit else b""


def unpack_code(data: bytes) -> KeptCode | None:
    """Return what `pack_code` made bytes of; None of none."""
    if not data:
        return None
    kept = KeptCode()
    kept.modules = {name: KeptModule(*module) for name, module in marshal.loads(data).items()}
    return kept
