"""A total time limit for a blocking call, which requests doesn't have."""

from __future__ import annotations

import contextvars
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, TypeVar

import requests

if TYPE_CHECKING:
    from collections.abc import Callable

Result = TypeVar("Result")


class DeadlineExceededError(requests.Timeout):
    """A call took longer in total than it may, although each of its parts arrived in time."""


def call_within(seconds: float, call: Callable[[], Result]) -> Result:
    """
    Make a blocking call, and stop waiting for it after so many seconds in total.

    The time limits of requests count from one received byte to the next, so a server that sends a byte now
    and then holds a call for ever. The call is made in a thread, which is left to itself when it takes too
    long: nothing it does later may matter, and its session must not be used again.

    :param seconds: the total time limit.
    :param call: takes no arguments.
    :return: what the call returned.
    :raises DeadlineExceededError: when the time is up.
    """
    outcome: Future[Result] = Future()
    context = contextvars.copy_context()

    def run() -> None:
        try:
            outcome.set_result(context.run(call))
        except BaseException as error:  # noqa: BLE001  (handed to whoever waits, if anybody still does)
            outcome.set_exception(error)

    threading.Thread(target=run, name="pictory-call", daemon=True).start()
    try:
        return outcome.result(timeout=seconds)
    except TimeoutError:
        if outcome.done():
            # It ended in this very moment, or with such an error of its own.
            return outcome.result()
        raise DeadlineExceededError(f"timed out, no complete response within {seconds:g} s") from None
