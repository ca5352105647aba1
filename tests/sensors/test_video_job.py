"""The sensor in DAG runs: the three ways of waiting come to the same end, whatever becomes of the job."""

from __future__ import annotations

import threading
import time
import uuid
from datetime import timedelta

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, task

from airflow_provider_pictory.exceptions import (
    PictoryAuthenticationError,
    PictoryExecutionTimeoutError,
    PictoryInvalidRequestError,
    PictoryJobExpiredError,
    PictoryJobFailedError,
    PictoryJobNotFoundError,
    PictoryJobTimedOutError,
)
from airflow_provider_pictory.sensors.pictory import VideoJobSensor
from tests.support.dag_runs import a_dag
from tests.support.pictory_words import JOB, RESULT_KEYS, count, submit

WAYS = {
    "deferred": {},
    "poke": {"deferrable": False},
    "reschedule": {"deferrable": False, "mode": "reschedule"},
}
ADVICE = "Clear this task to go on waiting for it, with a longer timeout if it needs one."


def test_the_result_is_the_same_flat_dict_however_it_waits(pictory_at, run_dag):
    pictory = pictory_at(render_seconds=0.3)
    job_id = submit()
    with a_dag(retries=3) as dag:
        for way, arguments in WAYS.items():
            VideoJobSensor(task_id=way, job_id=job_id, poke_interval=0.1, **arguments)

    run = run_dag(dag)

    assert run.states == dict.fromkeys(WAYS, "success")
    result = run.xcom("deferred")
    assert result == run.xcom("poke") == run.xcom("reschedule")
    assert list(result) == RESULT_KEYS
    assert (result["job_id"], result["status"], result["duration_seconds"]) == (job_id, "completed", 5)
    assert result["url"].startswith(pictory.url)
    assert run.log.count(f"Pictory job {job_id} is completed: 5 s, 640x360, 8 AI credits used") == 3


def test_the_url_of_a_result_can_be_used_by_the_next_task(pictory, run_dag):
    job_id = submit()
    with a_dag() as dag:
        wait = VideoJobSensor(task_id="wait", job_id=job_id)

        @task
        def use(video):
            return f"{video['url']} costs {video['ai_credits_used']}"

        use(wait.output)

    run = run_dag(dag)

    assert run.xcom("use") == f"{run.xcom('wait')['url']} costs {run.xcom('wait')['ai_credits_used']}"


def test_job_id_and_connection_are_templates(pictory, run_dag):
    job_id = submit()
    with a_dag(params={"job": job_id, "connection": "pictory_default"}) as dag:
        VideoJobSensor(task_id="wait", job_id=" {{ params.job }} ", pictory_conn_id="{{ params.connection }}")

    assert run_dag(dag).xcom("wait")["job_id"] == job_id


def test_a_failed_look_is_ridden_out_however_it_waits(pictory, run_dag):
    job_id = submit()
    pictory.respond_next("/v1/jobs", status=503)
    pictory.respond_next("/v1/jobs", status=429, headers={"Retry-After": "0"})
    pictory.respond_next("/v1/jobs", body="not JSON")
    with a_dag() as dag:
        for way, arguments in WAYS.items():
            VideoJobSensor(task_id=way, job_id=job_id, poke_interval=0.05, **arguments)

    run = run_dag(dag)

    assert run.states == dict.fromkeys(WAYS, "success")
    assert count(pictory, JOB) == 6
    assert "which says nothing about the job; trying on" in run.log


@pytest.mark.parametrize("ends_in_time", [True, False], ids=["it ends in time", "it does not"])
def test_near_its_deadline_a_rescheduled_wait_stays_on_the_worker(busy_pictory, run_dag, ends_in_time):
    """Airflow may fail a task that is due again before it noticed that the task had left its worker."""
    job_id = submit()
    with a_dag() as dag:
        VideoJobSensor(
            task_id="wait", job_id=job_id, poke_interval=0.05, timeout=1, deferrable=False, mode="reschedule"
        )

    def end_after_first_poll():
        while count(busy_pictory, JOB) == 0:
            time.sleep(0.02)
        busy_pictory.set_job(job_id, "completed")

    if ends_in_time:
        threading.Thread(target=end_after_first_poll, daemon=True).start()
    run = run_dag(dag)

    assert count(busy_pictory, JOB) == 2
    assert run.states == {"wait": "success" if ends_in_time else "failed"}
    if not ends_in_time:
        assert isinstance(run.error("wait"), PictoryJobTimedOutError)


def test_a_status_that_nobody_documented_is_waited_on_with_one_warning(busy_pictory, run_dag):
    job_id = submit()
    busy_pictory.set_job(job_id, "post-processing")
    with a_dag(retries=3) as dag:
        VideoJobSensor(task_id="wait", job_id=job_id, poke_interval=0.02, timeout=0.2, deferrable=False)

    run = run_dag(dag)

    assert count(busy_pictory, JOB) > 2
    assert run.log.count("Pictory reports the status 'post-processing'") == 1
    assert "(status 'post-processing')" in str(run.error("wait"))
    assert "paid for" not in str(run.error("wait"))


