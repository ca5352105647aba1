"""The operator step by step, without a database: what each step, try and clear makes of what it finds."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import logging
import sys
import time
from datetime import UTC, datetime, timedelta
from unittest.mock import patch

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_pictory.client.synchronous import Client
from airflow_provider_pictory.exceptions import (
    PictoryAuthenticationError,
    PictoryConfigurationError,
    PictoryError,
    PictoryExecutionTimeoutError,
    PictoryInsufficientCreditsError,
    PictoryInvalidRequestError,
    PictoryJobFailedError,
    PictoryJobTimedOutError,
    PictoryRecordError,
    PictorySpendingLimitError,
    PictorySubmissionIndeterminateError,
    PictorySubmissionPendingError,
)
from airflow_provider_pictory.hooks.pictory import PictoryHook
from airflow_provider_pictory.operators import pictory as operators
from airflow_provider_pictory.operators.pictory import GenerateVideoOperator
from airflow_provider_pictory.sandbox.connection import connection_json
from airflow_provider_pictory.sensors.pictory import VideoJobSensor
from airflow_provider_pictory.waiting import job_watch
from airflow_provider_pictory.waiting.events import MOST_INCONCLUSIVE
from tests.conftest import API_KEY, RENDER_SECONDS
from tests.support.bare_tasks import BareTask, until
from tests.support.pictory_words import JOB, POST, count, only_job

PROMPT = "A paper boat on a rainy street"
DOUBT = {"outcome": "inconclusive", "job_id": "?", "error": "PictoryError", "message": "?"}
QUOTA = "GET /pictoryapis/v1/quota"
DEFERRED_OR_NOT = pytest.mark.parametrize("deferrable", [False, True], ids=["on the worker", "deferred"])

_lines: list[str] = []


class Lines(logging.Handler):
    def emit(self, record):
        _lines.append(record.getMessage())


@pytest.fixture(autouse=True)
def task_log(monkeypatch):
    """Keep what the operator logs; Airflow's own loggers differ from one version to the next."""
    _lines.clear()
    logger = logging.Logger("steps")
    logger.addHandler(Lines())
    monkeypatch.setattr(GenerateVideoOperator, "log", logger)


def log_of(video):
    return "\n".join(_lines)


def a_video(retries=0, **arguments):
    arguments = {"prompt": PROMPT, "wait_for_completion": True, "deferrable": True, **arguments}
    return BareTask(lambda: GenerateVideoOperator(task_id="generate", **arguments), retries=retries)


class FailingXComs(dict):
    def __setitem__(self, key, value):
        raise ConnectionError("no API server")


def test_the_job_id_is_in_xcom_before_any_waiting(busy_pictory):
    video = a_video()

    video.execute()

    assert video.deferral
    assert video.xcoms == {"job_id": only_job(busy_pictory)["job_id"], "estimated_credits": 8}
    assert count(busy_pictory, JOB) == 0


def test_all_the_way_there_is_one_submission_and_the_job_id_is_the_result(pictory):
    video = a_video()

    assert video.run() == only_job(pictory)["job_id"]

    assert video.xcoms["video"]["status"] == "completed"
    assert video.xcoms["estimated_credits"] == video.xcoms["used_credits"] == 8
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


def test_undecided_it_waits_on_for_the_same_job_until_the_same_deadline(busy_pictory):
    video = a_video()
    video.execute()
    first = until(video.trigger)

    assert video.resume(DOUBT) is None

    assert until(video.trigger) == first
    assert count(busy_pictory, POST) == 1


def test_a_triggerer_that_keeps_failing_alone_ends_the_try_and_a_retry_waits_for_the_same_job(busy_pictory):
    video = a_video(retries=1)
    video.execute()
    for _ in range(MOST_INCONCLUSIVE):
        assert video.resume(DOUBT) is None

    with pytest.raises(PictoryError, match="keeps failing") as caught:
        video.resume(DOUBT)
    assert not isinstance(caught.value, AirflowFailException)
    video.retry()
    video.execute()
    assert video.trigger.job_id == only_job(busy_pictory)["job_id"]
    assert count(busy_pictory, POST) == 1


def test_undecided_it_takes_what_it_finds(pictory):
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


def test_when_airflow_gives_up_on_the_trigger_a_last_poll_finds_the_video(pictory):
    video = a_video()
    video.execute()

    assert video.resume_after_failure() == only_job(pictory)["job_id"]
    assert video.xcoms["video"]["status"] == "completed"


