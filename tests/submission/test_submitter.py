"""
What a try of a task submits, and what it goes on with instead: at most one paid job for one task.

The hook and the Pictory are real, Airflow is a count of tries and a store of texts.
"""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowTaskTimeout

from airflow_provider_pictory.api import JobStatus, VideoRequest
from airflow_provider_pictory.exceptions import (
    PictoryAPIError,
    PictoryAuthenticationError,
    PictoryError,
    PictoryInsufficientCreditsError,
    PictoryInvalidRequestError,
    PictoryJobExpiredError,
    PictoryJobFailedError,
    PictoryJobNotFoundError,
    PictoryRateLimitedError,
    PictoryRecordError,
    PictorySpendingLimitError,
    PictorySubmissionIndeterminateError,
    PictorySubmissionPendingError,
)
from airflow_provider_pictory.hooks.pictory import PictoryHook
from airflow_provider_pictory.sandbox.connection import connection_json
from airflow_provider_pictory.sandbox.service import Clock as SandboxClock
from airflow_provider_pictory.submission.names import RECORD_PREFIX
from tests.conftest import API_KEY, RENDER_SECONDS
from tests.submission.tasks import FOX, WHALE, Task

POST = "/v1/aistudio/videos"
JOB_LIST = "/v1/jobs"
UNKNOWN_JOB = {"success": False, "data": {"error_code": "5000", "error_message": "JOB_NOT_FOUND"}}
MINUTE = 60.0
HOUR = 3600.0


@pytest.fixture
def account(day_long_pictory):
    return day_long_pictory


@pytest.fixture
def task(make_task):
    return make_task()


def job_ids(account):
    return [job["job_id"] for job in account.jobs()]


def posts(account):
    return account.counts()["requests"].get("POST /pictoryapis/v1/aistudio/videos", 0)


def job_list_reads(account):
    return account.counts()["requests"].get("GET /pictoryapis/v1/jobs", 0)


def ended(status, **error):
    """Let a task's job end, which the task notes."""

    def end(task):
        task.pictory.set_job(task.submission.job_id, status, **error)
        if status == JobStatus.COMPLETED:
            task.finish()
        else:
            with pytest.raises(PictoryError):
                task.finish()

    return end


def lose_the_response(account):
    account.respond_next(POST, method="POST", status=502, is_processed=True)


def lose_the_submission(account):
    account.respond_next(POST, method="POST", status=502)


# The first try


def test_a_first_try_submits_and_writes_the_job_down(task, account):
    submitted = task.run()

    assert job_ids(account) == [submitted.job_id] == task.recorded_jobs
    assert submitted.job is None
    assert task.submission.job_id == submitted.job_id
    assert not task.submission.is_under_way


def test_the_cost_is_estimated_and_said_before_the_submission(task, log):
    assert task.run().estimated_credits == 60

    submitting, accepted = log.infos
    assert submitting == "Submitting a video to Pictory: model veo3.1_fast, 6s, 16:9, about 60 AI credits"
    assert accepted == f"Pictory accepted the video as job {task.submission.job_id}"
    assert log.warnings == []


def test_what_surprises_is_said_before_the_submission(make_task, log):
    make_task(
        request=VideoRequest(
            "A red fox walks", "veo3.1", duration=4, reference_image_urls=["https://pictures.example/fox.png"]
        )
    ).run()

    assert "makes 8 s of video" in log.warnings[0]


def test_neither_the_key_nor_the_prompt_is_written_down(task, variables):
    task.run()

    for text in variables.texts.values():
        assert API_KEY not in text
        assert FOX.payload["prompt"] not in text


def test_an_intent_is_written_before_the_post_with_all_that_resolves_it(task, account, clock):
    earlier = PictoryHook().submit_video(WHALE)
    lose_the_response(account)
    task.instance.max_tries = 1
    task.fails(PictorySubmissionPendingError)

    record = task.record
    assert record["state"] == "intent"
    assert (record["try_number"], record["max_tries"]) == (1, 1)
    assert record["task_instance_id"] == task.instance.id
    assert (record["baseline"], record["newest_job_id"]) == ("found", earlier)
    assert {"intended_at", "time_limit", "window", "server_time"} < set(record)
    assert task.submission.is_under_way


def test_an_empty_account_is_recorded_as_empty(make_task, account):
    task = make_task(retries=1)
    lose_the_response(account)
    task.fails(PictorySubmissionPendingError)

    assert task.record["baseline"] == "empty"


def test_a_newest_job_that_cannot_be_read_does_not_stop_the_submission(task, account):
    account.respond_next(JOB_LIST, method="GET", status=500, times=2)
    task.run()

    assert task.record["baseline"] == "unknown"
    assert posts(account) == 1


# A retry


def test_a_retry_keeps_the_job_that_is_still_open(task, account, log):
    job_id = task.run().job_id
    submitted = task.retry()

    assert (submitted.job_id, submitted.estimated_credits, submitted.job) == (job_id, 60, None)
    assert posts(account) == 1
    assert log.infos[-1] == (f"Going on with job {job_id}, which was submitted before; nothing is paid again")
    assert log.warnings == []


def test_a_retry_keeps_the_open_job_whatever_the_request_is_now(task, account, log):
    job_id = task.run().job_id
    task.request = WHALE

    assert task.retry().job_id == job_id
    assert posts(account) == 1
    assert "asks for something else" in log.warnings[0]
    assert "clear this task once the job has ended" in log.warnings[0]


