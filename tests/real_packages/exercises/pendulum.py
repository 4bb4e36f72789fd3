"""Parse, add, compare and describe times."""

import pendulum


def exercise():
    then = pendulum.datetime(2024, 1, 31, tz="Europe/Paris")
    period = then.add(months=1, days=2) - then
    return [
        then.add(months=1).isoformat(),
        period.in_words(),
        period.in_days(),
        then.diff_for_humans(then.add(days=3)),
        pendulum.parse("2024-W05-1").isoformat(),
        pendulum.duration(days=8).in_words(locale="fr"),
        str(then.end_of("week")),
    ]