def test_when_airflow_gives_up_on_the_trigger_and_the_job_goes_on_the_wait_is_over(busy_pictory):
    video = a_video()
    video.execute()

    with pytest.raises(PictoryJobTimedOutError, match="Clear this task to go on waiting for it"):
        video.resume_after_failure()


@DEFERRED_OR_NOT
def test_a_failed_job_keeps_pictorys_own_error(busy_pictory, deferrable):
    busy_pictory.respond_next(
        "/v1/jobs/", body={"data": {"status": "failed", "error_code": "INSUFFICIENT_CREDITS"}}
    )

    with pytest.raises(AirflowFailException, match="the account is out of AI credits"):
        a_video(deferrable=deferrable).run()

    busy_pictory.respond_next("/v1/jobs/", body={"data": {"status": "failed", "error_code": "5002"}})
    with pytest.raises(PictoryJobFailedError, match="5002"):
        a_video(deferrable=deferrable).run()


@DEFERRED_OR_NOT
def test_when_airflow_cannot_keep_the_job_id_a_retry_goes_on_with_the_job(busy_pictory, deferrable):
    video = a_video(retries=1, deferrable=deferrable)
    kept, video.instance.xcoms = video.instance.xcoms, FailingXComs()

    with pytest.raises(ConnectionError, match="no API server"):
        video.execute()
    job_id = only_job(busy_pictory)["job_id"]
    assert f"Pictory job {job_id} goes on and is paid for; a retry or a clear of this task" in log_of(video)

    busy_pictory.advance(RENDER_SECONDS)
    video.instance.xcoms = kept
    video.retry()
    assert video.run() == job_id
    assert video.xcoms["job_id"] == job_id
    assert count(busy_pictory, POST) == 1


def test_when_airflow_cannot_give_the_job_id_back_a_retry_goes_on_with_the_job(pictory, monkeypatch):
    video = a_video(retries=1)
    video.execute()

    def no_response(**_):
        raise ConnectionError("no API server")

    monkeypatch.setattr(video.instance, "xcom_pull", no_response)
    with pytest.raises(ConnectionError, match="no API server"):
        video.resume_after_failure("Trigger timeout")

    video.retry()
    assert video.run() == only_job(pictory)["job_id"]
    assert count(pictory, POST) == 1


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
def test_what_goes_wrong_after_the_acceptance_is_raised_as_it_is_and_the_log_has_the_job(
    busy_pictory, monkeypatch, error
):
    def broken(self, job_id):
        raise error

    with monkeypatch.context() as patches:
        patches.setattr("airflow_provider_pictory.hooks.pictory.PictoryHook.get_job", broken)
        video = a_video(deferrable=False)
        with pytest.raises(type(error)) as caught:
            video.execute()
    job_id = only_job(busy_pictory)["job_id"]
    assert caught.value is error
    assert f"Pictory job {job_id} goes on and is paid for" in log_of(video)


class Killed(BaseException):
    """Stands for what Airflow 2 raises in a task that is told to end."""


def test_a_task_that_is_killed_while_waiting_keeps_its_retries_and_its_job(busy_pictory, monkeypatch):
    def killed(hook, watch):
        raise Killed

    video = a_video(retries=3, deferrable=False)
    with monkeypatch.context() as patches:
        patches.setattr(job_watch, "wait_for_job", killed)
        with pytest.raises(Killed):
            video.execute()

    busy_pictory.advance(RENDER_SECONDS)
    video.retry()
    assert video.execute() == only_job(busy_pictory)["job_id"]
    assert count(busy_pictory, POST) == 1


def test_when_airflow_ends_the_wait_with_time_left_it_does_not_claim_that_time_is_up(busy_pictory):
    video = a_video()
    video.execute()

    with pytest.raises(PictoryError, match=r"keeps failing.*Trigger failure") as caught:
        video.resume_after_failure("Trigger failure")
    assert not isinstance(caught.value, PictoryJobTimedOutError)


def test_when_the_result_cannot_be_kept_a_retry_keeps_it(pictory):
    video = a_video(retries=1)
    video.execute()
    kept, video.instance.xcoms = video.instance.xcoms, FailingXComs(video.xcoms)

    with pytest.raises(ConnectionError, match="no API server"):
        video.resume(video.run_trigger())

    video.instance.xcoms = kept
    video.retry()
    assert video.run() == only_job(pictory)["job_id"]
    assert set(video.xcoms) == {"job_id", "estimated_credits", "video", "used_credits"}
    assert count(pictory, POST) == 1


