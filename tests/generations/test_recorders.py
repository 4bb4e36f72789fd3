"""What goes through functions of the standard library is recorded by generation, and only that is taken back."""

from __future__ import annotations

import logging
import logging.config
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from generations.support import Sample, living, survivors

from hostcore.generations import Generation


def generation(path: str) -> Generation:
    """A generation of pins."""
    return Generation("pins", [path], owned={"pins"})


def run(generation: Generation, code: str) -> None:
    """Run code as the generation's."""
    exec(code, vars(generation.load("pins")))


# --- warnings --------------------------------------------------------------------------------------------------

IGNORE = "import warnings\nwarnings.filterwarnings('ignore', message='pins', category=UserWarning)"


@pytest.fixture
def filters() -> Iterator[None]:
    """The filters are what they were in the end."""
    with warnings.catch_warnings():
        yield


@pytest.mark.parametrize(
    "code", [IGNORE, IGNORE[:-1] + ", append=True)", "import warnings\nwarnings.simplefilter('once')"]
)
def test_filters_go(sample: Sample, filters: None, code: str) -> None:
    """A filter for a standard category goes with its generation; the others are as they were, in their order."""
    before = list(warnings.filters)
    with living(generation(sample.v1)) as one:
        run(one, code)
        assert warnings.filters != before
        assert [registry for registry, _ in one.unload()] == ["warnings.filters"]
    assert warnings.filters == before


def test_filter_of_the_host_stays(sample: Sample, filters: None) -> None:
    """A filter that the host had as well stays, although the generation's took its place."""
    warnings.filterwarnings("ignore", message="pins", category=UserWarning)
    count = len(warnings.filters)
    with living(generation(sample.v1)) as one:
        run(one, IGNORE)
        assert one.unload() == []
    assert len(warnings.filters) == count
    warnings.warn("pins", UserWarning, stacklevel=1)


def test_filter_of_two(sample: Sample, filters: None) -> None:
    """A filter that two generations have set is there until both are gone."""
    with living(generation(sample.v1)) as one:
        run(one, IGNORE)
        with living(generation(sample.v2)) as two:
            run(two, IGNORE)
            one.unload()
            warnings.warn("pins", UserWarning, stacklevel=1)
        with pytest.raises(UserWarning, match="pins"):
            warnings.warn("pins", UserWarning, stacklevel=1)


def test_filters_in_a_context(sample: Sample, filters: None) -> None:
    """A filter that was taken back by its own code is not looked for, and the host's later one stays."""
    with living(generation(sample.v1)) as one:
        run(one, "import warnings\nwith warnings.catch_warnings():\n    warnings.simplefilter('ignore')")
        warnings.filterwarnings("ignore", message="hosts")
        assert one.unload() == []
    warnings.warn("hosts", UserWarning, stacklevel=1)


# --- logging ---------------------------------------------------------------------------------------------------


@pytest.fixture
def handlers() -> Iterator[None]:
    """The root logger has the handlers it had."""
    before = list(logging.root.handlers)
    yield
    logging.root.handlers[:] = before


@pytest.mark.parametrize(
    "code",
    [
        "logging.getLogger().addHandler(logging.StreamHandler())",
        "logging.getLogger('pins.log').addHandler(logging.NullHandler())",
        "logging.basicConfig(force=False)",
        "import logging.config\nlogging.config.dictConfig({'version': 1, 'incremental': False, "
        "'disable_existing_loggers': False, 'handlers': {'own': {'class': 'logging.NullHandler'}}, "
        "'loggers': {'pins.log': {'handlers': ['own']}}})",
    ],
)
def test_handlers_go(sample: Sample, handlers: None, code: str) -> None:
    """A handler of a standard class goes with its generation, however it was added; the host's stays."""
    logging.root.handlers.clear()
    hosts = logging.NullHandler()
    logger = logging.getLogger("pins.hosts")
    logger.addHandler(hosts)
    with living(generation(sample.v1)) as one:
        run(one, f"import logging\n{code}")
        assert logging.root.handlers or logging.getLogger("pins.log").handlers
        assert [registry for registry, _ in one.unload()] == ["logging handler"]
    assert logging.root.handlers == []
    assert logging.getLogger("pins.log").handlers == []
    assert logger.handlers == [hosts]
    logger.removeHandler(hosts)


def test_reloads_do_not_log_twice(sample: Sample, handlers: None, capsys: pytest.CaptureFixture[str]) -> None:
    """After reloads of a module that adds a handler to its own logger, a record is written once."""
    code = "import logging, sys\nlogging.getLogger('pins.log').addHandler(logging.StreamHandler(sys.stderr))"
    current = generation(sample.v1)
    for _ in range(3):
        run(current, code)
        following = generation(sample.v1)
        run(following, code)
        current.unload()
        current = following
    logging.getLogger("pins.log").warning("once")
    current.unload()
    assert capsys.readouterr().err == "once\n"