def test_a_retry_keeps_the_open_job_though_the_request_has_become_invalid(task, account, log):
    job_id = task.run().job_id
    task.request = PictoryInvalidRequestError("Nothing was submitted: duration: got 7")

    assert task.retry().job_id == job_id
    assert posts(account) == 1
    assert "asks for something else" in log.warnings[0]


def test_new_queries_in_the_urls_of_a_request_do_not_make_another_request(make_task, log):
    def request(signature):
        return VideoRequest(
            "A red fox walks", first_frame_image_url=f"https://pictures.example/fox.png?signed={signature}"
        )

    task = make_task(request=request("monday"))
    job_id = task.run().job_id
    task.request = request("tuesday")

    assert task.retry().job_id == job_id
    assert log.warnings == []


@pytest.mark.parametrize("is_noted", [True, False])
def test_a_retry_gives_the_result_of_the_job_that_has_completed(task, account, is_noted):
    job_id = task.run().job_id
    account.set_job(job_id, "completed")
    if is_noted:
        task.finish()
    submitted = task.retry()

    assert submitted.job_id == job_id
    assert submitted.job.status == JobStatus.COMPLETED
    assert submitted.job.url
    assert posts(account) == 1
    assert task.record["state"] == "delivered"


def test_a_retry_fails_again_with_the_error_of_the_job_that_failed(task, account):
    job_id = task.run().job_id
    account.set_job(job_id, "failed", error_code="5001", error_message="TOO_FOXY")
    task.instance.retry()
    error = task.fails(PictoryJobFailedError)

    assert job_id in str(error)
    assert "TOO_FOXY" in str(error)
    assert isinstance(error, AirflowFailException)
    assert posts(account) == 1


def test_a_retry_after_a_failed_job_submits_again_if_the_author_says_so(task, account, log):
    task.rules["resubmit_failed"] = True
    first = task.run().job_id
    account.set_job(first, "failed")
    with pytest.raises(PictoryError) as caught:
        task.finish()
    second = task.retry().job_id

    assert not isinstance(caught.value, AirflowFailException), "Airflow would never retry it"
    assert "the next try submits another video" in str(caught.value)
    assert job_ids(account) == [first, second] == task.recorded_jobs
    assert f"Job {first} failed, so another video is submitted" in log.infos


def test_a_retry_says_that_the_video_was_deleted_and_how_to_have_it_again(task, account):
    job_id = task.run().job_id
    account.set_job(job_id, "cleaned")
    task.instance.retry()
    error = task.fails(PictoryJobExpiredError)

    assert job_id in str(error)
    assert "new submission" in str(error)
    assert posts(account) == 1


def test_a_retry_never_submits_because_the_job_is_unknown(task, account, clock):
    job_id = task.run().job_id
    clock.now += 2 * MINUTE
    account.respond_next(f"/v1/jobs/{job_id}", status=404, body=UNKNOWN_JOB)
    task.instance.retry()
    error = task.fails(PictoryJobNotFoundError)

    assert account.url in str(error)
    assert "'pictory_default'" in str(error)
    assert "Nothing was submitted again" in str(error)
    assert "on_clear='new'" in str(error)
    assert posts(account) == 1


def test_a_404_of_whatever_responds_there_now_is_an_error_with_the_way_out(task, account, clock):
    job_id = task.run().job_id
    clock.now += 2 * MINUTE
    account.respond_next(f"/v1/jobs/{job_id}", status=404, body="<h1>Nothing here</h1>")
    task.instance.retry()
    error = task.fails(PictoryJobNotFoundError)

    assert "on_clear='new'" in str(error)


def test_a_job_may_be_unknown_for_two_minutes_after_it_was_accepted(task, account, clock):
    job_id = task.run().job_id
    clock.now += 2 * MINUTE - 5
    account.respond_next(f"/v1/jobs/{job_id}", status=404, body=UNKNOWN_JOB)

    assert task.retry().job_id == job_id


@pytest.mark.parametrize("status", [403, 408, 429, 500, 503])
def test_a_look_that_fails_says_nothing_about_the_job(task, account, log, status):
    job_id = task.run().job_id
    account.respond_next(f"/v1/jobs/{job_id}", status=status)

    assert task.retry().job_id == job_id
    assert posts(account) == 1
    assert "says nothing about the job" in log.warnings[0]


def test_a_key_that_is_refused_when_looking_is_an_error_that_submits_nothing(task, account):
    job_id = task.run().job_id
    account.respond_next(f"/v1/jobs/{job_id}", status=401)
    task.instance.retry()
    task.fails(PictoryAuthenticationError)

    assert posts(account) == 1


def test_the_same_try_executed_once_more_is_a_retry(task, account):
    job_id = task.run().job_id

    assert task.run().job_id == job_id
    assert posts(account) == 1


def test_an_open_job_is_looked_at_over_the_connection_that_it_was_submitted_over(
    task, account, monkeypatch, pictory_sandbox_factory
):
    job_id = task.run().job_id
    other = pictory_sandbox_factory(api_key="pictai_other")
    monkeypatch.setenv("AIRFLOW_CONN_PICTORY_OTHER", connection_json(other.url, other.api_key))
    task.connection = "pictory_other"
    account.set_job(job_id, "completed")

    assert task.retry().job.status == JobStatus.COMPLETED
    assert other.counts()["requests"] == {}


