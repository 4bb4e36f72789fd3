"""`hostcore modules bench`: how fast a module answers, beside the least that asyncio and pluggy take.

`measuring` takes times, `peers` are what is compared with, `runs` measures a module.
"""

from __future__ import annotations

import click

from hostcore.cli import values
from hostcore.cli.commands import json_option
from hostcore.cli.talking import data_option


@click.command(name="bench")
@click.argument("name", required=False)
@click.option("--topic", default="", help="The topic of each message.")
@data_option
@click.option(
    "--seconds",
    callback=values.seconds,
    default="2s",
    metavar="TIME",
    help="How long to measure, in all (default: 2s).",
)
@json_option
def bench(name: str | None, topic: str, data: str | None, seconds: float, as_json: bool) -> None:
    """Measure requests and sends to module NAME, or to one that echoes where no NAME is given.

    The module is loaded into a host of its own in this process; one that runs in another host is not touched.
    Beside it, in turns, stand a bare asyncio queue with a future for each reply, and a call of a pluggy hook.
    """
    import msgspec

    from hostcore.cli import output
    from hostcore.cli.bench.runs import measure, rows

    report = measure(name, topic, values.read_data(data), seconds)
    if as_json:
        output.emit(msgspec.to_builtins(report))
        return
    output.say(f"{report.module} {report.version}, Python {report.python}\n")
    output.table(("", "p50 us", "p99 us", "p99.9 us", "a second"), rows(report))
    if report.failed:
        output.say(f"\nthe module raised on {report.failed:,} messages")
