"""The paid POST: made at most once, or again where it was certainly refused, and what became of it."""

from __future__ import annotations

import json
import random
import time
from typing import TYPE_CHECKING

from tenacity import Retrying, retry_if_exception, stop_after_attempt
from tenacity.nap import sleep as tenacity_sleep

from airflow_provider_pictory.api import ResponseError, ResponseErrorKind
from airflow_provider_pictory.api.responses import read_submission
from airflow_provider_pictory.client.errors import (
    NO_RESPONSE,
    NOTHING_IS_PAID,
    no_response,
    raise_airflow_error,
    read_without_key,
    submission_unknown,
    words,
)
from airflow_provider_pictory.client.tracked_body import TrackedBody
from airflow_provider_pictory.exceptions import (
    PictoryAPIError,
    PictoryRateLimitedError,
    PictorySubmissionIndeterminateError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenacity import RetryCallState

    from airflow_provider_pictory.api import VideoRequest
    from airflow_provider_pictory.client.synchronous import Client

SUBMIT_PATH = "/v1/aistudio/videos"
# A refused submission is tried again at once only so often, and after a pause of so many seconds; beyond
# that, Airflow's retries are the better place to wait.
SUBMIT_ATTEMPTS = 3
SHORTEST_PAUSE = 1.0
LONGEST_PAUSE = 60.0

GAVE_UP_WAITING = (408, 425, 499)


def submit(
    client: Client,
    request: VideoRequest,
    *,
    before_attempt: Callable[[float], None] | None = None,
    report: Callable[..., object],
    sleep: Callable[[float], None] = tenacity_sleep,
) -> str:
    """
    Submit a video, which costs AI credits.

    :param client: makes the calls.
    :param request: what to make.
    :param before_attempt: called before each POST with the seconds after which that POST will be over
        however it goes; what it raises ends the submission.
    :param report: told before each further attempt why it is needed, as a logger would be.
    :param sleep: waits for so many seconds.
    :return: the id of the job.
    :raises PictoryError: as :meth:`PictoryHook.submit_video`.
    """

    def tell(state: RetryCallState) -> None:
        pause = state.next_action.sleep if state.next_action else 0.0
        report("Nothing was submitted yet, the next attempt is in %.0f s: %s", pause, _error_of(state))

    accepted: list[str] = []
    try:
        for attempt in Retrying(
            retry=retry_if_exception(_was_refused_for_now),
            stop=stop_after_attempt(SUBMIT_ATTEMPTS),
            wait=pause_before_submitting_again,
            sleep=sleep,
            before_sleep=tell,
            reraise=True,
        ):
            with attempt:
                submit_once(client, request, accepted, before_attempt)
    except BaseException as error:
        # A signal may strike at any moment, also when the id is there and nobody has it yet.
        if accepted:
            raise PictorySubmissionIndeterminateError(
                f"Pictory accepted the video as job {accepted[0]}, which goes on and is paid for, but "
                f"then the submission was interrupted ({words(client.settings, error)})",
                job_id=accepted[0],
                interruption=_interruption(error),
            ) from None
        raise
    return accepted[0]


def submit_once(
    client: Client,
    request: VideoRequest,
    accepted: list[str],
    before_attempt: Callable[[float], None] | None = None,
) -> None:
    """
    Make one POST.

    :param client: makes the call.
    :param request: what to make.
    :param accepted: where to note the id of the job, at once.
    :param before_attempt: as for :func:`submit`.
    :raises PictorySubmissionIndeterminateError: a video may be in the making, and paid.
    :raises PictoryError: nothing was submitted.
    """
    settings = client.settings
    body = TrackedBody(json.dumps(request.payload).encode(), time.time() + settings.timeout)
    if before_attempt is not None:
        before_attempt(settings.timeout)
    try:
        response = client.post(SUBMIT_PATH, body)
        accepted.append(read_without_key(settings, response, read_submission))
    except ResponseError as error:
        # Only a 4xx, and a lack of credits under any status, say for certain that there is no job; those by
        # which something in between says that it gave up waiting do not.
        is_refusal = 400 <= error.status_code < 500 and error.status_code not in GAVE_UP_WAITING
        if is_refusal or error.kind is ResponseErrorKind.INSUFFICIENT_CREDITS:
            raise_airflow_error(settings, error, consequence=NOTHING_IS_PAID)
        raise submission_unknown(settings, error.message, job_id=error.job_id) from None
    except BaseException as error:
        # Airflow's timeout of a task and its end by a signal are no Exceptions, and both may be retried.
        # Where nothing was sent they pass through, and nothing is tried again here after them.
        if accepted:
            raise
        if body.withhold():
            why = f"the response was lost ({words(settings, error)})"
            raise submission_unknown(settings, why, _interruption(error)) from None
        if isinstance(error, NO_RESPONSE):
            raise no_response(settings, error, NOTHING_IS_PAID) from None
        raise


def pause_before_submitting_again(state: RetryCallState) -> float:
    """Return the seconds until the next attempt: as many as Pictory asks for, or more from time to time."""
    asked = getattr(_error_of(state), "retry_after", None)
    pause = 2.0**state.attempt_number if asked is None else max(asked, SHORTEST_PAUSE)
    return float(pause * random.uniform(1.0, 1.2))  # noqa: S311  (no secret)


def _was_refused_for_now(error: BaseException) -> bool:
    """Return whether a submission was refused for now, by a 429 or no connection; all else isn't repeated."""
    if isinstance(error, PictoryRateLimitedError):
        return (error.retry_after or 0.0) <= LONGEST_PAUSE
    return isinstance(error, PictoryAPIError) and error.status_code is None


def _error_of(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None


def _interruption(error: BaseException) -> BaseException | None:
    """Return what ended a call from outside, such as Airflow's timeout of a task, which is no Exception."""
    return None if isinstance(error, Exception) else error
