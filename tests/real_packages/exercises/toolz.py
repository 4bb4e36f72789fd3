"""Compose, curry, group and merge."""

from toolz import compose, curried, curry, groupby, merge_with, pipe, sliding_window


@curry
def add(a, b):
    return a + b


def exercise():
    return [
        compose(str, add(1))(2),
        groupby(len, ["a", "b", "cc"]),
        merge_with(sum, {"a": 1}, {"a": 2}),
        pipe([1, 2, 3], curried.map(add(1)), curried.filter(lambda x: x > 2), list),
        [list(w) for w in sliding_window(2, "abc")],
    ]
