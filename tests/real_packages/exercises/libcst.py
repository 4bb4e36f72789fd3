"""Parse code, change it with a transformer, and keep its layout."""

import libcst as cst
from libcst import matchers as m


class Rename(cst.CSTTransformer):
    def leave_Name(self, original, updated):
        return updated.with_changes(value="y") if original.value == "x" else updated


def exercise():
    tree = cst.parse_module("x = f( x )  # keep\n")
    try:
        cst.parse_module("x = (")
    except cst.ParserSyntaxError as error:
        refused = type(error).__name__
    return [tree.visit(Rename()).code, len(m.findall(tree, m.Name("x"))), refused]
