"""`hostcore modules history` and `leaks`: what became of a module's generations, and what is left of them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from hostcore.cli import output
from hostcore.cli.commands import find_target, host_options, json_option

HEADINGS = ("when", "gen", "version", "what", "why", "took ms", "downtime ms", "held", "leaks", "reason")


@click.command()
@click.argument("name")
@host_options
@json_option
def history(name: str, config_file: Path | None, host_name: str | None, as_json: bool) -> None:
    """Tell what became of module NAME's generations since the host started, oldest first."""
    found = find_target(config_file, host_name).client.call("modules.history", {"name": name})
    if as_json:
        output.emit(found)
        return
    output.table(HEADINGS, [_cells(entry) for entry in found["history"]])
    kept = ", ".join(map(str, found["kept"]))
    output.say(f"can be rolled back to: {kept}" if kept else "no earlier generation is kept")


def _cells(entry: dict[str, Any]) -> tuple[str, ...]:
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(entry["when"]))
    generation = str(entry["generation"] or "")
    if entry["previous"]:
        generation = f"{entry['previous']} -> {generation}"
    reason = entry["reason"].partition("\n")[0]
    if entry["phase"]:
        reason = f"{entry['phase']}: {reason}"
    return (when, generation, entry["version"], entry["what"], entry["why"], _number(entry["duration_ms"]),
            _number(entry["downtime_ms"]), str(entry["held_messages"] or ""), str(len(entry["leaks"]) or ""),
            reason)  # fmt: skip


def _number(milliseconds: float) -> str:
    return f"{milliseconds:.1f}" if milliseconds else ""


@click.command()
@click.argument("name")
@host_options
@json_option
def leaks(name: str, config_file: Path | None, host_name: str | None, as_json: bool) -> int:
    """Tell what is still alive of module NAME's old generations, and through whom.  The exit code is then 1."""
    found = find_target(config_file, host_name).client.call("modules.leaks", {"name": name})
    if as_json:
        output.emit(found)
    else:
        _show(name, found["generations"])
    return 1 if found["generations"] else 0


def _show(name: str, generations: list[dict[str, Any]]) -> None:
    if not generations:
        output.say(f"nothing is left of {name}'s old generations")
    for each in generations:
        alive = each["alive"]
        output.say(f"generation {each['generation']} ({name} {each['version']}): {len(alive)} objects are alive")
        for holder in each["holders"]:
            root = f", kept alive by {holder['root']}" if holder["root"] else ""
            output.say(f"  {holder['what']}{root}")
            for depth, step in enumerate(holder["chain"]):
                output.say(f"    {'  ' * depth}-> {step}")
