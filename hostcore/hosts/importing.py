"""Import a module's object: what runs in a thread, under a guard, while everything else goes on.

These frames stand between the guard and the module's code, so they live in a file of their own, which the guard
looks through: an import that never ends is broken, one that hangs in C code is given up on.
"""

from __future__ import annotations

import inspect
from typing import Any

from hostcore.errors import LoadError, did_you_mean
from hostcore.generations import Generation
from hostcore.hosts import faults
from hostcore.packages.locating import Release


def make_plugin(work: tuple[Generation, Release]) -> Any:
    """Import the entry point's object and return the module's instance of it."""
    found = find_object(work)
    if inspect.isclass(found):
        _check_constructor(work[1], found)
        return found()
    return found


def find_object(work: tuple[Generation, Release]) -> Any:
    """Import the entry point's module and return the object that it names."""
    generation, release = work
    module_name, _, path = release.value.partition(":")
    found = generation.load(module_name)
    for part in path.split(".") if path else ():
        if not hasattr(found, part):
            raise LoadError(
                release.name,
                f"the entry point {release.value!r} names {part!r}, which {module_name!r} does not have",
                code="HC210",
                label=release.label,
                hint=did_you_mean(part, [n for n in dir(found) if not n.startswith("_")]),
            )
        found = getattr(found, part)
    return found


def _check_constructor(release: Release, cls: type) -> None:
    try:
        inspect.signature(cls).bind()
    except TypeError as exc:
        raise LoadError(
            release.name,
            f"{release.value!r} cannot be made without arguments: {exc}",
            code="HC208",
            label=release.label,
            hint="take what it needs from the context, in initialize(context)",
        ) from None
    except ValueError:
        return  # no signature to look at: calling it will tell


def import_error(release: Release, error: BaseException) -> LoadError:
    """Return the named error for what an import raised."""
    what = f"importing {release.value!r} raised {faults.summary_of(error)}"
    if isinstance(error, SystemExit):
        what = f"importing {release.value!r} called sys.exit({faults.message_of(error)})"
    place, text = faults.place_of(error), faults.traceback_of(error)
    hint = ""
    if isinstance(error, ModuleNotFoundError):
        hint = f"install {error.name!r}, and name it in the dependencies of {release.distribution or release.name!r}"
    error.__traceback__ = None
    return LoadError(release.name, what, label=release.label, where=place, hint=hint, traceback=text)


def endless_import(release: Release, seconds: float, left: str = "") -> LoadError:
    """Return the error of an import that took longer than `seconds`."""
    return LoadError(
        release.name,
        f"importing {release.value!r} did not end within {seconds:.3g} s{left}",
        code="HC205",
        label=release.label,
        hint="move slow work into initialize(), or raise load_timeout",
    )
