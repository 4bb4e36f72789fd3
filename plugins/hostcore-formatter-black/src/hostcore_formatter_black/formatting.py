"""From a request to black and back, in plain data."""

from __future__ import annotations

import re
from typing import Any

import black
from black.mode import TargetVersion
from black.parsing import InvalidInput

SWITCHES = ("string_normalization", "magic_trailing_comma", "is_pyi", "preview")
"""What a request's "mode" may turn on and off."""

_PLACE = re.compile(r"(\d+):(\d+)\b")


def format_source(request: Any, line_length: int) -> dict[str, Any]:
    """Return the formatted source that `request` holds.

    Args:
        request: {"source": ...}, and where wanted "line_length" and "mode", an object with some of `SWITCHES` and
            "target_versions", a list such as ["py311"].
        line_length: The line length where the request names none.

    Returns:
        {"source": ..., "changed": ...}.  What is no Python is returned unchanged, with
        "error": {"type": "syntax", "message": ..., "line": ..., "column": ...}.

    Raises:
        ValueError: The request is malformed.
    """
    source = _source(request)
    mode = _mode(request, line_length)
    try:
        formatted = black.format_str(source, mode=mode)
    except InvalidInput as error:
        return {"source": source, "changed": False, "error": _syntax_error(str(error))}
    return {"source": formatted, "changed": formatted != source}


def _source(request: Any) -> str:
    if not isinstance(request, dict) or not isinstance(request.get("source"), str):
        raise ValueError('expected {"source": "...", ...}')
    unknown = sorted(set(request) - {"source", "line_length", "mode"})
    if unknown:
        raise ValueError(f"unknown: {', '.join(map(repr, unknown))}; a request has source, line_length and mode")
    source: str = request["source"]
    return source


def _mode(request: dict[str, Any], line_length: int) -> black.Mode:
    length = request.get("line_length")
    length = line_length if length is None else length
    if type(length) is not int or not 0 < length <= 1000:
        raise ValueError(f"line_length is a number from 1 to 1000, not {length!r}")
    given = request.get("mode") or {}
    if not isinstance(given, dict):
        raise ValueError(f"mode is an object, not {given!r:.80}")
    options: dict[str, Any] = {}
    for key, value in given.items():
        if key == "target_versions":
            options[key] = _versions(value)
        elif key not in SWITCHES:
            raise ValueError(f"unknown in mode: {key!r}; it may have {', '.join([*SWITCHES, 'target_versions'])}")
        elif not isinstance(value, bool):
            raise ValueError(f"mode.{key} is true or false, not {value!r:.80}")
        else:
            options[key] = value
    return black.Mode(line_length=length, **options)


def _versions(names: Any) -> set[TargetVersion]:
    known = {version.name.lower(): version for version in TargetVersion}
    if not isinstance(names, list) or not all(isinstance(name, str) and name in known for name in names):
        raise ValueError(f"mode.target_versions is a list of {', '.join(known)}; not {names!r:.80}")
    return {known[name] for name in names}


def _syntax_error(text: str) -> dict[str, Any]:
    """Return what black says of source that it cannot parse, with the place where it names one."""
    place = _PLACE.search(text)
    line, column = (int(place[1]), int(place[2])) if place else (None, None)
    return {"type": "syntax", "message": text, "line": line, "column": column}