# A clear by a person


@pytest.mark.parametrize("on_clear", ["auto", "reattach"])
def test_a_clear_goes_on_with_a_job_that_still_runs(task, account, on_clear):
    task.rules["on_clear"] = on_clear
    job_id = task.run().job_id

    assert task.clear().job_id == job_id
    assert posts(account) == 1


@pytest.mark.parametrize(
    "end", [ended("completed"), ended("failed"), ended("cleaned")], ids=["completed", "failed", "cleaned"]
)
def test_a_clear_after_the_end_submits_another_video(task, account, log, end):
    first = task.run().job_id
    end(task)
    second = task.clear().job_id

    assert job_ids(account) == [first, second] == task.recorded_jobs
    assert f"This task was cleared, so another video follows job {first}" in log.infos


@pytest.mark.parametrize("status", ["completed", "failed", "cleaned"])
def test_a_clear_after_an_end_that_the_task_never_noted_submits_another_video(task, account, status):
    first = task.run().job_id
    account.set_job(first, status)

    assert task.clear().job_id != first
    assert posts(account) == 2


@pytest.mark.parametrize("is_running", [True, False])
def test_on_clear_new_submits_another_video_whatever_became_of_the_former(task, account, is_running):
    task.rules["on_clear"] = "new"
    first = task.run().job_id
    if not is_running:
        ended("completed")(task)

    assert task.clear().job_id != first
    assert posts(account) == 2
    assert task.recorded_jobs[0] == first


def test_on_clear_reattach_gives_the_result_of_a_completed_job(task, account):
    task.rules["on_clear"] = "reattach"
    job_id = task.run().job_id
    ended("completed")(task)

    assert task.clear().job.job_id == job_id
    assert posts(account) == 1


@pytest.mark.parametrize(
    ("status", "kind"), [("failed", PictoryJobFailedError), ("cleaned", PictoryJobExpiredError)]
)
def test_on_clear_reattach_gives_the_error_of_a_job_without_a_video(task, account, status, kind):
    task.rules["on_clear"] = "reattach"
    task.run()
    ended(status)(task)
    task.instance.clear()
    task.fails(kind)

    assert posts(account) == 1


@pytest.mark.parametrize("on_clear", ["auto", "reattach"])
def test_a_clear_with_an_unknown_outcome_finds_the_job_and_goes_on_with_it(make_task, account, on_clear):
    task = make_task(retries=1)
    task.rules["on_clear"] = on_clear
    lose_the_response(account)
    task.fails(PictorySubmissionPendingError)
    (job_id,) = job_ids(account)
    account.set_job(job_id, "completed")
    submitted = task.clear()

    assert submitted.job.job_id == job_id
    assert posts(account) == 1


def test_on_clear_new_resolves_an_unknown_outcome_before_it_submits_another_video(make_task, account):
    task = make_task(retries=1)
    task.rules["on_clear"] = "new"
    lose_the_response(account)
    task.fails(PictorySubmissionPendingError)
    (first,) = job_ids(account)
    account.set_job(first, "completed")
    second = task.clear().job_id

    assert job_ids(account) == [first, second] == task.recorded_jobs


def test_a_retry_after_a_clear_is_no_second_clear(make_task, account):
    task = make_task(retries=1)
    first = task.run().job_id
    ended("completed")(task)
    second = task.clear().job_id
    account.set_job(second, "completed")

    assert task.retry().job.job_id == second
    assert job_ids(account) == [first, second]


def test_a_retry_after_a_clear_that_went_on_with_the_job_is_no_second_clear(make_task, account):
    task = make_task(retries=1)
    job_id = task.run().job_id
    task.clear()
    account.set_job(job_id, "completed")

    assert task.retry().job.job_id == job_id
    assert posts(account) == 1


def test_a_clear_while_the_task_runs_keeps_the_job(task, account):
    job_id = task.run().job_id
    account.set_job(job_id, "completed")
    task.instance.retry()

    assert task.run().job_id == job_id
    assert posts(account) == 1


def test_a_second_clear_after_the_second_end_submits_a_third_video(task, account):
    ids = [task.run().job_id]
    for _ in range(2):
        ended("completed")(task)
        ids.append(task.clear().job_id)

    assert job_ids(account) == ids == task.recorded_jobs


def test_a_clear_that_cannot_find_out_whether_the_job_runs_submits_nothing(task, account, clock):
    job_id = task.run().job_id
    account.respond_next(f"/v1/jobs/{job_id}", status=503, times=5)
    task.instance.clear()
    error = task.fails(PictoryAPIError)

    assert not isinstance(error, AirflowFailException)
    assert posts(account) == 1
    assert len(clock.slept) == 4


def test_a_clear_looks_until_it_knows_whether_the_job_runs(task, account):
    job_id = task.run().job_id
    account.respond_next(f"/v1/jobs/{job_id}", status=503, times=4)

    assert task.clear().job_id == job_id


def test_a_clear_never_submits_because_the_job_is_unknown(task, account, clock):
    job_id = task.run().job_id
    clock.now += 2 * MINUTE
    account.respond_next(f"/v1/jobs/{job_id}", status=404, body=UNKNOWN_JOB)
    task.instance.clear()
    error = task.fails(PictoryJobNotFoundError)

    assert "on_clear='new'" in str(error)
    assert posts(account) == 1