# An execution_timeout, and what another try left behind


@pytest.mark.parametrize(("timeout", "execution_timeout"), [(600, 90), (90, 600)])
def test_a_deferral_ends_with_the_shorter_limit(busy_pictory, timeout, execution_timeout):
    video = a_video(timeout=timeout, execution_timeout=timedelta(seconds=execution_timeout))
    video.execute()

    left = datetime.fromisoformat(video.trigger.deadline) - datetime.now(UTC)
    assert timedelta(seconds=80) < left < timedelta(seconds=90)


def test_a_deferral_that_its_execution_timeout_ends_says_so_and_a_retry_waits_on(busy_pictory):
    video = a_video(retries=1, timeout=600, execution_timeout=timedelta(seconds=0.5), poll_interval=0.05)

    with pytest.raises(PictoryExecutionTimeoutError) as caught:
        video.run()

    job_id = only_job(busy_pictory)["job_id"]
    assert not isinstance(caught.value, AirflowFailException)
    assert f"The wait for Pictory job {job_id} is over" in str(caught.value)
    assert "What ended it was its execution_timeout of 0.5 s" in str(caught.value)
    busy_pictory.advance(RENDER_SECONDS)
    video.retry()
    assert video.run() == job_id
    assert count(busy_pictory, POST) == 1


@pytest.mark.parametrize("on_clear", ["auto", "new"])
def test_a_timeout_says_what_a_clear_would_do(busy_pictory, on_clear):
    with pytest.raises(PictoryJobTimedOutError) as caught:
        a_video(timeout=0.2, poll_interval=0.05, on_clear=on_clear).run()

    assert ("submits and pays for another video" in str(caught.value)) is (on_clear == "new")
    assert ("Clear this task to go on waiting for it" in str(caught.value)) is (on_clear == "auto")


@pytest.mark.parametrize("resumes_with", ["the event", "Trigger timeout", "Trigger failure"])
def test_a_retry_that_is_resumed_with_what_the_try_before_left_submits_again_all_the_same(
    busy_pictory, resumes_with
):
    """As Airflow 3.0 does, which keeps what a deferral left when the resumed task fails."""
    video = a_video(retries=1, resubmit_failed=True)
    video.execute()
    busy_pictory.set_job(only_job(busy_pictory)["job_id"], "failed", error_code="5001")
    event = video.run_trigger()
    kept, xcoms = video.deferral, dict(video.xcoms)

    def resume():
        return (
            video.resume(event) if resumes_with == "the event" else video.resume_after_failure(resumes_with)
        )

    with pytest.raises(PictoryError, match="with resubmit_failed the next try submits another video"):
        resume()
    video.retry()
    video.deferral = kept
    video.xcoms.update(xcoms)

    assert resume() is None

    second = busy_pictory.jobs()[1]["job_id"]
    assert count(busy_pictory, POST) == 2
    assert video.trigger.job_id == second
    assert video.deferral.kwargs["try_number"] == 2
    busy_pictory.advance(RENDER_SECONDS)
    assert video.resume(video.run_trigger()) == second
    assert video.xcoms["job_id"] == second


# What is written down


@pytest.mark.parametrize("step", ["read", "write"])
def test_a_store_that_does_not_work_stops_the_task_before_anything_is_paid(pictory, step):
    def broken(*_):
        raise OSError("no database")

    video = a_video(retries=1)
    setattr(video.variables, {"read": "keys", "write": "set"}[step], broken)

    with pytest.raises(PictoryRecordError, match=r"can't be .*OSError: no database"):
        video.execute()
    assert count(pictory, POST) == 0


def test_neither_the_key_nor_the_prompt_is_written_down(busy_pictory):
    video = a_video()
    video.execute()

    written = json.dumps([video.state.texts, video.variables.texts])
    assert only_job(busy_pictory)["job_id"] in written
    assert API_KEY not in written
    assert PROMPT not in written


# Tries and clears


@DEFERRED_OR_NOT
def test_a_retry_goes_on_with_the_job_whatever_the_request_is_now(busy_pictory, deferrable):
    prompts = [PROMPT]
    video = BareTask(
        lambda: GenerateVideoOperator(
            task_id="generate",
            prompt=prompts[-1],
            wait_for_completion=True,
            deferrable=deferrable,
            poll_interval=0.02,
            timeout=0.05,
        ),
        retries=1,
    )
    with contextlib.suppress(PictoryJobTimedOutError):
        video.execute()
    prompts.append("Something else entirely")
    busy_pictory.advance(RENDER_SECONDS)
    video.retry()

    assert video.run() == only_job(busy_pictory)["job_id"]
    assert "This task now asks for something else" in log_of(video)
    assert count(busy_pictory, POST) == 1


