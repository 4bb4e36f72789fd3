"""`hostcore build`: a project's modules as WebAssembly components."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hostcore.cli import output
from hostcore.cli.commands import json_option
from hostcore.errors import BuildError

if TYPE_CHECKING:
    from hostcore.sdk.building import Built


@click.command()
@click.argument("path", default=".", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--wasm", is_flag=True, help="Build WebAssembly components, for the sandbox.")
@click.option("--module", metavar="NAME", help="Build this module only (default: all that the project declares).")
@click.option(
    "--output", "file", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path),
    help="Where to write it (default: MODULE.wasm in the module's package).",
)  # fmt: skip
@json_option
def build(path: Path, wasm: bool, module: str | None, file: Path | None, as_json: bool) -> int:
    """Build the modules of the project in directory PATH (default: here) as WebAssembly components.

    It takes componentize-py (pip install componentize-py), and some 15 seconds a module.
    """
    from hostcore.packages.projects import PYPROJECT
    from hostcore.sdk.building import build_wasm

    if not wasm:
        raise click.UsageError("say what to build: --wasm; a wheel is built with: python -m build")
    if not (path / PYPROJECT).exists():
        hint = "go to the directory of a module's project, or name it: hostcore build --wasm PATH"
        raise click.UsageError(f"there is no {PYPROJECT} in {str(path.absolute())!r}; {hint}")

    def tell(name: str, doing: str) -> None:
        if not as_json:
            output.say(f"{name}: {doing}", error=True)

    try:
        built = build_wasm(path, module=module, output=file, progress=tell)
    except BuildError as error:
        if error.traceback and not as_json:
            output.say(error.traceback.rstrip(), error=True)
        raise
    if as_json:
        output.emit({"built": [_data(it) for it in built]})
        return 0
    for it in built:
        output.say(f"built {it.module}: {_shown(it.path)}, {it.size / 1e6:.1f} MB, in {it.seconds:.1f} s")
        for name, reason in it.left_out:
            output.say(f"  left out {name}: {reason}")
    return 0


def _data(built: Built) -> dict[str, object]:
    left_out = [part._asdict() for part in built.left_out]
    return {"module": built.module, "path": str(built.path), "size": built.size, "seconds": round(built.seconds, 3),
            "left_out": left_out}  # fmt: skip


def _shown(path: Path) -> str:
    """Return `path` as people would write it from where they are."""
    try:
        return str(path.relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(path)
