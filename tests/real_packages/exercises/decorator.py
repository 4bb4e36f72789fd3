"""Decorate a function keeping its signature, and dispatch on types."""

import inspect

from decorator import contextmanager, decorator, dispatch_on


@decorator
def twice(func, times=2, *args, **kwargs):
    return [func(*args, **kwargs) for _ in range(times)]


@twice(times=3)
def add(a, b=1):
    return a + b


@dispatch_on("thing")
def describe(thing):
    return "object"


@describe.register(int)
def describe_int(thing):
    return "int"


@contextmanager
def around(log):
    log.append("in")
    yield
    log.append("out")


def exercise():
    log = []
    around(log)(lambda: log.append("body"))()
    return [add(1), str(inspect.signature(add)), describe(1), describe(""), log]
