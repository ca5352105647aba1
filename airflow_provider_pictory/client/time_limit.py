"""One total time limit for many asynchronous calls, kept with one timer for all of them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType


class TimeLimit:
    """
    A total time limit for each of many calls of an event loop.

    A timer for each call would be a large part of the cost of a call that succeeds, as nearly all do. The
    limit is the same for all calls, so they become overdue in the order in which they began: one timer for
    the oldest is enough, and by the time it goes off, that one and those after it are usually long over.

    :param seconds: that each call may take.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._loop = asyncio.get_running_loop()
        # In the order in which they become overdue.
        self._calls: dict[LimitedCall, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def call(self) -> LimitedCall:
        """Return a context for one call; one that takes longer is cancelled and raises a ``TimeoutError``."""
        return LimitedCall(self)

    def close(self) -> None:
        """Keep no timer any more; for when no call is under way."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def began(self, call: LimitedCall) -> float:
        """Note the beginning of a call, and return the moment when it becomes overdue."""
        overdue_at = self._loop.time() + self.seconds
        self._calls[call] = None
        if self._timer is None:
            self._timer = self._loop.call_at(overdue_at, self._end_overdue)
        return overdue_at

    def ended(self, call: LimitedCall) -> None:
        """Note the end of a call."""
        self._calls.pop(call, None)

    def _end_overdue(self) -> None:
        self._timer = None
        now = self._loop.time()
        for call in tuple(self._calls):
            if call.overdue_at > now:
                self._timer = self._loop.call_at(call.overdue_at, self._end_overdue)
                return
            # It is cancelled once, however long it takes to come to its end.
            del self._calls[call]
            call.cancel()


class LimitedCall:
    """
    One call within a :class:`TimeLimit`, as a context.

    A cancellation from outside passes through, also one that meets the end of the time: only what the limit
    cancelled itself becomes a ``TimeoutError``, as ``asyncio.timeout`` has it.
    """

    __slots__ = ("_cancellations", "_is_overdue", "_limit", "_task", "overdue_at")

    def __init__(self, limit: TimeLimit) -> None:
        self._limit = limit
        self._is_overdue = False

    def __enter__(self) -> LimitedCall:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a call can be limited in a task only")
        self._task = task
        self._cancellations = task.cancelling()
        self.overdue_at = self._limit.began(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._limit.ended(self)
        if (
            self._is_overdue
            and self._task.uncancel() <= self._cancellations
            and kind is asyncio.CancelledError
        ):
            raise TimeoutError(f"no complete response within {self._limit.seconds:g} s") from error

    def cancel(self) -> None:
        """End the call, since its time is up."""
        self._is_overdue = True
        self._task.cancel()
