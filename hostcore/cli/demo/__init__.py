"""`hostcore demo`: modules that load, work on real sources, fail, and are reloaded while they work.

`sources` finds and reads the files, `projects` writes the two modules that are not installed, `story` is what
happens and `load` the requests in it, `outcome` what came of it and what must hold, `showing` how people see it.
"""

from __future__ import annotations

from pathlib import Path

import click

from hostcore.cli import values
from hostcore.cli.commands import json_option


@click.command(name="demo")
@click.argument("path", required=False, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--seconds",
    callback=values.seconds,
    default="12s",
    metavar="TIME",
    help="Send no further file after so long (default: 12s).",
)
@json_option
def demo(path: Path | None, seconds: float, as_json: bool) -> int:
    """Send every Python file under PATH through running modules, and reload one of them half-way.

    PATH is a directory or a file; by default the asyncio package of the running Python.  The exit code is 1 if a
    request failed or a count is not what it must be.
    """
    from hostcore.cli.demo.showing import Screen
    from hostcore.cli.demo.story import tell

    screen = Screen(as_json)
    outcome = tell(path, seconds, screen)
    screen.show(outcome)
    return 0 if outcome.ok else 1
