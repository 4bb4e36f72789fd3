"""Define classes with validators and converters, compare, evolve and turn them into a dict."""

import attrs


@attrs.define(order=True)
class Point:
    x: int = attrs.field(converter=int, validator=attrs.validators.ge(0))
    y: int = 0


def exercise():
    point = Point("3")
    try:
        Point(-1)
    except ValueError as error:
        refused = type(error).__name__
    return [attrs.asdict(attrs.evolve(point, y=4)), repr(point), point < Point(5), refused]
