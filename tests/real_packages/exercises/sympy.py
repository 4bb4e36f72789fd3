"""Simplify, differentiate, integrate, solve and print."""

import sympy


def exercise():
    x, y = sympy.symbols("x y")
    return [
        str(sympy.simplify(sympy.sin(x) ** 2 + sympy.cos(x) ** 2)),
        str(sympy.diff(x**3 * sympy.exp(x), x)),
        str(sympy.integrate(1 / (1 + x**2), x)),
        [str(root) for root in sympy.solve(x**2 - 2, x)],
        str(sympy.Matrix([[1, 2], [3, 4]]).inv()),
        sympy.latex(sympy.expand((x + y) ** 3)),
        str(sympy.lambdify(x, x**2)(3)),
        str(sympy.sympify("2*x + 1").subs(x, 2)),
    ]
