"""
The account's newest job as it is right before a paid POST.

A failed reading prevents the POST in two cases only: where a redirect says that another host is to be asked,
and where the connection's certificates can't be used.
"""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider_pictory.api import ResponseError
from airflow_provider_pictory.api.listings import Baseline, BaselineKind, read_job_list, read_server_date
from airflow_provider_pictory.client.calls import JOB_LIST_PATH, LARGEST_LIST
from airflow_provider_pictory.client.deadline import DeadlineExceededError, call_within
from airflow_provider_pictory.client.errors import (
    NOTHING_IS_PAID,
    REDIRECTS,
    raise_airflow_error,
    read_without_key,
    words,
)
from airflow_provider_pictory.client.exchange import Arrival, receive
from airflow_provider_pictory.client.session import synchronous_session

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_provider_pictory.client.settings import ConnectionSettings

# All the seconds that it may take, a second attempt included.
BASELINE_SECONDS = 5.0
PAUSE_BEFORE_READING_AGAIN = 0.5


def read_baseline(
    settings: ConnectionSettings,
    headers: Mapping[str, str],
    *,
    report: Callable[..., object],
    longest: float = BASELINE_SECONDS,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Baseline:
    """
    Read the first page of an account's jobs, and once more where trouble may have passed.

    :param settings: how to reach Pictory.
    :param headers: what to send with each request.
    :param report: told why the newest job isn't known, as a logger would be.
    :param longest: seconds that it may take, if the connection's timeout is no shorter.
    :param clock: seconds that never go back.
    :param sleep: waits for so many seconds.
    :return: unknown, where anything goes wrong with the calls.
    :raises PictoryConfigurationError: the connection's certificates can't be used, or its host redirects to
        another one.
    """
    ends_at = clock() + min(longest, settings.timeout)
    baseline, pause = _read_once(settings, headers, report, ends_at - clock())
    if pause is None or clock() + pause >= ends_at:
        return baseline
    sleep(pause)
    again, _ = _read_once(settings, headers, report, max(0.01, ends_at - clock()))
    return replace(again, server_time=again.server_time or baseline.server_time)


def _read_once(
    settings: ConnectionSettings, headers: Mapping[str, str], report: Callable[..., object], seconds: float
) -> tuple[Baseline, float | None]:
    """Read the list once; return also the seconds after which to read again, where that may help."""
    arrival = Arrival()
    failure = _ask(settings, headers, seconds, arrival)
    # In this order, since an abandoned call may still go on.
    is_complete, response = arrival.is_complete, arrival.response
    server_time = read_server_date(response)
    why, pause = f"the list takes more than {LARGEST_LIST:,} bytes", None
    if response.status_code in REDIRECTS:
        # Whatever it leads to, the POST would meet it too, and nobody could say what became of that.
        is_complete, response = True, replace(response, body=b"")
    if is_complete:
        try:
            baseline = read_without_key(settings, response, read_job_list).baseline
        except ResponseError as error:
            if response.status_code in REDIRECTS:
                raise_airflow_error(settings, error, consequence=NOTHING_IS_PAID)
            why, pause = error.message, _pause_after(error)
        else:
            if baseline.kind is not BaselineKind.UNKNOWN:
                return replace(baseline, server_time=server_time), None
            why = "the first item of the list has no id that can be read"
    elif failure is not None:
        why, pause = words(settings, failure), PAUSE_BEFORE_READING_AGAIN
    report("The newest job of the account is not known: %s", why)
    return Baseline(server_time=server_time), pause


def _ask(
    settings: ConnectionSettings, headers: Mapping[str, str], seconds: float, arrival: Arrival
) -> Exception | None:
    """Ask for the list, and return what went wrong with that; what ends the task is raised."""
    # A session of its own, closed at once, for the POST must not go over a connection that was kept open.
    session = synchronous_session(settings, headers)
    limits: dict[str, Any] = {"timeout": seconds, "largest": LARGEST_LIST}
    ask = partial(receive, arrival, session, settings, "GET", JOB_LIST_PATH, **limits)

    def call() -> Exception | None:
        try:
            with session:
                ask()
        except Exception as error:  # noqa: BLE001  (none may stop the POST; a task's end doesn't strike in here)
            return error
        return None

    try:
        return call_within(seconds, call)
    except DeadlineExceededError as error:
        return error


def _pause_after(error: ResponseError) -> float | None:
    if error.status_code == 429 or error.status_code >= 500:
        return max(PAUSE_BEFORE_READING_AGAIN, error.retry_after or 0.0)
    return None
