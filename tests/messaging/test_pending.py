"""A reply in waiting: the first outcome counts, whoever comes first."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from messaging.support import passes

from hostcore.errors import DeadlineError
from hostcore.messaging.pending import Pending

OUTCOMES = {
    "resolve": lambda pending: pending.resolve("value"),
    "fail": lambda pending: pending.fail(KeyError("error")),
    "expire": lambda pending: pending.expire(),
}
EXPECTED = {"fail": KeyError, "expire": DeadlineError}


def taken(pending: Pending):
    try:
        return pending.outcome()
    except Exception as error:
        return type(error)


@given(st.lists(st.sampled_from(sorted(OUTCOMES)), min_size=1, max_size=4))
def test_the_first_outcome_counts(order):
    """Of several outcomes before anybody waits the first is the one."""
    pending = Pending("t", "topic", 1.0)
    for name in order:
        OUTCOMES[name](pending)
    assert pending.settled
    assert taken(pending) == EXPECTED.get(order[0], "value")


@pytest.mark.parametrize("first", sorted(OUTCOMES))
@pytest.mark.parametrize("second", sorted(OUTCOMES))
async def test_the_first_outcome_counts_for_whoever_waits(first, second):
    """The same for outcomes that come while somebody waits."""
    pending = Pending("t", "topic", 1.0)
    waiting = asyncio.create_task(pending.wait(asyncio.get_running_loop()))
    await passes()
    OUTCOMES[first](pending)
    OUTCOMES[second](pending)
    (outcome,) = await asyncio.gather(waiting, return_exceptions=True)
    assert outcome == "value" if first == "resolve" else isinstance(outcome, EXPECTED[first])


@pytest.mark.parametrize("first", sorted(OUTCOMES))
async def test_waiting_for_what_is_there_already(first):
    """Waiting for a settled reply returns at once."""
    pending = Pending("t", "topic", 1.0)
    OUTCOMES[first](pending)
    (outcome,) = await asyncio.gather(pending.wait(asyncio.get_running_loop()), return_exceptions=True)
    assert outcome == "value" if first == "resolve" else isinstance(outcome, EXPECTED[first])


@pytest.mark.parametrize("name", sorted(OUTCOMES))
async def test_a_cancelled_wait_settles(name):
    """Whoever gives up waiting settles it, and an outcome that comes in the same pass or later is dropped."""
    for at_once in (True, False):
        pending = Pending("t", "", 1.0)
        waiting = asyncio.create_task(pending.wait(asyncio.get_running_loop()))
        await passes()
        waiting.cancel()
        if at_once:
            OUTCOMES[name](pending)
        await asyncio.gather(waiting, return_exceptions=True)
        assert pending.settled
        OUTCOMES[name](pending)
        assert waiting.cancelled()


def test_an_error_is_raised_once_and_not_kept():
    """A settled error does not stay in the reply, where it would keep frames alive."""
    pending = Pending("t", "", 1.0)
    pending.fail(KeyError())
    with pytest.raises(KeyError):
        pending.outcome()
    assert pending.error is None


def test_the_text_of_a_passed_deadline():
    """The error names the target, the topic if there is one, and the time that was given."""
    for topic, expected in (
        ("a.b", "no reply from 't' to 'a.b' within 0.25 s"),
        ("", "no reply from 't' within 0.25 s"),
    ):
        pending = Pending("t", topic, 0.25)
        pending.expire()
        with pytest.raises(TimeoutError) as caught:
            pending.outcome()
        assert caught.value.message == expected
