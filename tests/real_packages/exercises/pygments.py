"""Highlight code with lexers found by name, by a lexer of one's own, in two formats."""

from pygments import highlight
from pygments.formatters import HtmlFormatter, TerminalFormatter
from pygments.lexer import RegexLexer
from pygments.lexers import get_lexer_by_name
from pygments.token import Keyword, Text


class Loud(RegexLexer):
    name = "loud"
    tokens = {"root": [(r"[A-Z]+", Keyword), (r"[^A-Z]+", Text)]}


def exercise():
    code = "def f(x):\n    return x + 1\n"
    return [
        highlight(code, get_lexer_by_name("python"), HtmlFormatter(linenos=True, style="monokai")),
        highlight('{"a": [1]}', get_lexer_by_name("json"), TerminalFormatter()),
        highlight("a B c", Loud(), HtmlFormatter()),
    ]
