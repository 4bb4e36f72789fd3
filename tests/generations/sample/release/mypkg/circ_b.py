import mypkg.circ_a as a2
from mypkg import circ_a as a3

from . import circ_a


def b_func():
    return 1


def back():
    return circ_a.a_func() + a2.a_func() + a3.a_func()