def test_a_clear_soon_after_the_acceptance_takes_an_unknown_job_for_running(task, account):
    job_id = task.run().job_id
    account.respond_next(f"/v1/jobs/{job_id}", status=404, body=UNKNOWN_JOB, times=2)

    assert task.clear().job_id == job_id


# A new life


@pytest.mark.parametrize("has_id", [True, False], ids=["airflow-3", "airflow-2"])
@pytest.mark.parametrize("has_ended", [True, False])
def test_a_run_that_was_deleted_and_made_again_has_a_life_of_its_own(make_task, account, has_id, has_ended):
    task = make_task(has_id=has_id)
    first = task.run().job_id
    if has_ended:
        ended("completed")(task)
    task.instance.make_again()
    second = task.run().job_id

    assert job_ids(account) == [first, second] == task.recorded_jobs


def test_a_new_life_resolves_what_the_former_left_unknown(make_task, account):
    task = make_task(retries=1)
    lose_the_response(account)
    task.fails(PictorySubmissionPendingError)
    (job_id,) = job_ids(account)
    account.set_job(job_id, "completed")
    task.instance.make_again()

    assert task.run().job_id == job_id
    assert posts(account) == 1


def test_a_record_of_a_later_try_is_of_a_former_life(make_task, account):
    task = make_task(retries=3)
    task.run()
    task.retry()
    task.retry()
    task.instance.make_again()
    task.run()

    assert posts(account) == 2


# Refused submissions


@pytest.mark.parametrize(
    ("status", "kind", "times"),
    [
        (400, PictoryInvalidRequestError, 1),
        (401, PictoryAuthenticationError, 1),
        (403, PictoryAPIError, 1),
        (402, PictoryInsufficientCreditsError, 1),
        (429, PictoryRateLimitedError, 3),
    ],
)
def test_a_refused_submission_lets_the_next_try_submit_at_once(
    make_task, account, clock, status, kind, times
):
    task = make_task(retries=1)
    body = {"code": "INSUFFICIENT_CREDITS"} if status == 402 else ""
    account.respond_next(POST, method="POST", status=status, body=body, times=times)
    task.fails(kind)
    assert task.variables.texts == {}
    assert not task.submission.is_under_way
    waited, reads = sum(clock.slept), job_list_reads(account)
    task.retry()

    assert sum(clock.slept) == waited
    assert job_list_reads(account) == reads + 1, "only to know the newest job before the submission"
    assert len(job_ids(account)) == 1


def test_a_submission_that_was_never_connected_lets_the_next_try_submit_at_once(
    make_task, account, connect, clock
):
    task = make_task(retries=1)
    connect("http://127.0.0.1:9", API_KEY)
    task.fails(PictoryAPIError)
    assert task.variables.texts == {}
    connect(account.url, API_KEY)
    waited = sum(clock.slept)
    task.retry()

    assert sum(clock.slept) == waited
    assert len(job_ids(account)) == 1


def test_a_refusal_that_passes_is_ridden_out_with_an_intent_before_each_post(task, account):
    account.respond_next(POST, method="POST", status=429, times=2)
    job_id = task.run().job_id

    assert posts(account) == 3
    assert task.recorded_jobs == [job_id]


def test_a_refusal_does_not_forget_the_jobs_before_it(task, account):
    first = task.run().job_id
    ended("completed")(task)
    account.respond_next(POST, method="POST", status=400)
    task.instance.clear()
    task.fails(PictoryInvalidRequestError)
    assert task.recorded_jobs == [first]

    assert task.retry().job_id == task.recorded_jobs[1]


# The record


def test_a_record_that_cannot_be_read_stops_the_task_before_anything_is_paid(task, account, variables):
    variables.is_readable = False
    error = task.fails(PictoryRecordError)

    assert not isinstance(error, AirflowFailException), "the database may be back for a retry"
    assert "nothing was submitted" in str(error)
    assert posts(account) == 0


@pytest.mark.parametrize("text", ["", "{}", "[]", "not JSON", '{"version": 2}', '{"state": "accepted"}'])
def test_a_record_that_cannot_be_understood_stops_the_task_before_anything_is_paid(
    task, account, variables, text
):
    variables.texts[f"{RECORD_PREFIX}{task.place.digest}_1_00_pending"] = text
    error = task.fails(PictoryRecordError)

    assert "can't be understood" in str(error)
    assert "delete the record to submit again" in str(error)
    assert posts(account) == 0


def test_a_database_that_fails_shows_no_password_of_its_own(task, variables, monkeypatch):
    def fail(prefix=None):
        raise ConnectionError("postgresql://airflow:hunter22secret@db.example/airflow refused")

    monkeypatch.setattr(variables, "keys", fail)

    error = task.fails(PictoryRecordError)

    assert "ConnectionError" in str(error)
    assert "hunter22secret" not in str(error)


def test_a_record_that_cannot_be_written_stops_the_task_before_anything_is_paid(task, account, variables):
    variables.unwritable = "pictory_submission"
    error = task.fails(PictoryRecordError)

    assert "can't be written" in str(error)
    assert "ConnectionError: no database" in str(error)
    assert posts(account) == 0
    assert not task.submission.is_under_way


def test_a_record_that_cannot_be_written_between_two_posts_stops_the_second(task, account, variables):
    account.respond_next(POST, method="POST", status=429)
    variables.unwritable, variables.writes_left = "pictory_submission", 1
    task.fails(PictoryRecordError)

    assert posts(account) == 1


