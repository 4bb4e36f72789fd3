"""Private dependencies: the generation sees its own copy, the host and its libraries see theirs."""

import importlib
import importlib.resources
import importlib.util
import pickle
import pkgutil

import hostlib
import onlyprivate
import privdep

import mypkg

from . import VERSION, equal, same


def own_copy():
    """A private dependency is the generation's own release."""
    equal(privdep.VERSION, VERSION)
    import privdep as again

    same(again, privdep)


def own_metadata():
    """importlib.metadata gives a private dependency the version of its own release."""
    equal(privdep.__version__, VERSION[1] + ".0")


def library_keeps_the_hosts():
    """A library of the host's imports the host's copy, whichever generation calls it."""
    equal(hostlib.stmt(), "host")
    equal(hostlib.from_(), "host")
    equal(hostlib.by_name("privdep").VERSION, "host")
    equal(hostlib.version("privdep"), "9.0")
    import privdep as again

    same(again, privdep)


def invisible_to_libraries():
    """A name that is only private can't be imported by a library of the host's."""
    assert not hostlib.optional()


def library_finds_callers_modules():
    """A library of the host's that is given the name of a module finds its caller's."""
    same(hostlib.by_name("mypkg.core"), mypkg.core)


def library_reads_callers_table():
    """`__import__(name); sys.modules[name]` in a library of the host's finds its caller's module."""
    same(hostlib.builtin("mypkg.core"), mypkg.core)


def by_name():
    """importlib and pkgutil, called by the generation, find its private copy."""
    equal(importlib.import_module("privdep").VERSION, VERSION)
    same(pkgutil.resolve_name("privdep:K"), privdep.K)
    equal((importlib.resources.files("privdep") / "data.txt").read_text(), VERSION)
    equal(importlib.util.find_spec("privdep").origin, privdep.__file__)


def hosts_copy_stays_whole():
    """The host's copy resolves its own annotations, even when a generation calls."""
    assert hostlib.hints()


def pickle_only_private():
    """The C pickler handles a class of a private dependency."""
    same(type(pickle.loads(pickle.dumps(onlyprivate.K()))), onlyprivate.K)


def pickle_beside_the_hosts():
    """Both picklers handle a private class of whose name the host has another."""
    same(type(pickle._loads(pickle._dumps(privdep.K()))), privdep.K)
    same(type(pickle.loads(pickle.dumps(privdep.K()))), privdep.K)


def namespace_package():
    """A namespace package shared with the host holds the own portion and the host's."""
    import nsp.other
    import nsp.own

    equal(nsp.own.VERSION, VERSION)
    equal(nsp.other.WHO, "host")
    from nsp import other, own

    same(own, nsp.own)
    same(other, nsp.other)
