"""The time that a task lives by, handed in so that tests need no patches."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Clock:
    """
    What a task knows of time.

    :param now: return the present moment by this worker's clock, which may be wrong.
    :param monotonic: return seconds that only ever grow, for how long something took in this process.
    :param sleep: wait for so many seconds.
    """

    now: Callable[[], datetime]
    monotonic: Callable[[], float]
    sleep: Callable[[float], None]


# Looked up at each call, since a task's end or a test may replace what the time module holds.
SYSTEM_CLOCK = Clock(lambda: datetime.now(UTC), lambda: time.monotonic(), lambda seconds: time.sleep(seconds))
