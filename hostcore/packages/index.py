"""The index: snapshots of folders on disk, so that a fresh process need not read every distribution.

It is a cache and nothing more: whatever is wrong with it (missing, damaged, of another format, in a directory that
cannot be written), discovery works without it.  Writers replace the whole file at once (`os.replace`), so a reader
sees an old one or a new one, never a half; of two writers at once the later wins, and what the other knew is found
again.  Folders that other programs asked about are kept while they exist: programs of several virtual environments
may share one file.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, Literal

import msgspec

from hostcore.packages.folders import Folder

FORMAT: Final = 1


class _File(msgspec.Struct):
    format: Literal[1]
    folders: dict[str, Folder]


def read_index(path: Path) -> dict[str, Folder]:
    """Return the snapshots in the index at `path`, by the folder's path; none if it cannot be used."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=_File).folders
    except (OSError, msgspec.DecodeError, ValueError):
        return {}


def write_index(path: Path, folders: dict[str, Folder]) -> bool:
    """Bring the index at `path` up to date with `folders`; tell whether that was possible."""
    merged = read_index(path) | {name: folder for name, folder in folders.items() if folder.lasting}
    data = msgspec.json.encode(_File(FORMAT, {name: merged[name] for name in merged if Path(name).is_dir()}))
    draft = path.with_name(f"{path.name}.{os.urandom(8).hex()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return _replace(draft, path, data)
    except OSError:
        return False


def _replace(draft: Path, path: Path, data: bytes) -> bool:
    try:
        draft.touch(mode=0o600, exist_ok=False)
        draft.write_bytes(data)
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    return True
