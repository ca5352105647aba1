"""A DAG author's day on a real Airflow: test the connection, generate, wait in each way, meet a failure."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from tests.conftest import API_KEY, RENDER_SECONDS
from tests.e2e.stage import scenario
from tests.support.pictory_words import JOB, POST, count, only_job

pytestmark = pytest.mark.end_to_end

BATCH, RESCHEDULE, FAILURE = "end_to_end_batch", "end_to_end_reschedule", "end_to_end_failure"


@scenario
def batch(stage):
    pictory = stage.account("pictory_batch")
    run_id = stage.airflow.trigger(BATCH, {"account": "pictory_batch"})
    waiting = stage.airflow.wait_for_state(BATCH, run_id, "wait", "deferred")
    # Airflow still takes their workers for running, and would fail tasks that are resumed now.
    pictory.advance(RENDER_SECONDS)
    state = stage.airflow.wait_for_run(BATCH, run_id)
    return SimpleNamespace(run_id=run_id, state=state, waiting=waiting, pictory=pictory)


@scenario
def rescheduled(stage):
    pictory = stage.account("pictory_reschedule")
    run_id = stage.airflow.trigger(RESCHEDULE)
    stage.airflow.wait_for_state(RESCHEDULE, run_id, "wait", "up_for_reschedule")
    pictory.advance(RENDER_SECONDS)
    state = stage.airflow.wait_for_run(RESCHEDULE, run_id)
    return SimpleNamespace(run_id=run_id, state=state, pictory=pictory)


@scenario
def failed(stage):
    pictory = stage.account("pictory_failure")
    run_id = stage.airflow.trigger(FAILURE)
    stage.airflow.wait_for_state(FAILURE, run_id, "generate", "deferred")
    job_id = only_job(pictory)["job_id"]
    pictory.set_job(job_id, "failed", error_code="5002", error_message="PROMPT_REFUSED")
    state = stage.airflow.wait_for_run(FAILURE, run_id)
    return SimpleNamespace(run_id=run_id, state=state, pictory=pictory, job_id=job_id)


def test_the_connection_test_responds_with_our_sentence(airflow, stage):
    body = {
        "connection_id": "a_new_one",
        "conn_type": "pictory",
        "host": stage.account("pictory_tested").url,
        "password": API_KEY,
    }
    accepted = airflow.request("POST", "/connections/test", body)
    refused = airflow.request("POST", "/connections/test", {**body, "password": "pictai_wrong"})

    assert accepted == {
        "status": True,
        "message": "Pictory accepts the key: 0 of 22,000 AI credits are used, 22,000 are left.",
    }
    assert refused["status"] is False
    assert "the API key is wrong or was revoked" in refused["message"]


def test_a_mapped_batch_is_submitted_once_each_and_waited_for_side_by_side(airflow, batch):
    assert len(batch.waiting) == 3
    assert batch.state == "success"
    submitted = {job["prompt"]: job["job_id"] for job in batch.pictory.jobs()}
    prompts = ["A red fox in snow", "A blue whale at dawn", "A green parrot asleep"]
    for index, prompt in enumerate(prompts):
        generated = airflow.xcoms(BATCH, batch.run_id, "generate", index)
        waited = airflow.xcoms(BATCH, batch.run_id, "wait", index)
        assert generated["return_value"] == submitted[prompt] == waited["return_value"]["job_id"]
    assert count(batch.pictory, POST) == 3


def test_a_rescheduled_wait_frees_the_worker_between_looks(airflow, rescheduled):
    assert rescheduled.state == "success"
    result = airflow.xcoms(RESCHEDULE, rescheduled.run_id, "wait")["return_value"]
    assert result["job_id"] == only_job(rescheduled.pictory)["job_id"]
    assert count(rescheduled.pictory, JOB) > 1


def test_a_failed_job_fails_the_task_at_its_first_try(airflow, failed):
    assert failed.state == "failed"
    (task,) = airflow.task_instances(FAILURE, failed.run_id)
    assert (task["state"], task["try_number"], task["max_tries"]) == ("failed", 1, 2)
    path = f"/dags/{FAILURE}/dagRuns/{failed.run_id}/taskInstances/generate/logs/1"
    log = json.dumps(airflow.request("GET", path))
    assert f"Pictory job {failed.job_id} failed (5002: PROMPT_REFUSED)" in log
    assert airflow.xcoms(FAILURE, failed.run_id, "generate") == {
        "job_id": failed.job_id,
        "estimated_credits": 8,
    }
    assert count(failed.pictory, POST) == 1
