"""Run a file of tests inside the process, with a fixture and a plugin, and read the outcomes."""

import contextlib
import io
import sys
import tempfile
from pathlib import Path

import pytest

TESTS = """
import pytest

@pytest.fixture
def number():
    return 3

@pytest.mark.parametrize("x", [3, 4])
def test_number(number, x):
    assert number == x
"""


class Outcomes:
    def __init__(self):
        self.found = []

    def pytest_runtest_logreport(self, report):
        if report.when == "call":
            self.found.append([report.nodeid.rpartition("::")[2], report.outcome])


def exercise():
    outcomes = Outcomes()
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, "test_wrapped.py")
        file.write_text(TESTS)
        options = ["-q", "-p", "no:cacheprovider", "-p", "no:faulthandler", "--import-mode=importlib", "-s",
                   "--disable-plugin-autoload", "-c", "/dev/null", "--rootdir", directory]  # fmt: skip
        with contextlib.redirect_stdout(io.StringIO()) as out:
            code = pytest.main([*options, str(file)], plugins=[outcomes])
    sys.modules.pop("test_wrapped", None)
    return [int(code), outcomes.found, "assert 3 == 4" in out.getvalue()]
