"""
A budget of requests in a sliding window of time, exact, in memory bounded by the budget.

Guesses: Pictory says only that polling too frequently may be limited. Here all requests of the account share
one budget, whatever they are for, and those that are refused cost nothing of it.
"""

from __future__ import annotations

from collections import deque


class RequestBudget:
    """
    Allows so many requests in any window of time.

    :param size: how many requests.
    :param window: how long a window is, in seconds.
    """

    def __init__(self, size: int, window: float) -> None:
        self._size = size
        self._window = window
        self._taken: deque[float] = deque()

    def seconds_until_free(self, now: float) -> float:
        """Tell how long to wait for the next request to be within the budget; 0 where it is right away."""
        while self._taken and self._taken[0] + self._window <= now:
            self._taken.popleft()
        if len(self._taken) < self._size:
            return 0.0
        return self._taken[0] + self._window - now

    def take(self, now: float) -> None:
        """Spend one request of the budget; the refused ones cost nothing."""
        self._taken.append(now)
