"""Small modules for tests of a whole system: written as project directories, or into a site-packages folder.

write = ModuleWriter(tmp_path)
source = write(ECHO)                                          # a project with the module "echo"
source = write(COUNTER, "counter", version="2.0", manifest="provides = ['count/2.0']")
install(site, "echo", ECHO)                                   # what pip would leave behind

A module's code is given as the body of its class; what stands outside of the class goes into `top`.
"""

from __future__ import annotations

import itertools
import re
import textwrap
from collections.abc import Mapping
from pathlib import Path

from support.distributions import entry_points, fake_install, write_files

ECHO = """
@hookimpl
def handle_message(self, message):
    return message.payload
"""

COUNTER = """
@hookimpl
def initialize(self, context):
    self.count = context.config.get("start", 0)
    self.version = context.version

@hookimpl
async def handle_message(self, message):
    self.count += 1
    return {"count": self.count, "version": self.version}

@hookimpl
def get_state(self):
    return {"count": self.count}

@hookimpl
def restore_state(self, state):
    self.count = state["count"]
"""

WAITER = """
@hookimpl
def initialize(self, context):
    self.context = context

@hookimpl
async def handle_message(self, message):
    await self.context.invoke("gate", "wait")
    return message.payload
"""
"""Answers once the test opens its gate."""


def package_of(name: str) -> str:
    """Return the package that holds the module `name`."""
    return "acme_" + "".join(c if c.isalnum() else "_" for c in name)


def code(body: str, top: str = "") -> str:
    """Return the source of a package whose class `Module` has `body`."""
    head = "import asyncio\nimport hostcore\nfrom hostcore import hookimpl\n"
    return f"{head}{textwrap.dedent(top)}\n\nclass Module:\n{textwrap.indent(textwrap.dedent(body).strip(), '    ')}\n"


def manifest_text(name: str, manifest: str) -> str:
    """Return the text of a `module.toml`; a sub-table is written without the module's name: "[limits]"."""
    text = textwrap.dedent(manifest).strip()
    return f'["{name}"]\n' + re.sub(r"(?m)^\[", f'["{name}".', text) + "\n"


class ModuleWriter:
    """Writes projects, each into a directory of its own."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._numbers = itertools.count(1)

    def __call__(
        self, body: str, name: str = "echo", *, version: str = "1.0", manifest: str = "", top: str = "",
        entry: str = "Module", files: Mapping[str, str] | None = None,
    ) -> Path:  # fmt: skip
        """Write a project with one module and return its directory.

        Args:
            body: The body of its class.
            name: The module's name.
            version: Its version.
            manifest: What stands in its table of the `module.toml`.
            top: What stands above the class.
            entry: The attribute that the entry point names.
            files: Further files, or others, relative to the project.
        """
        package, project = package_of(name), self._directory / f"project-{next(self._numbers)}"
        content = {
            "pyproject.toml": f'[project]\nname = "{package.replace("_", "-")}"\nversion = "{version}"\n\n'
            f'[project.entry-points."hostcore.modules"]\n"{name}" = "{package}:{entry}"\n',
            f"{package}/__init__.py": code(body, top),
        }
        if manifest:
            content[f"{package}/module.toml"] = manifest_text(name, manifest)
        write_files(project, {**content, **(files or {})})
        return project


def install(
    site: Path, name: str, body: str, *, version: str = "1.0", manifest: str = "", top: str = "",
    files: Mapping[str, str] | None = None,
) -> None:  # fmt: skip
    """Write a distribution with one module into `site`, as pip would."""
    package = package_of(name)
    content = {f"{package}/__init__.py": code(body, top), **(files or {})}
    if manifest:
        content[f"{package}/module.toml"] = manifest_text(name, manifest)
    install_files(site, package, version, entry_points({name: f"{package}:Module"}), content)


def install_files(site: Path, package: str, version: str, points: str, files: Mapping[str, str]) -> None:
    """Write a distribution with `files` and the text of its `entry_points.txt` into `site`."""
    fake_install(site, package.replace("_", "-"), version, points, list(files))
    write_files(site, files)
