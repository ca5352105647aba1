"""A sensor on a real Airflow that starts and ends in the triggerer, and what brings a worker in."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
import requests

from tests.conftest import RENDER_SECONDS
from tests.e2e.stage import order, scenario
from tests.support.pictory_words import RESULT_KEYS, only_job

pytestmark = pytest.mark.end_to_end

DAG_ID = "end_to_end_without_worker"
GIVEN = "end_to_end_given_job"
ON_WORKERS = ("with_callback", "with_outlet", "with_outputs", "switched_off", "mapped")


def task_processes(airflow, dag_id, run_id, task_id):
    """Count how often a worker started on a task: each time it first reads the DAG's file."""
    return sum(
        text.count('"event":"DAG bundles loaded')
        for name, text in airflow.log_files(f"dag_id={dag_id}/run_id={run_id}/task_id={task_id}/**/*").items()
        if ".trigger" not in name
    )


@scenario
def finished(stage):
    """Run the DAG once; its job ends while all wait for it."""
    airflow, pictory = stage.airflow, stage.account("pictory_without_worker")
    run_id = airflow.trigger(DAG_ID)
    for task_id in ("by_output", "by_template", *ON_WORKERS):
        airflow.wait_for_state(DAG_ID, run_id, task_id, "deferred")
    pictory.advance(RENDER_SECONDS)
    state = airflow.wait_for_run(DAG_ID, run_id)
    states = {it["task_id"]: it["state"] for it in airflow.task_instances(DAG_ID, run_id)}
    return SimpleNamespace(
        run_id=run_id, state=state, states=states, job_id=only_job(pictory)["job_id"], pictory=pictory
    )


def given(stage, prompt, status, **error):
    """Wait for a job that was submitted elsewhere, and that ends so."""
    airflow, pictory = stage.airflow, stage.account("pictory_given")
    job_id = order(pictory, prompt)
    run_id = airflow.trigger(GIVEN, {"account": "pictory_given", "job_id": job_id})
    airflow.wait_for_state(GIVEN, run_id, "wait", "deferred")
    waiting = airflow.links(GIVEN, run_id, "wait")
    pictory.set_job(job_id, status, **error)
    state = airflow.wait_for_run(GIVEN, run_id)
    return SimpleNamespace(run_id=run_id, state=state, waiting=waiting, pictory=pictory)


@scenario
def given_and_completed(stage):
    return given(stage, "A boat in the fog", "completed")


@scenario
def given_and_failed(stage):
    return given(stage, "A boat on fire", "failed", error_code="5002", error_message="PROMPT_REFUSED")


@pytest.mark.parametrize("task_id", ["by_output", "by_template", "by_list"])
def test_a_sensor_whose_job_succeeds_needs_no_task_process_at_all(airflow, finished, task_id):
    # One of its neighbours is to fail.
    assert finished.state == "failed"
    assert finished.states[task_id] == "success"
    assert task_processes(airflow, DAG_ID, finished.run_id, task_id) == 0
    xcoms = airflow.xcoms(DAG_ID, finished.run_id, task_id)
    assert set(xcoms) == {"return_value", "job_id"}
    assert xcoms["job_id"] == xcoms["return_value"]["job_id"]
    video = xcoms["return_value"]
    assert list(video) == RESULT_KEYS
    assert (video["job_id"], video["status"]) == (finished.job_id, "completed")
    # The very same as what a worker pushes.
    assert xcoms == airflow.xcoms(DAG_ID, finished.run_id, "switched_off")


@pytest.mark.parametrize("task_id", ["by_output", "with_outlet", "switched_off"])
def test_the_buttons_are_the_same_with_and_without_a_worker(airflow, finished, task_id):
    url = airflow.xcoms(DAG_ID, finished.run_id, task_id)["return_value"]["url"]

    assert airflow.links(DAG_ID, finished.run_id, task_id) == {
        "Play video": url,
        "Pictory dashboard": "https://app.pictory.ai/",
    }
    assert requests.get(url, timeout=30).headers["Content-Type"] == "video/mp4"


