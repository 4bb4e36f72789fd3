"""Leaves its objects in registries of the process, one kind of registry a function.

Each public function of `swept` and `harmless` makes one registration; `test_collect.py` calls it and
wants every object of the generation dead after its unload.
"""

VERSION = "@V@"


class Own:
    """What gets registered; the class attribute keeps count of calls."""

    calls = []

    def method(self, *args):
        self.calls.append(args)


def own(*args):
    Own.calls.append(args)
