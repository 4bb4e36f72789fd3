"""Run a command line with a group, an option and an argument through click's test runner."""

import click
from click.testing import CliRunner


@click.group()
def cli():
    """Greet."""


@cli.command()
@click.option("--times", type=click.IntRange(1, 3), default=1)
@click.argument("name")
def hello(times, name):
    click.echo(f"hello {name} " * times)


def exercise():
    runner = CliRunner()
    good = runner.invoke(cli, ["hello", "--times", "2", "ann"])
    bad = runner.invoke(cli, ["hello", "--times", "9", "ann"])
    return [good.output, good.exit_code, bad.exit_code, runner.invoke(cli, ["--help"]).output]
