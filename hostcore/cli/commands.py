"""What the commands have in common: groups that import late, `--json` and `--debug`, and which host is meant."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, TypeVar

import click

from hostcore.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from hostcore.config import HostConfig
    from hostcore.control.client import Client

F = TypeVar("F", bound=Callable[..., Any])


class Late(NamedTuple):
    """A command that is imported when it is used: its place, as in "package.file:name", and its line of help."""

    place: str
    help: str


class LateGroup(click.Group):
    """A group whose commands are imported when they are used."""

    def __init__(self, *args: Any, late: Mapping[str, Late], **rest: Any) -> None:
        super().__init__(*args, **rest)
        self.late = late

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, in the order in which they are declared."""
        return list(self.late)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; None if there is none of that name."""
        if cmd_name not in self.late:
            return None
        module, _, attribute = self.late[cmd_name].place.partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that `args` name, or say what may have been meant."""
        if args and args[0] not in self.late and not args[0].startswith("-"):
            self._unknown(ctx, args[0])
        return super().resolve_command(ctx, args)

    def _unknown(self, ctx: click.Context, name: str) -> NoReturn:
        hint = did_you_mean(name, self.late) or f"there are: {', '.join(self.late)}"
        raise click.UsageError(f"there is no command {name!r}; {hint}", ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, late.help) for name, late in self.late.items()])


def json_option(function: F) -> F:
    """Give a command `--json` and `--debug`; `as_json` is handed in, errors are `app`'s business."""
    debug = click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an internal error.")
    as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, errors included.")
    return as_json(debug(function))


class Target(NamedTuple):
    """The host that a command is about: its configuration, the file of that ("" for none), and its client."""

    config: HostConfig
    file: str
    client: Client


def host_options(function: F) -> F:
    """Give a command `--config` and `--name`, which say the host; `find_target` takes them."""
    config = click.option(
        "--config", "config_file", metavar="FILE", type=click.Path(path_type=Path),
        help="The host's configuration (default: the nearest hostcore.toml or pyproject.toml).",
    )  # fmt: skip
    name = click.option("--name", "host_name", metavar="NAME", help="The host's name (default: as configured).")
    return config(name(function))


def find_config(config_file: Path | None, host_name: str | None) -> tuple[HostConfig, str]:
    """Return the host's configuration, and the file that it stands in or "".

    Raises:
        ConfigError: The file, or the name, is wrong.
    """
    import msgspec

    from hostcore import config

    try:
        file = config_file or config.find_config()
    except FileNotFoundError:
        raise ConfigError("the working directory is not there any more", hint="cd to another one") from None
    found = config.load_config(file)
    if host_name is not None:
        name = config.load_config({"name": host_name}).name
        found = msgspec.structs.replace(found, name=name)
    return found, str(file or "")


def find_target(config_file: Path | None, host_name: str | None) -> Target:
    """Return the host that a command is about; raises as `find_config` does."""
    from hostcore.control.client import Client
    from hostcore.control.places import socket_path

    config, file = find_config(config_file, host_name)
    return Target(config, file, Client(config.name, socket_path(config.name)))
