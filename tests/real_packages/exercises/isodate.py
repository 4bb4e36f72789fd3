"""Parse and write dates, times and durations."""

from datetime import date

import isodate


def exercise():
    duration = isodate.parse_duration("P1Y2M3DT4H")
    try:
        isodate.parse_date("2024-99")
    except ValueError as error:
        refused = str(error)
    return [
        isodate.duration_isoformat(duration),
        (date(2024, 1, 31) + isodate.parse_duration("P1M")).isoformat(),
        isodate.parse_datetime("2024-02-03T04:05:06Z").isoformat(),
        isodate.parse_date("2024-W05-1").isoformat(),
        refused,
    ]
