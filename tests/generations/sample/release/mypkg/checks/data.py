"""Files that a package brings along."""

import os
import pkgutil
from importlib import resources

from . import HERE, VERSION, equal


def files_by_name():
    """importlib.resources.files(name) is the own release's directory."""
    equal(resources.files("mypkg").joinpath("data.txt").read_text(), VERSION)


def files_by_module():
    """importlib.resources.files(module) is the own release's directory."""
    import mypkg

    with resources.as_file(resources.files(mypkg) / "data.txt") as path:
        equal(path.read_text(), VERSION)


def files_by_package():
    """importlib.resources.files(__package__) is where this package lies."""
    with resources.as_file(resources.files(__package__) / "data.py") as path:
        equal(os.path.dirname(path), os.path.join(HERE, "checks"))


def pkgutil_get_data():
    """pkgutil.get_data reads the own release's file."""
    equal(pkgutil.get_data("mypkg", "data.txt").decode(), VERSION)


def loader_get_data():
    """The loader of a hosted module reads the own release's file."""
    equal(__spec__.loader.get_data(os.path.join(HERE, "data.txt")).decode(), VERSION)
