"""Entry points: how a distribution says which modules it holds.

The file `entry_points.txt` has sections in brackets, one for each group, and lines `name = value` in them; `#` and
`;` begin a comment line.  Only hostcore's own groups are looked at: what other tools write in theirs is no business
of ours, be it broken or not.  A line that cannot be used is reported and the others count.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import msgspec

from hostcore.errors import LoadError, Problem

MODULES = "hostcore.modules"
HOOKSPECS = "hostcore.hookspecs"
GROUPS = frozenset({MODULES, HOOKSPECS})

# The same as `contract.versions.NAME` (a test holds them together); importing that one costs 30 ms, for `packaging`.
NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._:-]*[A-Za-z0-9])?")
_IDENTIFIER = r"[^\W\d]\w*"
_DOTTED = rf"{_IDENTIFIER}(?:\.{_IDENTIFIER})*"
_GUEST = r"(?:[\w-][\w.-]*/)*[\w-][\w.-]*\.wasm"
_VALUE = re.compile(rf"({_DOTTED})\s*(?::\s*({_GUEST}|{_DOTTED})\s*)?(?:\[.*\]\s*)?")


class Entry(msgspec.Struct, frozen=True):
    """One entry point that is installed.

    Attributes:
        name: The module's name.
        value: Where it is, as in "acme_counter:Counter" or "acme_shout:shout.wasm".
        distribution: The distribution's name, as in "acme-counter".
        version: The distribution's version, as it is written there.
        metadata: The path of the `.dist-info` or `.egg-info` directory; "" if it is not in a plain directory.
        group: The entry-point group.
    """

    name: str
    value: str
    distribution: str
    version: str
    metadata: str
    group: str = MODULES

    @property
    def label(self) -> str:
        """The entry as people read it: "counter 1.4.0 (acme-counter)"."""
        return f"{self.name} {self.version} ({self.distribution})"


def lost(entry: Entry, message: str, hint: str, expected: str = "") -> LoadError:
    """Return the error for an entry point whose code is not where it says (HC203)."""
    problem = Problem(f"entry point {entry.value!r} {message}", "HC203", entry.metadata, expected, hint)
    return LoadError(entry.name, label=entry.label, problems=[problem])


class Declaration(NamedTuple):
    """One usable line of an `entry_points.txt`."""

    group: str
    name: str
    value: str


def parse_entry_points(text: str, where: str = "") -> tuple[list[Declaration], list[Problem]]:
    """Return hostcore's entry points in `text`, in order, and what is wrong with the others.

    Args:
        text: The content of an `entry_points.txt`.
        where: The file's path, for the problems.
    """
    found: dict[tuple[str, str], Declaration] = {}
    problems: list[Problem] = []
    group = ""
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if line.startswith("[") and line.endswith("]"):
            group = line[1:-1].strip()
        elif line and line[0] not in "#;" and group in GROUPS:
            got = parse_line(group, line, f"{where}:{number}")
            if isinstance(got, Declaration) and (group, got.name) in found:
                got = Problem(f"{got.name!r} is declared twice in [{group}]", "HC114", f"{where}:{number}",
                              hint="the first declaration counts; remove the other")  # fmt: skip
            if isinstance(got, Problem):
                problems.append(got)
            else:
                found[group, got.name] = got
    return list(found.values()), problems


def parse_line(group: str, line: str, where: str) -> Declaration | Problem:
    """Return the declaration in `line`, or what is wrong with it."""
    name, equals, value = (part.strip() for part in line.partition("="))
    if not equals:
        return Problem(f"line {line!r} in [{group}] cannot be read", "HC113", where, "expected: NAME = PACKAGE:OBJECT")
    if not NAME.fullmatch(name):
        return Problem(f"{name!r} in [{group}] is not a module name", "HC114", where,
                       "expected: letters, digits, '.', '_', '-' and ':', as in 'parser-python'")  # fmt: skip
    return check_value(group, name, value, where)


def check_value(group: str, name: str, value: str, where: str) -> Declaration | Problem:
    """Return the declaration with `value` in its plain form, without blanks and extras, or what is wrong with it."""
    match = _VALUE.fullmatch(value)
    if match is None:
        shown = f"has the value {value!r}" if value else "has no value"
        return Problem(f"entry point {name!r} in [{group}] {shown}", "HC114", where,
                       "expected: PACKAGE:OBJECT or PACKAGE:FILE.wasm, as in 'acme_counter:Counter'")  # fmt: skip
    return Declaration(group, name, f"{match[1]}:{match[2]}" if match[2] else match[1])
