"""`hostcore modules call` and `send`: messages from the command line."""

from __future__ import annotations

from pathlib import Path

import click

from hostcore.cli import output
from hostcore.cli.commands import find_target, host_options, json_option
from hostcore.cli.values import read_data, seconds

_GRACE = 5.0
"""Seconds beyond the message's own timeout in which the host must say that it timed out."""
data_option = click.option(
    "--data", metavar="JSON|@FILE|-", help="The payload: JSON, a file with JSON in it, or - for standard input."
)


@click.command()
@click.argument("name")
@click.argument("topic", default="")
@data_option
@click.option("--timeout", callback=seconds, default="30s", metavar="TIME", help="Time for the reply (default: 30s).")
@click.option("--execute", is_flag=True, help="Call the module's 'execute' hook, which takes no topic.")
@host_options
@json_option
def call(
    name: str, topic: str, data: str | None, timeout: float, execute: bool, config_file: Path | None,
    host_name: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Send module or capability NAME a message and print the reply as JSON."""
    if execute and topic:
        raise click.UsageError("--execute takes no TOPIC")
    params = {"target": name, "topic": topic, "payload": read_data(data), "timeout": timeout, "execute": execute}
    result = find_target(config_file, host_name).client.call("modules.call", params, timeout=timeout + _GRACE)
    output.emit(result if as_json else result["reply"])


@click.command()
@click.argument("name")
@click.argument("topic", default="")
@data_option
@click.option("--timeout", callback=seconds, default="30s", metavar="TIME", help="Time for its mailbox to have room.")
@host_options
@json_option
def send(
    name: str, topic: str, data: str | None, timeout: float, config_file: Path | None, host_name: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Send module or capability NAME a message that needs no reply."""
    params = {"target": name, "topic": topic, "payload": read_data(data), "timeout": timeout}
    result = find_target(config_file, host_name).client.call("modules.send", params, timeout=timeout + _GRACE)
    if as_json:
        output.emit(result)
    else:
        output.say(f"sent to {name}")
