"""Parse, shift, floor and describe times in several languages."""

import arrow


def exercise():
    then = arrow.get("2024-02-29T12:34:56+01:00")
    return [
        then.shift(years=1).isoformat(),
        then.floor("month").isoformat(),
        then.humanize(then.shift(hours=3), locale="de"),
        then.format("dddd Do MMMM", locale="fr"),
        arrow.get("03 mars 2024", "DD MMMM YYYY", locale="fr").date().isoformat(),
        [t.day for t in arrow.Arrow.range("day", then, then.shift(days=2))],
        then.to("UTC").isoformat(),
    ]
