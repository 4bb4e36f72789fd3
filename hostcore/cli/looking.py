"""`hostcore modules list`, `info` and `why`: what there is, as the running host, or else this process, sees it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from hostcore.cli import output
from hostcore.cli.commands import Target, find_target, host_options, json_option
from hostcore.control.client import SilentHostError
from hostcore.control.inventory import Inventory
from hostcore.errors import NoHostError

PATIENCE = 3.0
"""Seconds that a host has to answer before this process looks for itself."""


@click.command("list")
@host_options
@json_option
def list_(config_file: Path | None, host_name: str | None, as_json: bool) -> None:
    """List all modules: installed, configured, loaded.  Imports none of them."""
    import msgspec

    target = find_target(config_file, host_name)
    found = ask(target, "modules.list", {}, lambda inventory: {"modules": msgspec.to_builtins(inventory.rows())})
    if as_json:
        output.emit(found)
        return
    if not found["modules"]:
        output.say("no modules: no installed distribution has an entry point in the group 'hostcore.modules'")
        return
    headings = ("name", "state", "version", "gen", "host", "trust", "distribution", "summary")
    output.table(headings, [_cells(row) for row in found["modules"]])


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    first_line = row["error"].partition("\n")[0]
    origin = row["source"] or row["distribution"]
    generation = str(row["generation"] or "")
    return (
        row["name"],
        row["state"],
        row["version"],
        generation,
        row["host"],
        row["trust"],
        origin,
        first_line or row["summary"],
    )


@click.command()
@click.argument("name")
@host_options
@json_option
def info(name: str, config_file: Path | None, host_name: str | None, as_json: bool) -> None:
    """Tell all that is known of module NAME, without importing it."""
    target = find_target(config_file, host_name)
    found = ask(target, "modules.info", {"name": name}, lambda inventory: inventory.details(name))
    if as_json:
        output.emit(found)
    else:
        output.pairs((key.replace("_", " "), _shown(value)) for key, value in found.items())


def _shown(value: Any) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case list() | tuple():
            return "\n".join(map(_shown, value))
        case dict():
            return "\n".join(f"{key}: {_shown(each)}" for key, each in value.items())
        case 0:
            return ""
    return str(value)


@click.command()
@click.argument("name")
@host_options
@json_option
def why(name: str, config_file: Path | None, host_name: str | None, as_json: bool) -> None:
    """Explain why module NAME is loaded, or why not, without importing it."""
    from hostcore.control.explaining import explain

    target = find_target(config_file, host_name)
    found = ask(target, "modules.why", {"name": name}, lambda inventory: explain(inventory, name))
    if as_json:
        output.emit(found)
        return
    error = found["error"] or {"text": ""}
    facts = [(fact["about"], fact["text"]) for fact in found["facts"]]
    output.pairs(
        [(name, f"{found['state']}: {found['answer']}"), ("error", error["text"]), ("hint", found["hint"]), *facts]
    )


def ask(
    target: Target, method: str, params: dict[str, Any], local: Callable[[Inventory], Any], timeout: float = PATIENCE
) -> Any:  # fmt: skip
    """Return the host's answer, or where no host runs, or it does not answer, this process's own.

    Raises:
        HostcoreError: What the host, or `local`, raised.
    """
    try:
        return target.client.call(method, params, timeout=timeout)
    except NoHostError:
        pass
    except SilentHostError as error:
        output.say(f"{error.message}: what follows is without what the host knows", error=True)
    return local(inventory_of(target))


def inventory_of(target: Target) -> Inventory:
    """Return what this process can find by itself."""
    from hostcore.config import cache_dir
    from hostcore.packages.discovery import Discovery

    config = target.config
    index = cache_dir() / "index.msgpack" if config.index else None
    return Inventory(config, Discovery(index=index).scan())
