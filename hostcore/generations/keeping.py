"""What a generation was made of, kept so that it can be made again when its files are no longer there.

Installing a release over another replaces the files of the one that runs; what is left of that is the code that its
generation has compiled.  Code objects are plain data: they hold nothing of the generation that ran them, and so may be
kept while its modules, classes and functions go.

A generation made from kept code takes every module that was loaded before from there.  One that was not (imported
late, in a function that was never called) can only come from the files, and does as long as those are still the ones
that the kept code was compiled from; otherwise two releases would be mixed, so it is refused.  Data files are read from
where they are in any case.
"""

from __future__ import annotations

import importlib.machinery as machinery
import types
from importlib.util import spec_from_file_location
from pathlib import Path
from typing import Any, NamedTuple

from hostcore.generations import finding


class KeptModule(NamedTuple):
    """One module: its code (None for an extension), its file ("" for a namespace), and a package's directories."""

    code: types.CodeType | None
    origin: str
    locations: tuple[str, ...] | None


class MixedReleaseError(ImportError):
    """A module that was not loaded before is wanted from files that now hold another release."""


class KeptLoader(finding.SourceLoader):
    """Loads from kept code; whatever else is asked for comes from the file."""

    def __init__(self, name: str, path: str, code: types.CodeType) -> None:
        super().__init__(name, path)
        self._code = code

    def get_code(self, fullname: str) -> types.CodeType:
        """Return the kept code."""
        return self._code


class KeptCode:
    """The modules that a generation had loaded, by dotted name."""

    def __init__(self) -> None:
        self.modules: dict[str, KeptModule] = {}
        self._unchanged: bool | None = None

    def add(self, spec: Any, code: types.CodeType | None) -> None:
        """Keep a module that was loaded by `spec`."""
        locations = spec.submodule_search_locations
        origin = spec.origin if spec.has_location else ""
        self.modules[spec.name] = KeptModule(code, origin, None if locations is None else tuple(locations))

    def find_spec(self, name: str) -> machinery.ModuleSpec | None:
        """Return the spec of a kept module, or None."""
        kept = self.modules.get(name)
        if kept is None:
            return None
        if not kept.origin:
            return finding.namespace_spec(name, kept.locations or ())
        loader: Any = None
        if kept.code is None:
            loader = machinery.ExtensionFileLoader(name, kept.origin)
        else:
            loader = KeptLoader(name, kept.origin, kept.code)
        locations = None if kept.locations is None else list(kept.locations)
        return spec_from_file_location(name, kept.origin, loader=loader, submodule_search_locations=locations)

    def check_unmixed(self, name: str) -> None:
        """Make sure that module `name`, which is not kept, may be taken from the files.

        Raises:
            MixedReleaseError: The files are no longer those that the kept code was compiled from.
        """
        if self._unchanged is None:
            self._unchanged = all(_is_unchanged(kept) for kept in self.modules.values())
        if not self._unchanged:
            raise MixedReleaseError(
                f"{name!r} was not loaded before the release was replaced, and its files now hold another one; "
                "import it at the top of a module to have it kept",
                name=name,
            )


def _is_unchanged(kept: KeptModule) -> bool:
    if kept.code is None or not kept.origin.endswith(tuple(machinery.SOURCE_SUFFIXES)):
        return True  # an extension is loaded once for the process: it is what it was
    try:
        source = Path(kept.origin).read_bytes()
        return compile(source, kept.origin, "exec", dont_inherit=True) == kept.code
    except (OSError, SyntaxError, ValueError):
        return False
