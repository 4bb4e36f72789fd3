"""Keep lists, dicts and sets sorted."""

from sortedcontainers import SortedDict, SortedKeyList, SortedList, SortedSet


def exercise():
    numbers = SortedList([3, 1, 2])
    numbers.update([5, 4])
    words = SortedKeyList(["ccc", "a", "bb"], key=len)
    table = SortedDict({"b": 1, "a": 2})
    return [
        list(numbers), numbers.bisect(3), list(words.irange_key(2, 3)), table.peekitem(0)[0], list(table.irange("b")),
        list(SortedSet([3, 1]) | {2}), repr(table),
    ]  # fmt: skip
