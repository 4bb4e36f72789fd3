"""Distributions to measure with: written into a directory as an installer leaves them, or as a project.

The packages hold little; what a benchmark wants to see is what hostcore does with them.
"""

from __future__ import annotations

from pathlib import Path

ECHO = '''\
import hostcore


class Echo:
    """Answers with what it is sent, and counts."""

    count = 0

    @hostcore.hookimpl
    def handle_message(self, message):
        self.count += 1
        return message.payload

    @hostcore.hookimpl
    def execute(self, request):
        return {"count": self.count}

    @hostcore.hookimpl
    def get_state(self):
        return {"count": self.count}

    @hostcore.hookimpl
    def restore_state(self, state):
        self.count = state["count"]
'''
ASYNC_ECHO = ECHO.replace("def handle_message", "async def handle_message")
MODULE_FILE = '''\
"""File {number} of a package of which nothing much is asked."""

import dataclasses
import typing

LIMIT = {number}


@dataclasses.dataclass
class Record{number}:
    """Something with fields."""

    name: str
    values: list[int] = dataclasses.field(default_factory=list)

    def total(self) -> int:
        return sum(self.values)

    def describe(self) -> str:
        return f"{{self.name}}: {{self.total()}} of {{LIMIT}}"


def combine(records: typing.Iterable[Record{number}]) -> dict[str, int]:
    return {{record.name: record.total() for record in records}}


def parse(text: str) -> Record{number}:
    name, _, rest = text.partition(":")
    return Record{number}(name, [int(part) for part in rest.split(",") if part])
'''


def package_files(package: str, files: int, code: str = ECHO) -> dict[str, str]:
    """Return a package of `files` files, path -> text; its `__init__` imports the others and has `code`."""
    parts = {f"{package}/part{number}.py": MODULE_FILE.format(number=number) for number in range(1, files)}
    imports = "".join(f"from {package} import part{number}\n" for number in range(1, files))
    return {f"{package}/__init__.py": imports + code, **parts}


def write_files(directory: Path, files: dict[str, str]) -> None:
    """Write `files`, relative path -> text, below `directory`."""
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


def write_project(directory: Path, modules: list[str], files: int = 1, code: str = ECHO) -> Path:
    """Write a project with one package, which is each of `modules`, and return it."""
    points = "".join(f'{name} = "bench_echo:Echo"\n' for name in modules)
    pyproject = (
        f'[project]\nname = "bench-echo"\nversion = "1.0"\n\n[project.entry-points."hostcore.modules"]\n{points}'
    )
    write_files(directory, {"pyproject.toml": pyproject})
    write_files(directory / "src", package_files("bench_echo", files, code))
    return directory


def install(site: Path, number: int, *, module: bool = True) -> str:
    """Install distribution `number` into `site`, with a hostcore module or a command of its own; return its name."""
    name, package = f"bench-{number}", f"bench_{number}"
    group, point = ("hostcore.modules", f"{package}:Echo") if module else ("console_scripts", f"{package}:main")
    info = f"{package}-1.0.dist-info"
    files = {
        f"{package}/__init__.py": ECHO if module else "def main(): ...\n",
        **({f"{package}/module.toml": f'[{name}]\nsummary = "Echoes."\nprovides = ["echo"]\n'} if module else {}),
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: bench\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[{group}]\n{name} = {point}\n",
    }
    record = "".join(f"{file},,\n" for file in (*files, f"{info}/RECORD"))
    write_files(site, {**files, f"{info}/RECORD": record})
    return name
