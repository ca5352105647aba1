"""A blocking call ends in time, or is left to itself."""

from __future__ import annotations

import contextvars
import threading
import time

import pytest
import requests

from airflow_provider_pictory.client.deadline import DeadlineExceededError, call_within


def failing(error):
    def call():
        raise error

    return call


def test_what_the_call_returns_is_returned():
    assert call_within(5, lambda: "done") == "done"


@pytest.mark.parametrize(
    "error", [ValueError("a"), requests.ConnectionError("b"), TimeoutError("c"), SystemExit(1)]
)
def test_what_the_call_raises_is_raised(error):
    with pytest.raises(type(error)) as caught:
        call_within(5, failing(error))
    assert caught.value is error


def test_a_call_that_takes_too_long_is_left_to_itself():
    going_on, ended = threading.Event(), threading.Event()

    def call():
        going_on.wait(5)
        ended.set()

    started = time.monotonic()
    with pytest.raises(DeadlineExceededError, match=r"no complete response within 0\.1 s") as caught:
        call_within(0.1, call)
    assert time.monotonic() - started < 3
    assert isinstance(caught.value, requests.Timeout)
    going_on.set()
    assert ended.wait(5)


def test_the_call_sees_the_context_of_its_caller():
    variable = contextvars.ContextVar("variable")
    variable.set("seen")

    assert call_within(5, variable.get) == "seen"
