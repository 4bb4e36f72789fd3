"""Wheels, unpacked once into a cache.

A wheel may come from anywhere, so nothing in it is believed: names that lead out of the directory, links, devices,
names that come twice and sizes that fill the disk are refused, all in one report, before the first byte is written.
It is unpacked beside its place and renamed into it, so that a directory named by the wheel's digest is always
complete; of two processes at once the first to finish wins and the other uses its result.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from hostcore.errors import LoadError, Problem

MAX_BYTES = 512 << 20
MAX_FILES = 20_000
MAX_REPORTED = 20
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)
_DRIVE = re.compile(r"[A-Za-z]:")
_SPREAD = re.compile(r"[^/]+\.data/(?:purelib|platlib)/(.+)")


def unpack(wheel: Path, cache: Path) -> Path:
    """Return the directory with the content of `wheel`, unpacked into `cache` if it is not there yet.

    Raises:
        LoadError: The file is no wheel, or is refused (HC204).
    """
    try:
        with wheel.open("rb") as file:
            target = cache / hashlib.file_digest(file, "sha256").hexdigest()
            if not target.is_dir():
                _unpack(wheel, file, target)
    except OSError as error:
        message = f"cannot be unpacked into {cache}: {error.strerror or error}"
        raise _refused(wheel, [Problem(message, "HC204")]) from None
    return target


def _unpack(wheel: Path, file: IO[bytes], target: Path) -> None:
    try:
        with zipfile.ZipFile(file) as archive:
            problems = list(check(archive.infolist())) or list(_check_tags(archive))
            if problems:
                raise _refused(wheel, problems)
            _write(archive, target)
    except _DAMAGE as error:
        hint = "give a file made by `python -m build` or `pip wheel`, and fetch it again if it was transferred"
        raise _refused(wheel, [Problem(f"is no wheel, or a damaged one: {error}", "HC204", hint=hint)]) from None


def check(members: list[zipfile.ZipInfo]) -> Iterator[Problem]:
    """Yield every reason to refuse a wheel with these members."""
    if len(members) > MAX_FILES:
        yield _problem(f"has {len(members):,} files", f"expected: at most {MAX_FILES:,}")
        return
    size = sum(member.file_size for member in members)
    if size > MAX_BYTES:
        yield _problem(f"unpacks to {size:,} bytes", f"expected: at most {MAX_BYTES:,}")
    for member in members:
        reason = _unsafe(member)
        if reason:
            yield _problem(f"has a member {member.orig_filename!r}, which {reason}")
    yield from _clashes(members)
    infos = {name.partition("/")[0] for name in map(place, members) if _is_wheel_file(name)}
    if len(infos) != 1:
        yield _problem(f"has {len(infos)} directories NAME.dist-info with a file WHEEL", "expected: one, as in a wheel")


def place(member: zipfile.ZipInfo) -> str:
    """Return where `member` goes, relative to the target; what is under purelib or platlib goes to the top."""
    match = _SPREAD.fullmatch(member.filename)
    return (match[1] if match else member.filename).rstrip("/")


def _problem(message: str, expected: str = "") -> Problem:
    return Problem(message, "HC204", expected=expected)


def _is_folder(member: zipfile.ZipInfo) -> bool:
    return member.filename.endswith("/")  # `ZipInfo.is_dir` fails on a name that begins with a zero byte


def _is_wheel_file(name: str) -> bool:
    return name.count("/") == 1 and name.endswith(".dist-info/WHEEL")


def _unsafe(member: zipfile.ZipInfo) -> str:
    """Return why `member` must not be unpacked, or ""."""
    name = member.orig_filename
    if "\0" in name or "\\" in name:
        return "has a character that paths must not have"
    if name.startswith("/") or _DRIVE.match(name):
        return "is an absolute path"
    if any(part in ("", ".", "..") for part in name.removesuffix("/").split("/")):
        return "does not stay in its place"
    if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or a device"
    return ""


def _clashes(members: list[zipfile.ZipInfo]) -> Iterator[Problem]:
    files: set[str] = set()
    for member in members:
        name = place(member)
        if not _is_folder(member) and name in files:
            yield _problem(f"has the member {name!r} twice")
        if not _is_folder(member):
            files.add(name)
    folders = {str(parent) for file in files for parent in PurePosixPath(file).parents}
    folders |= {place(member) for member in members if _is_folder(member)}
    for name in sorted(files & folders):
        yield _problem(f"has {name!r} as a file and as a directory")


def _check_tags(archive: zipfile.ZipFile) -> Iterator[Problem]:
    """Yield a problem if the wheel is for other interpreters or machines; one that does not say is let through."""
    from packaging.tags import parse_tag, sys_tags

    name = next(name for name in archive.namelist() if _is_wheel_file(name))
    lines = archive.read(name).decode("utf-8", "replace").splitlines()
    tags = [line.partition(":")[2].strip() for line in lines if line.startswith("Tag:")]
    if tags and not frozenset(sys_tags()) & frozenset().union(*map(parse_tag, tags)):
        yield _problem(f"is for {', '.join(tags)}, not for this Python on this machine")


def _write(archive: zipfile.ZipFile, target: Path) -> None:
    draft = target.with_name(f".{target.name}.{os.urandom(8).hex()}")
    draft.mkdir(parents=True)
    try:
        for member in archive.infolist():
            path = draft / place(member)
            (path if _is_folder(member) else path.parent).mkdir(parents=True, exist_ok=True)
            if not _is_folder(member):
                with archive.open(member) as source, path.open("xb") as copy:
                    shutil.copyfileobj(source, copy)
        _put(draft, target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _put(draft: Path, target: Path) -> None:
    try:
        draft.rename(target)
    except OSError:
        if not target.is_dir():  # else another process was faster, with the same content
            raise


def _refused(wheel: Path, problems: Iterable[Problem]) -> LoadError:
    found = list(problems)
    if len(found) > MAX_REPORTED:
        found[MAX_REPORTED:] = [_problem(f"and {len(found) - MAX_REPORTED:,} more such members")]
    return LoadError(wheel.name, label=str(wheel), problems=found)
