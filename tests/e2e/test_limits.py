"""A real Airflow keeps the shorter of both limits of a wait, and its log tells how the wait goes on."""

from __future__ import annotations

from datetime import datetime
from types import SimpleNamespace

import pytest

from tests.e2e.stage import scenario

pytestmark = pytest.mark.end_to_end

DAG_ID = "end_to_end_limits"
# Of the DAG's tasks, in seconds: their execution_timeout.
LIMIT = 30
WAYS = ("without_worker", "deferred", "rescheduled", "operator")


@scenario
def limited(stage):
    """Run the DAG to its end, while no job ends."""
    stage.account("pictory_limits")
    run_id = stage.airflow.trigger(DAG_ID)
    stage.airflow.wait_for_state(DAG_ID, run_id, "without_worker", "deferred")
    buttons = stage.airflow.wait_for(
        "the buttons of a task that a triggerer began",
        lambda: stage.airflow.links(DAG_ID, run_id, "without_worker"),
        lambda links: links["Pictory dashboard"],
        timeout=60,
    )
    state = stage.airflow.wait_for_run(DAG_ID, run_id)
    instances = {it["task_id"]: it for it in stage.airflow.task_instances(DAG_ID, run_id)}
    return SimpleNamespace(run_id=run_id, state=state, instances=instances, buttons=buttons)


def log_of(airflow, run_id, task_id, *, of_trigger):
    logs = airflow.log_files(f"dag_id={DAG_ID}/run_id={run_id}/task_id={task_id}/*")
    return "\n".join(text for name, text in logs.items() if (".trigger" in name) is of_trigger)


def test_while_a_task_waits_that_a_triggerer_began_its_buttons_are_there(limited):
    assert limited.buttons["Pictory dashboard"] == "https://app.pictory.ai/"
    assert limited.buttons["Play video"] is None


@pytest.mark.parametrize("task_id", WAYS)
def test_the_execution_timeout_ends_the_wait_however_it_waits_and_is_named(airflow, limited, task_id):
    instance = limited.instances[task_id]
    began, ended = (datetime.fromisoformat(instance[key]) for key in ("start_date", "end_date"))
    log = log_of(airflow, limited.run_id, task_id, of_trigger=False)

    assert limited.state == instance["state"] == "failed"
    assert "is over, but the job is not (status 'in-progress')" in log
    assert f"What ended it was its execution_timeout of {LIMIT} s." in log
    # A loaded machine takes its time to resume a task, and Airflow moves the beginning of a rescheduled one.
    assert (ended - began).total_seconds() < 6 * LIMIT


def test_under_soft_fail_it_is_skipped(limited):
    assert limited.instances["soft"]["state"] == "skipped"


@pytest.mark.parametrize("task_id", ["without_worker", "deferred", "operator"])
def test_the_triggers_own_log_tells_of_the_wait(airflow, limited, task_id):
    log = log_of(airflow, limited.run_id, task_id, of_trigger=True)

    assert log.count("Waiting for job ") == 1
    assert " UTC; next poll in " in log
