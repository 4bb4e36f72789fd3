"""Make a lexer and a parser from the functions of this file."""

from ply import lex, yacc

tokens = ("NUMBER", "PLUS")
t_PLUS = r"\+"
t_ignore = " "


def t_NUMBER(t):
    r"\d+"
    t.value = int(t.value)
    return t


def t_error(t):
    t.lexer.skip(1)


def p_expression(p):
    """expression : expression PLUS NUMBER
    | NUMBER"""
    p[0] = p[1] + p[3] if len(p) == 4 else p[1]


def p_error(p):
    pass


def exercise():
    lexer = lex.lex()
    parser = yacc.yacc(write_tables=False, debug=False)
    lexer.input("1+2")
    return [[token.type for token in lexer], parser.parse("1 + 2 + 39", lexer=lex.lex())]
