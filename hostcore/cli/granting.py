"""`hostcore grant` and `hostcore revoke`: what a module may do, decided by whoever runs it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from hostcore.cli import consenting, output
from hostcore.cli.changing import wait_option
from hostcore.cli.commands import Target, find_target, host_options, json_option
from hostcore.cli.looking import ask
from hostcore.contract.permissions import Permission
from hostcore.errors import ConsentError

EFFECTS = {
    "at once": "it holds from now on",
    "reloaded": "it was reloaded, keeping its state, and holds from now on",
    "kept": "the running copy goes on without, as it could not be reloaded",
    "unloaded": "it was unloaded, as it could not be reloaded without",
    "not loaded": "",
}


@click.command()
@click.argument("name")
@click.argument("permissions", nargs=-1, metavar="[PERMISSION]...")
@click.option("--all", "everything", is_flag=True, help="Grant all that it asks for (the default).")
@click.option("--yes", is_flag=True, help="Do not ask: where nobody sits at a terminal.")
@wait_option
@host_options
@json_option
def grant(
    name: str, permissions: tuple[str, ...], everything: bool, yes: bool, timeout: float, config_file: Path | None,
    host_name: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Show what module NAME asks for, and grant it all, or only the PERMISSIONs named; the rest is declined.

    It holds for the release as it is now.  A later one that asks for no more goes on with it; one that asks for more
    has to be granted again.
    """
    chosen = _permissions(permissions)
    if everything and chosen:
        raise click.UsageError("either --all, or the permissions that it gets")
    target = find_target(config_file, host_name)
    report = shown(target, name)
    wanted = list(map(str, chosen)) if chosen else report["asked"]
    if not wanted:
        nothing = {"module": name, "granted": [], "taken": [], "effect": "not loaded", "reason": ""}
        if as_json:
            output.emit(nothing)
        else:
            output.say(f"{name} asks for nothing: there is nothing to grant")
        return
    if not yes:
        _confirm(report, wanted, as_json=as_json)
    params = {"name": name, "permissions": wanted if chosen else None, "digest": report["digest"]}

    def local(inventory: Any) -> dict[str, Any]:
        from hostcore.control import granting

        return granting.grant(inventory, granting.permits_of(target.config), name, chosen or None, report["digest"])

    _told(ask(target, "grants.grant", params, local, timeout), as_json=as_json)


@click.command()
@click.argument("name")
@click.argument("permissions", nargs=-1, metavar="[PERMISSION]...")
@wait_option
@host_options
@json_option
def revoke(
    name: str, permissions: tuple[str, ...], timeout: float, config_file: Path | None, host_name: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Take back what module NAME was granted, all of it or the PERMISSIONs named.  A running one is refused at once.

    Without PERMISSIONs the consent itself is taken back, and NAME does not load again until it is granted anew.
    """
    chosen = _permissions(permissions)
    target = find_target(config_file, host_name)
    params = {"name": name, "permissions": list(map(str, chosen)) or None}

    def local(_: Any) -> dict[str, Any]:
        from hostcore.control import granting

        return granting.revoke(granting.permits_of(target.config), name, chosen or None)

    _told(ask(target, "grants.revoke", params, local, timeout), as_json=as_json)


def shown(target: Target, name: str) -> dict[str, Any]:
    """Return the report of a module, with what its permissions mean, as the host or this process sees it."""

    def local(inventory: Any) -> dict[str, Any]:
        from hostcore.control import granting

        return granting.shown(inventory, granting.permits_of(target.config), name)

    report: dict[str, Any] = ask(target, "grants.diff", {"name": name}, local)
    return report


def _confirm(report: dict[str, Any], wanted: list[str], *, as_json: bool) -> None:
    """Have somebody agree.

    Raises:
        ConsentError: Nobody can be asked.
        click.Abort: Somebody said no.
    """
    if as_json or not consenting.can_ask():
        raise ConsentError(report["module"], wanted, hint="look at them, and say --yes")
    consenting.show(report)
    if not consenting.agree(report, wanted):
        raise click.exceptions.Exit(12)


def _permissions(texts: tuple[str, ...]) -> tuple[Permission, ...]:
    found, problems = [], []
    for text in texts:
        try:
            found.append(Permission(text))
        except ValueError as error:
            problems.append(str(error))
    if problems:
        raise click.UsageError("; ".join(problems))
    return tuple(found)


def _told(result: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        output.emit(result)
        return
    name = result["module"]
    if result["granted"]:
        output.say(f"{name} is granted: {', '.join(result['granted'])}")
    else:
        output.say(f"{name} may no longer: {', '.join(result['taken']) or 'nothing that it had'}")
    if EFFECTS[result["effect"]]:
        output.say(EFFECTS[result["effect"]])
    if result["reason"]:
        output.problem(result["reason"])
