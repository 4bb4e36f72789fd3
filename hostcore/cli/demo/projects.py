"""The two modules of the demo that are not installed, written as projects into a temporary directory.

The changed release of the parser is a copy of the installed one with the next version.  What changed is appended to
its source: it also counts lines, which the answer to "parser.count" shows.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from packaging.version import Version

from hostcore.errors import LoadError
from hostcore.packages.identity import publisher_of
from hostcore.packages.locating import Release

GRUMPY = "grumpy"
GRUMPY_ASKS = ("bus.subscribe:parser.parsed",)
NEW_FIELD = "lines_since_reload"

_CHANGE = '''

_Before = Parser


class Parser(_Before):
    """The parser, which now counts lines as well."""

    lines = 0

    @hostcore.hookimpl
    async def handle_message(self, message: hostcore.Message[ParseSource | GetCount]) -> Any:
        """Answer as before; the count has a field more."""
        reply = await super().handle_message(message)
        if isinstance(reply, Parsed):
            self.lines += reply.lines
            return reply
        return {**reply, "lines_since_reload": self.lines}

    @hostcore.hookimpl
    async def restore_state(self, state: dict[str, Any]) -> None:
        """Take the count over, after a check in a thread; what is sent meanwhile is held, not lost."""
        await asyncio.to_thread(self.check_health)
        super().restore_state(state)
'''

_GRUMPY = '''\
"""A module that raises on every message."""

import hostcore


class Grumpy:
    """Listens to the parser and dislikes all it hears."""

    @hostcore.hookimpl
    def initialize(self, context):
        """Listen."""
        context.subscribe("parser.parsed")

    @hostcore.hookimpl
    def handle_message(self, message):
        """Raise, whatever it is."""
        raise RuntimeError(f"grumpy wants no message {message.id}")
'''

_GRUMPY_MANIFEST = f"""\
[{GRUMPY}]
summary = "Raises on every message."
permissions = {list(GRUMPY_ASKS)}
"""

_PYPROJECT = """\
[project]
name = "{distribution}"
version = "{version}"
authors = [{{ name = {publisher} }}]

[project.entry-points."hostcore.modules"]
{module} = "{value}"
"""


def write_changed(release: Release, directory: Path) -> Path:
    """Write the changed release of the installed parser `release` into `directory`; return the project.

    Raises:
        LoadError: Its source is not in a directory.
    """
    places = [Path(path) / release.package for path in release.paths]
    package = next((place for place in places if (place / "__init__.py").is_file()), None)
    if package is None:
        raise LoadError(release.name, "has no source directory to copy", label=release.label, where=str(places[0]))
    copy = directory / "src" / release.package
    shutil.copytree(package, copy, ignore=shutil.ignore_patterns("__pycache__"))
    with (copy / "__init__.py").open("a", encoding="utf-8") as file:
        file.write(_CHANGE)
    by = publisher_of(release)  # whoever consented to the installed release, consented to this publisher's
    _describe(directory, release.distribution, next_version(release.version), release.name, release.value, by)
    return directory


def write_grumpy(directory: Path) -> Path:
    """Write the module that raises on every message into `directory`; return the project."""
    package = directory / "src" / "hostcore_demo_grumpy"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(_GRUMPY, "utf-8")
    (package / "module.toml").write_text(_GRUMPY_MANIFEST, "utf-8")
    _describe(directory, "hostcore-demo-grumpy", "1.0.0", GRUMPY, "hostcore_demo_grumpy:Grumpy")
    return directory


def next_version(version: str) -> str:
    """Return the minor release after `version`."""
    parsed = Version(version)
    return f"{parsed.major}.{parsed.minor + 1}.0"


def _describe(directory: Path, distribution: str, version: str, module: str, value: str, publisher: str = "") -> None:
    text = _PYPROJECT.format(
        distribution=distribution, version=version, module=module, value=value, publisher=json.dumps(publisher)
    )
    (directory / "pyproject.toml").write_text(text, "utf-8")
