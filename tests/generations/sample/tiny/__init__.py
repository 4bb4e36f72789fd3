"""The smallest package: fast to load, for tests that load it many times."""

VERSION = "@V@"


class Thing:
    pass


def late():
    """Import a module of the own package as late as can be."""
    from . import part

    return part.VERSION
