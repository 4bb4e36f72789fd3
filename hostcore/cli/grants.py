"""`hostcore grants`: what modules ask for and have, what is new, and what they were refused."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from hostcore.cli import consenting, output
from hostcore.cli.commands import Late, LateGroup, find_target, host_options, json_option
from hostcore.cli.looking import ask
from hostcore.contract.permissions import Permission
from hostcore.runtime.refusals import OTHERS

COMMANDS = {
    "list": Late("hostcore.cli.grants:list_", "List what modules ask for and have."),
    "diff": Late("hostcore.cli.grants:diff", "Show what a module asks for, has, and asks for anew."),
    "observed": Late("hostcore.cli.grants:observed", "List what modules were refused, or would have been."),
}


@click.group(cls=LateGroup, late=COMMANDS, invoke_without_command=True)
@host_options
@json_option
@click.pass_context
def grants(ctx: click.Context, config_file: Path | None, host_name: str | None, as_json: bool) -> None:
    """List what modules ask for and have; diff and observed tell more.

    list and diff also work without a running host, and import no module.
    """
    if ctx.invoked_subcommand is None:
        _list(config_file, host_name, as_json=as_json)


@click.command("list")
@host_options
@json_option
def list_(config_file: Path | None, host_name: str | None, as_json: bool) -> None:
    """List every module that asks for something, or is granted something."""
    _list(config_file, host_name, as_json=as_json)


def _list(config_file: Path | None, host_name: str | None, *, as_json: bool) -> None:
    target = find_target(config_file, host_name)

    def local(inventory: Any) -> dict[str, Any]:
        from hostcore.control import granting

        return granting.listed(inventory, granting.permits_of(target.config))

    found = ask(target, "grants.list", {}, local)
    if as_json:
        output.emit(found)
    elif found["grants"]:
        rows = [(each["module"], each["version"], each["host"], each["trust"], _had(each), " ".join(each["missing"]))
                for each in found["grants"]]  # fmt: skip
        output.table(("name", "version", "host", "trust", "granted", "to be decided"), rows)
    else:
        output.say("no module asks for anything, and none is granted anything")


def _had(report: dict[str, Any]) -> str:
    return "everything" if report["everything"] else " ".join(report["granted"])


@click.command()
@click.argument("name")
@host_options
@json_option
def diff(name: str, config_file: Path | None, host_name: str | None, as_json: bool) -> None:
    """Show what module NAME asks for, what it has, and what is new since somebody agreed to it."""
    from hostcore.cli.granting import shown

    report = shown(find_target(config_file, host_name), name)
    if as_json:
        output.emit(report)
        return
    consenting.show(report)
    if report["missing"]:
        output.say(f"look at it and decide: hostcore grant {name}")


@click.command()
@click.argument("name", required=False)
@host_options
@json_option
def observed(name: str | None, config_file: Path | None, host_name: str | None, as_json: bool) -> None:
    """List what module NAME, or every one, was refused since the host started, or would have been while observed."""
    client = find_target(config_file, host_name).client
    found = client.call("grants.refusals", {"name": name})
    attempts = found["attempts"]
    if as_json:
        output.emit(found)
    elif attempts:
        headings = ("name", "permission", "refused", "let through", "first", "last")
        output.table(headings, [_cells(each) for each in attempts])
        output.say("\nto grant it all, in the host's configuration:\n")
        output.say("\n".join(toml(attempts, client.call("grants.list")["grants"])))
    else:
        output.say("nothing was refused, or would have been")


def _cells(attempt: dict[str, Any]) -> tuple[str, ...]:
    first, last = (time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(attempt[key])) for key in ("first", "last"))
    return (attempt["module"], attempt["permission"], str(attempt["refused"] or ""), str(attempt["observed"] or ""),
            first, last)  # fmt: skip


def toml(attempts: Iterable[dict[str, Any]], reports: Iterable[dict[str, Any]]) -> list[str]:
    """Return the lines of a configuration that grants what was tried, and what is granted already."""
    import json

    had = {report["module"]: report["granted"] for report in reports}
    tried: dict[str, dict[str, None]] = {}
    for attempt in attempts:
        name = attempt["module"]
        known = tried.setdefault(name, dict.fromkeys(had.get(name, ())))
        if _can_be_granted(attempt["permission"]):
            known[attempt["permission"]] = None
    return ["[policy.grants]", *(f"{json.dumps(name)} = {json.dumps(list(each))}" for name, each in tried.items())]


def _can_be_granted(text: str) -> bool:
    """Tell whether this is a permission: a module can try what is none, such as a malformed topic."""
    try:
        return Permission(text).target != OTHERS
    except ValueError:
        return False