def test_files_are_closed(sample: Sample, handlers: None, tmp_path: Path) -> None:
    """A file handler is closed when its generation goes: nobody else does it."""
    with living(generation(sample.v1)) as one:
        run(
            one,
            f"import logging\nlogging.getLogger('pins.log').addHandler(logging.FileHandler({str(tmp_path / 'log')!r}))",
        )
        (handler,) = logging.getLogger("pins.log").handlers
        assert isinstance(handler, logging.FileHandler)
        stream = handler.stream
    assert stream.closed


def test_a_handler_that_fails_to_close(sample: Sample, handlers: None) -> None:
    """A handler that raises when it is closed is reported, and the unload goes on."""
    code = (
        "import logging\n"
        "class Bad(logging.Handler):\n"
        "    def close(self): raise OSError('no')\n"
        "logging.getLogger('pins.log').addHandler(Bad())\n"
        "logging.getLogger('pins.log').addHandler(logging.NullHandler())\n"
    )
    with living(generation(sample.v1)) as one:
        run(one, code)
        watched = one.watch()
        found = one.unload()
    assert ("logging handler raised", "OSError('no')") in found
    assert logging.getLogger("pins.log").handlers == []
    assert survivors(watched) == []


def test_handlers_taken_back_are_forgotten(sample: Sample, handlers: None) -> None:
    """A handler that its code has removed again is kept by nobody."""
    code = "import logging\nh = logging.NullHandler()\nlogging.root.addHandler(h)\nlogging.root.removeHandler(h)\ndel h"
    with living(generation(sample.v1)) as one:
        for _ in range(5):
            run(one, code)
        assert survivors([]) == []
        assert len(one.recorded.handlers) == 0


def test_a_handler_that_compares_oddly(sample: Sample, handlers: None) -> None:
    """A handler that can't be hashed and equals nothing is added as ever, and goes."""
    code = (
        "import logging\n"
        "class Odd(logging.NullHandler):\n"
        "    __hash__ = None\n"
        "    def __eq__(self, other): return self is other\n"
        "logging.getLogger('pins.log').addHandler(Odd())\n"
    )
    with living(generation(sample.v1)) as one:
        run(one, code)
        watched = one.watch()
        assert [registry for registry, _ in one.unload()] == ["logging handler"]
    assert logging.getLogger("pins.log").handlers == []
    assert survivors(watched) == []


# --- audit hooks -----------------------------------------------------------------------------------------------


def test_audit_hooks(sample: Sample) -> None:
    """A hosted audit hook sees every event until its generation goes, and another generation's goes on."""
    hook = "def hook(event, args):\n    if event == 'pins': seen.append(args)"
    code = f"import sys\nseen = []\n{hook}\nsys.addaudithook(hook)"
    with living(generation(sample.v1)) as one, living(generation(sample.v2)) as two:
        run(one, code)
        run(two, code)
        seen = [g.load("pins").seen for g in (one, two)]
        sys.audit("pins", 1)
        watched = one.watch()
        assert [registry for registry, _ in one.unload()] == ["sys.addaudithook"]
        sys.audit("pins", 2)
        assert seen == [[(1,)], [(1,), (2,)]]
        assert survivors(watched) == []


def test_an_audit_hook_can_refuse(sample: Sample) -> None:
    """What a hosted audit hook raises refuses the action, as with any."""
    hook = "def hook(event, args):\n    if event == 'pins': raise PermissionError(event)"
    code = f"import sys\n{hook}\nsys.addaudithook(hook)"
    with living(generation(sample.v1)) as one:
        run(one, code)
        with pytest.raises(PermissionError, match="pins"):
            sys.audit("pins")
    sys.audit("pins")


# --- sys.monitoring --------------------------------------------------------------------------------------------

MONITOR = """
import sys
calls = []
def use():
    sys.monitoring.use_tool_id(4, "pins")
    sys.monitoring.set_events(4, sys.monitoring.events.PY_START)
def watch():
    def on_start(code, offset): calls.append(code.co_name)
    sys.monitoring.register_callback(4, sys.monitoring.events.PY_START, on_start)
"""


@pytest.mark.skipif(sys.version_info < (3, 12), reason="sys.monitoring came with Python 3.12")
def test_monitoring(sample: Sample) -> None:
    """Callbacks and tools of sys.monitoring go with their generation; a later generation's callback stays."""
    monitoring: Any = vars(sys)["monitoring"]
    with living(generation(sample.v1)) as one, living(generation(sample.v2)) as two:
        for each in (one, two):
            run(each, MONITOR)
        one.load("pins").use()
        one.load("pins").watch()
        two.load("pins").watch()
        watched = one.watch()
        assert one.unload() == [("sys.monitoring", "pins")]
        assert survivors(watched) == []
        assert monitoring.get_tool(4) is None
        two.load("pins").use()
        two.load("pins").watch()
        assert sorted({registry for registry, _ in two.unload()}) == ["sys.monitoring"]
    assert monitoring.get_tool(4) is None
    monitoring.use_tool_id(4, "host")
    assert monitoring.register_callback(4, monitoring.events.PY_START, None) is None
    monitoring.free_tool_id(4)
