"""
Waiting in bad weather: a table with one row per fault, each waited out in three ways.

Faults happen a counted number of times to the polls at one job. Where the package would pause for minutes,
its constants are scaled down; nothing else of it is replaced.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from airflow_provider_pictory.exceptions import (
    PictoryAPIError,
    PictoryAuthenticationError,
    PictoryError,
    PictoryInsufficientCreditsError,
    PictoryJobExpiredError,
    PictoryJobFailedError,
    PictoryJobNotFoundError,
    PictoryJobTimedOutError,
)
from airflow_provider_pictory.hooks.pictory import PictoryHook
from airflow_provider_pictory.outcome import require_completed
from airflow_provider_pictory.sandbox.faults import FaultKind
from airflow_provider_pictory.sensors.pictory import VideoJobSensor
from airflow_provider_pictory.triggers.pictory import VideoJobTrigger
from airflow_provider_pictory.waiting import job_watch, pace
from airflow_provider_pictory.waiting.events import read_event
from airflow_provider_pictory.waiting.job_watch import JobWatch, wait_for_job
from airflow_provider_pictory.waiting.limits import deadline_after
from tests.conftest import API_KEY, RENDER_SECONDS
from tests.support.bare_tasks import BareTask, first_event
from tests.support.pictory_words import JOB, count, submit

POLL_INTERVAL = 0.01
LONGEST_RETRY_AFTER = 0.1
# Of a call where a row is about a response that takes too long.
IMPATIENT = 0.15
UNKNOWN_JOB = "4a09edf9-d071-4847-bda5-8dea913d80fe"

TROUBLE_STARTS = "which says nothing about the job; trying on: "
TROUBLE_IS_OVER = "Pictory responds again after"


@dataclass(frozen=True)
class Row:
    """
    One row of the table.

    :param faults: what goes wrong, as the sandbox reads it.
    :param sees: what the task ends in: ``None`` for a video, or the class of its error.
    :param words: a fragment of the error's message.
    :param trouble: a fragment of the one line that says trouble starts; ``None`` where there is none.
    :param is_over: whether one more line says that trouble is over.
    :param other: a fragment of the one line besides these; ``None`` where there is none.
    :param pause: the shortest time that the wait takes, in seconds.
    :param timeout: of the wait, in seconds.
    :param call_timeout: of each call, in seconds.
    :param render_seconds: how long the job takes.
    :param grace: how long a 403 or an unknown job is not believed, in seconds.
    :param job_id: of the job that is waited for; the submitted one without it.
    :param api_key: that the connection has when the wait begins.
    :param is_rotated: whether the key is replaced during the wait.
    """

    faults: tuple[str, ...] = ()
    sees: type[PictoryError] | None = None
    words: str = ""
    trouble: str | None = None
    is_over: bool = False
    other: str | None = None
    pause: float = 0.0
    timeout: float = 30.0
    call_timeout: float = 10.0
    render_seconds: float = 0.0
    grace: float = 120.0
    job_id: str | None = None
    api_key: str = API_KEY
    is_rotated: bool = False


def ridden_out(*faults, **more):
    """Return a row of trouble that passes: a line when it starts, a line when it is over, and the video."""
    return Row(faults=faults, is_over=True, **more)


def unnoticed(*faults, **more):
    """Return a row of what a user hears nothing of: the video, and no line about any trouble."""
    return Row(faults=faults, **more)


def ended(*faults, sees, words, **more):
    """Return a row of what ends the wait without a video."""
    return Row(faults=faults, sees=sees, words=words, **more)


SERVER_ERRORS = {
    f"{status}, {'with a body' if has_body == 'yes' else 'without a body'}{after}": ridden_out(
        f"server-error:status={status},has-body={has_body},{parameters}",
        trouble=f"HTTP {status}",
        pause=pause,
    )
    for status, forms in {
        500: {"": ("count=2", 0.0)},
        502: {"": ("count=2", 0.0)},
        503: {
            "": ("count=2", 0.0),
            ", Retry-After in seconds": ("count=1,retry-after=seconds,seconds=30", LONGEST_RETRY_AFTER),
            ", Retry-After as a date": ("count=1,retry-after=date,seconds=30", LONGEST_RETRY_AFTER),
        },
        520: {"": ("count=2", 0.0)},
    }.items()
    for after, (parameters, pause) in forms.items()
    for has_body in ("yes", "no")
}

RATE_LIMITS = {
    "429, Retry-After in seconds": ridden_out(
        "rate-limit:count=1,retry-after=seconds,seconds=30", trouble="HTTP 429", pause=LONGEST_RETRY_AFTER
    ),
    "429, Retry-After as a date": ridden_out(
        "rate-limit:count=1,retry-after=date,seconds=30", trouble="HTTP 429", pause=LONGEST_RETRY_AFTER
    ),
    "429, no Retry-After": ridden_out("rate-limit:count=2,retry-after=none", trouble="HTTP 429"),
    "429, no body": ridden_out("rate-limit:count=2,retry-after=none,has-body=no", trouble="HTTP 429"),
    "429, over a real budget": ridden_out(
        "rate-limit:budget=1,window=0.4", trouble="HTTP 429", render_seconds=0.25, pause=0.3
    ),
}

CDN = {
    "a CDN's 403 that passes": ridden_out("cdn-refusal:count=2", trouble="HTTP 403"),
    "a CDN's 403 without a body that passes": ridden_out(
        "cdn-refusal:count=2,has-body=no", trouble="HTTP 403"
    ),
    "a CDN's 403 that lasts": ended(
        "cdn-refusal",
        sees=PictoryAPIError,
        words="something in front of Pictory, such as its CDN or a proxy, may refuse this client",
        trouble="HTTP 403",
        grace=0.15,
        pause=0.15,
    ),
}

RESPONSES = {
    "a slow response": unnoticed("slow-response:count=1,seconds=0.15", pause=0.15),
    "a response slower than the timeout": ridden_out(
        "slow-response:count=1,seconds=20", trouble="No response from Pictory", call_timeout=IMPATIENT
    ),
    "a dripping response, slower in total than the timeout": ridden_out(
        "dripping-response:count=1,seconds=0.1", trouble="No response from Pictory", call_timeout=IMPATIENT
    ),
    "a dripping response within the timeout": unnoticed("dripping-response:count=1,seconds=0"),
    "no response at all": ridden_out(
        "no-response:count=1", trouble="No response from Pictory", call_timeout=IMPATIENT
    ),
    "truncated JSON": ridden_out("truncated-json:count=2", trouble="it is not JSON"),
    "a page of HTML with status 200": ridden_out("html-page:count=2", trouble="a page of HTML"),
    # Often enough for each of the ten shapes.
    "JSON of a wrong shape": ridden_out("wrong-shape:count=25", trouble="can't be read"),
}

DROPS = {
    f"the connection is {'reset' if is_reset == 'yes' else 'closed'} {moment}": ridden_out(
        f"{kind}:count=2,is-reset={is_reset}", trouble="No response from Pictory"
    )
    for kind, moment in {
        "drop-before-processing": "before processing",
        "drop-after-processing": "after processing",
        "drop-while-responding": "while responding",
    }.items()
    for is_reset in ("yes", "no")
}

JOBS = {
    "a job that is unknown at first": ridden_out(
        "job-unknown-at-first:seconds=0.2", trouble="Pictory knows no such job"
    ),
    "a job that appears late": ridden_out(
        "job-appears-late:seconds=0.2", trouble="Pictory knows no such job"
    ),
    "an undocumented status": unnoticed(
        "job-undocumented-status:seconds=0.2,job-status=queued",
        render_seconds=0.25,
        other="Pictory reports the status 'queued' for job",
    ),
    "a job that fails": ended(
        "job-fails", sees=PictoryJobFailedError, words="failed (5001: VIDEO_GENERATION_FAILED)"
    ),
    "a job that fails for want of credits": ended(
        "job-out-of-credits", sees=PictoryInsufficientCreditsError, words="the account is out of AI credits"
    ),
    "a job whose video was deleted": ended(
        "job-cleaned", sees=PictoryJobExpiredError, words="was deleted at Pictory (status 'cleaned')"
    ),
    "an unknown job, for good": ended(
        sees=PictoryJobNotFoundError,
        words="is job '4a09edf9-d071-4847-bda5-8dea913d80fe' one of this connection's account",
        job_id=UNKNOWN_JOB,
        trouble="Pictory knows no such job",
        grace=0.15,
        pause=0.15,
    ),
    "an id that is no UUID": ended(
        sees=PictoryJobNotFoundError, words="Pictory's job ids are UUIDs, this is none", job_id="job-1"
    ),
}

KEYS = {
    "a wrong key": ended(
        sees=PictoryAuthenticationError,
        words="the API key is wrong or was revoked; put the right one into the connection's password",
        api_key="pictai_wrong",
    ),
    "a key that is rotated meanwhile": unnoticed(render_seconds=RENDER_SECONDS, is_rotated=True),
}

DEADLINES = {
    "a job that outlasts the timeout": ended(
        sees=PictoryJobTimedOutError,
        words="but the job is not (status 'in-progress'): it goes on and is paid for",
        render_seconds=RENDER_SECONDS,
        timeout=0.2,
        pause=0.2,
    ),
    "trouble that outlasts the timeout": ended(
        "server-error:status=503",
        sees=PictoryJobTimedOutError,
        words="whether it has ended is unknown: the last poll failed (Pictory responded with HTTP 503",
        trouble="HTTP 503",
        timeout=0.2,
        pause=0.2,
    ),
}

TABLE = {**SERVER_ERRORS, **RATE_LIMITS, **CDN, **RESPONSES, **DROPS, **JOBS, **KEYS, **DEADLINES}

# What befalls lists, files and webhooks, of which a wait uses none, and other clients' jobs.
NOT_OF_A_WAIT = {
    FaultKind.FOREIGN_JOBS,
    FaultKind.LAGGING_LISTS,
    FaultKind.EXPIRING_URLS,
    FaultKind.WEBHOOK_TWICE,
    FaultKind.WEBHOOK_LATE,
    FaultKind.WEBHOOK_NEVER,
}


def in_the_triggerer(job_id, timeout):
    """Wait as a deferred task does; the event goes through JSON, and the worker reads it."""
    deadline = deadline_after(timeout).isoformat()
    event = asyncio.run(first_event(VideoJobTrigger(job_id, "pictory_default", deadline, POLL_INTERVAL)))
    if event["outcome"] == "inconclusive":
        return event["error"], event["message"]
    return require_completed(read_event(event, job_id)).result


def on_a_worker(job_id, timeout):
    """Wait as ``GenerateVideoOperator(wait_for_completion=True)`` does on its worker."""
    hook = PictoryHook()
    watch = JobWatch(job_id, deadline=deadline_after(timeout), poll_interval=POLL_INTERVAL, log=hook.log)
    try:
        return require_completed(wait_for_job(hook, watch)).result
    finally:
        hook.close()


def by_a_poking_sensor(job_id, timeout):
    """Wait as ``VideoJobSensor(deferrable=False)`` does."""
    return BareTask(
        lambda: VideoJobSensor(
            task_id="wait", job_id=job_id, deferrable=False, poke_interval=POLL_INTERVAL, timeout=timeout
        )
    ).execute()


WAYS = [in_the_triggerer, on_a_worker, by_a_poking_sensor]


@dataclass
class Outcome:
    """What a user sees of a wait."""

    error: str = ""
    words: str = ""
    video: dict = field(default_factory=dict)
    seconds: float = 0.0


def seen_by_a_user(wait, *arguments) -> Outcome:
    started = time.monotonic()
    outcome = Outcome()
    try:
        result = wait(*arguments)
        if isinstance(result, tuple):
            outcome.error, outcome.words = result
        else:
            outcome.video = result
    except PictoryError as error:
        outcome.error, outcome.words = type(error).__name__, str(error)
    outcome.seconds = time.monotonic() - started
    return outcome


@pytest.fixture(autouse=True)
def pauses_in_proportion(monkeypatch):
    monkeypatch.setattr(job_watch, "LONGEST_TROUBLED_PAUSE", POLL_INTERVAL)
    monkeypatch.setattr(job_watch, "LONGEST_RETRY_AFTER", LONGEST_RETRY_AFTER)
    monkeypatch.setattr(pace, "LONGEST_RETRY_AFTER", LONGEST_RETRY_AFTER)
    monkeypatch.setattr(pace.Pace, "FIRST_PAUSE", POLL_INTERVAL)


@pytest.fixture
def waiting(pictory_at, connect, monkeypatch, log):
    """Let a user wait through a row of the table, and give what that user sees."""

    def waiting(row: Row, wait) -> Outcome:
        monkeypatch.setattr(job_watch, "FORBIDDEN_GRACE", row.grace)
        monkeypatch.setattr(job_watch, "NOT_FOUND_GRACE", row.grace)
        on_looks = [
            f"{fault}{',' if ':' in fault else ':'}path=/v1/jobs" if not fault.startswith("job-") else fault
            for fault in row.faults
        ]
        key = None if row.is_rotated else API_KEY
        pictory = pictory_at(api_key=key, render_seconds=row.render_seconds, faults=on_looks, seed=7)
        job_id = submit()
        connect(pictory.url, row.api_key, row.call_timeout)
        job_id = row.job_id or job_id
        if not row.is_rotated:
            outcome = seen_by_a_user(wait, job_id, row.timeout)
        else:
            renewal = threading.Thread(target=renew_the_key, args=(pictory, connect, job_id))
            renewal.start()
            outcome = seen_by_a_user(wait, job_id, row.timeout)
            renewal.join()
        for fault in pictory.faults():
            assert fault["times"] >= 1, f"{fault['kind']} never happened"
            assert fault["kind"] == "rate-limit" or fault["times"] == fault.get("count", fault["times"])
        return outcome

    return waiting


def renew_the_key(pictory, connect, job_id):
    """Replace the key in the connection, then refuse the old one, then let the job end."""
    until(lambda: count(pictory, JOB) >= 2)
    connect(pictory.url, "pictai_new", 10.0)
    pictory.respond_next("/v1/jobs/", status=401, body={"message": "Unauthorized"})
    until(lambda: pictory.counts()["statuses"][JOB].get("401"))
    pictory.set_job(job_id, "completed")


def until(condition):
    give_up = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.01)


def cases():
    """Return each row in each way; a poking sensor, which concludes as a worker does, in quick rows."""
    for name, row in TABLE.items():
        is_quick = not row.pause and row.call_timeout > IMPATIENT and "count=25" not in str(row.faults)
        for wait in WAYS:
            if is_quick or wait is not by_a_poking_sensor or row in DEADLINES.values():
                yield pytest.param(row, wait, id=f"{name}-{wait.__name__}")


@pytest.mark.parametrize(("row", "wait"), cases())
def test_what_a_waiting_user_sees_of(row, wait, waiting, log):
    outcome = waiting(row, wait)

    if row.sees is None:
        assert (outcome.error, outcome.words) == ("", "")
        assert outcome.video["status"] == "completed"
        assert outcome.video["url"]
    else:
        assert outcome.error == row.sees.__name__, outcome.words
        assert row.words in outcome.words
    assert row.pause <= outcome.seconds + 0.02
    assert outcome.seconds < row.pause + 8
    assert API_KEY not in outcome.words
    assert_the_log_says(log, row)


def assert_the_log_says(log, row):
    # Airflow has words of its own about sensors, none of which name Pictory's.
    relevant = [line for line in log.lines if " Pictory " in line and " is completed: " not in line]
    expected = []
    if row.trouble is not None:
        expected.append(("WARNING Polling Pictory job ", TROUBLE_STARTS, row.trouble))
    if row.other is not None:
        expected.append(("WARNING ", row.other))
    if row.is_over:
        expected.append((f"INFO {TROUBLE_IS_OVER}",))
    assert len(relevant) == len(expected), relevant
    for line, fragments in zip(relevant, expected, strict=True):
        assert all(fragment in line for fragment in fragments), line
        assert API_KEY not in line


def test_every_kind_of_fault_that_can_befall_a_wait_has_a_row():
    in_the_table = {FaultKind(fault.partition(":")[0]) for row in TABLE.values() for fault in row.faults}

    assert in_the_table == set(FaultKind) - NOT_OF_A_WAIT


@pytest.mark.parametrize("wait", WAYS, ids=lambda wait: wait.__name__)
def test_trouble_that_comes_back_is_told_again(pictory_at, log, wait):
    pictory = pictory_at(render_seconds=RENDER_SECONDS)
    job_id = submit()

    def weather():
        for spell in (1, 2):
            until(lambda spell=spell: pictory.counts()["statuses"].get(JOB, {}).get("200", 0) >= 2 * spell)
            pictory.add_fault("server-error:status=502,count=3,path=/v1/jobs")
            until(lambda: pictory.faults()[-1]["times"] == 3)
            until(lambda spell=spell: log.count(TROUBLE_IS_OVER) == spell)
        pictory.set_job(job_id, "completed")

    changes = threading.Thread(target=weather)
    changes.start()
    outcome = seen_by_a_user(wait, job_id, 30.0)
    changes.join()

    assert outcome.video["status"] == "completed"
    assert (log.count(TROUBLE_STARTS), log.count(TROUBLE_IS_OVER)) == (2, 2)
    assert log.count(f"{TROUBLE_IS_OVER} 3 failed polls of job {job_id}") == 2


@pytest.mark.parametrize(
    ("fault", "wait"),
    [("rate-limit:count=1", in_the_triggerer), ("server-error:status=503,count=1", on_a_worker)],
    ids=["429-in_the_triggerer", "503-on_a_worker"],
)
def test_a_retry_after_within_bounds_is_granted_in_full(pictory_at, monkeypatch, fault, wait):
    for module in (job_watch, pace):
        monkeypatch.setattr(module, "LONGEST_RETRY_AFTER", 300.0)
    pictory_at(faults=[f"{fault},retry-after=seconds,seconds=1,path=/v1/jobs"])

    outcome = seen_by_a_user(wait, submit(), 30.0)

    assert outcome.video["status"] == "completed"
    assert 1.0 <= outcome.seconds < 6


@pytest.mark.parametrize("wait", [in_the_triggerer, on_a_worker], ids=lambda wait: wait.__name__)
@pytest.mark.parametrize("retry_after", ["seconds", "date"])
def test_no_retry_after_moves_the_deadline(pictory_at, monkeypatch, retry_after, wait):
    for module in (job_watch, pace):
        monkeypatch.setattr(module, "LONGEST_RETRY_AFTER", 300.0)
    pictory_at(faults=[f"server-error:status=503,retry-after={retry_after},seconds=200,path=/v1/jobs"])

    outcome = seen_by_a_user(wait, submit(), 0.2)

    assert outcome.error == PictoryJobTimedOutError.__name__
    assert outcome.seconds < 3


def test_the_deadline_is_a_moment_that_a_restart_of_the_triggerer_does_not_move(pictory_at):
    pictory = pictory_at(render_seconds=RENDER_SECONDS)
    deadline = datetime.now(UTC) + timedelta(seconds=0.8)
    trigger = VideoJobTrigger(submit(), "pictory_default", deadline.isoformat(), POLL_INTERVAL)

    async def run_until_the_triggerer_stops():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(first_event(trigger), 0.4)

    asyncio.run(run_until_the_triggerer_stops())
    looks_before = count(pictory, JOB)
    _, arguments = json.loads(json.dumps(trigger.serialize()))
    event = asyncio.run(first_event(VideoJobTrigger(**arguments)))
    late = (datetime.now(UTC) - deadline).total_seconds()

    assert looks_before >= 1
    assert count(pictory, JOB) > looks_before
    assert (event["outcome"], event["error"]) == ("inconclusive", PictoryJobTimedOutError.__name__)
    assert 0 <= late < 0.5


def test_thirty_waits_in_one_triggerer_keep_to_a_budget_of_20_requests_a_second(pictory_at, monkeypatch):
    monkeypatch.undo()
    pictory = pictory_at(
        render_seconds=RENDER_SECONDS, faults=["rate-limit:budget=20,window=1,path=/v1/jobs"]
    )
    job_ids = [submit() for _ in range(30)]

    async def scenario():
        deadline = deadline_after(60.0).isoformat()
        wait = partial(VideoJobTrigger, pictory_conn_id="pictory_default", deadline=deadline)
        waits = [asyncio.create_task(first_event(wait(job_id, poll_interval=0.5))) for job_id in job_ids]
        _, waiting = await asyncio.wait(waits, timeout=4.0)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
        return len(waiting)

    still_waiting = asyncio.run(scenario())
    counts = pictory.counts()
    permitted, limited = counts["requests_permitted"], counts["requests_limited"]
    print(f"{permitted} requests were permitted, {limited} limited")  # noqa: T201  (shown with -s)

    assert still_waiting == 30
    # Before the first 429 nothing is known of a budget, and as many as may be in flight are refused at once.
    assert limited <= 0.1 * permitted + 16
    assert permitted >= 30
