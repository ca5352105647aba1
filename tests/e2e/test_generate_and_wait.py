"""A DAG author's day on a real Airflow: test the connection, generate, wait deferred, use the video."""

from __future__ import annotations

import json

import av
import pytest
from cryptography.fernet import Fernet

from tests.conftest import API_KEY, RENDER_SECONDS
from tests.support.pictory_words import JOB, POST, RESULT_KEYS, count, only_job

pytestmark = pytest.mark.end_to_end

EXAMPLE = "example_pictory_generate_video"
TRIGGER = "airflow_provider_pictory.triggers.without_worker.VideoJobTaskTrigger"


@pytest.fixture(autouse=True)
def _the_key_is_nowhere(airflow):
    """Whatever a test does, the key shows up in no log file and in no response of the REST API."""
    yield
    leaks = [name for name, text in airflow.log_files().items() if API_KEY in text]
    assert leaks == []
    assert not any(API_KEY in response for response in airflow.responses)


def stored_triggers(airflow):
    """Return what the database holds about each waiting trigger; Airflow doesn't encrypt all of it."""
    decrypt = Fernet(airflow.fernet_key).decrypt
    return [
        (path, kwargs if kwargs.startswith("{") else decrypt(kwargs.encode()).decode())
        for path, kwargs in airflow.query("SELECT classpath, kwargs FROM trigger")
    ]


def test_the_connection_test_responses_with_our_sentence(airflow, pictory):
    body = {
        "connection_id": "a_new_one",
        "conn_type": "pictory",
        "host": pictory.url,
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


def test_the_example_generates_waits_deferred_and_saves_a_video_that_plays(airflow, pictory, tmp_path):
    conf = {"prompt": "A red fox in snow", "model": "veo3.1_fast", "folder": str(tmp_path)}
    run_id = airflow.trigger(EXAMPLE, conf)

    (deferred,) = airflow.wait_for_state(EXAMPLE, run_id, "wait", "deferred")

    job_id = only_job(pictory)["job_id"]
    ((classpath, kwargs),) = stored_triggers(airflow)
    assert deferred["trigger"]["classpath"] == classpath == TRIGGER
    assert "xcom_pull" in kwargs
    assert API_KEY not in kwargs
    airflow.wait_for("the triggerer to look", lambda: count(pictory, JOB), lambda looks: looks == 1, 60)
    pictory.advance(RENDER_SECONDS)

    assert airflow.wait_for_run(EXAMPLE, run_id) == "success"

    assert airflow.xcoms(EXAMPLE, run_id, "generate") == {
        "job_id": job_id,
        "estimated_credits": 40,
        "return_value": job_id,
    }
    video = airflow.xcoms(EXAMPLE, run_id, "wait")["return_value"]
    assert list(video) == RESULT_KEYS
    assert (video["job_id"], video["status"], video["ai_credits_used"]) == (job_id, "completed", 40)
    assert video["url"].startswith(pictory.url)
    path = tmp_path / f"{job_id}.mp4"
    assert airflow.xcoms(EXAMPLE, run_id, "save")["return_value"]["path"] == str(path)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = sum(1 for _ in container.decode(stream))
        assert (stream.width, stream.height) == (video["width"], video["height"])
        assert frames / stream.average_rate == video["duration_seconds"] == 4
    assert count(pictory, POST) == 1
    assert pictory.jobs()[0]["request"]["prompt"] == "A red fox in snow"


def test_a_mapped_batch_is_submitted_once_each_and_waited_for_side_by_side(airflow, pictory):
    run_id = airflow.trigger("end_to_end_batch")
    assert len(airflow.wait_for_state("end_to_end_batch", run_id, "wait", "deferred")) == 3
    # Airflow still takes their workers for running, and would fail tasks that are resumed now.
    pictory.advance(RENDER_SECONDS)

    assert airflow.wait_for_run("end_to_end_batch", run_id) == "success"

    submitted = {job["prompt"]: job["job_id"] for job in pictory.jobs()}
    prompts = ["A red fox in snow", "A blue whale at dawn", "A green parrot asleep"]
    for index, prompt in enumerate(prompts):
        generated = airflow.xcoms("end_to_end_batch", run_id, "generate", index)
        waited = airflow.xcoms("end_to_end_batch", run_id, "wait", index)
        assert generated["return_value"] == submitted[prompt] == waited["return_value"]["job_id"]
    assert count(pictory, POST) == 3


def test_a_triggerer_that_dies_while_jobs_are_waited_for_loses_none(airflow, pictory):
    run_id = airflow.trigger("end_to_end_batch")
    airflow.wait_for_state("end_to_end_batch", run_id, "wait", "deferred")

    airflow.kill("triggerer")
    pictory.advance(RENDER_SECONDS)
    airflow.start("triggerer")

    assert airflow.wait_for_run("end_to_end_batch", run_id) == "success"
    assert [it["try_number"] for it in airflow.task_instances("end_to_end_batch", run_id)] == [1] * 6
    assert count(pictory, POST) == 3


def test_a_rescheduled_wait_frees_the_worker_between_looks(airflow, pictory):
    run_id = airflow.trigger("end_to_end_reschedule")

    airflow.wait_for_state("end_to_end_reschedule", run_id, "wait", "up_for_reschedule")
    pictory.advance(RENDER_SECONDS)
    assert airflow.wait_for_run("end_to_end_reschedule", run_id) == "success"

    result = airflow.xcoms("end_to_end_reschedule", run_id, "wait")["return_value"]
    assert result["job_id"] == only_job(pictory)["job_id"]
    assert count(pictory, JOB) > 1


def test_a_failed_job_fails_the_task_at_its_first_try(airflow, pictory):
    run_id = airflow.trigger("end_to_end_failure")
    airflow.wait_for_state("end_to_end_failure", run_id, "generate", "deferred")
    job_id = only_job(pictory)["job_id"]
    pictory.set_job(job_id, "failed", error_code="5002", error_message="PROMPT_REFUSED")

    assert airflow.wait_for_run("end_to_end_failure", run_id) == "failed"

    (task,) = airflow.task_instances("end_to_end_failure", run_id)
    assert (task["state"], task["try_number"], task["max_tries"]) == ("failed", 1, 2)
    path = f"/dags/end_to_end_failure/dagRuns/{run_id}/taskInstances/generate/logs/1"
    assert f"Pictory job {job_id} failed (5002: PROMPT_REFUSED)" in json.dumps(airflow.request("GET", path))
    assert airflow.xcoms("end_to_end_failure", run_id, "generate") == {
        "job_id": job_id,
        "estimated_credits": 8,
    }
    assert count(pictory, POST) == 1
