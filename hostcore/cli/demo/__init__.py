"""`hostcore demo`: modules that load, work on real sources, fail, and are reloaded while they work.

`sources` finds and reads the files, `projects` writes the two modules that are not installed, `settings` says which
hosts they run in, `story` is what happens and `load` the requests in it, `outcome` what came of it and what must hold,
`showing` how people see it.
"""

from __future__ import annotations

from pathlib import Path

import click

from hostcore.cli import values
from hostcore.cli.commands import find_config, json_option


@click.command(name="demo")
@click.argument("path", required=False, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--seconds",
    callback=values.seconds,
    default="12s",
    metavar="TIME",
    help="Send no further file after so long (default: 12s).",
)
@click.option(
    "--config", "config_file", metavar="FILE", type=click.Path(path_type=Path),
    help="What says how modules run (default: the nearest hostcore.toml or pyproject.toml).",
)  # fmt: skip
@json_option
def demo(path: Path | None, seconds: float, config_file: Path | None, as_json: bool) -> int:
    """Send every Python file under PATH through running modules, and reload one of them half-way.

    PATH is a directory or a file; by default the asyncio package of the running Python.  The exit code is 1 if a
    request failed or a count is not what it must be.

    The configuration says where each module runs: isolation = "worker" in [modules.NAME] moves one to a process of its
    own.  Its tables modules, policy, supervision, wasm and worker hold; all else is the demo's.
    """
    from hostcore.cli.demo.showing import Screen
    from hostcore.cli.demo.story import tell

    config, file = find_config(config_file, None)
    screen = Screen(as_json)
    if file:
        screen.say(f"as configured in {file}")
    outcome = tell(path, seconds, config, screen)
    screen.show(outcome)
    return 0 if outcome.ok else 1
