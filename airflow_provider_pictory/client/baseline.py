"""
The look at an account's newest job that comes right before a paid POST.

It stands in its way in one case only: where a redirect says that another host is to be asked.
"""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from airflow_provider_pictory.api import ResponseError
from airflow_provider_pictory.api.listings import (
    Baseline,
    NewestJob,
    read_job_list,
    read_newest_job,
    read_server_date,
)
from airflow_provider_pictory.client.calls import JOB_LIST_PATH
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

    from airflow_provider_pictory.api import Response
    from airflow_provider_pictory.client.settings import ConnectionSettings

# All that the poll may cost: seconds, a second attempt included, and bytes of the list.
NEWEST_JOB_SECONDS = 5.0
NEWEST_JOB_BYTES = 256 * 1024
PAUSE_BEFORE_READING_AGAIN = 0.5


def read_baseline(
    settings: ConnectionSettings, headers: Mapping[str, str], report: Callable[..., object]
) -> NewestJob:
    """
    Look for the newest job of an account, and look once more where trouble may have passed.

    :param settings: how to reach Pictory.
    :param headers: what to send with each request.
    :param report: told why the newest job isn't known, as a logger would be.
    :return: unknown, where anything goes wrong with the calls.
    :raises PictoryConfigurationError: the connection's certificates can't be used, or its host redirects to
        another one.
    """
    ends_at = time.monotonic() + min(NEWEST_JOB_SECONDS, settings.timeout)
    newest, pause = _read_once(settings, headers, report, ends_at)
    if pause is None or time.monotonic() + pause >= ends_at:
        return newest
    time.sleep(pause)
    again, _ = _read_once(settings, headers, report, ends_at)
    return replace(again, server_time=again.server_time or newest.server_time)


def _read_once(
    settings: ConnectionSettings, headers: Mapping[str, str], report: Callable[..., object], ends_at: float
) -> tuple[NewestJob, float | None]:
    """Return also the seconds after which to look again, where that may help."""
    # A session of its own, for a POST must not go over a connection that was kept open: one that the server
    # closes in that moment leaves it unknown whether the video was submitted.
    session = synchronous_session(settings, headers)
    arrival = Arrival()
    seconds = max(0.01, ends_at - time.monotonic())
    poll = partial(
        receive, arrival, session, settings, "GET", JOB_LIST_PATH, timeout=seconds, largest=NEWEST_JOB_BYTES
    )

    def call() -> Exception | None:
        try:
            with session:
                poll()
        except Exception as error:  # noqa: BLE001  (none may stop the POST; a task's end doesn't strike in here)
            return error
        return None

    try:
        failure = call_within(seconds, call)
    except DeadlineExceededError as error:
        failure = error
    # In this order, since an abandoned call may still go on.
    is_complete, response = arrival.is_complete, arrival.response
    newest = read_newest_job(response.body, is_complete) if response.status_code == 200 else NewestJob()
    newest = replace(
        newest,
        job_id=newest.job_id and settings.without_key(newest.job_id),
        server_time=read_server_date(response),
    )
    if newest.kind is not Baseline.UNKNOWN:
        return newest, None
    if response.status_code in REDIRECTS:
        # Whatever it leads to, the POST would meet it too, and nobody could say what became of that.
        try:
            read_without_key(settings, replace(response, body=b""), read_job_list)
        except ResponseError as error:
            raise_airflow_error(settings, error, consequence=NOTHING_IS_PAID)
    why, pause = _explain(settings, response, failure)
    report("The newest job of the account is not known: %s", why)
    return newest, pause


def _explain(
    settings: ConnectionSettings, response: Response, failure: Exception | None
) -> tuple[str, float | None]:
    """Say what went wrong, and after how many seconds it may go well, if it may."""
    if failure is not None:
        return words(settings, failure), PAUSE_BEFORE_READING_AGAIN
    if response.status_code == 200 and len(response.body) > NEWEST_JOB_BYTES:
        return f"it takes more than the first {NEWEST_JOB_BYTES:,} bytes of the list", None
    try:
        read_without_key(settings, response, read_job_list)
    except ResponseError as error:
        may_pass = error.status_code == 429 or error.status_code >= 500
        return error.message, max(PAUSE_BEFORE_READING_AGAIN, error.retry_after or 0.0) if may_pass else None
    return "the first item of the list has no id that can be read", None
