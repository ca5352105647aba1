"""The operator step by step, without a database: once a video is accepted, nothing submits another."""

from __future__ import annotations

import importlib.util
from datetime import UTC, datetime, timedelta

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_pictory.exceptions import (
    PictoryAuthenticationError,
    PictoryConfigurationError,
    PictoryJobError,
    PictoryJobFailedError,
    PictoryJobTimedOutError,
)
from airflow_provider_pictory.operators import pictory as operators
from airflow_provider_pictory.operators.pictory import GenerateVideoOperator
from airflow_provider_pictory.sensors.pictory import VideoJobSensor
from airflow_provider_pictory.triggers.pictory import MOST_DOUBTS
from tests.bare_tasks import BareTask
from tests.pictory_words import JOB, POST, count, only_job

PROMPT = "A paper boat on a rainy street"
DOUBT = {"outcome": "doubtful", "job_id": "?", "error": "PictoryError", "message": "?"}


def a_video(**arguments):
    arguments = {"wait_for_completion": True, "deferrable": True, **arguments}
    return BareTask(lambda: GenerateVideoOperator(task_id="generate", prompt=PROMPT, **arguments))


class FailingXComs(dict):
    def __setitem__(self, key, value):
        raise ConnectionError("no API server")


def test_the_job_id_is_in_xcom_before_any_waiting(busy_pictory):
    video = a_video()

    video.execute()

    assert video.deferral
    assert video.xcoms == {"job_id": only_job(busy_pictory)["job_id"]}
    assert count(busy_pictory, JOB) == 0


def test_all_the_way_there_is_one_submission_and_the_job_id_is_the_result(pictory):
    video = a_video()

    assert video.run() == only_job(pictory)["job_id"]

    assert video.xcoms["video"]["status"] == "completed"
    assert count(pictory, POST) == 1


def test_without_wait_for_completion_nothing_is_deferred(busy_pictory):
    video = a_video(wait_for_completion=False)

    assert video.execute() == only_job(busy_pictory)["job_id"]

    assert video.deferral is None


@pytest.mark.parametrize("timeout", [120, timedelta(minutes=2)], ids=str)
def test_the_wait_gets_the_time_and_the_interval_that_were_asked_for(busy_pictory, timeout):
    video = a_video(timeout=timeout, poll_interval=timedelta(seconds=20))

    video.execute()

    left = datetime.fromisoformat(video.trigger.deadline) - datetime.now(UTC)
    assert timedelta(seconds=110) < left < timedelta(seconds=120)
    assert video.trigger.poll_interval == 20
    assert video.deferral.timeout > left


@pytest.mark.parametrize("arguments", [{}, {"timeout": None}], ids=str)
def test_by_default_it_waits_for_an_hour(busy_pictory, arguments):
    video = a_video(**arguments)

    video.execute()

    left = datetime.fromisoformat(video.trigger.deadline) - datetime.now(UTC)
    assert timedelta(minutes=59) < left < timedelta(minutes=60)


def test_in_doubt_it_waits_on_for_the_same_job_until_the_same_deadline(busy_pictory):
    video = a_video()
    video.execute()
    first = video.trigger.serialize()

    assert video.resume(DOUBT) is None

    assert video.trigger.serialize() == first
    assert count(busy_pictory, POST) == 1


def test_a_triggerer_that_keeps_failing_alone_ends_the_wait_without_a_retry(busy_pictory):
    video = a_video()
    video.execute()
    for _ in range(MOST_DOUBTS):
        assert video.resume(DOUBT) is None

    with pytest.raises(PictoryJobError, match="keeps failing"):
        video.resume(DOUBT)
    assert count(busy_pictory, POST) == 1


def test_in_doubt_it_takes_what_it_finds(pictory):
    video = a_video()
    video.execute()

    assert video.resume(DOUBT) == only_job(pictory)["job_id"]
    assert video.xcoms["video"]["url"].startswith(pictory.url)


def test_an_event_about_another_job_is_not_believed(busy_pictory):
    video = a_video()
    video.execute()
    other = {"job_id": "00000000-d071-4847-bda5-8dea913d80fe", "status": "failed"}

    assert video.resume({"outcome": "ended", "job": other}) is None

    assert video.deferral
    assert count(busy_pictory, JOB) == 1


def test_when_airflow_gives_up_on_the_trigger_a_last_look_finds_the_video(pictory):
    video = a_video()
    video.execute()

    assert video.resume_after_failure() == only_job(pictory)["job_id"]
    assert video.xcoms["video"]["status"] == "completed"


def test_when_airflow_gives_up_on_the_trigger_and_the_job_goes_on_the_wait_is_over(busy_pictory):
    video = a_video()
    video.execute()

    with pytest.raises(
        PictoryJobTimedOutError, match="clearing this task would submit, and pay for, another"
    ):
        video.resume_after_failure()


@pytest.mark.parametrize("deferrable", [False, True], ids=["on the worker", "deferred"])
def test_a_failed_job_keeps_pictorys_own_error(busy_pictory, deferrable):
    busy_pictory.answer_next(
        "/v1/jobs", body={"data": {"status": "failed", "error_code": "INSUFFICIENT_CREDITS"}}
    )

    with pytest.raises(AirflowFailException, match="the account is out of AI credits"):
        a_video(deferrable=deferrable).run()

    busy_pictory.answer_next("/v1/jobs", body={"data": {"status": "failed", "error_code": "5002"}})
    with pytest.raises(PictoryJobFailedError, match="5002"):
        a_video(deferrable=deferrable).run()


