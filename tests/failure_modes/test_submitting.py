"""
Submitting in bad weather: a table with one row per fault that befalls the POST.

What the sandbox says is the truth about the money: how many POSTs came, and how many jobs they created.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_pictory.api import VideoRequest
from airflow_provider_pictory.client.submitting import SUBMIT_ATTEMPTS
from airflow_provider_pictory.exceptions import (
    PictoryAPIError,
    PictoryAuthenticationError,
    PictoryError,
    PictoryInsufficientCreditsError,
    PictoryInvalidRequestError,
    PictoryRateLimitedError,
    PictorySubmissionIndeterminateError,
    PictorySubmissionPendingError,
)
from airflow_provider_pictory.hooks.pictory import PictoryHook
from airflow_provider_pictory.operators.pictory import GenerateVideoOperator
from airflow_provider_pictory.sandbox.background import PictorySandbox
from tests.conftest import API_KEY
from tests.support.bare_tasks import BareTask
from tests.support.pictory_words import POST, count

PROMPT = "A paper boat on a rainy street"
JOBS = "GET /pictoryapis/v1/jobs"
IMPATIENT = 0.25
NOTHING_IS_PAID = "nothing was submitted, nothing is paid"
NOT_KNOWN = "It is not known whether Pictory at http://127.0.0.1:"
FINDS_OUT = "The next try of this task, a retry or a clear, finds out what became of it"
NEXT_ATTEMPT = "Nothing was submitted yet, the next attempt is in"


@dataclass(frozen=True)
class Row:
    """
    One row of the table.

    :param fault: what befalls the POST and nothing else, as the sandbox reads it.
    :param sees: ``None`` where the task has a job id, or the class of its error.
    :param words: fragments of the error's message.
    :param posts: how many POSTs Pictory saw.
    :param jobs: how many jobs the account has, and pays for.
    :param call_timeout: of each call, in seconds.
    :param credits: that the account has.
    :param api_key: that the connection has.
    :param extra_fields: of the operator.
    """

    fault: str | None = None
    sees: type[PictoryError] | None = None
    words: tuple[str, ...] = ()
    posts: int = 1
    jobs: int = 0
    call_timeout: float = 10.0
    credits: float = 1000.0
    api_key: str = API_KEY
    extra_fields: tuple[tuple[str, object], ...] = ()


def accepted(fault, **more):
    return Row(fault, jobs=1, **more)


def refused(fault, sees, *words, **more):
    return Row(fault, sees, (*words, NOTHING_IS_PAID), **more)


def unknown(fault, *words, jobs, **more):
    return Row(fault, PictorySubmissionPendingError, (NOT_KNOWN, *words, FINDS_OUT), jobs=jobs, **more)


ACCEPTED = {
    "nothing goes wrong": accepted(None),
    "a slow response": accepted("slow-response:seconds=0.15"),
    "a job that appears late": Row("job-appears-late:seconds=60"),
    "429 once, Retry-After in seconds": accepted("rate-limit:count=1,seconds=3", posts=2),
    "429 once, Retry-After as a date": accepted("rate-limit:count=1,retry-after=date,seconds=3", posts=2),
    "429 twice, no Retry-After": accepted("rate-limit:count=2,retry-after=none", posts=3),
}

REFUSED = {
    "429 each time, no Retry-After": refused(
        "rate-limit:retry-after=none", PictoryRateLimitedError, "HTTP 429", posts=SUBMIT_ATTEMPTS
    ),
    "429 each time, Retry-After in seconds": refused(
        "rate-limit:seconds=3", PictoryRateLimitedError, "HTTP 429", posts=SUBMIT_ATTEMPTS
    ),
    "429 each time, no body": refused(
        "rate-limit:has-body=no", PictoryRateLimitedError, "HTTP 429", posts=SUBMIT_ATTEMPTS
    ),
    "429, Retry-After beyond a minute": refused("rate-limit:seconds=90", PictoryRateLimitedError, "HTTP 429"),
    "429, Retry-After as a date beyond a minute": refused(
        "rate-limit:retry-after=date,seconds=90", PictoryRateLimitedError, "HTTP 429"
    ),
    "a CDN's 403": refused("cdn-refusal", PictoryAPIError, "something in front of Pictory"),
    "a CDN's 403 without a body": refused("cdn-refusal:has-body=no", PictoryAPIError, "HTTP 403"),
    "a wrong key": refused(
        None, PictoryAuthenticationError, "the API key is wrong or was revoked", api_key="pictai_wrong"
    ),
    "no credits": refused(
        None, PictoryInsufficientCreditsError, "Pictory says the account is out of AI credits", credits=1.0
    ),
    "a field that Pictory refuses": refused(
        None, PictoryInvalidRequestError, "duration", extra_fields=(("duration", "7s"),)
    ),
}

SERVER_ERRORS = {
    f"{status}, {'with' if has_body == 'yes' else 'without'} a body{after}{processed}": unknown(
        f"server-error:status={status},has-body={has_body},retry-after={retry_after},is-processed={jobs}".replace(
            "is-processed=0", "is-processed=no"
        ).replace("is-processed=1", "is-processed=yes"),
        f"HTTP {status}",
        jobs=jobs,
    )
    for status in (500, 502, 503, 520)
    for has_body in ("yes", "no")
    for retry_after, after in {
        "none": "",
        **(
            {"seconds": ", Retry-After in seconds", "date": ", Retry-After as a date"}
            if status == 503
            else {}
        ),
    }.items()
    for jobs, processed in enumerate(("", ", though processed"))
}

UNKNOWN = {
    **SERVER_ERRORS,
    "a response slower than the timeout": unknown(
        "slow-response:seconds=20", "the response was lost", jobs=1, call_timeout=IMPATIENT
    ),
    "a dripping response, slower in total than the timeout": unknown(
        "dripping-response:seconds=0.1", "the response was lost", jobs=1, call_timeout=IMPATIENT
    ),
    "no response at all": unknown("no-response", "the response was lost", jobs=0, call_timeout=IMPATIENT),
    "no response at all, though processed": unknown(
        "no-response:is-processed=yes", "the response was lost", jobs=1, call_timeout=IMPATIENT
    ),
    "truncated JSON": unknown("truncated-json", "it is not JSON", jobs=1),
    "a page of HTML with status 200": unknown("html-page", "a page of HTML", jobs=0),
    "a page of HTML with status 200, though processed": unknown(
        "html-page:is-processed=yes", "a page of HTML", jobs=1
    ),
    "JSON of a wrong shape": unknown("wrong-shape", "can't be read", jobs=1),
    **{
        f"the connection is {'reset' if is_reset == 'yes' else 'closed'} {moment}": unknown(
            f"{kind}:is-reset={is_reset}", "the response was lost", jobs=jobs
        )
        for kind, moment, jobs in (
            ("drop-before-processing", "before processing", 0),
            ("drop-after-processing", "after processing", 1),
            ("drop-while-responding", "while responding", 1),
        )
        for is_reset in ("yes", "no")
    },
}

TABLE = {**ACCEPTED, **REFUSED, **UNKNOWN}


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(
        "airflow_provider_pictory.client.submitting.pause_before_submitting_again", lambda state: 0.01
    )
    monkeypatch.setattr(
        "airflow_provider_pictory.submission.reconcile.until_settled", lambda record, **moments: 0.01
    )
    # On a busy machine that is not over yet when the lists are read first.
    monkeypatch.setattr("airflow_provider_pictory.submission.reconcile.PAUSE_BETWEEN_POLLS", 0.05)


def on_posts(fault):
    """Narrow a fault to the POST where it would befall other requests too."""
    if fault.startswith("job-"):
        return fault
    return f"{fault}{',' if ':' in fault else ':'}method=POST"


@pytest.mark.parametrize("row", TABLE.values(), ids=TABLE.keys())
def test_what_a_submitting_user_sees_of(row, pictory_at, connect, log):
    pictory = pictory_at(faults=[on_posts(row.fault)] if row.fault else [], credits=row.credits, seed=7)
    connect(pictory.url, row.api_key, row.call_timeout)
    task = a_task(extra_fields=dict(row.extra_fields) or None)

    if row.sees is None:
        assert task.execute() == task.xcoms["job_id"]
    else:
        with pytest.raises(row.sees) as caught:
            task.execute()
        assert type(caught.value) is row.sees
        assert all(words in str(caught.value) for words in row.words), str(caught.value)
        assert API_KEY not in str(caught.value)
        assert "job_id" not in task.xcoms

    assert count(pictory, POST) == row.posts
    assert pictory.counts()["jobs_created"] == row.jobs
    assert log.count(NEXT_ATTEMPT) == row.posts - 1


@pytest.mark.parametrize("row", UNKNOWN.values(), ids=UNKNOWN.keys())
def test_the_retry_gets_the_one_job_after(row, pictory_at, connect):
    pictory = pictory_at(faults=[on_posts(row.fault)], seed=7)
    connect(pictory.url, API_KEY, row.call_timeout)
    task = a_task()
    with pytest.raises(PictorySubmissionPendingError):
        task.execute()

    pictory.clear_faults()
    connect(pictory.url, API_KEY)
    task.retry()

    assert [task.execute()] == [job["job_id"] for job in pictory.jobs()]
    assert count(pictory, POST) == (1 if row.jobs else 2)


@pytest.mark.parametrize("status", [408, 425, 499])
def test_a_gateway_that_gave_up_says_nothing_about_the_video(status, pictory_at, connect):
    pictory = pictory_at()
    connect(pictory.url, API_KEY)
    pictory.respond_next("/v1/aistudio/videos", status=status)
    task = a_task()
    with pytest.raises(PictorySubmissionPendingError, match=NOT_KNOWN):
        task.execute()
    task.retry()

    assert [task.execute()] == [job["job_id"] for job in pictory.jobs()]
    assert count(pictory, POST) == 2


@pytest.mark.parametrize("row", REFUSED.values(), ids=REFUSED.keys())
def test_nothing_is_to_be_found_out_after(row, pictory_at, connect):
    pictory = pictory_at(faults=[on_posts(row.fault)] if row.fault else [], credits=row.credits, seed=7)
    connect(pictory.url, row.api_key)
    task = a_task(extra_fields=dict(row.extra_fields) or None)
    with pytest.raises(row.sees):
        task.execute()
    lists_before = count(pictory, JOBS)

    pictory.clear_faults()
    task.retry()
    try:
        task.execute()
    except PictoryError as error:
        assert type(error) is row.sees  # noqa: PT017  (not all of them last)

    # One look for the newest job before each submission, and none for what became of the first.
    assert count(pictory, JOBS) == 2 * lists_before


def a_task(**arguments):
    return BareTask(lambda: GenerateVideoOperator(task_id="generate", prompt=PROMPT, **arguments), retries=1)


def test_no_outcome_that_cannot_be_found_out_is_retried_by_airflow():
    assert issubclass(PictorySubmissionIndeterminateError, AirflowFailException)


def test_no_wrong_shape_is_taken_for_a_job_id_or_submitted_again(pictory_at):
    pictory = pictory_at(faults=["wrong-shape"], seed=1)
    hook = PictoryHook()

    for _ in range(40):
        with pytest.raises(PictorySubmissionIndeterminateError):
            hook.submit_video(VideoRequest(PROMPT))

    assert count(pictory, POST) == pictory.counts()["jobs_created"] == 40


def test_a_refused_connection_is_tried_again_as_often_as_a_429_and_nothing_is_paid(connect, log):
    connect(f"http://127.0.0.1:{free_port()}", API_KEY)

    with pytest.raises(PictoryAPIError, match=NOTHING_IS_PAID) as caught:
        PictoryHook().submit_video(VideoRequest(PROMPT))

    assert caught.value.status_code is None
    assert log.count(NEXT_ATTEMPT) == SUBMIT_ATTEMPTS - 1


def test_a_pictory_that_is_back_at_the_last_attempt_gets_one_submission(connect, monkeypatch):
    port = free_port()
    connect(f"http://127.0.0.1:{port}", API_KEY)
    pictory = PictorySandbox(port=port, api_key=API_KEY)

    def pause(state):
        if state.attempt_number == SUBMIT_ATTEMPTS - 1:
            pictory.start()
        return 0.0

    monkeypatch.setattr("airflow_provider_pictory.client.submitting.pause_before_submitting_again", pause)
    try:
        job_id = PictoryHook().submit_video(VideoRequest(PROMPT))
        assert [job["job_id"] for job in pictory.jobs()] == [job_id]
        assert count(pictory, POST) == 1
    finally:
        pictory.stop()


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