def test_a_failed_job_fails_a_later_try_as_well(busy_pictory):
    video = a_video(retries=1)
    video.execute()
    busy_pictory.set_job(only_job(busy_pictory)["job_id"], "failed", error_code="5002")
    video.retry()

    with pytest.raises(PictoryJobFailedError, match="5002"):
        video.execute()
    assert count(busy_pictory, POST) == 1


@DEFERRED_OR_NOT
def test_a_failed_job_is_not_said_to_go_on(busy_pictory, deferrable):
    video = a_video(retries=1, deferrable=deferrable, resubmit_failed=True)
    busy_pictory.respond_next("/v1/jobs/", body={"data": {"status": "failed", "error_code": "5002"}})

    with pytest.raises(PictoryError, match="clear the task that submitted it, which submits and pays again"):
        video.run()

    assert "goes on and is paid for" not in log_of(video)


@DEFERRED_OR_NOT
def test_where_a_clear_would_submit_no_other_video_the_log_says_so(busy_pictory, deferrable):
    video = a_video(deferrable=deferrable, on_clear="reattach")
    busy_pictory.respond_next("/v1/jobs/", body={"data": {"status": "failed", "error_code": "5002"}})

    with pytest.raises(PictoryJobFailedError):
        video.run()

    assert "submits no other, as on_clear='reattach' says; set it to 'auto' first" in log_of(video)


@DEFERRED_OR_NOT
def test_with_resubmit_failed_a_failed_job_may_be_retried_and_is_followed_by_another(pictory_at, deferrable):
    pictory = pictory_at(faults=["job-fails:count=1"])
    video = a_video(retries=1, deferrable=deferrable, resubmit_failed=True)

    with pytest.raises(PictoryError, match="the next try submits another") as caught:
        video.run()
    assert not isinstance(caught.value, AirflowFailException)

    video.retry()
    first, second = (video.run(), *pictory.jobs())[1:]
    assert (first["status"], second["status"]) == ("failed", "completed")
    assert video.xcoms["job_id"] == second["job_id"]


@pytest.mark.parametrize("on_clear", ["auto", "reattach"])
def test_a_clear_while_the_job_runs_goes_on_with_it(busy_pictory, on_clear):
    video = a_video(on_clear=on_clear)
    video.execute()
    video.clear()

    assert video.execute() is None
    assert video.trigger.job_id == only_job(busy_pictory)["job_id"]
    assert count(busy_pictory, POST) == 1


@pytest.mark.parametrize(("on_clear", "posts"), [("auto", 2), ("new", 2), ("reattach", 1)])
def test_what_a_clear_after_the_end_of_the_job_means(pictory, on_clear, posts):
    video = a_video(on_clear=on_clear)
    video.run()
    video.clear()

    assert video.run() == pictory.jobs()[-1]["job_id"]
    assert count(pictory, POST) == posts


def test_a_clear_for_a_new_video_does_not_even_keep_a_running_job(busy_pictory):
    video = a_video(on_clear="new")
    video.execute()
    video.clear()
    video.execute()

    assert video.trigger.job_id == busy_pictory.jobs()[1]["job_id"]


def test_a_dag_run_that_was_deleted_and_made_again_starts_anew(busy_pictory):
    video = a_video(retries=1)
    video.execute()
    video.retry()
    video.execute()
    video.instance.make_again()
    video.execute()

    assert count(busy_pictory, POST) == 2


@DEFERRED_OR_NOT
def test_a_job_is_waited_for_over_the_connection_that_it_was_submitted_over(
    busy_pictory, monkeypatch, deferrable
):
    conn_ids = ["pictory_default"]
    video = BareTask(
        lambda: GenerateVideoOperator(
            task_id="generate",
            prompt=PROMPT,
            wait_for_completion=True,
            deferrable=deferrable,
            pictory_conn_id=conn_ids[-1],
            timeout=0.05,
            poll_interval=0.02,
        ),
        retries=1,
    )
    with contextlib.suppress(PictoryJobTimedOutError):
        video.execute()
    conn_ids.append("other_account")
    monkeypatch.setenv("AIRFLOW_CONN_OTHER_ACCOUNT", connection_json(busy_pictory.url, "pictai_other"))
    busy_pictory.advance(RENDER_SECONDS)
    video.retry()

    assert video.run() == only_job(busy_pictory)["job_id"]
    assert video.xcoms["video"]["status"] == "completed"
    assert count(busy_pictory, POST) == 1


