"""Parse C, walk the tree with a visitor, and write it back."""

from pycparser import c_ast, c_generator, c_parser

CODE = "int add(int a, int b) { return a + b; } struct point { int x; };"


class Names(c_ast.NodeVisitor):
    def __init__(self):
        self.found = []

    def visit_Decl(self, node):
        self.found.append(node.name)
        self.generic_visit(node)


def exercise():
    tree = c_parser.CParser().parse(CODE)
    names = Names()
    names.visit(tree)
    return [names.found, c_generator.CGenerator().visit(tree)]
