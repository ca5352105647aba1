"""When a healthy job is polled again, and a new one for the first time."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from airflow_provider_pictory.waiting.intervals import first_poll_at, next_pause

BEGAN = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize("is_first", [True, False])
def test_our_schedule_keeps_to_what_pictory_asks_for(is_first):
    taken = [next_pause(None, is_first=is_first) for _ in range(1000)]

    assert 10 <= min(taken) < max(taken) <= 30


def test_jobs_that_were_started_together_do_not_stay_together():
    assert len({next_pause(None, is_first=True) for _ in range(20)}) > 1


@pytest.mark.parametrize("interval", [0.001, 1, 5, 12.5, 600])
@pytest.mark.parametrize("is_first", [True, False])
def test_a_schedule_of_the_users_is_kept_exactly(interval, is_first):
    assert next_pause(interval, is_first=is_first) == interval


def test_the_first_poll_is_late_and_not_at_the_same_moment_for_all():
    waits = [(first_poll_at(BEGAN, None) - BEGAN).total_seconds() for _ in range(1000)]

    assert 36 <= min(waits) < max(waits) <= 44


def test_the_first_poll_comes_no_later_than_the_users_own_pause():
    assert (first_poll_at(BEGAN, 5.0) - BEGAN).total_seconds() == 5.0
    assert (first_poll_at(BEGAN, 600.0) - BEGAN).total_seconds() <= 44