# Without a response


def test_without_a_retry_left_what_became_of_a_lost_response_is_found_out_in_place(busy_pictory):
    busy_pictory.set_faults(["drop-after-processing:method=POST"])
    video = a_video(wait_for_completion=False)

    def finish(*_, **__):
        busy_pictory.advance(RENDER_SECONDS)

    with patch.object(time, "sleep", finish):
        job_id = video.execute()

    assert job_id == only_job(busy_pictory)["job_id"]
    assert "There is no retry left to find out what became of it" in log_of(video)
    assert count(busy_pictory, POST) == 1


def test_in_place_it_is_submitted_again_once_where_it_certainly_never_arrived(pictory):
    pictory.set_faults(["drop-before-processing:method=POST,count=1"])
    video = a_video(wait_for_completion=False)

    assert video.execute() == only_job(pictory)["job_id"]
    assert count(pictory, POST) == 2


def test_in_place_it_is_not_submitted_a_third_time(pictory):
    pictory.set_faults(["drop-before-processing:method=POST"])

    with pytest.raises(PictorySubmissionPendingError):
        a_video().execute()
    assert count(pictory, POST) == 2


def test_a_job_that_may_be_it_and_still_runs_is_left_to_a_later_try(busy_pictory):
    busy_pictory.set_faults(["drop-after-processing:method=POST"])
    video = a_video(retries=3, reconcile_timeout=0.1)
    with pytest.raises(PictorySubmissionPendingError, match="The next try"):
        video.execute()
    job_id = only_job(busy_pictory)["job_id"]

    video.retry()
    with pytest.raises(PictorySubmissionPendingError, match=job_id):
        video.execute()
    busy_pictory.advance(RENDER_SECONDS)
    video.retry()
    assert video.run() == job_id
    assert count(busy_pictory, POST) == 1


@pytest.mark.parametrize(
    ("on_unknown_submission", "posts"), [("fail", 1), ("resubmit", 2)], ids=["fail", "resubmit"]
)
def test_where_the_evidence_settles_nothing_the_author_of_the_dag_decides(
    pictory, on_unknown_submission, posts
):
    pictory.set_faults(["drop-after-processing:method=POST,count=1"])
    video = a_video(
        retries=1,
        on_unknown_submission=on_unknown_submission,
        wait_for_completion=False,
        reconcile_timeout=0.1,
    )
    with pytest.raises(PictorySubmissionPendingError):
        video.execute()
    # Nothing tells the prompt of a failed job.
    pictory.set_job(only_job(pictory)["job_id"], "failed")
    video.retry()

    if on_unknown_submission == "fail":
        with pytest.raises(
            PictorySubmissionIndeterminateError, match="on_unknown_submission='resubmit'"
        ) as caught:
            video.execute()
        assert all(job["job_id"] in str(caught.value) for job in pictory.jobs())
    else:
        video.execute()
        assert "Submitting again, which may pay twice" in log_of(video)
    assert count(pictory, POST) == posts


# What it may cost


@pytest.mark.parametrize("max_credits", [8, 8.5, "8", "9.0", None], ids=repr)
def test_what_costs_no_more_than_it_may_is_submitted(busy_pictory, max_credits):
    assert a_video(max_credits=max_credits, wait_for_completion=False).execute()


@pytest.mark.parametrize("max_credits", [7.9, "7", 0], ids=repr)
def test_what_costs_more_than_it_may_is_not_submitted(busy_pictory, max_credits):
    with pytest.raises(
        PictorySpendingLimitError, match=r"max_credits: this video would cost about 8 AI credits .* at most"
    ) as caught:
        a_video(max_credits=max_credits).execute()
    assert isinstance(caught.value, AirflowFailException)
    assert count(busy_pictory, POST) == 0


def test_what_has_no_known_price_is_not_submitted_where_there_is_a_limit(busy_pictory):
    video = a_video(max_credits=1000, extra_fields={"model": "tomorrow1.0"})

    with pytest.raises(PictorySpendingLimitError, match="can't be estimated"):
        video.execute()
    assert count(busy_pictory, POST) == 0


