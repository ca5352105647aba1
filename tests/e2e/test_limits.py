"""A real Airflow keeps the shorter of both limits of a wait, and its log tells how the wait goes on."""

from __future__ import annotations

from datetime import datetime
from types import SimpleNamespace

import pytest

pytestmark = pytest.mark.end_to_end

DAG_ID = "end_to_end_limits"
LIMIT = 60
WAYS = ("without_worker", "deferred", "rescheduled", "operator")


@pytest.fixture(scope="module")
def finished(connected, moved):
    """Run the DAG to its end, while no job ends."""
    run_id = connected.trigger(DAG_ID)
    connected.wait_for_state(DAG_ID, run_id, "without_worker", "deferred")
    connected.wait_for(
        "the buttons of a task that a triggerer began",
        lambda: connected.links(DAG_ID, run_id, "without_worker")["Pictory dashboard"],
        bool,
        timeout=60,
    )
    assert connected.wait_for_run(DAG_ID, run_id, timeout=400) == "failed"
    instances = {it["task_id"]: it for it in connected.task_instances(DAG_ID, run_id)}
    return SimpleNamespace(run_id=run_id, instances=instances)


@pytest.fixture(scope="module")
def moved(connected):
    """Start a Pictory whose jobs never end."""
    from airflow_provider_pictory.sandbox.background import PictorySandbox
    from tests.conftest import API_KEY, RENDER_SECONDS

    with PictorySandbox(render_seconds=RENDER_SECONDS, api_key=API_KEY) as pictory:
        connected.request(
            "PATCH",
            "/connections/pictory_default?update_mask=host",
            {"connection_id": "pictory_default", "conn_type": "pictory", "host": pictory.url},
        )
        yield pictory


def log_of(airflow, run_id, task_id, *, of_trigger):
    return "\n".join(
        text
        for name, text in airflow.log_files().items()
        if f"run_id={run_id}/task_id={task_id}/" in name and (".trigger" in name) is of_trigger
    )


@pytest.mark.parametrize("task_id", WAYS)
def test_the_execution_timeout_ends_the_wait_however_it_waits_and_is_named(airflow, finished, task_id):
    instance = finished.instances[task_id]
    began, ended = (datetime.fromisoformat(instance[key]) for key in ("start_date", "end_date"))
    log = log_of(airflow, finished.run_id, task_id, of_trigger=False)

    assert instance["state"] == "failed"
    assert "is over, but the job is not (status 'in-progress')" in log
    assert f"What ended it was its execution_timeout of {LIMIT} s." in log
    # A loaded machine takes its time to resume a task, and Airflow moves the beginning of a rescheduled one.
    assert (ended - began).total_seconds() < 4 * LIMIT


def test_under_soft_fail_it_is_skipped(finished):
    assert finished.instances["soft"]["state"] == "skipped"


@pytest.mark.parametrize("task_id", ["without_worker", "deferred", "operator"])
def test_the_triggers_own_log_tells_of_the_wait(airflow, finished, task_id):
    log = log_of(airflow, finished.run_id, task_id, of_trigger=True)

    assert log.count("Waiting for job ") == 1
    assert " UTC; next poll in " in log
