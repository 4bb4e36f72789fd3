"""Import statements and importlib: all ways to name a module of one's own."""

import builtins
import importlib
import importlib.util
import os
import pkgutil
import sys

import mypkg

from . import HERE, VERSION, equal, same


def relative_lazy():
    """A relative import inside a function finds its own generation's module."""
    from .. import lazy1

    equal(lazy1.VERSION, VERSION)


def absolute_lazy():
    """`import pkg.sub` inside a function finds its own generation's module and binds it on the package."""
    import mypkg.lazy2

    equal(mypkg.lazy2.VERSION, VERSION)
    same(mypkg.lazy2.__dict__, vars(mypkg)["lazy2"].__dict__)


def absolute_from():
    """`from pkg import sub` loads the submodule of its own generation."""
    from mypkg import lazy3

    equal(lazy3.VERSION, VERSION)


def absolute_from_class():
    """A class imported by its full path is the class that the package itself uses."""
    from mypkg.core import Base

    same(Base, mypkg.Base)
    assert issubclass(mypkg.core.Base, Base)


def absolute_as():
    """`import pkg.sub.deep as name` gives the innermost module."""
    import mypkg.sub.deep as deep

    equal(deep.VERSION, VERSION)
    equal(deep.__name__, "mypkg.sub.deep")


def import_module_absolute():
    """importlib.import_module with a full name finds its own generation's module."""
    equal(importlib.import_module("mypkg.lazy4").VERSION, VERSION)


def import_module_relative():
    """importlib.import_module with a relative name finds its own generation's module."""
    same(importlib.import_module("..lazy5", __package__), mypkg.lazy5)
    same(importlib.import_module(".lazy5", "mypkg"), mypkg.lazy5)
    equal(mypkg.lazy5.VERSION, VERSION)


def import_module_own_name():
    """importlib.import_module(__name__) is the module that asks."""
    same(importlib.import_module(__name__).__dict__, globals())


def dunder_import_then_sys_modules():
    """`__import__(name); sys.modules[name]`, as libraries write it, gives its own module."""
    __import__("mypkg.lazy6")
    equal(sys.modules["mypkg.lazy6"].VERSION, VERSION)


def import_in_exec():
    """Code run by exec imports from the generation that runs it."""
    namespace = {}
    exec("import mypkg.lazy7 as m, mypkg.core", namespace)
    equal(namespace["m"].VERSION, VERSION)
    equal(namespace["mypkg"].VERSION, VERSION)


def builtin_import_function():
    """builtins.__import__ called by hand gives its own generation's module."""
    equal(builtins.__import__("mypkg.lazy8", fromlist=["x"]).VERSION, VERSION)


def import_star():
    """`from pkg import *` follows __all__ of its own generation."""
    namespace = {}
    exec("from mypkg import *\nfrom mypkg.core import *", namespace)
    same(namespace["Base"], mypkg.core.Base)


def circular():
    """Modules that import each other, in all three spellings, get each other."""
    from mypkg import circ_b

    equal(circ_b.back(), 6)
    same(circ_b.circ_a, mypkg.circ_a)
    same(circ_b.a2, mypkg.circ_a)
    same(circ_b.a3, mypkg.circ_a)


def lazy_in_helper():
    """A late import in a function called through the package finds its own generation."""
    equal(mypkg.helper(), VERSION)
    equal(mypkg.a_func(), 2)


def self_replacement():
    """A module that puts another object under its name in sys.modules is that object from then on."""
    import mypkg.selfrep as replaced

    assert replaced.wrapped
    equal(replaced.VERSION, VERSION)
    from mypkg import selfrep as again

    same(replaced, again)


def virtual_module():
    """A module made by hand and put into sys.modules can be imported."""
    import mypkg.synth  # noqa: F401
    import mypkg.virtual as virtual

    equal(virtual.VERSION, VERSION)


def failing_import_leaves_nothing():
    """A module that raises while importing is neither in sys.modules nor on its package afterwards."""
    try:
        import mypkg.boom  # noqa: F401
    except ValueError:
        pass
    else:
        raise AssertionError("boom did not raise")
    assert "mypkg.boom" not in sys.modules
    assert not hasattr(sys.modules["mypkg"], "boom")


def missing_module():
    """Importing what is not there names it, in the words of Python itself."""
    try:
        import mypkg.nothere  # noqa: F401
    except ModuleNotFoundError as error:
        equal(error.name, "mypkg.nothere")
    else:
        raise AssertionError("no error")
    try:
        from mypkg import nothere
    except ImportError as error:
        assert "cannot import name 'nothere' from 'mypkg'" in str(error), error
    else:
        raise AssertionError(f"no error: {nothere}")


def beyond_top_level():
    """A relative import above the top package is an ImportError."""
    try:
        exec("from ..... import x", {"__package__": __package__, "__name__": __name__})
    except ImportError as error:
        assert "beyond top-level package" in str(error), error
    else:
        raise AssertionError("no error")


def none_in_sys_modules():
    """A None under a name in sys.modules makes its import fail."""
    sys.modules["mypkg.blocked"] = None
    try:
        import mypkg.blocked  # noqa: F401
    except ModuleNotFoundError as error:
        equal(error.name, "mypkg.blocked")
    else:
        raise AssertionError("no error")
    finally:
        del sys.modules["mypkg.blocked"]


def reload():
    """importlib.reload runs a module of the generation again, in place."""
    from .. import lazy10

    old = lazy10.C
    same(importlib.reload(lazy10), lazy10)
    assert lazy10.C is not old
    equal(lazy10.VERSION, VERSION)
    same(mypkg.lazy10, lazy10)


def find_spec():
    """importlib.util.find_spec finds own modules, loaded or not, where they are."""
    equal(os.path.dirname(importlib.util.find_spec("mypkg").origin), HERE)
    equal(os.path.dirname(importlib.util.find_spec("mypkg.lazy9").origin), HERE)
    same(importlib.util.find_spec("mypkg.nothere"), None)


def walk_packages():
    """pkgutil.walk_packages sees all own modules, and each has its spec."""
    names = [m.name for m in pkgutil.walk_packages(mypkg.__path__, "mypkg.", onerror=_ignore)]
    assert "mypkg.sub.deep" in names, names
    for name in names:
        if "selfrep" not in name and "half." not in name:
            assert importlib.util.find_spec(name).origin.startswith(HERE), name


def _ignore(name):
    """walk_packages imports packages to look into them; mypkg.half is made to fail."""
    equal(name, "mypkg.half")


def resolve_name():
    """pkgutil.resolve_name finds own objects."""
    same(pkgutil.resolve_name("mypkg.core:Base"), mypkg.Base)


def import_by_a_shared_library():
    """A library of the host's that imports by a string gets its caller's generation."""
    from werkzeug.utils import import_string

    same(import_string("mypkg.core:Base"), mypkg.core.Base)
    equal(import_string("mypkg.lazy11").VERSION, VERSION)


def mock_patch():
    """mock.patch by name changes its own generation's object, for the time of the patch."""
    from unittest import mock

    from .. import core

    before = core.helper
    with mock.patch("mypkg.core.helper", 42):
        equal(core.helper, 42)
    same(core.helper, before)


def main_guard():
    """A hosted module never runs as __main__."""
    from .. import main

    assert not main.FLAG
    equal(main.NAME, "mypkg.main")
