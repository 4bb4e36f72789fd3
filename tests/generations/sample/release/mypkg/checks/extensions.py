"""Extension modules of the own package, and what they import from C."""

from . import VERSION, equal


def multi_phase():
    """An extension module with multi-phase initialisation loads, and C code gets the caller's modules."""
    from mypkg import _multi

    equal(_multi.N, 7)
    equal(_multi.ver(), VERSION)


def single_phase():
    """An extension module with single-phase initialisation loads, and C code gets the caller's modules."""
    import mypkg._single

    equal(mypkg._single.N, 7)
    equal(mypkg._single.ver(), VERSION)