def test_a_record_that_cannot_be_written_after_the_response_does_not_stop_the_task(
    task, account, variables, log
):
    variables.unwritable, variables.writes_left = "", 1
    job_id = task.run().job_id

    assert job_ids(account) == [job_id]
    assert f"Pictory accepted the video as job {job_id}" in log.infos
    assert any("can't be written" in line and "its next try has to find out" in line for line in log.warnings)


def test_a_job_id_that_was_never_written_down_is_found_out_by_the_next_try(task, account, variables, clock):
    variables.unwritable, variables.writes_left = "", 1
    job_id = task.run().job_id
    variables.unwritable = None
    account.set_job(job_id, "completed")

    assert task.retry().job_id == job_id
    assert posts(account) == 1
    assert task.recorded_jobs == [job_id]


def test_a_job_is_written_down_though_the_database_stumbles(task, variables, log, monkeypatch):
    failures = iter([False, True, True, True])
    write = variables.set

    def stumble(key, value, description=None):
        if key.startswith(f"{RECORD_PREFIX}{task.place.digest}") and next(failures, False):
            raise ConnectionError
        write(key, value, description)

    monkeypatch.setattr(variables, "set", stumble)
    job_id = task.run().job_id

    assert task.recorded_jobs == [job_id]
    assert log.warnings == []


def test_an_end_that_cannot_be_noted_does_not_stop_the_task(task, account, variables, log):
    task.delivers = False
    job_id = task.run().job_id
    account.set_job(job_id, "completed")
    variables.is_readable = False

    assert task.finish().job_id == job_id
    task.submission.note_delivery()
    assert f"How job {job_id} ended can't be recorded" in log.warnings[0]


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("restarting", "it was cleared while it ran"),
        ("failed", "it was set to failed while it ran"),
        ("success", "it was set to success while it ran"),
        ("up_for_retry", "it was set to up_for_retry while it ran"),
        ("scheduled", "Airflow has given it up and its next try is scheduled"),
        ("queued", "Airflow has given it up and its next try is queued"),
    ],
)
def test_a_try_whose_success_airflow_will_not_take_has_delivered_nothing(task, account, state, words):
    """What it returned would say that the video was delivered, and a clear would pay for another one."""
    task.instance.own_state = state
    with pytest.raises(PictoryError, match=f"{words}; a retry or a clear of it goes on with job "):
        task.run()
    job_id = task.submission.job_id
    account.set_job(job_id, "completed")
    task.instance.own_state = "running"

    assert task.clear().job_id == job_id
    assert posts(account) == 1


def test_what_airflow_says_where_it_cannot_be_asked_is_logged_without_its_secrets(task, log, monkeypatch):
    def refuse(**place):
        raise RuntimeError("no response from postgresql://airflow:hunter2@database/airflow")

    monkeypatch.setattr(task.instance, "get_task_states", refuse)
    job_id = task.run().job_id

    (line,) = (line for line in log.infos if "still wants this task to run isn't known" in line)
    assert "RuntimeError" in line
    assert "hunter2" not in "".join(log.lines)
    assert task.recorded_jobs == [job_id]


def test_a_task_that_runs_on_while_it_is_killed_has_delivered_nothing(task, account):
    """Airflow 3 sends a signal, and a kill only some seconds later."""
    task.delivers = False
    job_id = task.run().job_id
    account.set_job(job_id, "completed")
    task.submission.stop()
    with pytest.raises(PictoryError, match="it is being killed; a retry or a clear of it goes on with job "):
        task.submission.note_delivery(has_ended=True)

    task.delivers = True
    assert task.clear().job_id == job_id
    assert posts(account) == 1


@pytest.mark.parametrize(
    ("former", "posted"), [(["job_id"], 1), (["job_id", "return_value"], 2), ([], 1), (None, 1)]
)
def test_where_airflow_shows_a_delivery_it_is_not_recorded(task, account, former, posted):
    task.waits = False
    task.instance._ti_context_from_server = SimpleNamespace(xcom_keys_to_clear=[])
    job_id = task.run().job_id
    assert task.record["state"] == "accepted"
    account.set_job(job_id, "completed")
    task.instance._ti_context_from_server = SimpleNamespace(xcom_keys_to_clear=former)
    task.clear()

    assert posts(account) == posted


def test_a_clear_after_a_crash_gives_the_video_that_was_never_delivered(task, account):
    task.delivers = False
    job_id = task.run().job_id
    account.set_job(job_id, "completed")

    assert task.clear().job_id == job_id
    assert posts(account) == 1


@pytest.mark.parametrize(
    ("former", "posted"), [(["job_id"], 1), (["job_id", "return_value"], 2), ([], 2), (None, 2)]
)
def test_airflows_own_traces_tell_a_delivery_from_a_crash_right_before_it(task, account, former, posted):
    job_id = task.run().job_id
    account.set_job(job_id, "completed")
    task.instance._ti_context_from_server = SimpleNamespace(xcom_keys_to_clear=former)
    task.clear()

    assert posts(account) == posted


# An unknown outcome


def test_a_lost_response_with_a_retry_left_is_left_to_the_retry(make_task, account, clock):
    task = make_task(retries=1)
    lose_the_response(account)
    error = task.fails(PictorySubmissionPendingError)

    assert not isinstance(error, AirflowFailException)
    assert error.retry_after == pytest.approx(3 * MINUTE + 30, abs=5)
    assert "a retry or a clear, finds out" in str(error)
    assert task.submission.is_under_way
    assert clock.slept == []


