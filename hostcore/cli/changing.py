"""`hostcore modules load`, `unload`, `reload`, `rollback`, `revive`, `enable` and `disable`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from hostcore.cli import output
from hostcore.cli.commands import find_target, host_options, json_option
from hostcore.cli.consenting import CONSENT, with_consent
from hostcore.cli.values import parse_json, read_settings, seconds

ROLLED_BACK, DENIED = 10, 12
STATES = ("current", "last", "fresh")
wait_option = click.option(
    "--timeout", callback=seconds, default="5m", metavar="TIME", help="How long to wait for the host (default: 5m)."
)
source_option = click.option(
    "--source",
    metavar="PATH",
    help="A project directory, a wheel or a .wasm file to take it from, not installed anywhere.",
)
isolation_option = click.option("--isolation", metavar="HOST", help="What runs it: native, worker, wasm, wasm+worker.")


@click.command()
@click.argument("name")
@source_option
@click.option("--config-json", metavar="JSON", help="Its options, as a JSON object.")
@click.option("--set", "settings", metavar="KEY=VALUE", multiple=True, help="One option; may be repeated.")
@click.option("--limits-json", metavar="JSON", help='Its limits, as in \'{"handle_message": "200ms"}\'.')
@isolation_option
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
    target = find_target(config_file, host_name)

    def work() -> dict[str, Any]:
        with output.waiting(f"loading {name}; a WebAssembly guest is compiled the first time"):
            result: dict[str, Any] = target.client.call("modules.load", params, timeout=timeout)
        return result

    result = with_consent(target, work, lambda _: None, ask=not as_json)
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
    show_leaks(result["leaks"])


@click.command()
@click.argument("name")
@source_option
@isolation_option
@click.option("--cascade", is_flag=True, help="Reload the modules that require it too: all or none.")
@click.option(
    "--state", type=click.Choice(STATES), default="current",
    help="What the new copy gets: the state of now, the last good snapshot, or none. The latter two replace a module "
    "that is stuck.",
)  # fmt: skip
@wait_option
@host_options
@json_option
def reload(
    name: str, source: str | None, isolation: str | None, cascade: bool, state: str, timeout: float,
    config_file: Path | None, host_name: str | None, as_json: bool,
) -> int:  # fmt: skip
    """Replace running module NAME by its newest release, keeping its state and its mailbox.

    With --isolation the new copy moves to another host.  If it does not come up, the old one serves on, and the exit
    code is 10; if it may not, as it asks for what nobody has agreed to, 12.
    """
    params = {"name": name, "source": _absolute(source), "isolation": isolation, "cascade": cascade, "state": state}
    target = find_target(config_file, host_name)

    def work() -> dict[str, Any]:
        with output.waiting(f"reloading {name}"):
            result: dict[str, Any] = target.client.call("modules.reload", params, timeout=timeout)
        return result

    result = with_consent(target, work, _without_consent, ask=not as_json)
    return _reported(result, as_json=as_json)


@click.command()
@click.argument("name")
@click.option("--to", type=int, metavar="GENERATION", help="The generation to go back to (default: the one before).")
@click.option(
    "--state", type=click.Choice(STATES),
    help="What it gets: the state of now, the one it had, or none (default: the state of now if it reads that).",
)  # fmt: skip
@wait_option
@host_options
@json_option
def rollback(
    name: str, to: int | None, state: str | None, timeout: float, config_file: Path | None, host_name: str | None,
    as_json: bool,
) -> int:  # fmt: skip
    """Go back to an earlier generation of running module NAME, keeping its state and its mailbox.

    It is made anew from what was kept of it, even if its files are no longer there.  If it does not come up, the
    present one serves on, and the exit code is 10.
    """
    client = find_target(config_file, host_name).client
    params = {"name": name, "to": to, "state": state}
    with output.waiting(f"rolling {name} back"):
        report = client.call("modules.rollback", params, timeout=timeout)
    return _reported(report, as_json=as_json)


@click.command()
@click.argument("name")
@click.option(
    "--state", type=click.Choice(("last", "fresh")), default="last",
    help="What it gets: the last good snapshot, or none, if that is what it crashes of.",
)  # fmt: skip
@wait_option
@host_options
@json_option
def revive(
    name: str, state: str, timeout: float, config_file: Path | None, host_name: str | None, as_json: bool
) -> int:
    """Start module NAME, which has crashed, now; out of quarantine too, and with all its tries anew.

    If it does not come up it stays as it was, and the exit code is 10.
    """
    client = find_target(config_file, host_name).client
    with output.waiting(f"reviving {name}"):
        report = client.call("modules.revive", {"name": name, "state": state}, timeout=timeout)
    return _reported(report, as_json=as_json)


def _reported(result: dict[str, Any], *, as_json: bool) -> int:
    report = result["report"]
    if as_json:
        output.emit(result)
    else:
        for each in (report, *report["others"]):
            output.say(report_line(each))
            show_leaks(each["leaks"])
        if report["rolled_back"]:
            output.problem(report["reason"])
            if report["traceback"]:
                output.say(report["traceback"].rstrip(), error=True)
    if not report["rolled_back"]:
        return 0
    return DENIED if report["code"].startswith("HC6") else ROLLED_BACK


def _without_consent(result: dict[str, Any]) -> str | None:
    """Return the module of a reload that was rolled back because nobody has agreed to what it asks for."""
    report = result["report"]
    return report["module"] if report["rolled_back"] and report["code"] == CONSENT else None


def report_line(report: Mapping[str, Any]) -> str:
    """Return what became of a reload or rollback in one line."""
    name = report["module"]
    old = _release("", report["old_version"], report["old_generation"]).strip() or "nothing"
    phase = f" (phase {report['phase']})" if report["phase"] else ""
    if report["rolled_back"] and report["kind"] == "restart":
        return f"{name} did not come up{phase}, in {report['duration_ms']:.1f} ms"
    if report["rolled_back"]:
        return f"{name} was rolled back{phase}: {old} serves on, in {report['duration_ms']:.1f} ms"
    new = _release("", report["new_version"], report["new_generation"]).strip()
    done = {"reload": "reloaded", "rollback": "rolled back", "restart": "restarted"}[report["kind"]]
    return (
        f"{done} {name}: {old} -> {new} in {report['duration_ms']:.1f} ms; "
        f"{report['held_messages']} messages held for {report['downtime_ms']:.1f} ms"
    )


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


def show_leaks(leaks: list[str]) -> None:
    """Tell what is still alive of a copy that went."""
    for leak in leaks:
        output.say(f"still alive of the old copy: {leak}", error=True)
