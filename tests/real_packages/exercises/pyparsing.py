"""Parse and evaluate arithmetic with operator precedence."""

import pyparsing as pp

number = pp.common.integer.copy()
expression = pp.infix_notation(
    number,
    [
        (pp.one_of("* /"), 2, pp.OpAssoc.LEFT, lambda t: _fold(t[0])),
        (pp.one_of("+ -"), 2, pp.OpAssoc.LEFT, lambda t: _fold(t[0])),
    ],
)
OPERATORS = {"*": int.__mul__, "/": int.__floordiv__, "+": int.__add__, "-": int.__sub__}


def _fold(tokens):
    value, *rest = tokens
    for operator, right in zip(rest[::2], rest[1::2], strict=True):
        value = OPERATORS[operator](value, right)
    return value


def exercise():
    try:
        expression.parse_string("1 +", parse_all=True)
    except pp.ParseException as error:
        refused = str(error)
    return [expression.parse_string("2 * (3 + 4) - 9 / 2")[0], refused]
