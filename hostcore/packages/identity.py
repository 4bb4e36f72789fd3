"""Identity: what tells one release from another, and whose it is said to be; consent is bound to both.

The digest of a release is over every file that belongs to it: its packages, its manifest, its WebAssembly guest.  One
byte changed is another release.  A working tree (a project directory, an editable install) changes with every edit of
its author, who works on this machine anyhow; its digest is over its manifest alone, so that only asking for something
else is another release.

Nothing proves the publisher: it is what the distribution's own metadata says.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hostcore.errors import LoadError
from hostcore.packages.digests import sha256_of
from hostcore.packages.locating import Release
from hostcore.packages.owned import module_name
from hostcore.packages.projects import PYPROJECT

_FIELDS = ("Author-email", "Author", "Maintainer-email", "Maintainer")


def release_digest(release: Release) -> str:
    """Return the SHA-256 of a release, in hexadecimal.

    Raises:
        LoadError: One of its files cannot be read (HC203).
    """
    total = hashlib.sha256(b"tree\0" if release.editable else b"files\0")
    try:
        for name, file in _parts(release):
            total.update(f"{name}\0{sha256_of(file)}\n".encode("utf-8", "surrogateescape"))
    except OSError as error:
        raise LoadError(
            release.name, f"its file {error.filename!r} cannot be read: {error.strerror}", code="HC203",
            label=release.label,
        ) from None  # fmt: skip
    return total.hexdigest()


def _parts(release: Release) -> Iterator[tuple[str, Path]]:
    if release.manifest:
        yield "module.toml", Path(release.manifest)
    if release.editable:
        return
    if release.wasm:
        yield "guest", Path(release.wasm)
    for index, path in enumerate(release.paths):
        for owned in release.owned:
            for file in _files(Path(path, *owned.split("."))):
                yield f"{index}/{file.relative_to(path)}", file


def _files(place: Path) -> Iterator[Path]:
    """Yield the files of the package or module at `place`, in order; what is in `__pycache__` is made from them."""
    if not place.is_dir():
        with contextlib.suppress(OSError):
            yield from sorted(each for each in place.parent.iterdir() if module_name(each.name) == place.name)
        return
    for folder, folders, files in os.walk(place, followlinks=False):
        folders[:] = sorted(each for each in folders if each != "__pycache__")
        yield from (Path(folder, each) for each in sorted(files))  # a .pyc here is imported where there is no source


def publisher_of(release: Release) -> str:
    """Return the author, or else the maintainer, that a release's metadata names; "" if it names none."""
    project = Path(release.source, PYPROJECT)
    if release.source and project.is_file():
        return _of_project(project)
    from importlib.metadata import distributions  # slow to import

    where = sys.path if release.editable else list(release.paths)
    for found in distributions(name=release.distribution, path=where):
        fields: Any = found.metadata
        for field in _FIELDS if fields is not None else ():
            if fields.get(field):
                return " ".join(str(fields.get(field)).split())
    return ""


def _of_project(file: Path) -> str:
    import tomllib

    try:
        project = tomllib.loads(file.read_text("utf-8")).get("project", {})
        people = [*project.get("authors", ()), *project.get("maintainers", ())]
        name, email = str(people[0].get("name", "")), str(people[0].get("email", ""))
    except (OSError, ValueError, AttributeError, IndexError, TypeError):
        return ""
    return f"{name} <{email}>" if name and email else name or email