def test_the_retry_finds_the_job_of_a_lost_response(make_task, account, clock):
    task = make_task(retries=1)
    lose_the_response(account)
    task.fails(PictorySubmissionPendingError)
    (job_id,) = job_ids(account)
    account.set_job(job_id, "completed")
    submitted = task.retry()

    assert submitted.job.job_id == job_id
    assert submitted.estimated_credits == 60
    assert clock.slept == [], "a video with its prompt and settings is proof at once"
    assert task.recorded_jobs == [job_id]
    assert posts(account) == 1


def test_the_retry_submits_again_what_certainly_never_arrived(make_task, account, log):
    task = make_task(retries=1)
    lose_the_submission(account)
    task.fails(PictorySubmissionPendingError)
    job_id = task.retry().job_id

    assert job_ids(account) == [job_id] == task.recorded_jobs
    assert any("never arrived" in line for line in log.infos)


def test_a_lost_response_without_a_retry_left_is_resolved_in_place(task, account, clock, log):
    lose_the_response(account)
    clock_sleep = clock.sleep

    def sleep(seconds):
        clock_sleep(seconds)
        account.set_job(job_ids(account)[0], "completed")

    clock.sleep = sleep
    submitted = task.run()

    assert [submitted.job.job_id] == job_ids(account) == task.recorded_jobs
    assert "There is no retry left" in log.warnings[0]
    assert not task.submission.is_under_way


def test_a_lost_submission_without_a_retry_left_is_submitted_again_in_place(task, account):
    lose_the_submission(account)
    job_id = task.run().job_id

    assert job_ids(account) == [job_id] == task.recorded_jobs


def test_a_second_lost_response_in_one_try_is_left_to_the_next(task, account):
    lose_the_submission(account)
    lose_the_submission(account)
    task.fails(PictorySubmissionPendingError)

    assert posts(account) == 2


@pytest.mark.parametrize("request_now", [WHALE, PictoryInvalidRequestError("Nothing was submitted: no")])
def test_an_unknown_outcome_is_resolved_whatever_the_request_is_now(make_task, account, request_now):
    task = make_task(retries=1)
    lose_the_response(account)
    task.fails(PictorySubmissionPendingError)
    (job_id,) = job_ids(account)
    account.set_job(job_id, "completed")
    task.request = request_now

    assert task.retry().job_id == job_id
    assert posts(account) == 1


def test_an_outcome_that_is_still_unknown_may_be_taken_up_by_a_retry(make_task, account):
    task = make_task(retries=2)
    lose_the_response(account)
    task.fails(PictorySubmissionPendingError)
    (job_id,) = job_ids(account)
    task.instance.retry()
    error = task.fails(PictorySubmissionPendingError)
    account.set_job(job_id, "completed")

    assert job_id in str(error)
    assert task.retry().job_id == job_id
    assert posts(account) == 1


def test_reconcile_timeout_bounds_the_wait_for_jobs_that_may_be_it(make_task, account, clock):
    task = make_task(retries=2)
    task.rules["reconcile_timeout"] = 60
    lose_the_response(account)
    task.fails(PictorySubmissionPendingError)
    clock.now += HOUR
    task.instance.retry()
    task.fails(PictorySubmissionPendingError)

    assert sum(clock.slept) == pytest.approx(60, abs=1)


def test_an_account_that_cannot_be_asked_is_not_an_account_without_the_job(make_task, account):
    task = make_task(retries=2)
    lose_the_submission(account)
    task.fails(PictorySubmissionPendingError)
    account.respond_next(JOB_LIST, method="GET", status=503, times=1000)
    task.instance.retry()
    error = task.fails(PictorySubmissionPendingError)

    assert "the account can't be asked" in str(error)
    assert posts(account) == 1


def unresolvable(make_task, account):
    """Make a task with an outcome that no evidence settles: of a failed job nothing tells its prompt."""
    task = make_task(retries=1)
    lose_the_response(account)
    task.fails(PictorySubmissionPendingError)
    account.set_job(job_ids(account)[0], "failed")
    return task


def test_what_no_evidence_settles_is_never_submitted_again(make_task, account):
    task = unresolvable(make_task, account)
    task.instance.retry()
    error = task.fails(PictorySubmissionIndeterminateError)

    assert isinstance(error, AirflowFailException)
    for job_id in job_ids(account):
        assert job_id in str(error)
    assert "VideoJobSensor" in str(error)
    assert "on_unknown_submission='resubmit'" in str(error)
    assert posts(account) == 1
    assert task.record["state"] == "intent"


@pytest.mark.parametrize("go_on", ["retry", "clear"])
def test_on_unknown_submission_resubmit_submits_what_no_evidence_settles(make_task, account, log, go_on):
    task = unresolvable(make_task, account)
    task.rules["on_unknown_submission"] = "resubmit"
    job_id = getattr(task, go_on)().job_id

    assert posts(account) == 2
    assert task.recorded_jobs == [job_id]
    assert any("may pay twice" in line for line in log.warnings)


def test_on_clear_new_submits_what_no_evidence_settles(make_task, account, log):
    task = unresolvable(make_task, account)
    task.rules["on_clear"] = "new"
    task.clear()

    assert posts(account) == 2
    assert any("may pay twice" in line for line in log.warnings)


