"""Asking for consent: what a module wants is shown, each permission with what it means, and somebody says yes or no."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from hostcore.cli import output
from hostcore.cli.commands import Target
from hostcore.control.protocol import RemoteError

T = TypeVar("T")
CONSENT = "HC603"


def can_ask() -> bool:
    """Tell whether somebody sits at a terminal who can be asked."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()


def show(report: Mapping[str, Any]) -> None:
    """Show what a module asks for, what each permission means, and where each stands."""
    release = " ".join(part for part in (report["module"], report["version"]) if part)
    publisher = f", says it is by {report['publisher']}" if report["publisher"] else ""
    output.say(f"{release} ({report['distribution']}{publisher}) in the host {report['host']!r}: {report['trust']}")
    if report["asked"]:
        output.table(("permission", "lets it", "state", "since"), [_row(report, text) for text in report["asked"]])
    else:
        output.say("it asks for nothing")
    for text in report["gone"]:
        output.say(f"no longer asked for since {report['last_version']}: {text}")


def _row(report: Mapping[str, Any], text: str) -> tuple[str, ...]:
    if text in report["missing"]:
        state = "to be decided"
    elif text in report["declined"]:
        state = "declined"
    else:
        state = "trusted" if report["everything"] or report["trust"].startswith("trusted") else "granted"
    since = f"new since {report['last_version']}" if report["last_version"] and text in report["new"] else ""
    return text, report["meanings"][text], state, since


def agree(report: Mapping[str, Any], chosen: list[str]) -> bool:
    """Ask on the terminal whether a module gets what was chosen."""
    count = len(chosen)
    listed = ", ".join(chosen) if count <= 3 else f"these {count} permissions"
    return click.confirm(output.clean(f"Grant {report['module']} {listed}?"), default=False)


def with_consent(target: Target, work: Callable[[], T], refused: Callable[[T], str | None], *, ask: bool) -> T:
    """Do `work`; if only consent stands in its way and somebody can be asked, ask and do it once more.

    Args:
        target: The host.
        work: What is done; a RemoteError, or a result, may say that consent is missing.
        refused: Returns the name of the module that a result says so of, or None.
        ask: Whether somebody may be asked.
    """
    try:
        result = work()
        name = refused(result)
    except RemoteError as error:
        name = error.data.get("module") if error.data.get("code") == CONSENT else None
        if name is None or not _consented(target, str(name), ask=ask):
            raise
        return work()
    return work() if name is not None and _consented(target, name, ask=ask) else result


def _consented(target: Target, name: str, *, ask: bool) -> bool:
    if not (ask and can_ask()):
        return False
    report = target.client.call("grants.diff", {"name": name})
    show(report)
    if not report["asked"] or not agree(report, report["asked"]):
        return False
    target.client.call("grants.grant", {"name": name, "digest": report["digest"]})
    return True