@pytest.mark.parametrize("task_id", ["without_xcom", "without_push", "generate"])
def test_without_a_video_there_is_no_button_to_play_it(airflow, finished, task_id):
    assert airflow.links(DAG_ID, finished.run_id, task_id)["Play video"] is None


def test_a_mapped_task_has_buttons_of_its_own(airflow, finished):
    url = airflow.xcoms(DAG_ID, finished.run_id, "mapped", 0)["return_value"]["url"]

    assert airflow.links(DAG_ID, finished.run_id, "mapped", 0)["Play video"] == url


def test_while_a_task_waits_its_button_leads_nowhere(airflow, given_and_completed):
    assert given_and_completed.state == "success"
    assert given_and_completed.waiting["Play video"] is None
    links = airflow.links(GIVEN, given_and_completed.run_id, "wait")
    assert links["Play video"].startswith(given_and_completed.pictory.url)


def test_the_line_at_the_end_is_in_the_tasks_log(airflow, finished):
    path = f"/dags/{DAG_ID}/dagRuns/{finished.run_id}/taskInstances/by_output/logs/1"
    shown = json.dumps(airflow.request("GET", path))

    assert f"Pictory job {finished.job_id} is completed: 5 s, 640x360, 8 AI credits used" in shown


def test_a_sensor_that_pushes_nothing_pushes_nothing(airflow, finished):
    assert finished.states["without_push"] == "success"
    assert task_processes(airflow, DAG_ID, finished.run_id, "without_push") == 0
    assert airflow.xcoms(DAG_ID, finished.run_id, "without_push") == {}


@pytest.mark.parametrize("task_id", ON_WORKERS)
def test_where_something_would_be_missed_a_worker_defers_and_a_worker_resumes(airflow, finished, task_id):
    assert finished.states[task_id] == "success"
    assert task_processes(airflow, DAG_ID, finished.run_id, task_id) == 2


def test_a_success_callback_is_called_and_an_asset_event_is_there(airflow, finished):
    logs = airflow.log_files(f"dag_id={DAG_ID}/run_id={finished.run_id}/task_id=with_callback/*")
    assert any("The callback was called" in text for text in logs.values())
    events = airflow.request("GET", "/assets/events?limit=100")["asset_events"]
    assert [it["source_task_id"] for it in events if it["source_run_id"] == finished.run_id] == [
        "with_outlet"
    ]


def test_each_field_of_the_result_is_pushed_where_that_was_asked_for(airflow, finished):
    xcoms = airflow.xcoms(DAG_ID, finished.run_id, "with_outputs")

    assert {key: value for key, value in xcoms.items() if key != "return_value"} == xcoms["return_value"]
    assert list(xcoms["return_value"]) == RESULT_KEYS


def test_a_task_can_be_mapped_over_the_result(airflow, finished):
    shown = [airflow.xcoms(DAG_ID, finished.run_id, "show", index)["return_value"] for index in range(10)]

    assert shown == RESULT_KEYS
    assert finished.states["show"] == "success"


def test_a_missing_xcom_fails_on_a_worker_with_a_clear_error(airflow, finished):
    path = f"/dags/{DAG_ID}/dagRuns/{finished.run_id}/taskInstances/without_xcom/logs/1"

    assert finished.states["without_xcom"] == "failed"
    assert task_processes(airflow, DAG_ID, finished.run_id, "without_xcom") == 1
    assert "PictoryInvalidRequestError" in json.dumps(airflow.request("GET", path))


def test_a_failed_job_fails_on_a_worker_without_a_retry(airflow, given_and_failed):
    run_id = given_and_failed.run_id
    (task,) = airflow.task_instances(GIVEN, run_id)
    path = f"/dags/{GIVEN}/dagRuns/{run_id}/taskInstances/wait/logs/1"

    assert given_and_failed.state == "failed"
    assert task["try_number"] == 1
    assert task_processes(airflow, GIVEN, run_id, "wait") == 1
    assert "failed (5002: PROMPT_REFUSED)" in json.dumps(airflow.request("GET", path))
