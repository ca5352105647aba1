"""The clock that a task uses, passed in so that tests need no patches."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable


class Moment(NamedTuple):
    """A moment by both of a worker's clocks."""

    date: datetime
    monotonic: float


@dataclass(frozen=True)
class Clock:
    """
    How a task tells the time and pauses.

    :param now: return the present moment by this worker's clock, which may be wrong.
    :param monotonic: return seconds that never go back, to measure durations in this process.
    :param sleep: wait for so many seconds.
    """

    now: Callable[[], datetime]
    monotonic: Callable[[], float]
    sleep: Callable[[float], None]

    def moment(self) -> Moment:
        """Return the present moment, to ask :meth:`seconds_since` about later."""
        return Moment(self.now(), self.monotonic())

    def seconds_since(self, moment: Moment) -> float:
        """Return the seconds passed, by whichever clock shows more: one stops while the machine sleeps."""
        by_date = abs((self.now() - moment.date).total_seconds())
        return max(self.monotonic() - moment.monotonic, by_date)


# Looked up at each call, since a task's end or a test may replace what the time module holds.
SYSTEM_CLOCK = Clock(lambda: datetime.now(UTC), lambda: time.monotonic(), lambda seconds: time.sleep(seconds))
