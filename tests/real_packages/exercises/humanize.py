"""Say numbers, sizes and times in words, in two languages."""

from datetime import timedelta

import humanize


def exercise():
    humanize.activate("fr")
    french = humanize.naturaldelta(timedelta(days=3))
    humanize.deactivate()
    return [
        humanize.intword(1_200_000),
        humanize.naturalsize(123456),
        humanize.ordinal(3),
        french,
        humanize.naturaldelta(timedelta(hours=2)),
    ]
