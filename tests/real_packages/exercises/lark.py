"""Parse by two algorithms and transform the tree."""

from lark import Lark, Transformer, UnexpectedInput, v_args

GRAMMAR = """
start: sum
?sum: product | sum "+" product -> add
?product: NUMBER -> number | "(" sum ")"
%import common.NUMBER
%ignore " "
"""


@v_args(inline=True)
class Evaluate(Transformer):
    def number(self, token):
        return int(token)

    def add(self, left, right):
        return left + right

    def start(self, value):
        return value


def exercise():
    results = [Lark(GRAMMAR, parser=name).parse("1 + (2 + 3)") for name in ("lalr", "earley")]
    try:
        Lark(GRAMMAR, parser="lalr").parse("1 +")
    except UnexpectedInput as error:
        refused = type(error).__name__
    return [results[0].pretty(), Evaluate().transform(results[0]), results[0] == results[1], refused]
