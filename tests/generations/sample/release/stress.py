"""Work for many threads at once: import, pickle and introspect, and tell what came from another generation."""

import importlib
import pickle
import random
import sys
import typing

import mypkg.models
import onlyprivate
from mypkg import VERSION as VERSION


def work(seed, rounds):
    """Return what went wrong in `rounds` rounds of imports chosen by `seed`."""
    choose = random.Random(seed).randrange
    wrong = []
    for _ in range(rounds):
        wrong += _imports(choose(12)) + _objects()
    return wrong


def _imports(number):
    name = f"mypkg.lazy{number}"
    found = {importlib.import_module(name).VERSION}
    namespace = {}
    exec(
        f"import mypkg.lazy{number} as m\n"
        f"from mypkg import lazy{(number + 1) % 12} as m2\n"
        "from mypkg.core import helper\n"
        "import mypkg.circ_b as cb",
        namespace,
    )
    found |= {namespace["m"].VERSION, namespace["m2"].VERSION, namespace["helper"](), sys.modules[name].VERSION}
    wrong = [] if found == {VERSION} else [("versions", found)]
    return wrong if namespace["cb"].back() == 6 else [*wrong, "circular import"]


def _objects():
    wrong = []
    models = mypkg.models
    if type(pickle.loads(pickle.dumps(models.Node("a", models.Leaf(1))))) is not models.Node:
        wrong.append("pickle")
    if typing.get_type_hints(models.Node)["kid"] != typing.Optional[models.Leaf]:  # noqa: UP045
        wrong.append("hints")
    if type(pickle.loads(pickle.dumps(onlyprivate.K()))) is not onlyprivate.K:
        wrong.append("pickle of a private class")
    return wrong
