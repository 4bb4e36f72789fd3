"""From a request to black and back."""

from __future__ import annotations

from typing import Any

import black
import pytest

from hostcore_formatter_black.formatting import format_source


def test_it_is_black() -> None:
    """The result is black's, with the options that the request names."""
    source = "def f( a,b ):\n  return 'x'  # " + "y" * 80 + "\n"
    assert format_source({"source": source}, 88)["source"] == black.format_str(source, mode=black.Mode())
    mode = {"string_normalization": False, "target_versions": ["py311"], "magic_trailing_comma": False}
    wanted = black.Mode(line_length=40, string_normalization=False, magic_trailing_comma=False,
                        target_versions={black.TargetVersion.PY311})  # fmt: skip
    told = format_source({"source": source, "line_length": 40, "mode": mode}, 88)
    assert told == {"source": black.format_str(source, mode=wanted), "changed": True}


@pytest.mark.parametrize("source", ["", "x = 1\n", "# only a comment\n"])
def test_formatted_source_is_unchanged(source: str) -> None:
    """Source that is formatted already comes back as it is."""
    assert format_source({"source": source}, 88) == {"source": source, "changed": False}


@pytest.mark.parametrize(("source", "line"), [("x = = 1\n", 1), ("a = 1\nb = (\n", None), ("def f(:\n", 1)])
def test_what_is_no_python(source: str, line: int | None) -> None:
    """A syntax error is told of with its place, and the source comes back untouched."""
    told = format_source({"source": source}, 88)
    assert (told["source"], told["changed"], told["error"]["type"]) == (source, False, "syntax")
    assert line is None or told["error"]["line"] == line
    assert "annot parse" in told["error"]["message"]


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        (None, "expected"),
        ([], "expected"),
        ({"source": 1}, "expected"),
        ({"source": "", "sorce": ""}, "'sorce'"),
        ({"source": "", "line_length": 0}, "line_length"),
        ({"source": "", "line_length": True}, "line_length"),
        ({"source": "", "line_length": "88"}, "line_length"),
        ({"source": "", "mode": 1}, "mode is an object"),
        ({"source": "", "mode": {"unstable": True}}, "'unstable'"),
        ({"source": "", "mode": {"preview": "yes"}}, r"mode\.preview"),
        ({"source": "", "mode": {"target_versions": ["py1"]}}, "target_versions"),
        ({"source": "", "mode": {"target_versions": "py311"}}, "target_versions"),
    ],
)
def test_malformed_requests(request_: Any, text: str) -> None:
    """What is wrong with a request is said, with what was expected."""
    with pytest.raises(ValueError, match=text):
        format_source(request_, 88)
