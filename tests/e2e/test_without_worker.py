"""A sensor on a real Airflow that starts and ends in the triggerer, and what brings a worker in."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
import requests

from airflow_provider_pictory.sandbox.background import PictorySandbox
from tests.conftest import API_KEY, RENDER_SECONDS
from tests.support.pictory_words import POST, RESULT_KEYS, count, only_job

pytestmark = pytest.mark.end_to_end

DAG_ID = "end_to_end_without_worker"
GIVEN = "end_to_end_given_job"
ON_WORKERS = ("with_callback", "with_outlet", "with_outputs", "switched_off", "mapped")

LISTENER = """
import sys

from airflow.plugins_manager import AirflowPlugin
from airflow.sdk._shared.listeners import hookimpl


@hookimpl
def on_task_instance_success(previous_state, task_instance):
    print("The listener heard of", task_instance.task_id)


class ListeningPlugin(AirflowPlugin):
    name = "listening"
    listeners = [sys.modules[__name__]]
"""


def task_processes(airflow, run_id, task_id):
    """Count how often a worker started on a task: each time it first reads the DAG's file."""
    return sum(
        text.count('"event":"DAG bundles loaded')
        for name, text in airflow.log_files().items()
        if f"run_id={run_id}/task_id={task_id}/" in name and ".trigger" not in name
    )


@pytest.fixture(scope="module")
def account(connected):
    """Start a Pictory for all tests of this module, since a run of theirs is polled by several."""
    with PictorySandbox(render_seconds=RENDER_SECONDS, api_key=API_KEY) as pictory:
        connected.request(
            "PATCH",
            "/connections/pictory_default?update_mask=host",
            {"connection_id": "pictory_default", "conn_type": "pictory", "host": pictory.url},
        )
        yield pictory


@pytest.fixture(scope="module")
def finished(connected, account):
    """Run the DAG once; its job ends while all wait for it."""
    run_id = connected.trigger(DAG_ID)
    for task_id in ("by_output", "by_template", *ON_WORKERS):
        connected.wait_for_state(DAG_ID, run_id, task_id, "deferred")
    job_id = only_job(account)["job_id"]
    account.advance(RENDER_SECONDS)
    assert connected.wait_for_run(DAG_ID, run_id) == "failed"
    states = {it["task_id"]: it["state"] for it in connected.task_instances(DAG_ID, run_id)}
    return SimpleNamespace(run_id=run_id, states=states, job_id=job_id, posts=count(account, POST))


@pytest.mark.parametrize("task_id", ["by_output", "by_template", "by_list"])
def test_a_sensor_whose_job_succeeds_needs_no_task_process_at_all(airflow, finished, task_id):
    assert finished.states[task_id] == "success"
    assert task_processes(airflow, finished.run_id, task_id) == 0
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


def test_while_a_task_waits_its_button_leads_nowhere(airflow, account, finished):
    account.set_job(finished.job_id, "in-progress")
    run_id = airflow.trigger(GIVEN, {"job_id": finished.job_id})
    airflow.wait_for_state(GIVEN, run_id, "wait", "deferred")
    waiting = airflow.links(GIVEN, run_id, "wait")
    account.set_job(finished.job_id, "completed")

    assert airflow.wait_for_run(GIVEN, run_id) == "success"
    assert waiting["Play video"] is None
    assert airflow.links(GIVEN, run_id, "wait")["Play video"].startswith(account.url)


def test_the_line_at_the_end_is_in_the_tasks_log(airflow, finished):
    path = f"/dags/{DAG_ID}/dagRuns/{finished.run_id}/taskInstances/by_output/logs/1"
    shown = json.dumps(airflow.request("GET", path))

    assert f"Pictory job {finished.job_id} is completed: 5 s, 640x360, 8 AI credits used" in shown


def test_a_sensor_that_pushes_nothing_pushes_nothing(airflow, finished):
    assert finished.states["without_push"] == "success"
    assert task_processes(airflow, finished.run_id, "without_push") == 0
    assert airflow.xcoms(DAG_ID, finished.run_id, "without_push") == {}


@pytest.mark.parametrize("task_id", ON_WORKERS)
def test_where_something_would_be_missed_a_worker_defers_and_a_worker_resumes(airflow, finished, task_id):
    assert finished.states[task_id] == "success"
    assert task_processes(airflow, finished.run_id, task_id) == 2


def test_a_success_callback_is_called_and_an_asset_event_is_there(airflow, finished):
    logs = [text for name, text in airflow.log_files().items() if "task_id=with_callback/" in name]
    assert any("The callback was called" in text for text in logs)
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
    assert task_processes(airflow, finished.run_id, "without_xcom") == 1
    assert "PictoryInvalidRequestError" in json.dumps(airflow.request("GET", path))


def test_a_failed_job_fails_on_a_worker_without_a_retry(airflow, account, finished):
    account.set_job(finished.job_id, "failed", error_code="5002", error_message="PROMPT_REFUSED")
    run_id = airflow.trigger(GIVEN, {"job_id": finished.job_id})

    assert airflow.wait_for_run(GIVEN, run_id) == "failed"

    (task,) = airflow.task_instances(GIVEN, run_id)
    path = f"/dags/{GIVEN}/dagRuns/{run_id}/taskInstances/wait/logs/1"
    assert task["try_number"] == 1
    assert task_processes(airflow, run_id, "wait") == 1
    assert "failed (5002: PROMPT_REFUSED)" in json.dumps(airflow.request("GET", path))


def test_a_triggerer_that_dies_takes_up_what_it_had_started(airflow, account, finished):
    account.set_job(finished.job_id, "in-progress")
    run_id = airflow.trigger(GIVEN, {"job_id": finished.job_id})
    airflow.wait_for_state(GIVEN, run_id, "wait", "deferred")
    airflow.kill("triggerer")
    account.set_job(finished.job_id, "completed")
    airflow.start("triggerer")

    assert airflow.wait_for_run(GIVEN, run_id) == "success"
    assert task_processes(airflow, run_id, "wait") == 0


def test_with_a_listener_a_worker_defers_and_a_worker_resumes(airflow, account, finished):
    account.set_job(finished.job_id, "in-progress")
    plugins = airflow.home / "plugins"
    plugins.mkdir(exist_ok=True)
    (plugins / "listening.py").write_text(LISTENER)
    airflow.restart("triggerer")
    try:
        run_id = airflow.trigger(GIVEN, {"job_id": finished.job_id})
        airflow.wait_for(
            "a worker to have deferred",
            lambda: task_processes(airflow, run_id, "wait"),
            lambda processes: processes == 1,
            60,
        )
        airflow.wait_for_state(GIVEN, run_id, "wait", "deferred")
        account.set_job(finished.job_id, "completed")

        assert airflow.wait_for_run(GIVEN, run_id) == "success"
        assert task_processes(airflow, run_id, "wait") == 2
        logs = [text for name, text in airflow.log_files().items() if f"run_id={run_id}" in name]
        assert any("The listener heard of wait" in text for text in logs)
    finally:
        (plugins / "listening.py").unlink()
        airflow.restart("triggerer")
