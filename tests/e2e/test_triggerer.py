"""What becomes of waits on a real Airflow whose triggerer dies, or gets a listener."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tests.conftest import RENDER_SECONDS
from tests.e2e.stage import order, scenario
from tests.e2e.test_without_worker import GIVEN, task_processes
from tests.support.pictory_words import POST, count

pytestmark = pytest.mark.end_to_end

BATCH = "end_to_end_batch"

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


@scenario
def died(stage):
    airflow, account = stage.airflow, "pictory_died"
    pictory = stage.account(account)
    given = airflow.trigger(GIVEN, {"account": account, "job_id": order(pictory, "A boat in the harbour")})
    batch = airflow.trigger(BATCH, {"account": account})
    airflow.wait_for_state(GIVEN, given, "wait", "deferred")
    airflow.wait_for_state(BATCH, batch, "wait", "deferred")
    yield
    airflow.kill("triggerer")
    pictory.advance(RENDER_SECONDS)
    airflow.start("triggerer")
    return SimpleNamespace(
        run_id=given,
        given_state=airflow.wait_for_run(GIVEN, given),
        batch=batch,
        batch_state=airflow.wait_for_run(BATCH, batch),
        pictory=pictory,
    )


@scenario
def listened(stage):
    airflow, account = stage.airflow, "pictory_listened"
    pictory = stage.account(account)
    job_id = order(pictory, "A boat at sea")
    yield
    plugin = airflow.home / "plugins" / "listening.py"
    plugin.parent.mkdir(exist_ok=True)
    plugin.write_text(LISTENER)
    airflow.restart("triggerer")
    run_id = airflow.trigger(GIVEN, {"account": account, "job_id": job_id})
    airflow.wait_for(
        "a worker to have deferred", lambda: task_processes(airflow, GIVEN, run_id, "wait"), bool, 120
    )
    processes = task_processes(airflow, GIVEN, run_id, "wait")
    airflow.wait_for_state(GIVEN, run_id, "wait", "deferred")
    pictory.set_job(job_id, "completed")
    return SimpleNamespace(run_id=run_id, processes=processes, state=airflow.wait_for_run(GIVEN, run_id))


def test_a_triggerer_that_dies_while_jobs_are_waited_for_loses_none(airflow, died):
    assert died.batch_state == "success"
    assert [it["try_number"] for it in airflow.task_instances(BATCH, died.batch)] == [1] * 6
    # And one that a test ordered.
    assert count(died.pictory, POST) == 3 + 1


def test_a_triggerer_that_dies_takes_up_what_it_had_started(airflow, died):
    assert died.given_state == "success"
    assert task_processes(airflow, GIVEN, died.run_id, "wait") == 0


def test_with_a_listener_a_worker_defers_and_a_worker_resumes(airflow, listened):
    assert listened.processes == 1
    assert listened.state == "success"
    assert task_processes(airflow, GIVEN, listened.run_id, "wait") == 2
    logs = airflow.log_files(f"dag_id={GIVEN}/run_id={listened.run_id}/**/*")
    assert any("The listener heard of wait" in text for text in logs.values())
