"""A package that imports itself in every way there is."""
# ruff: noqa: I001, E402 - the order and the spelling of these imports are what is tested

VERSION = "@V@"
registry: list[object] = []

from . import core as core
import mypkg.sub
import mypkg.sub as s
from mypkg import core as core2
from mypkg.circ_a import a_func as a_func
from .core import *  # noqa: F403

assert mypkg.sub is s
assert core is core2


def whoami():
    return VERSION
