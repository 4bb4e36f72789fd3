"""`hostcore doctor`: looks for what is wrong with an installation, and says what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from hostcore.cli import output
from hostcore.cli.checkup import Finding, checks
from hostcore.cli.commands import host_options, json_option


@click.command()
@host_options
@json_option
def doctor(config_file: Path | None, host_name: str | None, as_json: bool) -> int:
    """Look for what is wrong with this installation.  The exit code is 1 if something is."""
    findings = [finding for about, check in checks(config_file, host_name) for finding in _made(about, check)]
    wrong = [finding for finding in findings if finding.status == "wrong"]
    if as_json:
        output.emit({"ok": not wrong, "findings": [finding._asdict() for finding in findings]})
        return 1 if wrong else 0
    output.table(("what", "status", "found"), [(f.about, f.status, f.text) for f in findings])
    for finding in findings:
        if finding.status != "ok" and finding.hint:
            output.say(f"{finding.about}: {finding.hint}")
    output.say(f"{len(wrong)} problems" if wrong else "nothing is wrong")
    return 1 if wrong else 0


def _made(about: str, check: Iterator[Finding]) -> Iterator[Finding]:
    """Yield what `check` finds; that it cannot be made is a finding too."""
    try:
        yield from check
    except Exception as error:  # noqa: BLE001 - the other checks must still be made
        yield Finding(about, "wrong", f"the check failed: {type(error).__name__}: {error}")
