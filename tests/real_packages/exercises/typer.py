"""Run a command line made from annotations."""

from enum import StrEnum
from typing import Annotated

import typer
from typer.testing import CliRunner


class Color(StrEnum):
    red = "red"
    blue = "blue"


app = typer.Typer()


@app.command()
def paint(name: str, color: Annotated[Color, typer.Option(help="which")] = Color.red, times: int = 1):
    typer.echo(f"{name} {color.value} " * times)


@app.command()
def clean(force: bool = False):
    typer.echo(force)


def exercise():
    runner = CliRunner()
    calls = (
        ["paint", "wall", "--color", "blue", "--times", "2"],
        ["clean", "--force"],
        ["paint", "x", "--color", "no"],
    )
    return [[result.exit_code, result.stdout] for result in (runner.invoke(app, call) for call in calls)]