@pytest.mark.parametrize("credits_left", [8, 7.5, 0])
def test_the_account_is_asked_first_where_it_shall_be(pictory_at, credits_left):
    pictory = pictory_at(credits=credits_left)
    video = a_video(check_quota=True, wait_for_completion=False)

    if credits_left >= 8:
        assert video.execute()
    else:
        with pytest.raises(PictoryInsufficientCreditsError) as caught:
            video.execute()
        assert f"0 of {credits_left:g} AI credits are used" in str(caught.value)
        assert f"{credits_left:g} are left, and this video needs about 8" in str(caught.value)
    assert count(pictory, POST) == (credits_left >= 8)
    assert count(pictory, QUOTA) == 1


def test_a_trigger_that_cannot_be_loaded_shows_before_anything_is_paid(pictory, monkeypatch):
    monkeypatch.setitem(sys.modules, "airflow_provider_pictory.triggers.pictory", None)

    with pytest.raises(ImportError, match=r"airflow_provider_pictory\.triggers\.pictory"):
        a_video().execute()
    assert count(pictory, POST) == 0

    assert a_video(deferrable=False).execute() == only_job(pictory)["job_id"]


# Killed


def test_a_task_that_is_killed_before_it_submits_has_nothing_to_say(pictory):
    video = a_video()
    operator = video._make()

    operator.on_kill()

    assert log_of(video) == ""


def test_a_task_that_is_killed_while_it_submits_says_that_it_is_not_known(pictory, monkeypatch):
    video = a_video()
    killed_in_flight(video, monkeypatch)

    assert "is being killed while it isn't known whether Pictory accepted its video" in log_of(video)


def test_a_task_that_is_killed_but_still_runs_submits_nothing_any_more(pictory, monkeypatch):
    video = a_video()
    get_baseline = PictoryHook.get_baseline

    def kill(hook):
        video.operator.on_kill()
        return get_baseline(hook)

    monkeypatch.setattr(PictoryHook, "get_baseline", kill)
    with pytest.raises(PictoryError, match="being killed; nothing was submitted"):
        video.execute()
    assert count(pictory, POST) == 0


def test_a_task_that_is_killed_before_it_knows_what_to_submit_submits_nothing(pictory):
    video = a_video()

    def killed_at_once(operator, context):
        operator.on_kill()
        return operator.execute(context)

    with pytest.raises(PictoryError, match="being killed; nothing was submitted"):
        video._step(killed_at_once)
    assert count(pictory, POST) == 0


def test_a_task_that_is_killed_after_the_acceptance_names_the_job(busy_pictory):
    video = a_video()
    video.execute()
    video.operator.on_kill()

    job_id = only_job(busy_pictory)["job_id"]
    assert f"no way to cancel a job: job {job_id} goes on and is paid for" in log_of(video)


def test_a_task_that_is_killed_after_a_refusal_has_nothing_to_say(pictory_at):
    pictory_at(credits=1)
    video = a_video()
    with pytest.raises(PictoryInsufficientCreditsError):
        video.execute()
    video.operator.on_kill()

    assert "being killed" not in log_of(video)


def killed_in_flight(video, monkeypatch):
    """Call a task's ``on_kill`` while its POST is under way, as Airflow's signal handler does."""
    post = Client.post

    def kill(client, *arguments):
        video.operator.on_kill()
        return post(client, *arguments)

    monkeypatch.setattr(Client, "post", kill)
    video.execute()


# Arguments


@pytest.mark.parametrize(
    "arguments",
    [
        {"on_clear": "never"},
        {"on_unknown_submission": None},
        {"resubmit_failed": "yes"},
        {"reconcile_timeout": 0},
        {"check_quota": 1},
        {"max_credits": "many"},
        {"max_credits": True},
        {"max_credits": -1},
        {"multiple_outputs": True},
    ],
    ids=str,
)
def test_rules_that_make_no_sense_are_found_before_anything_is_sent(pictory, arguments):
    with pytest.raises(PictoryInvalidRequestError, match=next(iter(arguments))):
        a_video(**arguments).execute()
    assert pictory.counts()["requests"] == {}


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
        "max_credits": None,
    }
    assert {name: getattr(sensor, name) for name in sensor.template_fields} == {
        "job_id": "{{ some.id }}",
        "pictory_conn_id": "pictory_default",
    }
    assert set(operator.template_fields_renderers) <= set(operator.template_fields)
