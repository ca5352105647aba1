"""The sensor step by step, without a database: what each step makes of what it is given."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowSkipException,
    AirflowTaskTimeout,
)

from airflow_provider_pictory.api import JobStatus, VideoJob
from airflow_provider_pictory.exceptions import (
    PictoryAuthenticationError,
    PictoryError,
    PictoryExecutionTimeoutError,
    PictoryInvalidRequestError,
    PictoryJobFailedError,
    PictoryJobNotFoundError,
    PictoryJobTimedOutError,
)
from airflow_provider_pictory.sensors.pictory import VideoJobSensor
from airflow_provider_pictory.waiting.events import (
    MOST_INCONCLUSIVE,
    ended_event,
    inconclusive_event,
    wait_for_event,
)
from tests.conftest import RENDER_SECONDS
from tests.support.bare_tasks import BareTask, until
from tests.support.pictory_words import JOB, count, submit

DOUBT = {"outcome": "inconclusive", "job_id": "?", "error": "PictoryError", "message": "?"}
WAYS = pytest.mark.parametrize("way", ["deferred", "poke", "in the triggerer"])
DEFERRED_OR_POKING = pytest.mark.parametrize("deferrable", [True, False], ids=["deferred", "poke"])


def a_wait(job_id, **arguments):
    return BareTask(lambda: VideoJobSensor(task_id="wait", job_id=job_id, **arguments))


def resolved(job_id, way, **arguments):
    """Wait in one of the ways that there are, and give the result."""
    arguments = {"poke_interval": 0.05, **arguments}
    if way == "deferred":
        return a_wait(job_id, **arguments).run()
    if way == "in the triggerer":
        return after_the_triggerer(a_wait(job_id, **arguments))
    return a_wait(job_id, deferrable=False, **arguments).execute()


def after_the_triggerer(wait):
    """Let a worker go on after a sensor that was started in the triggerer, with the event it has there."""
    sensor = wait._make()
    deadline = (datetime.now(UTC) + timedelta(seconds=sensor.timeout)).isoformat()
    trigger = {"pictory_conn_id": sensor.pictory_conn_id, "deadline": deadline}
    outcome = asyncio.run(
        wait_for_event(
            job_id=str(sensor.job_id), poll_interval=0.05, first_poll=None, log=sensor.log, **trigger
        )
    )
    if isinstance(outcome, Exception):
        event = inconclusive_event(str(sensor.job_id), outcome, deadline)
    else:
        event = ended_event(outcome)
    return wait._resume("execute_complete", {"event": event})


def a_deferred_wait(**arguments):
    job_id = submit()
    wait = a_wait(job_id, **arguments)
    wait.execute()
    assert wait.trigger.job_id == job_id
    return wait


@pytest.fixture
def pauses(busy_pictory, monkeypatch):
    """Note the pauses on the worker and let them pass at Pictory only."""
    pauses = []

    def sleep(seconds):
        pauses.append(seconds)
        busy_pictory.advance(seconds)

    monkeypatch.setattr(time, "sleep", sleep)
    return pauses


@DEFERRED_OR_POKING
def test_a_job_that_ends_during_the_very_last_pause_is_a_success(pictory_at, deferrable):
    pictory = pictory_at(render_seconds=0.15)
    job_id = submit()

    result = a_wait(job_id, deferrable=deferrable, poke_interval=30, timeout=0.3).run()

    assert result["status"] == "completed"
    # Deferred, the worker looks once before the triggerer does.
    assert count(pictory, JOB) == (3 if deferrable else 2)


@DEFERRED_OR_POKING
@pytest.mark.parametrize("timeout", [0.1, timedelta(seconds=0.1), 0], ids=str)
def test_a_timeout_is_a_number_of_seconds_or_a_timedelta(busy_pictory, deferrable, timeout):
    wait = a_wait(submit(), deferrable=deferrable, poke_interval=0.05, timeout=timeout)

    started = time.monotonic()
    with pytest.raises(PictoryJobTimedOutError):
        wait.run()

    assert time.monotonic() - started < 2


def test_by_default_it_waits_for_an_hour_and_not_for_airflows_seven_days(busy_pictory):
    wait = a_wait(submit())
    wait.execute()

    left = datetime.fromisoformat(wait.trigger.deadline) - datetime.now(UTC)
    assert timedelta(minutes=59) < left < timedelta(minutes=60)
    assert timedelta(minutes=64) < wait.deferral.timeout < timedelta(minutes=65)


def test_by_default_it_defers_after_one_look(busy_pictory):
    job_id = submit()
    wait = a_wait(job_id)

    assert wait.execute() is None

    assert wait.trigger.job_id == job_id
    assert count(busy_pictory, JOB) == 1


def test_a_job_that_has_ended_already_needs_no_deferral(pictory):
    wait = a_wait(submit())

    assert wait.execute()["status"] == "completed"

    assert wait.deferral is None
    assert count(pictory, JOB) == 1


@pytest.mark.parametrize(
    "response",
    [{"status": 503}, {"status": 429}, {"status": 403}, {"body": "not JSON"}],
    ids=["503", "429", "403", "unreadable"],
)
def test_a_first_poll_that_fails_does_not_keep_it_from_waiting(busy_pictory, response):
    job_id = submit()
    busy_pictory.respond_next("/v1/jobs", **response)
    wait = a_wait(job_id)

    wait.execute()

    assert wait.trigger.job_id == job_id


def test_by_default_it_looks_as_often_as_pictory_asks_for(busy_pictory, pauses):
    busy_pictory.respond_next("/v1/jobs", body={"data": {"status": "in-progress"}}, times=5)
    busy_pictory.respond_next("/v1/jobs", body={"data": {"status": "cleaned"}})
    wait = a_wait(submit(), deferrable=False)

    with pytest.raises(Exception, match="was deleted at Pictory"):
        wait.execute()

    assert len(pauses) == 5
    assert 27 <= pauses[0] <= 30
    assert all(13.5 <= pause <= 16.5 for pause in pauses[1:])
    assert a_deferred_wait().trigger.poll_interval is None


@pytest.mark.parametrize("poke_interval", [3, 3.0, timedelta(seconds=3)], ids=str)
def test_a_users_poke_interval_is_kept_to_exactly(busy_pictory, pauses, poke_interval):
    busy_pictory.respond_next("/v1/jobs", body={"data": {"status": "in-progress"}}, times=3)
    busy_pictory.respond_next("/v1/jobs", body={"data": {"status": "cleaned"}})
    wait = a_wait(submit(), deferrable=False, poke_interval=poke_interval)

    with pytest.raises(Exception, match="was deleted at Pictory"):
        wait.execute()

    assert pauses == [3, 3, 3]
    assert a_deferred_wait(poke_interval=poke_interval).trigger.poll_interval == 3


def test_airflows_exponential_backoff_still_works_while_poking(busy_pictory, pauses):
    busy_pictory.respond_next("/v1/jobs", body={"data": {"status": "in-progress"}}, times=4)
    busy_pictory.respond_next("/v1/jobs", body={"data": {"status": "cleaned"}})
    wait = a_wait(submit(), deferrable=False, poke_interval=10, exponential_backoff=True, max_wait=35)

    with pytest.raises(Exception, match="was deleted at Pictory"):
        wait.execute()

    assert len(pauses) == 4
    assert 5 <= pauses[0] < pauses[2] <= pauses[3] == 35


@DEFERRED_OR_POKING
@pytest.mark.parametrize("poke_interval", [0, timedelta(0)], ids=str)
def test_an_interval_of_nothing_is_refused_before_the_first_poll(pictory, deferrable, poke_interval):
    wait = a_wait(str(uuid.uuid4()), deferrable=deferrable, poke_interval=poke_interval)

    with pytest.raises(PictoryInvalidRequestError, match="poke_interval: got 0"):
        wait.execute()

    assert pictory.counts()["requests"] == {}


@DEFERRED_OR_POKING
@pytest.mark.parametrize(
    "job_id",
    [None, "None", "", "  ", {"job_id": "4a09edf9"}, ["4a09edf9"], 7, "..", "a\nb", "{'job_id': '4a09edf9'}"],
    ids=repr,
)
def test_what_cannot_be_a_job_id_is_refused_before_the_first_poll(pictory, job_id, deferrable):
    with pytest.raises(PictoryInvalidRequestError, match="job_id: got "):
        a_wait(job_id, deferrable=deferrable).execute()

    # Found while the DAG file is parsed, so there is no task that could be skipped.
    with pytest.raises(PictoryInvalidRequestError, match="job_id: got "):
        a_wait(job_id, deferrable=deferrable, soft_fail=True)._make()

    assert pictory.counts()["requests"] == {}


@WAYS
@pytest.mark.parametrize(
    "outcome", ["failed", "cleaned", "out of credits", "in-progress", "canceled", "trouble"]
)
@pytest.mark.parametrize("softly", ["soft_fail", "never_fail"])
def test_soft_fail_and_never_fail_skip_with_our_own_words_when_there_is_no_video(
    busy_pictory, way, outcome, softly
):
    job_id = submit()
    words = {
        "failed": f"Pictory job {job_id} failed",
        "cleaned": f"The video of Pictory job {job_id} was deleted at Pictory",
        "out of credits": f"Pictory job {job_id} failed .* out of AI credits",
    }
    if outcome == "trouble":
        busy_pictory.respond_next("/v1/jobs", status=503, times=99)
    elif outcome == "out of credits":
        busy_pictory.set_job(job_id, "failed", error_code="INSUFFICIENT_CREDITS")
    else:
        busy_pictory.set_job(job_id, outcome)

    with pytest.raises(
        AirflowSkipException, match=words.get(outcome, f"The wait for Pictory job {job_id} is over")
    ):
        resolved(job_id, way, timeout=0.1, **{softly: True})


@WAYS
@pytest.mark.parametrize(
    "fault",
    ["wrong key", "no connection", "broken connection", "unknown job", "unknown UUID", "403", "job_id"],
)
@pytest.mark.parametrize("softly", ["soft_fail", "never_fail"])
def test_what_is_set_up_wrongly_fails_under_soft_fail_and_skips_only_under_never_fail(
    busy_pictory, connect, monkeypatch, way, fault, softly
):
    job_id = submit()
    if fault == "wrong key":
        connect(busy_pictory.url, "pictai_revoked")
    elif fault == "no connection":
        monkeypatch.delenv("AIRFLOW_CONN_PICTORY_DEFAULT")
    elif fault == "broken connection":
        monkeypatch.setenv("AIRFLOW_CONN_PICTORY_DEFAULT", '{"conn_type": "pictory", "password": ""}')
    elif fault == "unknown job":
        job_id = "no-uuid"
    elif fault == "unknown UUID":
        job_id = str(uuid.uuid4())
    elif fault == "403":
        busy_pictory.respond_next("/v1/jobs", status=403, times=99)
    else:
        # As after a misspelt name in a template.
        job_id = "{{ unrendered }}"

    with pytest.raises(AirflowException) as caught:
        resolved(job_id, way, timeout=0.1, **{softly: True})

    assert isinstance(caught.value, AirflowSkipException) is (softly == "never_fail")


@DEFERRED_OR_POKING
def test_a_wrong_key_ends_the_wait_after_one_look(pictory, connect, deferrable):
    job_id = submit()
    connect(pictory.url, "pictai_revoked")

    with pytest.raises(PictoryAuthenticationError):
        a_wait(job_id, deferrable=deferrable).run()

    assert count(pictory, JOB) == 1


@DEFERRED_OR_POKING
def test_an_unknown_job_that_is_no_uuid_ends_the_wait_after_one_look(pictory, deferrable):
    with pytest.raises(PictoryJobNotFoundError, match="Pictory's job ids are UUIDs, this is none"):
        a_wait("a-render-job", deferrable=deferrable).run()

    assert count(pictory, JOB) == 1


def test_a_resumed_task_believes_an_ended_job_without_asking(busy_pictory):
    wait = a_deferred_wait()
    busy_pictory.advance(RENDER_SECONDS)
    event = wait.run_trigger()
    looks = count(busy_pictory, JOB)

    assert wait.resume(event)["url"] == event["job"]["url"]

    assert count(busy_pictory, JOB) == looks


def test_a_failed_first_poll_is_left_to_the_trigger_to_tell(busy_pictory, capfd):
    busy_pictory.respond_next("/v1/jobs", status=503)
    a_deferred_wait()

    assert "says nothing about the job" not in "".join(capfd.readouterr())


def test_a_resumed_task_undecided_asks_once_and_takes_the_truth(busy_pictory):
    wait = a_deferred_wait()
    busy_pictory.advance(RENDER_SECONDS)
    looks = count(busy_pictory, JOB)

    assert wait.resume(DOUBT)["status"] == "completed"

    assert count(busy_pictory, JOB) == looks + 1


def test_a_resumed_task_undecided_waits_on_until_the_same_deadline(busy_pictory):
    wait = a_deferred_wait(poke_interval=7)
    first = until(wait.trigger)

    assert wait.resume(DOUBT) is None

    assert until(wait.trigger) == first
    assert wait.deferral.timeout < timedelta(minutes=65)


@pytest.mark.parametrize(
    "response", [{"status": 503}, {"status": 429}, {"body": "not JSON"}], ids=["503", "429", "unreadable"]
)
def test_a_resumed_task_undecided_that_gets_no_response_waits_on(busy_pictory, response):
    wait = a_deferred_wait()
    first = until(wait.trigger)
    busy_pictory.respond_next("/v1/jobs", **response)

    assert wait.resume(DOUBT) is None

    assert until(wait.trigger) == first


def test_a_resumed_task_undecided_that_gets_no_response_in_time_says_so(busy_pictory):
    wait = a_deferred_wait(timeout=0.2)
    wait.run_trigger()
    busy_pictory.respond_next("/v1/jobs", status=503)

    with pytest.raises(
        PictoryJobTimedOutError, match="whether it has ended is unknown: the last poll failed"
    ):
        wait.resume(DOUBT)


def test_a_triggerer_that_keeps_failing_alone_ends_the_wait_with_its_words(busy_pictory):
    wait = a_deferred_wait()
    event = inconclusive_event(
        "4a09edf9-d071-4847-bda5-8dea913d80fe", PictoryError("There is no connection here")
    )
    for _ in range(MOST_INCONCLUSIVE):
        assert wait.resume(event) is None

    with pytest.raises(
        PictoryError, match=r"in the triggerer keeps failing.*There is no connection here"
    ) as caught:
        wait.resume(event)
    assert not isinstance(caught.value, AirflowFailException)


@pytest.mark.parametrize("error", ["Trigger timeout", "Trigger failure"])
def test_when_airflow_gives_up_on_the_trigger_a_last_poll_finds_the_video(busy_pictory, error):
    wait = a_deferred_wait()
    busy_pictory.advance(RENDER_SECONDS)

    assert wait.resume_after_failure(error)["status"] == "completed"


def test_when_airflow_gives_up_with_time_left_a_retry_may_wait_on(busy_pictory):
    wait = a_deferred_wait()

    with pytest.raises(PictoryError, match="Trigger failure") as caught:
        wait.resume_after_failure("Trigger failure")
    assert not isinstance(caught.value, AirflowFailException)


def test_when_airflow_gives_up_on_the_trigger_a_last_poll_finds_the_failure(busy_pictory):
    wait = a_deferred_wait()
    busy_pictory.set_job(wait.trigger.job_id, "failed", error_code="5002", error_message="Unsafe")

    with pytest.raises(PictoryJobFailedError, match="5002: Unsafe"):
        wait.resume_after_failure()


def test_when_airflow_gives_up_on_the_trigger_and_the_job_goes_on_the_wait_is_over(busy_pictory):
    wait = a_deferred_wait()
    with pytest.raises(PictoryJobTimedOutError, match="it goes on and is paid for"):
        wait.resume_after_failure()

    softly = a_deferred_wait(soft_fail=True)
    with pytest.raises(AirflowSkipException, match="it goes on and is paid for"):
        softly.resume_after_failure()


@pytest.mark.parametrize("error", ["Trigger timeout", "Trigger/execution timeout"])
def test_both_words_that_airflow_has_for_it_mean_that_time_is_up(busy_pictory, error):
    """Airflow 3's and Airflow 2's."""
    wait = a_deferred_wait()

    with pytest.raises(PictoryJobTimedOutError, match=r"its timeout of 3600 s"):
        wait.resume_after_failure(error)


# An execution_timeout


def test_a_deferral_ends_with_what_is_left_of_a_shorter_execution_timeout(busy_pictory):
    wait = a_deferred_wait(execution_timeout=timedelta(seconds=90), timeout=600)

    left = datetime.fromisoformat(wait.trigger.deadline) - datetime.now(UTC)
    assert timedelta(seconds=80) < left < timedelta(seconds=90)


def test_a_deferral_ends_with_the_timeout_where_that_is_shorter(busy_pictory):
    wait = a_deferred_wait(execution_timeout=timedelta(seconds=600), timeout=90)

    left = datetime.fromisoformat(wait.trigger.deadline) - datetime.now(UTC)
    assert timedelta(seconds=80) < left < timedelta(seconds=90)


@pytest.mark.parametrize(
    ("timeout", "execution_timeout", "limit", "kind"),
    [
        (60, 0.4, "execution_timeout of 0.4 s", PictoryExecutionTimeoutError),
        (0.4, 60, "timeout of 0.4 s", PictoryJobTimedOutError),
    ],
)
@pytest.mark.parametrize("way", ["deferred", "poke"])
def test_the_shorter_limit_ends_the_wait_however_it_waits_and_is_named(
    busy_pictory, way, timeout, execution_timeout, limit, kind
):
    job_id = submit()
    arguments = {"timeout": timeout, "execution_timeout": timedelta(seconds=execution_timeout)}
    started = time.monotonic()

    with pytest.raises(kind, match=f"Pictory job {job_id} is over.* What ended it was its {limit}"):
        resolved(job_id, way, **arguments)
    assert time.monotonic() - started < 5

    with pytest.raises(AirflowSkipException, match=f"job {job_id} is over.* its {limit}"):
        resolved(job_id, way, soft_fail=True, **arguments)


def test_undecided_it_waits_on_until_the_same_execution_timeout(busy_pictory):
    wait = a_deferred_wait(execution_timeout=timedelta(seconds=90), timeout=600)
    first = until(wait.trigger)

    assert wait.resume(DOUBT) is None

    assert until(wait.trigger) == first
    assert wait.deferral.kwargs["limit"] == "execution_timeout"


def test_a_sensor_started_in_the_triggerer_names_its_execution_timeout(busy_pictory):
    job_id = submit()
    arguments = {"execution_timeout": timedelta(seconds=0.4), "timeout": 60}
    event = inconclusive_event(job_id, PictoryError("?"), "2026-01-01T00:00:00+00:00")

    with pytest.raises(PictoryExecutionTimeoutError, match=r"its execution_timeout of 0.4 s"):
        a_wait(job_id, **arguments)._resume("execute_complete", {"event": event})
    with pytest.raises(PictoryExecutionTimeoutError, match=r"its execution_timeout of 0.4 s"):
        a_wait(job_id, **arguments)._resume("__fail__", {"error": "Trigger timeout"})


@pytest.mark.parametrize("softly", [{}, {"soft_fail": True}, {"never_fail": True}], ids=str)
@pytest.mark.parametrize("place", ["poll", "pause"])
def test_airflows_alarm_in_the_middle_of_a_poke_names_the_job_and_the_limit(
    busy_pictory, monkeypatch, place, softly
):
    def alarm(*_):
        raise AirflowTaskTimeout("Timeout, PID: 7")

    job_id = submit()
    if place == "pause":
        monkeypatch.setattr(time, "sleep", alarm)
    else:
        monkeypatch.setattr("airflow_provider_pictory.outcome.poll", alarm)
    wait = a_wait(job_id, deferrable=False, execution_timeout=timedelta(minutes=5), **softly)

    with pytest.raises(
        AirflowSkipException if softly else PictoryExecutionTimeoutError,
        match=f"The wait for Pictory job {job_id} is over.*its execution_timeout of 300 s",
    ):
        wait.execute()


def test_a_retry_after_an_execution_timeout_waits_on(busy_pictory):
    job_id = submit()
    wait = BareTask(
        lambda: VideoJobSensor(task_id="wait", job_id=job_id, execution_timeout=timedelta(seconds=0.2)),
        retries=1,
    )
    with pytest.raises(PictoryExecutionTimeoutError) as caught:
        wait.run()
    assert not isinstance(caught.value, AirflowFailException)
    busy_pictory.advance(RENDER_SECONDS)
    wait.retry()

    assert wait.run()["status"] == "completed"


# What another try, or another job, left behind


def test_a_retry_that_is_resumed_with_the_event_of_the_try_before_starts_anew(busy_pictory):
    """As Airflow 3.0 does, which keeps what a deferral left when the resumed task fails."""
    job_id = submit()
    wait = BareTask(lambda: VideoJobSensor(task_id="wait", job_id=job_id), retries=1)
    wait.execute()
    former = {
        "outcome": "ended",
        "job": VideoJob(job_id, JobStatus.FAILED, error_code="5001").to_dict(),
    }
    wait.retry()

    assert wait.resume(former) is None

    assert wait.deferral.kwargs["try_number"] == 2
    assert wait.trigger.job_id == job_id
    with pytest.raises(PictoryJobFailedError):
        wait.resume(former)


def test_an_event_of_the_job_that_was_there_before_is_not_taken_for_the_new_ones(busy_pictory):
    job_ids = [submit("A red fox in snow")]
    wait = BareTask(lambda: VideoJobSensor(task_id="wait", job_id=job_ids[-1]))
    wait.execute()
    deadline = wait.trigger.deadline
    busy_pictory.advance(RENDER_SECONDS)
    event = wait.run_trigger()
    job_ids.append(submit("A blue whale at dawn"))

    assert wait.resume(event) is None

    assert (wait.trigger.job_id, wait.trigger.deadline) == (job_ids[1], deadline)


def test_a_sensor_that_is_killed_names_the_job_without_claiming_what_is_not_known(busy_pictory, monkeypatch):
    lines = []
    logger = logging.Logger("steps")
    logger.warning = lambda message, *arguments: lines.append(message % arguments)
    monkeypatch.setattr(VideoJobSensor, "log", logger)
    wait = a_deferred_wait()

    wait.operator.on_kill()

    assert f"job {wait.trigger.job_id}" in lines[-1]
    assert "if it is running, it goes on and is paid for" in lines[-1]
