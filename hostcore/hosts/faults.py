"""What a module raised, as text: named, placed, and holding nothing of the module.

Making that text runs the module's code, such as its `__str__`; whatever comes out of it, be it a KeyboardInterrupt that
would end the host, is one more thing that the module raised.
"""

from __future__ import annotations

import traceback
from pathlib import Path

_HERE = str(Path(__file__).parent.parent)
_LONGEST = 8_000
_SHORT = 200


def message_of(error: BaseException) -> str:
    """Return `str(error)`, whatever its class makes of that."""
    try:
        text = str(error)
    except BaseException as exc:  # noqa: BLE001 - a module's own __str__
        text = f"<its text cannot be made: {type(exc).__name__}>"
    return _sayable(text if len(text) <= _LONGEST else text[:_LONGEST] + "...")


def _sayable(text: str) -> str:
    """Return text that can be encoded: half a surrogate pair, of a file's name for example, is spelt out."""
    return text.encode("utf-8", "backslashreplace").decode()


def summary_of(error: BaseException) -> str:
    """Return "ValueError: text", or the type's name alone."""
    text = message_of(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def repr_of(value: object) -> str:
    """Return `repr(value)`, whatever its class makes of that."""
    try:
        text = repr(value)
    except BaseException as exc:  # noqa: BLE001 - a module's own __repr__
        text = f"<a {type(value).__name__} whose repr raises {type(exc).__name__}>"
    return text if len(text) <= _SHORT else text[:_SHORT] + "..."


def traceback_of(error: BaseException) -> str:
    """Return the formatted traceback, the host's own frames left out."""
    try:
        details = traceback.TracebackException(type(error), error, error.__traceback__, limit=-40)
        _drop_host_frames(details)
        text = "".join(details.format())
    except BaseException as exc:  # noqa: BLE001 - formatting runs the module's code too
        text = f"{type(error).__name__} (its traceback cannot be made: {type(exc).__name__})\n"
    return _sayable(text if len(text) <= _LONGEST else f"...{text[-_LONGEST:]}")


def place_of(error: BaseException) -> str:
    """Return "package/file.py:12" of the innermost frame that is not the host's, or ""."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{'/'.join(Path(error.filename).parts[-2:])}:{error.lineno}"
    place = ""
    tb = error.__traceback__
    while tb is not None:
        filename = tb.tb_frame.f_code.co_filename
        if not _is_host(filename):
            place = f"{'/'.join(Path(filename).parts[-2:])}:{tb.tb_lineno}"
        tb = tb.tb_next
    return place


def let_go_of_frames(error: BaseException) -> None:
    """Drop the tracebacks of an error and of those that led to it: their frames hold a module's objects.

    A cancellation has them too, and one that a deadline caused stands behind the deadline's own error.
    """
    seen: set[int] = set()
    todo: list[BaseException | None] = [error]
    while todo:
        found = todo.pop()
        if found is not None and id(found) not in seen:
            seen.add(id(found))
            found.__traceback__ = None
            todo += [found.__cause__, found.__context__]


def _is_host(filename: str) -> bool:
    return filename.startswith((_HERE, "<frozen "))


def _drop_host_frames(details: traceback.TracebackException) -> None:
    seen: traceback.TracebackException | None = details
    while seen is not None:
        kept = [frame for frame in seen.stack if not _is_host(frame.filename)]
        seen.stack = traceback.StackSummary.from_list(kept)
        seen = seen.__cause__ or seen.__context__
