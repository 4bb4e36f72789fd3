import mypkg.circ_b as b

from . import circ_b


def a_func():
    return b.b_func() + circ_b.b_func()
