"""`hostcore modules load`, `unload`, `reload`, `enable` and `disable`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from hostcore.cli import output
from hostcore.cli.commands import find_target, host_options, json_option
from hostcore.cli.values import parse_json, read_settings, seconds

ROLLED_BACK = 10
wait_option = click.option(
    "--timeout", callback=seconds, default="5m", metavar="TIME", help="How long to wait for the host (default: 5m)."
)
source_option = click.option(
    "--source", metavar="PATH", help="A project directory or a wheel to take it from, not installed anywhere."
)


@click.command()
@click.argument("name")
@source_option
@click.option("--config-json", metavar="JSON", help="Its options, as a JSON object.")
@click.option("--set", "settings", metavar="KEY=VALUE", multiple=True, help="One option; may be repeated.")
@click.option("--limits-json", metavar="JSON", help='Its limits, as in \'{"handle_message": "200ms"}\'.')
@click.option("--isolation", metavar="HOST", help="What runs it: native, worker, wasm.")
@wait_option
@host_options
@json_option
def load(
    name: str, source: str | None, config_json: str | None, settings: tuple[str, ...], limits_json: str | None,
    isolation: str | None, timeout: float, config_file: Path | None, host_name: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Load module NAME, and what it requires, into the running host."""
    limits = {} if limits_json is None else parse_json(limits_json.encode(), "--limits-json")
    params = {"name": name, "source": _absolute(source), "isolation": isolation,
              "config": read_settings(config_json, settings), "limits": limits}  # fmt: skip
    result = find_target(config_file, host_name).client.call("modules.load", params, timeout=timeout)
    module = result["module"]
    if as_json:
        output.emit(result)
    else:
        output.say(f"loaded {_release(name, module['version'], module['generation'])} in the host {module['host']!r}")


@click.command()
@click.argument("name")
@click.option("--force", is_flag=True, help="Unload it although running modules require it.")
@wait_option
@host_options
@json_option
def unload(
    name: str, force: bool, timeout: float, config_file: Path | None, host_name: str | None, as_json: bool
) -> None:
    """Unload module NAME from the running host."""
    client = find_target(config_file, host_name).client
    result = client.call("modules.unload", {"name": name, "force": force}, timeout=timeout)
    if as_json:
        output.emit(result)
        return
    output.say(f"unloaded {name}")
    _show_leaks(result["leaks"])


@click.command()
@click.argument("name")
@source_option
@wait_option
@host_options
@json_option
def reload(
    name: str, source: str | None, timeout: float, config_file: Path | None, host_name: str | None, as_json: bool
) -> int:
    """Replace running module NAME by its newest release, keeping its state and its mailbox.

    If the new release does not come up, the old one serves on, and the exit code is 10.
    """
    client = find_target(config_file, host_name).client
    result = client.call("modules.reload", {"name": name, "source": _absolute(source)}, timeout=timeout)
    report = result["report"]
    if as_json:
        output.emit(result)
    else:
        _show_report(report)
    return ROLLED_BACK if report["rolled_back"] else 0


def _show_report(report: dict[str, Any]) -> None:
    name = report["module"]
    old = _release("", report["old_version"], report["old_generation"]).strip() or "nothing"
    if report["rolled_back"]:
        output.say(f"{name} was rolled back: {old} serves on, in {report['duration_ms']:.1f} ms")
        output.problem(report["reason"])
        return
    new = _release("", report["new_version"], report["new_generation"]).strip()
    output.say(
        f"reloaded {name}: {old} -> {new} in {report['duration_ms']:.1f} ms; "
        f"{report['held_messages']} messages held for {report['downtime_ms']:.1f} ms"
    )
    _show_leaks(report["leaks"])


@click.command()
@click.argument("name")
@host_options
@json_option
def enable(name: str, config_file: Path | None, host_name: str | None, as_json: bool) -> None:
    """Let module NAME load again, from now on and in later runs."""
    result = _switch(name, config_file, host_name, on=True)
    if as_json:
        output.emit(result)
        return
    output.say(f"{name} is enabled" if result["changed"] else f"{name} was not disabled here")
    if result["disabled_by"]:
        output.say(f"it still does not load: switched off by {' and by '.join(result['disabled_by'])}", error=True)
    elif not result["loaded"]:
        output.say(f"load it now: hostcore modules load {name}")


@click.command()
@click.argument("name")
@host_options
@json_option
def disable(name: str, config_file: Path | None, host_name: str | None, as_json: bool) -> None:
    """Keep module NAME from loading, from now on and in later runs.  One that is loaded goes on."""
    result = _switch(name, config_file, host_name, on=False)
    if as_json:
        output.emit(result)
        return
    output.say(f"{name} is disabled" if result["changed"] else f"{name} was disabled already")
    if result["loaded"]:
        output.say(f"it is loaded and goes on; to stop it: hostcore modules unload {name}")


def _switch(name: str, config_file: Path | None, host_name: str | None, *, on: bool) -> dict[str, Any]:
    from hostcore.cli.looking import ask
    from hostcore.control.switching import switch

    target = find_target(config_file, host_name)
    method = "modules.enable" if on else "modules.disable"
    result: dict[str, Any] = ask(target, method, {"name": name}, lambda inventory: switch(inventory, name, on=on))
    return result


def _absolute(source: str | None) -> str | None:
    return str(Path(source).expanduser().absolute()) if source is not None else None


def _release(name: str, version: str, generation: int) -> str:
    return f"{name} {version} (generation {generation})" if generation else ""


def _show_leaks(leaks: list[str]) -> None:
    if leaks:
        output.say(f"still alive of the old copy: {', '.join(leaks)}", error=True)
