"""Many calls have one time limit, each from its own beginning, and one timer."""

from __future__ import annotations

import asyncio

import pytest

from airflow_provider_pictory.client.time_limit import TimeLimit
from tests.support.fast_time import run_fast


async def call(limit, seconds):
    """Take so long, and give the moment of the end and how it came about."""
    loop = asyncio.get_running_loop()
    try:
        with limit.call():
            await asyncio.sleep(seconds)
    except TimeoutError as error:
        return round(loop.time(), 6), str(error)
    return round(loop.time(), 6), "ended"


def test_each_call_has_the_whole_limit_from_its_own_beginning():
    async def scenario():
        limit, calls = TimeLimit(5.0), []
        for seconds in (60.0, 1.0, 60.0, 4.9, 60.0):
            calls.append(asyncio.create_task(call(limit, seconds)))
            await asyncio.sleep(1.0)
        return await asyncio.gather(*calls)

    overdue = "no complete response within 5 s"
    assert run_fast(scenario()) == [
        (5.0, overdue),
        (2.0, "ended"),
        (7.0, overdue),
        (7.9, "ended"),
        (9.0, overdue),
    ]


def test_calls_that_end_in_time_share_one_timer():
    async def scenario():
        loop, limit = asyncio.get_running_loop(), TimeLimit(5.0)
        for _ in range(1000):
            with limit.call():
                await asyncio.sleep(0)
        return loop.timers

    assert run_fast(scenario()) == 1


def test_a_timer_that_finds_no_call_is_not_set_again():
    async def scenario():
        loop, limit = asyncio.get_running_loop(), TimeLimit(5.0)
        with limit.call():
            pass
        await asyncio.sleep(100.0)
        before = loop.timers
        assert await call(limit, 60.0) == (105.0, "no complete response within 5 s")
        return before, loop.timers

    # That of the limit and that of the sleep, each time.
    assert run_fast(scenario()) == (2, 4)


def test_a_limit_that_was_closed_keeps_no_timer():
    async def scenario():
        loop, limit = asyncio.get_running_loop(), TimeLimit(5.0)
        with limit.call():
            pass
        limit.close()
        limit.close()
        return [timer for timer in loop._scheduled if not timer.cancelled()]

    assert run_fast(scenario()) == []


def test_what_a_call_raises_passes_through():
    async def scenario():
        with TimeLimit(5.0).call():
            raise LookupError("somewhere else")

    with pytest.raises(LookupError, match="somewhere else"):
        run_fast(scenario())


def test_after_a_call_that_took_too_long_the_task_goes_on():
    async def scenario():
        limit = TimeLimit(5.0)
        ends = [await call(limit, seconds) for seconds in (60.0, 1.0, 60.0)]
        assert asyncio.current_task().cancelling() == 0
        return [moment for moment, _ in ends]

    assert run_fast(scenario()) == [5.0, 6.0, 11.0]


@pytest.mark.parametrize("moment", [0.0, 1.0, 5.0])
def test_a_cancellation_from_outside_is_no_timeout(moment):
    """Also one that comes in the very moment when time is up."""

    async def scenario():
        task = asyncio.create_task(call(TimeLimit(5.0), 60.0))
        await asyncio.sleep(moment)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return task.cancelled()

    assert run_fast(scenario())


def test_a_call_that_is_slow_to_end_is_cancelled_once():
    cancellations = []

    async def stubborn(limit):
        with limit.call():
            while True:
                try:
                    await asyncio.sleep(60.0)
                except asyncio.CancelledError:
                    cancellations.append(asyncio.get_running_loop().time())
                    await asyncio.sleep(60.0)
                    raise

    async def scenario():
        limit = TimeLimit(5.0)
        slow = asyncio.create_task(stubborn(limit))
        await asyncio.sleep(1.0)
        assert await call(limit, 60.0) == (6.0, "no complete response within 5 s")
        with pytest.raises(TimeoutError):
            await slow
        return asyncio.get_running_loop().time()

    assert run_fast(scenario()) == 65.0
    assert cancellations == [5.0]


def test_only_a_task_can_be_limited():
    async def scenario():
        limit, loop = TimeLimit(5.0), asyncio.get_running_loop()
        failed = loop.create_future()

        def outside_any_task():
            with pytest.raises(RuntimeError, match="in a task only"), limit.call():
                pass
            failed.set_result(True)

        loop.call_soon(outside_any_task)
        return await failed

    assert run_fast(scenario())
