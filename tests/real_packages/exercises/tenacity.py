"""Retry a function until it succeeds, and give up on another."""

from tenacity import RetryError, Retrying, retry, retry_if_exception_type, stop_after_attempt, wait_none


def exercise():
    tries = []

    @retry(stop=stop_after_attempt(5), wait=wait_none(), retry=retry_if_exception_type(ValueError))
    def flaky():
        tries.append(1)
        if len(tries) < 3:
            raise ValueError
        return "done"

    result = flaky()
    try:
        Retrying(stop=stop_after_attempt(2))(lambda: 1 / 0)
    except RetryError as error:
        refused = type(error.last_attempt.exception()).__name__
    return [result, len(tries), flaky.statistics["attempt_number"], refused]