def test_on_unknown_submission_resubmit_does_not_submit_what_the_evidence_finds(make_task, account):
    task = make_task(retries=1)
    task.rules["on_unknown_submission"] = "resubmit"
    lose_the_response(account)
    task.fails(PictorySubmissionPendingError)
    (job_id,) = job_ids(account)
    account.set_job(job_id, "completed")

    assert task.retry().job_id == job_id
    assert posts(account) == 1


def test_a_connection_that_leads_elsewhere_now_cannot_tell(
    make_task, account, connect, pictory_sandbox_factory
):
    task = make_task(retries=1)
    lose_the_response(account)
    task.fails(PictorySubmissionPendingError)
    other = pictory_sandbox_factory(api_key=API_KEY)
    connect(other.url, API_KEY)
    task.instance.retry()
    error = task.fails(PictorySubmissionIndeterminateError)

    assert account.url in str(error)
    assert other.url in str(error)
    assert "Change its host back and clear this task" in str(error)
    assert "on_unknown_submission='resubmit'" in str(error)
    assert other.counts()["requests"] == {}


def test_an_unknown_outcome_is_resolved_over_the_connection_that_was_recorded(
    make_task, account, monkeypatch, pictory_sandbox_factory
):
    task = make_task(retries=1)
    lose_the_response(account)
    task.fails(PictorySubmissionPendingError)
    (job_id,) = job_ids(account)
    account.set_job(job_id, "completed")
    other = pictory_sandbox_factory(api_key="pictai_other")
    monkeypatch.setenv("AIRFLOW_CONN_PICTORY_OTHER", connection_json(other.url, other.api_key))
    task.connection = "pictory_other"

    assert task.retry().job_id == job_id
    assert other.counts()["requests"] == {}


def test_a_job_of_another_task_is_not_taken_for_a_lost_one(make_task, account):
    task, other = make_task(retries=1), make_task(task_id="same_film")
    lose_the_submission(account)
    task.fails(PictorySubmissionPendingError)
    theirs = other.run().job_id
    account.set_job(theirs, "completed")
    ours = task.retry().job_id

    assert ours != theirs
    assert job_ids(account) == [theirs, ours]


def test_the_earlier_job_of_the_same_task_is_not_taken_for_a_lost_one(make_task, account):
    task = make_task(retries=1)
    first = task.run().job_id
    ended("completed")(task)
    # So the earlier job is among those that may be newer.
    account.add_fault("lagging-lists:seconds=100,count=1")
    lose_the_response(account)
    task.instance.clear()
    task.fails(PictorySubmissionPendingError)
    second = job_ids(account)[-1]
    account.set_job(second, "completed")

    assert task.retry().job_id == second != first


def test_a_crash_after_the_job_id_was_written_down_leaves_no_job_for_others_to_take(
    make_task, account, variables, monkeypatch
):
    task, other = make_task(), make_task(task_id="same_film", retries=1)
    lose_the_submission(account)
    other.fails(PictorySubmissionPendingError)
    write, seen = variables.set, []

    def crash_after_the_second_write(key, value, description=None):
        write(key, value, description)
        if key.startswith(f"{RECORD_PREFIX}{task.place.digest}"):
            seen.append(key)
            if len(seen) == 2:
                raise SystemExit

    monkeypatch.setattr(variables, "set", crash_after_the_second_write)
    with pytest.raises(SystemExit):
        task.run()
    account.set_job(job_ids(account)[0], "completed")

    assert other.retry().job_id != task.retry().job_id


def test_a_job_deleted_before_its_video_was_seen_in_the_list_is_not_taken_for_one_of_another_kind(
    make_task, account, clock
):
    task = make_task(retries=1)
    lose_the_response(account)
    task.fails(PictorySubmissionPendingError)
    (job_id,) = job_ids(account)
    account.set_job(job_id, "completed")
    account.respond_next(POST, method="GET", status=503)
    clock.now += HOUR
    sleep = clock.sleep

    def delete_meanwhile(seconds):
        sleep(seconds)
        if job_ids(account) == [job_id]:
            account.set_job(job_id, "cleaned")

    clock.sleep = delete_meanwhile
    task.instance.retry()
    error = task.fails(PictorySubmissionIndeterminateError)

    assert job_id in str(error)
    assert posts(account) == 1


# Interruptions


class OvertakenHook(PictoryHook):
    """The worker is stopped right before its POST, for as long as something else takes."""

    def __init__(self, meanwhile):
        super().__init__()
        self._meanwhile = meanwhile

    def get_baseline(self):
        baseline = super().get_baseline()
        self._meanwhile()
        return baseline


@pytest.mark.parametrize("clocks", ["both", "date"], ids=["stopped process", "machine that slept"])
def test_a_worker_that_was_stopped_submits_nothing_once_another_try_has_taken_over(
    task, make_task, account, clock, monkeypatch, clocks
):
    another = make_task()
    another.instance.retry()
    if clocks == "date":
        monkeypatch.setattr(clock, "monotonic", lambda: 0.0)

    def take_over():
        clock.now += 10 * MINUTE
        another.run()

    assert "taken over" in str(task.fails(PictoryRecordError, hook=OvertakenHook(take_over)))
    assert job_ids(account) == [another.submission.job_id]
    assert posts(account) == 1