@pytest.mark.parametrize("deferrable", [False, True], ids=["on the worker", "deferred"])
def test_when_airflow_cannot_keep_the_job_id_the_error_has_it_and_nothing_is_retried(
    busy_pictory, deferrable
):
    video = a_video(deferrable=deferrable)
    video.instance.xcoms = FailingXComs()

    with pytest.raises(PictoryJobError, match="ConnectionError: no API server") as caught:
        video.execute()

    job_id = only_job(busy_pictory)["job_id"]
    assert isinstance(caught.value, AirflowFailException)
    assert caught.value.job_id == job_id
    assert f"Pictory accepted job {job_id}, which goes on and is paid for" in str(caught.value)
    assert f"VideoJobSensor(job_id={job_id!r})" in str(caught.value)


def test_when_airflow_cannot_give_the_job_id_back_nothing_is_retried(pictory, monkeypatch):
    video = a_video()
    video.execute()

    def no_answer(**_):
        raise ConnectionError("no API server")

    monkeypatch.setattr(video.instance, "xcom_pull", no_answer)
    with pytest.raises(AirflowFailException, match="ConnectionError: no API server"):
        video.resume_after_failure("Trigger timeout")


def test_it_goes_on_with_the_job_id_of_the_deferral_where_the_xcom_is_gone(pictory):
    video = a_video()
    video.execute()
    video.xcoms.clear()

    assert video.resume(DOUBT) == only_job(pictory)["job_id"]


@pytest.mark.parametrize(
    "error",
    [PictoryAuthenticationError("The key is wrong"), PictoryConfigurationError("There is no connection")],
    ids=["key", "connection"],
)
def test_whatever_goes_wrong_after_the_acceptance_is_told_with_the_job_that_is_paid_for(
    busy_pictory, monkeypatch, error
):
    def broken(self, job_id):
        raise error

    monkeypatch.setattr("airflow_provider_pictory.hooks.pictory.PictoryHook.get_job", broken)
    video = a_video(deferrable=False)

    with pytest.raises(PictoryJobError) as caught:
        video.execute()
    assert only_job(busy_pictory)["job_id"] in str(caught.value)
    assert "goes on and is paid for" in str(caught.value)
    assert str(error) in str(caught.value)


class Killed(BaseException):
    """Stands for what Airflow 2 raises in a task that is told to end."""


def test_a_task_that_is_killed_while_waiting_is_not_tried_again_by_airflow_2(busy_pictory, monkeypatch):
    operators_seen = []

    def killed(hook, watch):
        raise Killed

    def make():
        operators_seen.append(
            GenerateVideoOperator(
                task_id="generate", prompt="A paper boat", wait_for_completion=True, retries=3
            )
        )
        return operators_seen[-1]

    monkeypatch.setattr(operators, "wait_for_job", killed)
    with pytest.raises(Killed):
        BareTask(make).execute()
    assert operators_seen[-1].retries == 0
    assert count(busy_pictory, POST) == 1


def test_when_airflow_ends_the_wait_with_time_left_it_does_not_claim_that_time_is_up(busy_pictory):
    video = a_video()
    video.execute()

    with pytest.raises(PictoryJobError, match=r"keeps failing.*Trigger failure") as caught:
        video.resume_after_failure("Trigger failure")
    assert not isinstance(caught.value, PictoryJobTimedOutError)


def test_when_the_result_cannot_be_kept_nothing_is_retried(pictory):
    video = a_video()
    video.execute()
    video.instance.xcoms = FailingXComs(video.xcoms)

    with pytest.raises(AirflowFailException, match="ConnectionError: no API server"):
        video.resume(video.run_trigger())


def test_it_defers_by_default_where_airflow_is_configured_so(monkeypatch):
    def a_fresh_operator():
        # The setting is read when the module is imported, as everywhere in Airflow.
        specification = importlib.util.spec_from_file_location("fresh_operators", operators.__file__)
        module = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(module)
        return module.GenerateVideoOperator(task_id="generate", prompt=PROMPT)

    assert a_fresh_operator().deferrable is False

    monkeypatch.setenv("AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE", "True")
    assert a_fresh_operator().deferrable is True


def test_every_template_field_is_an_argument_and_an_attribute():
    operator = GenerateVideoOperator(task_id="generate", prompt=PROMPT, webhook="https://example.com/done")
    sensor = VideoJobSensor(task_id="wait", job_id="{{ some.id }}")

    assert {name: getattr(operator, name) for name in operator.template_fields} == {
        "prompt": PROMPT,
        "model": None,
        "aspect_ratio": None,
        "duration": None,
        "first_frame_image_url": None,
        "extend_video_url": None,
        "reference_image_urls": None,
        "webhook": "https://example.com/done",
        "extra_fields": None,
        "pictory_conn_id": "pictory_default",
    }
    assert {name: getattr(sensor, name) for name in sensor.template_fields} == {
        "job_id": "{{ some.id }}",
        "pictory_conn_id": "pictory_default",
    }
    assert set(operator.template_fields_renderers) <= set(operator.template_fields)
