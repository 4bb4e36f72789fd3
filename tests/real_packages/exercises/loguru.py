"""Log to a sink of one's own with context, a level of one's own and a caught exception."""

from loguru import logger

if "LOUD" not in logger._core.levels:
    logger.level("LOUD", no=35, color="<red>")


def exercise():
    lines = []
    logger.remove()
    number = logger.add(
        lambda message: lines.append(str(message)), format="{level} {extra[user]} {message}", backtrace=False
    )
    with logger.contextualize(user="ann"):
        logger.info("hello {}", "there")
        logger.log("LOUD", "shout")
        with logger.catch(message="caught"):
            _ = 1 / 0
    logger.remove(number)
    return [[line.splitlines()[0] for line in lines], "ZeroDivisionError" in lines[-1]]
