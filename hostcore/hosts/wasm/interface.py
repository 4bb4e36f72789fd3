"""What the interface says, as the host checks it: names, types, versions.

The same as `hostcore/guest/interface/hostcore-module.wit`; a test compares them.
"""

from __future__ import annotations

import re

PACKAGE = "hostcore:module"
VERSION = (1, 0)
"""The newest version that this host speaks; a guest of the same major version and at most this minor one will do."""
SPEAKS = "1.0"
_NAME = re.compile(r"hostcore:module/(?P<interface>[a-z-]+)@(?P<major>\d+)\.(?P<minor>\d+)\.\d+(?:-.*)?")

_ERROR = "record{code: string, message: string, details: option<string>}"
_DONE = f"result<_, {_ERROR}>"
_TEXT = f"result<string, {_ERROR}>"
_MAYBE = f"result<option<string>, {_ERROR}>"

IMPORTS: dict[str, dict[str, str]] = {
    "types": {},
    "log": {"log": "(enum{trace, debug, info, warn, error}, string, option<string>)"},
    "context": {
        "module": "() -> record{name: string, version: string, generation: u32}",
        "message": "() -> option<record{id: string, sender: string, schema: string, trace: string, "
        "remaining-ms: option<u64>}>",
    },
    "bus": {
        "send": f"(string, string, string) -> {_DONE}",
        "request": f"(string, string, string, u32) -> {_MAYBE}",
        "publish": f"(string, string) -> {_DONE}",
        "subscribe": f"(string) -> {_DONE}",
        "unsubscribe": f"(string) -> {_DONE}",
    },
    "kv": {
        "get": f"(string) -> {_MAYBE}",
        "set": f"(string, string) -> {_DONE}",
        "delete": f"(string) -> result<bool, {_ERROR}>",
        "keys": f"(string) -> result<list<string>, {_ERROR}>",
    },
    "capabilities": {"granted": "(string) -> bool", "invoke": f"(string, string, string) -> {_TEXT}"},
    "timers": {"sleep": f"(u32) -> {_DONE}"},
}
"""Interface -> function -> its type, of what a guest may import."""

EXPORTS: dict[str, dict[str, str]] = {
    "lifecycle": {
        "initialize": f"(string) -> {_DONE}",
        "get-capabilities": "() -> list<record{name: string, version: string, schema: option<string>}>",
        "handle-message": f"(string, string) -> {_MAYBE}",
        "execute": f"(string) -> {_TEXT}",
        "get-state": f"() -> {_TEXT}",
        "restore-state": f"(string) -> {_DONE}",
        "shutdown": f"() -> {_DONE}",
    },
    "hooks": {"implemented": "() -> list<string>", "call": f"(string, string) -> {_MAYBE}"},
}
"""Interface -> function -> its type, of what a guest exports."""


def split(name: str) -> tuple[str, tuple[int, int]] | None:
    """Return interface and version of "hostcore:module/INTERFACE@VERSION"; None for any other name."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    return match["interface"], (int(match["major"]), int(match["minor"]))


def is_spoken(version: tuple[int, int]) -> bool:
    """Tell whether this host speaks a guest's version of the interface."""
    return version[0] == VERSION[0] and version[1] <= VERSION[1]
