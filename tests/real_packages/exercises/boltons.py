"""Use caches, ordered multi dicts, iteration, strings and tables."""

from boltons.cacheutils import LRI, cachedproperty
from boltons.dictutils import OMD
from boltons.funcutils import wraps
from boltons.iterutils import remap, windowed
from boltons.strutils import slugify
from boltons.tableutils import Table


class Box:
    @cachedproperty
    def value(self):
        return 5


@wraps(lambda a, b=2: None)
def function(a, b):
    return [a, b]


def exercise():
    cache = LRI(max_size=1)
    cache["a"], cache["b"] = 1, 2
    return [
        list(cache), OMD([("a", 1), ("a", 2)]).getlist("a"), Box().value, function(1),
        remap({"a": [1, None]}, visit=lambda p, k, v: v is not None), [list(w) for w in windowed("abc", 2)],
        slugify("Hello, World"), Table([[1, 2]], headers=["x", "y"]).to_text(),
    ]  # fmt: skip