class InterruptedHook(PictoryHook):
    """Is interrupted while the response to its submission is on its way."""

    def __init__(self, job_id=None):
        super().__init__()
        self._job_id = job_id

    def submit_video(self, request, *, before_attempt=None):
        job_id = super().submit_video(request, before_attempt=before_attempt)
        raise PictorySubmissionIndeterminateError(
            "It is not known whether Pictory accepted the video",
            job_id=job_id if self._job_id else None,
            interruption=AirflowTaskTimeout("Timeout, PID: 1"),
        )


def test_an_interruption_while_submitting_is_raised_as_itself_and_the_intent_stays(make_task, account):
    task = make_task(retries=1)
    task.fails(AirflowTaskTimeout, hook=InterruptedHook())
    (job_id,) = job_ids(account)

    assert task.record["state"] == "intent"
    assert task.submission.is_under_way
    account.set_job(job_id, "completed")
    assert task.retry().job_id == job_id
    assert posts(account) == 1


def test_an_interruption_after_the_acceptance_is_raised_as_itself_and_the_job_is_written_down(
    make_task, account
):
    task = make_task(retries=1)
    task.fails(AirflowTaskTimeout, hook=InterruptedHook("known"))
    (job_id,) = job_ids(account)

    assert task.recorded_jobs == [job_id]
    assert task.submission.job_id == job_id
    assert not task.submission.is_under_way
    assert task.retry().job_id == job_id


def test_an_interruption_without_a_retry_left_is_not_resolved_in_place(task, clock):
    task.fails(AirflowTaskTimeout, hook=InterruptedHook())

    assert clock.slept == []


# Mapped tasks


@pytest.fixture
def swapped(make_task):
    """Two instances of a mapped task that were submitted, before the order of what they map over changed."""
    tasks = [
        make_task(map_index=0, request=FOX),
        make_task(map_index=1, request=WHALE),
    ]
    ids = [task.run().job_id for task in tasks]
    tasks[0].request, tasks[1].request = WHALE, FOX
    return tasks, ids


def test_a_clear_after_a_reordering_goes_on_with_the_job_of_the_same_map_index(swapped, account, log):
    (first, second), (fox, whale) = swapped

    assert first.clear().job_id == fox
    assert second.clear().job_id == whale
    assert posts(account) == 2
    assert sum("asks for something else" in line for line in log.warnings) == 2


# The spending guard


@pytest.mark.parametrize("most", [60, 60.0, "60", 1000])
def test_a_video_within_max_credits_is_submitted(task, account, most):
    task.rules["max_credits"] = most
    task.run()

    assert posts(account) == 1


@pytest.mark.parametrize("most", [59.9, "20", 0])
def test_a_video_beyond_max_credits_is_refused_before_anything_is_sent(task, account, variables, most):
    task.rules["max_credits"] = most
    error = task.fails(PictorySpendingLimitError)

    assert "max_credits" in str(error)
    assert f"at most {float(most):g} AI credits" in str(error)
    assert "about 60 AI credits" in str(error)
    assert "raise max_credits" in str(error)
    assert "Nothing was submitted" in str(error)
    assert account.counts()["requests"] == {}
    assert variables.texts == {}


def test_max_credits_refuses_what_cannot_be_estimated(make_task, account):
    task = make_task(request=VideoRequest("A red fox walks", extra_fields={"model": "tomorrow"}))
    task.rules["max_credits"] = 1000
    error = task.fails(PictorySpendingLimitError)

    assert "can't be estimated" in str(error)
    assert posts(account) == 0


def test_without_max_credits_what_cannot_be_estimated_is_submitted(make_task, account):
    task = make_task(request=VideoRequest("A red fox walks", extra_fields={"aspectRatio": "1:1"}))
    task.run()

    assert posts(account) == 1


def test_max_credits_does_not_stop_a_retry_from_going_on_with_a_job(task):
    job_id = task.run().job_id
    task.rules["max_credits"] = 1

    assert task.retry().job_id == job_id


@pytest.fixture
def poor_account(pictory_at, clock):
    return pictory_at(render_seconds=RENDER_SECONDS, credits=100, clock=SandboxClock(clock.time))


def test_check_quota_submits_what_the_account_has_credits_for(poor_account, variables, log):
    task = Task(poor_account, variables, log)
    task.rules["check_quota"] = True
    task.run()

    assert posts(poor_account) == 1


def test_check_quota_fails_with_used_limit_and_needed_credits_before_anything_is_paid(
    poor_account, variables, log
):
    PictoryHook().submit_video(WHALE)
    task = Task(poor_account, variables, log)
    task.rules["check_quota"] = True
    error = task.fails(PictoryInsufficientCreditsError)

    assert "60 of 100 AI credits are used, so 40 are left" in str(error)
    assert "needs about 60" in str(error)
    assert "Nothing was submitted" in str(error)
    assert posts(poor_account) == 1
    assert variables.texts == {}


def test_a_quota_that_cannot_be_read_stops_the_task_before_anything_is_paid(task, account):
    task.rules["check_quota"] = True
    account.respond_next("/v1/quota", status=503)
    error = task.fails(PictoryAPIError)

    assert not isinstance(error, AirflowFailException)
    assert posts(account) == 0


def test_the_quota_is_not_asked_for_unless_the_author_says_so(task, account):
    task.run()

    assert "GET /pictoryapis/v1/quota" not in account.counts()["requests"]
