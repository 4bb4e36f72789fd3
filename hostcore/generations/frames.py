"""Find what the variables of functions hold, and what threads run.

The garbage collector does not see the variables of a function that runs.  Before Python 3.13, reading a frame's
`f_locals` leaves a snapshot in the frame, which would keep what it holds alive for as long as the function runs;
so what the reading put in is taken out again.  It is not read at all while the process is traced or profiled by
Python code: the interpreter writes such snapshots back then.
"""

from __future__ import annotations

import inspect
import sys
import threading
import types
from collections.abc import Iterator
from typing import Any, NamedTuple

from hostcore.generations.looking import code_name, entry, instance_dict, text

_SNAPSHOT_REFERENCES = 3
"""Of a snapshot that nobody else holds: by the frame, by the variable that it is read into, and by getrefcount."""


class Use(NamedTuple):
    """An object's use by a running function: the variable that holds it, or "" if it is what runs."""

    variable: str
    where: str
    own_thread: bool


def read(frame: types.FrameType) -> list[tuple[str, Any]]:
    """Return the variables of a frame, and leave nothing in it."""
    if sys.version_info >= (3, 13):
        return [(name, value) for name, value in frame.f_locals.items() if type(name) is str]
    if frame.f_trace is not None or any(
        hook() is not None for hook in (sys.gettrace, sys.getprofile, threading.gettrace, threading.getprofile)
    ):
        return []
    snapshot = frame.f_locals
    found = [(name, value) for name, value in list(snapshot.items()) if type(name) is str]
    code = frame.f_code
    if code.co_flags & inspect.CO_OPTIMIZED and sys.getrefcount(snapshot) <= _SNAPSHOT_REFERENCES:
        for name in (*code.co_varnames, *code.co_cellvars, *code.co_freevars):
            snapshot.pop(name, None)
    return found


def variable_of(frame: types.FrameType | None, obj: Any) -> str:
    """Return the name of the variable of `frame` that holds `obj`; "" if there is none."""
    return next((name for name, value in read(frame) if value is obj), "") if frame is not None else ""


def uses(objects: dict[int, Any], own: types.CodeType) -> dict[int, Use]:
    """Return the use of each of `objects`, given as number -> object, by a function that runs in some thread.

    Args:
        objects: What to look for.
        own: The code of the function that searches; it, and what it calls, do not count.
    """
    numbers = {id(content(obj)): number for number, obj in objects.items()}
    codes = {id(obj.__code__): number for number, obj in objects.items() if type(obj) is types.FunctionType}
    found: dict[int, Use] = {}
    names = _thread_names()
    for ident, top in sys._current_frames().items():
        mine = ident == threading.get_ident()
        where = f"thread {names.get(ident, str(ident))!r}"
        for frame in _stack(top, own if mine else None):
            for variable, value_id in [(name, id(value)) for name, value in read(frame)]:
                if value_id in numbers:
                    _note(found, numbers[value_id], Use(variable, f"{code_name(frame)} in {where}", mine))
            if id(frame.f_code) in codes:
                _note(found, codes[id(frame.f_code)], Use("", f"{where}, which runs line {frame.f_lineno}", mine))
    return found


def content(obj: Any) -> Any:
    """Return what a variable is seen to hold: one that an inner function shares lies in a cell."""
    try:
        return obj.cell_contents if type(obj) is types.CellType else obj
    except ValueError:  # an empty cell
        return obj


def _note(found: dict[int, Use], number: int, use: Use) -> None:
    """Keep the first use, but rather one of another thread, and rather a variable than a call."""
    known = found.get(number)
    if known is None or (known.own_thread, not known.variable) > (use.own_thread, not use.variable):
        found[number] = use


def _stack(frame: types.FrameType | None, own: types.CodeType | None) -> Iterator[types.FrameType]:
    """Yield the frames of a thread, the innermost first; those up to that of the code `own` are left out."""
    while own is not None and frame is not None:
        here, frame = frame, frame.f_back
        if here.f_code is own:
            break
    while frame is not None:
        yield frame
        frame = frame.f_back


def _thread_names() -> dict[Any, str]:
    found = {}
    for thread in threading.enumerate():
        attributes = instance_dict(thread) or {}
        found[entry(attributes, "_ident")] = text(entry(attributes, "_name"))
    return found
