"""Fill caches of several kinds, and cache a function's and a method's results."""

from cachetools import LRUCache, TTLCache, cached, cachedmethod
from cachetools.keys import hashkey

calls = []


@cached(LRUCache(maxsize=2), key=lambda x: hashkey(x % 3))
def slow(x):
    return x * 2


class Box:
    def __init__(self):
        self.cache = {}

    @cachedmethod(lambda self: self.cache)
    def get(self, x):
        return x


def exercise():
    cache = LRUCache(2)
    cache["a"], cache["b"] = 1, 2
    cache["a"], cache["c"] = cache["a"], 3  # "a" was used last: "b" goes
    timed = TTLCache(3, 10, timer=iter(range(0, 1000, 5)).__next__)
    timed["x"] = 1
    box = Box()
    return [sorted(cache), [slow(1), slow(4), slow(2)], box.get(3), len(box.cache), cache.currsize, timed.get("x")]
