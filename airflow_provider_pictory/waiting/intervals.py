"""
When to poll a job again, as long as nothing is wrong.

Loaded whenever a DAG file is parsed, so it imports next to nothing.
"""

from __future__ import annotations

import random
from datetime import datetime, timedelta

# Pictory asks to be polled every 10 to 30 seconds.
MINIMUM_PAUSE = 10.0
MAXIMUM_PAUSE = 30.0
# Chosen by the simulation in benchmarks/schedule.py: no job ends in its first half minute, and from then on a
# steady pause is nearly the best there is. After a poll of the very beginning, the first pause is within
# Pictory's limits.
FIRST_POLL = 40.0
FIRST_PAUSE = 30.0
STEADY_PAUSE = 15.0
JITTER = 0.1
# Airflow takes seconds to notice that a task has left its worker, and may fail and retry a task that is due
# again before that (apache/airflow#67287 and #72716), so no absence is shorter, in seconds.
SHORTEST_ABSENCE = 10.0


def next_pause(poll_interval: float | None, *, is_first: bool, longest: float | None = None) -> float:
    """
    Return the seconds between two polls of a healthy job.

    :param poll_interval: what the user asked for in seconds, used exactly; ``None`` for our own schedule,
        within what Pictory asks for, and with jitter so that jobs started together don't stay together.
    :param is_first: whether the job was polled only once so far.
    :param longest: what our own schedule may be shortened to, since one request tells of many jobs.
    """
    if poll_interval is not None:
        return poll_interval
    pause = min(max(_jittered(FIRST_PAUSE if is_first else STEADY_PAUSE), MINIMUM_PAUSE), MAXIMUM_PAUSE)
    return pause if longest is None else min(pause, _jittered(longest))


def first_poll_at(began: datetime, poll_interval: float | None) -> datetime:
    """
    Return the moment of the first poll of a job that was submitted just before the wait for it began.

    :param began: when it began.
    :param poll_interval: what the user asked for in seconds; ``None`` for our own schedule.
    """
    pause = _jittered(FIRST_POLL)
    return began + timedelta(seconds=pause if poll_interval is None else min(pause, poll_interval))


def _jittered(pause: float) -> float:
    return pause * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311  (no secret)
