"""One metadata directory (`NAME-VERSION.dist-info` or `NAME.egg-info`), read as fast as it goes.

Most distributions have nothing for hostcore, and what they have is not decoded: a file without the word "hostcore."
in it is passed over.  `METADATA` is read only where there is an entry point.

A directory can change in place: an installer writes its files one by one, setuptools rewrites an egg-info.  So each
read says which files it rests on (`watched`), and the index compares their stamps later.
"""
# Plain strings: `Path` objects would double the time of a scan.
# ruff: noqa: PTH119, PTH120, PTH122, PTH123

from __future__ import annotations

import os
import re

import msgspec

from hostcore.errors import Problem
from hostcore.packages.entries import Entry, parse_entry_points

SUFFIXES = (".dist-info", ".egg-info")
ENTRY_POINTS = "entry_points.txt"
_MARK = b"hostcore."
_SEPARATORS = re.compile(r"[-_.]+")


class Distribution(msgspec.Struct):
    """What one metadata directory holds for hostcore.

    Attributes:
        key: The normalised name of the distribution, from the directory's name.
        watched: The files this rests on, relative to the folder on `sys.path`.
        entries: Its usable entry points.
        problems: What is wrong with it.
    """

    key: str
    watched: list[str]
    entries: list[Entry] = []
    problems: list[Problem] = []


def is_metadata(name: str, folder: str) -> bool:
    """Tell whether `name` in `folder` is a metadata directory.

    Names that begin with "~" are what pip moves aside during an upgrade.
    """
    if name.endswith(SUFFIXES):
        return not name.startswith("~")
    return name == "EGG-INFO" and folder.endswith(".egg")


def normalised(name: str) -> str:
    """Return the name of a distribution in the form in which names are compared (PEP 503)."""
    return _SEPARATORS.sub("-", name).lower()


def name_and_version(directory: str) -> tuple[str, str]:
    """Return what the directory's own name says, as in "acme_counter-1.4.0.dist-info"; "" for what it does not."""
    if os.path.basename(directory) == "EGG-INFO":
        directory = os.path.dirname(directory)
    stem = os.path.splitext(os.path.basename(directory))[0]
    name, _, rest = stem.partition("-")
    return name, rest.partition("-py")[0]


def read_distribution(folder: str, name: str) -> Distribution:
    """Read the metadata directory `name` in `folder`.  Nothing it holds makes this raise."""
    directory = f"{folder}/{name}"
    where = f"{directory}/{ENTRY_POINTS}"
    result = Distribution(normalised(name_and_version(directory)[0]), [f"{name}/{ENTRY_POINTS}"])
    try:
        with open(where, "rb", buffering=0) as file:
            data = file.read()
    except (FileNotFoundError, NotADirectoryError):
        result.watched = [name]
        return result
    except OSError as error:
        return _failed(result, Problem(f"cannot be read: {error.strerror}", "HC111", where))
    if _MARK in data:
        _fill(result, data, directory, where)
    return result


def _fill(result: Distribution, data: bytes, directory: str, where: str) -> None:
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        _failed(result, Problem("is not UTF-8", "HC112", f"{where}:{line}"))
        return
    declared, problems = parse_entry_points(text, where)
    result.problems = problems
    if declared:
        header = "PKG-INFO" if directory.endswith((".egg-info", "EGG-INFO")) else "METADATA"
        result.watched = [*result.watched, f"{os.path.basename(directory)}/{header}"]
        distribution, version, missing = _identity(directory, header)
        result.problems = [*problems, *missing]
        result.entries = [Entry(d.name, d.value, distribution, version, directory, d.group) for d in declared]


def _failed(result: Distribution, problem: Problem) -> Distribution:
    hint = f"install {result.key!r} again"
    result.problems = [problem._replace(message=f"{ENTRY_POINTS} of {result.key!r} {problem.message}", hint=hint)]
    return result


def _identity(directory: str, header: str) -> tuple[str, str, list[Problem]]:
    """Return name and version; what the file lacks is taken from the directory's name, and reported."""
    where = f"{directory}/{header}"
    stem, guess = name_and_version(directory)
    try:
        with open(where, "rb") as file:
            fields = _fields(file.read())
    except OSError as error:
        problem = Problem(f"{header} cannot be read: {error.strerror}", "HC115", where,
                          hint=f"install {normalised(stem)!r} again")  # fmt: skip
        return normalised(stem), guess or "0", [problem]
    problems = [
        Problem(f"{header} has no {field}", "HC115", where, hint=f"build and install {normalised(stem)!r} again")
        for field in ("Name", "Version")
        if not fields.get(field.lower())
    ]
    return fields.get("name") or normalised(stem), fields.get("version") or guess or "0", problems


def _fields(data: bytes) -> dict[str, str]:
    """Return name and version from the head of a metadata file (the first of each counts)."""
    fields: dict[str, str] = {}
    for line in data.decode("utf-8", "replace").splitlines():
        if not line:
            break
        key, colon, value = line.partition(":")
        if colon and key.lower() in ("name", "version"):
            fields.setdefault(key.lower(), value.strip())
    return fields
