"""`hostcore modules bench`, and how it takes times."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from hostcore.cli.bench.measuring import Sample, calls, figures, in_turns, percentile, stream
from hostcore.cli.bench.peers import PluggyEcho, queue_echo


def test_echo_beside_its_peers(hostcore: Any) -> None:
    """Without a name, a module that echoes is measured beside an asyncio queue and a pluggy call."""
    done = hostcore("modules", "bench", "--seconds", "0.5", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["module"] == "echo"
    names = [entry["name"] for entry in report["figures"]]
    assert names == ["request", "asyncio queue and future", "pluggy call", "send", "asyncio queue, no reply"]
    for entry in report["figures"]:
        assert entry["count"] > 0
        assert entry["per_second"] > 0
    request = report["figures"][0]
    assert 0 < request["p50_us"] <= request["p99_us"] <= request["p999_us"]


def test_table(hostcore: Any) -> None:
    """People see a table."""
    done = hostcore("modules", "bench", "--seconds", "0.2")
    assert done.returncode == 0, done.stderr
    assert "echo 1.0.0" in done.stdout
    assert "pluggy call" in done.stdout


def test_installed_module(hostcore: Any) -> None:
    """With a name, that module is measured with the message that is given."""
    data = json.dumps({"path": "a.py", "source": "x = 1"})
    done = hostcore("modules", "bench", "parser-python", "--topic", "parser.parse", "--data", data,
                    "--seconds", "0.3", "--json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["module"], report["version"], report["failed"]) == ("parser-python", "1.0.0", 0)


def test_message_that_the_module_refuses(hostcore: Any) -> None:
    """A message that the module does not handle is an error, not a figure."""
    done = hostcore("modules", "bench", "parser-python", "--topic", "parser.prase", "--seconds", "0.2")
    assert done.returncode == 1
    assert "parser.parse" in done.stderr
    assert "Traceback" not in done.stderr


def test_unknown_module(hostcore: Any) -> None:
    """A module that is not installed is an error that names the nearest one."""
    done = hostcore("modules", "bench", "parser-pyton")
    assert done.returncode == 1
    assert "did you mean 'parser-python'?" in done.stderr


@pytest.mark.parametrize("options", [("--data", "{"), ("--seconds", "nan"), ("--seconds", "x")])
def test_wrong_usage(hostcore: Any, options: tuple[str, ...]) -> None:
    """Data that is not JSON and a time that is none are wrong usage."""
    done = hostcore("modules", "bench", *options)
    assert done.returncode == 2
    assert options[0] in done.stderr


def test_prints_do_not_mix_with_json(hostcore: Any, own_plugins: Path) -> None:
    """What the module prints goes to standard error."""
    file = own_plugins / "hostcore_stats" / "__init__.py"
    file.write_text(file.read_text() + '\nprint("hello")\n')
    done = hostcore("modules", "bench", "stats", "--topic", "stats.summary", "--data", "{}", "--seconds", "0.2",
                    "--json", plugins=own_plugins)  # fmt: skip
    assert json.loads(done.stdout)["module"] == "stats"
    assert "hello" in done.stderr


@pytest.mark.parametrize(("share", "value"), [(0.0, 1), (0.5, 51), (0.99, 100), (1.0, 100)])
def test_percentile(share: float, value: int) -> None:
    """A percentile is one of the values."""
    assert percentile(range(1, 101), share) == value


def test_percentile_of_one_value() -> None:
    """Of a single value, every percentile is that value."""
    assert {percentile([7.0], share) for share in (0, 0.5, 0.999, 1)} == {7.0}


def test_figures_of_several_blocks() -> None:
    """The calls of all blocks count together, in microseconds."""
    found = figures("x", [Sample(1.0, 2, [1000, 3000]), Sample(1.0, 2, [2000, 4000])])
    assert (found.count, found.per_second, found.p50_us, found.p999_us) == (4, 2.0, 3.0, 4.0)


def test_rate_only() -> None:
    """Where single calls were not timed, there is a rate and no percentile."""
    found = figures("x", [Sample(0.5, 100), Sample(0.5, 50)])
    assert (found.per_second, found.p50_us, found.p99_us) == (150.0, None, None)


async def test_turns() -> None:
    """Everybody has as many turns as there are rounds, nobody is always first, and the order of names is kept."""
    order: list[str] = []

    def contestant(name: str) -> Any:
        async def block(seconds: float) -> Sample:
            assert seconds == pytest.approx(0.1)
            order.append(name)
            return Sample(0.1, 1, [1000])

        return block

    found = await in_turns({name: contestant(name) for name in "ab"}, 0.8, rounds=4)
    assert order == ["a", "b", "b", "a", "a", "b", "b", "a"]
    assert [(entry.name, entry.count) for entry in found] == [("a", 4), ("b", 4)]


async def test_calls_and_streams_run_for_a_while() -> None:
    """A block calls at least once; a stream is settled once, at its end."""
    asked: list[str] = []

    async def ask() -> None:
        asked.append("ask")

    async def push() -> None:
        asked.append("push")

    sample = await calls(ask)(0.001)
    assert sample.count == len(sample.nanoseconds) == len(asked) > 0
    asked.clear()
    sample = await stream(push, ask, batch=3)(0.001)
    assert asked[-1] == "ask"
    assert asked.count("ask") == 1
    assert sample.count == asked.count("push")
    assert sample.count % 3 == 0


async def test_peers_echo() -> None:
    """The peers answer with the very object that they were sent."""
    payload = {"x": [1]}
    async with queue_echo() as queue:
        assert await queue.ask(payload) is payload
        await queue.tell(payload)
        assert await asyncio.wait_for(queue.ask(1), 5) == 1
    assert await PluggyEcho().ask(payload) is payload
