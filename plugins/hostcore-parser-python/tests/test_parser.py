"""The module's hooks, called as a host calls them."""

from __future__ import annotations

import asyncio

import pytest

import hostcore
import hostcore_parser_python
from hostcore_parser_python import FileParsed, GetCount, Parser, ParseSource

SOURCE = "import os\nfrom . import b\nx = 1\nclass A:\n    def f(self): ...\n    def g(self): ...\nprint 'x'\n"


@pytest.fixture
def parser(ports) -> Parser:
    """A parser that takes sources of up to a million bytes."""
    parser = Parser()
    parser.initialize(hostcore.Context("parser-python", "1.0.0", 1, {"max_bytes": 1_000_000}, ports))
    return parser


async def test_parse_answers_and_tells(parser: Parser, ports, message) -> None:
    """A parsed source is returned to the asker and told to everybody, as counts."""
    parsed = await parser.handle_message(message(ParseSource("a.py", SOURCE)))
    assert [s.name for s in parsed.symbols] == ["x", "A", "A.f", "A.g"]
    event = FileParsed("a.py", 7, {"variable": 1, "class": 1, "method": 2}, ["os", "."], 1)
    assert ports.published == [("parser.parsed", event)]


async def test_execute_does_the_same(parser: Parser, ports, message) -> None:
    """`execute` returns and tells what the message does."""
    request = ParseSource("a.py", SOURCE)
    assert await parser.execute(request) == await parser.handle_message(message(request))
    assert len(ports.published) == 2


async def test_count(parser: Parser, message) -> None:
    """The parser counts what it has parsed, and goes on from the state it is given."""
    assert await parser.handle_message(message(GetCount())) == {"files": 0}
    await parser.execute(ParseSource("a.py", ""))
    assert parser.get_state() == {"files": 1}
    parser.restore_state({"files": 41})
    await parser.execute(ParseSource("a.py", ""))
    assert await parser.handle_message(message(GetCount())) == {"files": 42}


async def test_a_source_over_the_limit_is_refused(parser: Parser, ports) -> None:
    """A source larger than `max_bytes`, counted in UTF-8, is refused by name, and neither counted nor told."""
    await parser.execute(ParseSource("fits.py", "#" * 1_000_000))
    with pytest.raises(ValueError, match=r"big.py has 1,000,002 bytes; .* at most 1,000,000 .*'max_bytes'"):
        await parser.execute(ParseSource("big.py", "ä" * 500_001))
    assert parser.files == 1
    assert len(ports.published) == 1


async def test_a_large_source_does_not_hold_up_the_loop(parser: Parser) -> None:
    """While a large source is parsed, the loop goes on with other work."""
    turns = 0

    async def other_work() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other_work())
    parsed = await parser.execute(ParseSource("big.py", "x = 1\n" * (hostcore_parser_python.THREAD_FROM // 6 + 1)))
    task.cancel()
    assert parsed.lines > 20_000
    assert turns > 2


async def test_sources_parsed_at_once_do_not_mix(parser: Parser) -> None:
    """Sources that are parsed in threads at one time each yield their own symbols."""
    padding = "#" * hostcore_parser_python.THREAD_FROM
    requests = [ParseSource(f"{i}.py", f"x{i} = 1\n{padding}") for i in range(8)]
    for i, parsed in enumerate(await asyncio.gather(*map(parser.execute, requests))):
        assert (parsed.path, [s.name for s in parsed.symbols]) == (f"{i}.py", [f"x{i}"])


def test_health(parser: Parser) -> None:
    """A parser whose grammar works is healthy."""
    assert parser.check_health() is True


def test_broken_state_is_refused(parser: Parser) -> None:
    """A state without the count is refused rather than guessed."""
    with pytest.raises(KeyError):
        parser.restore_state({})
