"""Group, chunk, peek and seek."""

import more_itertools as mi


def exercise():
    peeking = mi.peekable([1, 2, 3])
    buckets = mi.bucket(range(6), key=lambda x: x % 2)
    return [
        [list(chunk) for chunk in mi.chunked(range(5), 2)], peeking.peek(), list(peeking), list(buckets[1]),
        [list(run) for run in mi.consecutive_groups([1, 2, 4])], mi.one([7]), list(mi.interleave_longest([1, 2], [3])),
    ]  # fmt: skip
