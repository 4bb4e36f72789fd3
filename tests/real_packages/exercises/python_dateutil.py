"""Parse dates, add relative time, and expand a recurrence rule."""

from datetime import datetime

from dateutil import parser, rrule, tz
from dateutil.relativedelta import MO, relativedelta


def exercise():
    start = parser.parse("2024-01-31 10:00 UTC")
    rule = rrule.rrulestr("FREQ=WEEKLY;COUNT=3;BYDAY=TU", dtstart=datetime(2024, 1, 1))
    return [
        (start + relativedelta(months=1)).isoformat(),
        (start + relativedelta(weekday=MO(-1))).isoformat(),
        start.astimezone(tz.tzoffset("x", 3600)).isoformat(),
        [day.isoformat() for day in rule],
    ]