class Ending:
    """
    What becomes of a wait, and how the sensor says so.

    ``is_skipped`` says whether it is one that ``soft_fail`` is about: there is no video.
    """

    is_skipped = True

    def __init__(self, error, *messages, **arguments):
        self.error, self.messages, self.arguments = error, messages, arguments

    def arrange(self, pictory, connect):
        return submit()


class TimedOut(Ending):
    pass


class Failed(Ending):
    def arrange(self, pictory, connect):
        job_id = submit()
        pictory.set_job(job_id, "failed", error_code="5002", error_message="PROMPT_REFUSED")
        return job_id


class Cleaned(Ending):
    def arrange(self, pictory, connect):
        job_id = submit()
        pictory.set_job(job_id, "cleaned")
        return job_id


class WrongKey(Ending):
    is_skipped = False

    def arrange(self, pictory, connect):
        job_id = submit()
        connect(pictory.url, "pictai_revoked")
        return job_id


class UnknownJob(Ending):
    is_skipped = False

    def arrange(self, pictory, connect):
        return "a-job-of-another-kind"


class NoJobId(Ending):
    is_skipped = False

    def arrange(self, pictory, connect):
        return "{{ ti.xcom_pull(task_ids='nothing') }}"


ENDINGS = [
    TimedOut(
        PictoryJobTimedOutError,
        "The wait for Pictory job {job_id} is over, but the job is not (status 'in-progress')",
        "it goes on and is paid for, since Pictory has no way to cancel it",
        ADVICE,
        timeout=timedelta(seconds=0.1),
    ),
    Failed(PictoryJobFailedError, "Pictory job {job_id} failed (5002: PROMPT_REFUSED)"),
    Cleaned(PictoryJobExpiredError, "The video of Pictory job {job_id} was deleted at Pictory"),
    WrongKey(PictoryAuthenticationError, "the API key is wrong or was revoked"),
    UnknownJob(PictoryJobNotFoundError, "is job '{job_id}' one of this connection's account", "are UUIDs"),
    NoJobId(PictoryInvalidRequestError, "job_id: got 'None', but a job id is needed"),
]


@pytest.mark.parametrize("ending", ENDINGS, ids=lambda ending: type(ending).__name__)
def test_without_a_video_it_fails_at_once_and_under_soft_fail_it_may_skip_however_it_waits(
    busy_pictory, run_dag, connect, ending
):
    job_id = ending.arrange(busy_pictory, connect)
    with a_dag(retries=3, poke_interval=0.05, job_id=job_id, **ending.arguments) as dag:
        for way, arguments in WAYS.items():
            VideoJobSensor(task_id=way, **arguments)
            VideoJobSensor(task_id=f"soft_{way}", soft_fail=True, **arguments)

    run = run_dag(dag)

    softly = "skipped" if ending.is_skipped else "failed"
    assert run.states == {**dict.fromkeys(WAYS, "failed"), **{f"soft_{way}": softly for way in WAYS}}
    messages = [message.format(job_id=job_id) for message in ending.messages]
    for way in WAYS:
        error = run.error(way)
        assert type(error) is ending.error
        assert isinstance(error, AirflowFailException)
        assert run.tries(way) == 1
        assert all(message in str(error) for message in messages), str(error)
    if not ending.is_skipped:
        assert {type(run.error(f"soft_{way}")) for way in WAYS} == {ending.error}
        return
    skips = [line for line in run.log.splitlines() if all(message in line for message in messages)]
    assert len([line for line in skips if ending.error.__name__ not in line]) >= 3, run.log


def test_a_job_that_nobody_knows_yet_is_given_time(busy_pictory, run_dag):
    with a_dag(retries=3, poke_interval=0.05, timeout=0.1, job_id=str(uuid.uuid4())) as dag:
        for way, arguments in WAYS.items():
            VideoJobSensor(task_id=way, **arguments)

    run = run_dag(dag)

    assert count(busy_pictory, JOB) >= 6
    assert {type(run.error(way)) for way in WAYS} == {PictoryJobNotFoundError}


@pytest.mark.parametrize("is_shorter", [True, False], ids=["execution_timeout", "timeout"])
def test_the_shorter_of_both_limits_ends_the_wait_however_it_waits(busy_pictory, run_dag, is_shorter):
    job_id = submit()
    timeout, execution_timeout = (60.0, 1.0) if is_shorter else (1.0, 60.0)
    limit = "execution_timeout of 1 s" if is_shorter else "timeout of 1 s"
    kind = PictoryExecutionTimeoutError if is_shorter else PictoryJobTimedOutError
    arguments = {
        "job_id": job_id,
        "poke_interval": 0.2,
        "timeout": timeout,
        "execution_timeout": timedelta(seconds=execution_timeout),
    }
    with a_dag(**arguments) as dag:
        for way, others in WAYS.items():
            VideoJobSensor(task_id=way, **others)
            VideoJobSensor(task_id=f"soft_{way}", soft_fail=True, **others)

    run = run_dag(dag)

    assert run.states == {**dict.fromkeys(WAYS, "failed"), **{f"soft_{way}": "skipped" for way in WAYS}}
    for way in WAYS:
        error = run.error(way)
        assert type(error) is kind
        assert f"The wait for Pictory job {job_id} is over" in str(error)
        assert f"What ended it was its {limit}" in str(error)
