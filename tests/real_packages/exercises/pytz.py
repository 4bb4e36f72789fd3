"""Localise times across a change of clocks, and list a country's zones."""

from datetime import datetime

import pytz


def exercise():
    zone = pytz.timezone("Europe/Berlin")
    try:
        zone.localize(datetime(2024, 3, 31, 2, 30), is_dst=None)
    except pytz.NonExistentTimeError as error:
        refused = type(error).__name__
    late = zone.localize(datetime(2024, 10, 27, 1, 30))
    return [
        late.isoformat(),
        zone.normalize(late).tzname(),
        pytz.country_timezones["ch"],
        refused,
        repr(pytz.timezone("UTC")),
    ]
