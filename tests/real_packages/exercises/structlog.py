"""Configure a chain of processors, bind values, and log through it and the standard library."""

import logging

import structlog
from structlog.testing import capture_logs

lines = []


class Keep:
    def __init__(self, *args):
        pass

    def msg(self, text):
        lines.append(text)

    info = warning = msg


def tag(logger, name, event):
    return {**event, "tag": name}


structlog.configure(
    processors=[structlog.contextvars.merge_contextvars, tag, structlog.processors.JSONRenderer(sort_keys=True)],
    logger_factory=Keep,
    cache_logger_on_first_use=True,
)
log = structlog.get_logger()


def exercise():
    lines.clear()
    with structlog.contextvars.bound_contextvars(request=7):
        log.bind(user="ann").info("hello", n=1)
    with capture_logs() as captured:
        structlog.get_logger().warning("taken")
    structlog.stdlib.get_logger("wrapped").bind(a=1)
    return [lines, captured, logging.getLogger("wrapped").name]
