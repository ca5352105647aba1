"""How fast Pictory may be asked, learnt from its responses."""

from __future__ import annotations

import random
from collections import deque

from airflow_provider_pictory.waiting.job_watch import LONGEST_RETRY_AFTER


class Pace:
    """
    The pace of requests to Pictory, learnt from its responses.

    Without a 429 there is no limit. A 429 pauses all requests for as long as Pictory says, and from then on
    requests keep a distance, which every further 429 widens much and every other response narrows a little.
    Pictory documents neither its limits nor what a 429 carries, so nothing better is known beforehand.
    """

    FIRST_PAUSE = 2.0
    SLOW_DOWN = 1.4
    SPEED_UP = 0.998
    WIDEST_DISTANCE = 5.0
    SHORTEST_DISTANCE = 0.001

    def __init__(self) -> None:
        self.ready_at = 0.0
        self._distance = 0.0
        self._paused_at = float("-inf")
        self._limits_in_a_row = 0
        self._sent: deque[float] = deque(maxlen=100)

    def sent(self, now: float) -> None:
        """Note that a request was sent."""
        self._sent.append(now)
        self.ready_at = max(self.ready_at, now + self._distance)

    def responded(self) -> None:
        """Note a response that is no 429."""
        self._limits_in_a_row = 0
        self._distance *= self.SPEED_UP
        if self._distance < self.SHORTEST_DISTANCE:
            self._distance = 0.0

    def limited(self, now: float, sent_at: float, retry_after: float | None) -> None:
        """
        Note a 429.

        :param now: the loop's time.
        :param sent_at: when the request was sent; those sent before a pause say nothing new.
        :param retry_after: seconds that Pictory asks for, where it does.
        """
        if sent_at >= self._paused_at:
            self._limits_in_a_row += 1
            self._distance = max(self._distance, self._observed_distance(now)) * self.SLOW_DOWN
            self._distance = min(self._distance, self.WIDEST_DISTANCE)
            self._paused_at = now
        if retry_after is None:
            retry_after = self.FIRST_PAUSE * 2.0 ** min(self._limits_in_a_row - 1, 6)
            retry_after *= random.uniform(0.8, 1.2)  # noqa: S311  (no secret)
        self.ready_at = max(self.ready_at, now + min(retry_after, LONGEST_RETRY_AFTER))

    def _observed_distance(self, now: float) -> float:
        recent = [moment for moment in self._sent if now - moment < 10.0]
        return (now - recent[0]) / len(recent) if recent else 0.0
