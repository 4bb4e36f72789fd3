"""`hostcore run`: a host with a control socket."""

from __future__ import annotations

from pathlib import Path

import click

from hostcore.cli.commands import find_config, json_option


@click.command()
@click.option(
    "--config", "config_file", metavar="FILE", type=click.Path(path_type=Path),
    help="Its configuration (default: the nearest hostcore.toml or pyproject.toml).",
)  # fmt: skip
@click.option("--name", "host_name", metavar="NAME", help="Its name (default: as configured).")
@click.option("--disable-autoload", is_flag=True, help="Load only the modules that the configuration names.")
@click.option("--safe", is_flag=True, help="Safe mode: load nothing by itself.")
@click.option("--watch", is_flag=True, help="Reload modules whose sources change.")
@click.option("--verbose", "-v", is_flag=True, help="Log everything that happens, not only what goes wrong.")
@json_option
def run(
    config_file: Path | None, host_name: str | None, disable_autoload: bool, safe: bool, watch: bool, verbose: bool,
    as_json: bool,
) -> int:  # fmt: skip
    """Run a host: load the modules and serve until Ctrl-C (or SIGTERM); a second Ctrl-C ends it at once.

    A module that fails stops neither the others nor the host.  What modules print goes to standard error.
    """
    from hostcore.cli.running import run_host
    from hostcore.cli.stopping import Stop

    stop = Stop()  # before all that takes long, so that Ctrl-C is heeded at any time
    config, _ = find_config(config_file, host_name)
    return run_host(
        config, stop, autoload=not disable_autoload, safe=safe, watch=watch, verbose=verbose, as_json=as_json
    )
