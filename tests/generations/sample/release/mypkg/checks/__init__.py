"""What must hold inside a generation, whoever else lives beside it.

Each public function of the modules here is one check: it runs as code of a generation and its
docstring is the behaviour that it states. `test_inside.py` makes a test of each.
"""

import os

import mypkg
from mypkg import VERSION as VERSION

HERE = os.path.dirname(mypkg.__file__)


def equal(actual, expected):
    assert actual == expected, f"{actual!r} != {expected!r}"


def same(actual, expected):
    assert actual is expected, f"{actual!r} is not {expected!r}"
