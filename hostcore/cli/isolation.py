"""`hostcore modules test-isolation`: tries whether modules are contained, and tells what got through."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hostcore.cli import output
from hostcore.cli.changing import isolation_option, source_option
from hostcore.cli.commands import find_config, host_options, json_option
from hostcore.errors import did_you_mean

if TYPE_CHECKING:
    from hostcore.sdk.isolation.places import Trial
    from hostcore.sdk.isolation.rows import Report, Row

FAILED = 1


@click.command("test-isolation")
@click.argument("name", required=False)
@source_option
@isolation_option
@click.option("--grant", "permitted", is_flag=True, help="Give NAME what its manifest asks for (default: nothing).")
@click.option("--only", "only", metavar="ATTACK", multiple=True, help="This attack, or group of them; may be repeated.")
@click.option(
    "--without", "without", metavar="LAYER", multiple=True,
    help="Switch a layer of the sandbox off, to see what it holds; may be repeated.",
)  # fmt: skip
@click.option("--quick", is_flag=True, help="Do less often what is done often.")
@host_options
@json_option
def test_isolation(
    name: str | None, source: str | None, isolation: str | None, permitted: bool, only: tuple[str, ...],
    without: tuple[str, ...], quick: bool, config_file: Path | None, host_name: str | None, as_json: bool,
) -> int:  # fmt: skip
    """Try whether modules are contained, in a host of its own: no host has to run, and a running one is left alone.

    Without NAME, a hostile module attacks in some seventy ways.  With NAME, that module is made to crash, hang and
    choke.  The exit code is 1 if anything got through.
    """
    from hostcore.sdk.isolation.runner import run

    if name is None and (source or isolation or permitted):
        raise click.UsageError("--source, --isolation and --grant are about a module: name it")
    trial = None if name is None else _trial(name, source, isolation, permitted, config_file, host_name)
    names = _chosen(only, trial)
    _check_layers(without)
    with _progress() as progress:
        report = run(names, trial=trial, without=without, quick=quick, progress=progress)
    if as_json:
        output.emit(report.as_data())
    else:
        _show(report)
    return 0 if report.ok else FAILED


def _trial(
    name: str, source: str | None, isolation: str | None, permitted: bool, config_file: Path | None,
    host_name: str | None,
) -> Trial:  # fmt: skip
    import msgspec

    from hostcore.sdk.isolation.places import Trial

    place = None if source is None else str(Path(source).expanduser().absolute())
    config, _ = find_config(config_file, host_name)
    data = msgspec.to_builtins(config, enc_hook=str)
    return Trial(name, place, isolation, data, permitted=permitted)


def _chosen(only: Sequence[str], trial: Trial | None) -> list[str] | None:
    """Return the names of the attacks that `only` names, in their usual order; None: all."""
    from hostcore.sdk.isolation.attacks import ATTACKS, GROUPS
    from hostcore.sdk.isolation.trials import trials

    groups: Mapping[str, list[str]] = {}
    known: Mapping[str, object] = ATTACKS
    if trial is None:
        groups = {group: [attack.name for attack in attacks] for group, attacks in GROUPS.items()}
    else:
        known = trials(trial.name, "")
    wanted: set[str] = set()
    for each in only:
        if each not in known and each not in groups:
            hint = did_you_mean(each, [*known, *groups]) or f"there are: {', '.join([*groups, *known])}"
            raise click.UsageError(f"there is no attack {each!r}; {hint}")
        wanted.update(groups.get(each, [each]))
    return [attack for attack in known if attack in wanted] if only else None


def _check_layers(without: Sequence[str]) -> None:
    from hostcore.hosts.worker.sandbox.cage import LAYERS

    for layer in without:
        if layer not in LAYERS:
            hint = did_you_mean(layer, LAYERS) or f"there are: {', '.join(LAYERS)}"
            raise click.UsageError(f"the sandbox has no layer {layer!r}; {hint}")


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """Show on a terminal's standard error which attack is being made."""
    if not sys.stderr.isatty():
        yield lambda *_: None
        return
    from rich.console import Console

    with Console(stderr=True).status("starting a host") as status:
        yield lambda name, place, count: status.update(f"{place} of {count}: {name}")


def _show(report: Report) -> None:
    if report.rows:
        headings = ("attack", "tried", "in", "verdict", "how", "bystander p99")
        output.table(headings, [_cells(row) for row in report.rows])
    for problem in report.problems():
        output.problem(f"got through: {problem}")
    if report.error:
        output.problem(report.error)
    output.say(_summary(report))


def _cells(row: Row) -> tuple[str, ...]:
    p99 = f"{row.p99:.1f} ms{' !' if row.late else ''}" if row.bystanders else ""
    return row.attack, row.tried, row.isolation, row.verdict, row.how, p99


def _summary(report: Report) -> str:
    from hostcore.sdk.isolation.rows import BUDGET, CONTAINED, UNTRIED

    contained = sum(row.verdict == CONTAINED for row in report.rows)
    untried = sum(row.verdict == UNTRIED for row in report.rows)
    late = sum(row.late for row in report.rows)
    parts = [f"{contained} contained", f"{len(report.problems())} got through"]
    parts += [f"{untried} not tried"] if untried else []
    parts += [f"{late} with a bystander's p99 above {BUDGET:.0f} ms (!)"] if late else []
    return f"{', '.join(parts)}, in {report.seconds:.1f} s"
