"""`hostcore dev`: a host for the author of a module, who edits and sees."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hostcore.cli.commands import find_config, json_option

if TYPE_CHECKING:
    from hostcore.config import HostConfig
    from hostcore.packages.projects import Project

NAME = "dev"
"""The host's name unless another is given: it runs beside the one that `hostcore run` starts."""


@click.command()
@click.argument("path", default=".", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--config", "config_file", metavar="FILE", type=click.Path(path_type=Path),
    help="The host's configuration (default: the nearest hostcore.toml or pyproject.toml).",
)  # fmt: skip
@click.option("--name", "host_name", metavar="NAME", default=NAME, help=f"The host's name (default: {NAME}).")
@click.option("--verbose", "-v", is_flag=True, help="Log everything that happens, not only what goes wrong.")
@json_option
def dev(path: Path, config_file: Path | None, host_name: str, verbose: bool, as_json: bool) -> int:
    """Run the modules of the project in directory PATH, and reload them as you edit.

    They are loaded from PATH (default: here) and need not be installed; what they require is loaded from what is
    installed.  A module that fails is loaded once it is mended.  Ctrl-C stops the host.
    """
    from hostcore.cli.running import run_host
    from hostcore.cli.stopping import Stop

    stop = Stop()  # before all that takes long, so that Ctrl-C is heeded at any time
    project = _project(path)
    config = _of_project(find_config(config_file, host_name)[0], project)
    return run_host(config, stop, names=sorted(project.entries), watch=True, verbose=verbose, as_json=as_json)


def _project(path: Path) -> Project:
    """Return the project at `path`; raises LoadError if it declares no module."""
    from hostcore.packages.projects import PYPROJECT, Project

    directory = path.absolute()
    if not (directory / PYPROJECT).exists():
        hint = "go to the directory of a module's project, or name it: hostcore dev PATH"
        raise click.UsageError(f"there is no {PYPROJECT} in {str(directory)!r}; {hint}")
    return Project(directory)


def _of_project(config: HostConfig, project: Project) -> HostConfig:
    """Return `config` with the modules of the project taken from there, whatever else it says of them."""
    import msgspec

    from hostcore.config import ModuleConfig

    source = str(project.directory)
    own = {
        name: msgspec.structs.replace(config.modules.get(name, ModuleConfig()), source=source, activate="startup")
        for name in project.entries
    }
    return msgspec.structs.replace(config, autoload=False, safe_mode=False, modules={**config.modules, **own})
