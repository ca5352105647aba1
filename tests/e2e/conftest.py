"""One real Airflow for all end-to-end tests, on which all that they are about happens at the same time."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from cryptography.fernet import Fernet

from tests.e2e.real_airflow import RealAirflow
from tests.e2e.stage import SCENARIOS, Stage, scenario
from tests.support.pictory_words import the_job

ROOT = Path(__file__).parents[2]
EXAMPLE = "example_pictory_generate_video"
CONSUMER = "example_pictory_asset_consumer"

# Nobody changes a DAG file, and nobody shall wait for a loop's next round.
SETTINGS = {
    "AIRFLOW__CORE__PARALLELISM": "6",
    "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "600",
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "600",
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.3",
    "AIRFLOW__SCHEDULER__MAX_DAGRUNS_TO_CREATE_PER_LOOP": "100",
    "AIRFLOW__SCHEDULER__MAX_DAGRUNS_PER_LOOP_TO_SCHEDULE": "100",
    "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "2",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "6",
}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    """Show what Airflow wrote last about the runs that a failed test looked at."""
    report = yield
    if report.failed and "airflow" in (found := getattr(item, "funcargs", {})):
        run_ids = {getattr(seen, "run_id", None) for seen in found.values()} - {None}
        for run_id in run_ids:
            report.sections.append(("Airflow's logs", found["airflow"].tail(f"run_id={run_id}/")))
    return report


@pytest.fixture(scope="session")
def airflow(tmp_path_factory):
    """Start a real Airflow with the example DAGs and those of the end-to-end tests."""
    dag_files = [*(ROOT / "example_dags").glob("*.[cp]*"), *(ROOT / "tests/e2e/dags").glob("*.py")]
    with RealAirflow(tmp_path_factory.mktemp("airflow"), dag_files, SETTINGS, is_busy=True) as airflow:
        yield airflow


@pytest.fixture(scope="session")
def stage(airflow, request):
    """Begin the scenarios of all tests that were chosen."""
    asked_for = {name for item in request.session.items for name in getattr(item, "fixturenames", ())}
    with Stage(airflow, [name for name in SCENARIOS if name in asked_for]) as stage:
        yield stage


def stored_trigger(airflow, number):
    """Return what the database holds about a waiting trigger; Airflow doesn't encrypt all of it."""
    ((path, kwargs),) = airflow.query(f"SELECT classpath, kwargs FROM trigger WHERE id = {number}")
    decrypt = Fernet(airflow.fernet_key).decrypt
    return path, kwargs if kwargs.startswith("{") else decrypt(kwargs.encode()).decode()


@scenario
def generated(stage):
    """Somebody starts the first example by hand, and another DAG is scheduled on what it saves."""
    airflow, pictory, folder = stage.airflow, stage.account(), stage.folder("generated")
    prompt = "A red fox in snow"
    airflow.unpause(CONSUMER)
    run_id = airflow.trigger(EXAMPLE, {"prompt": prompt, "model": "veo3.1_fast", "folder": str(folder)})
    (deferred,) = airflow.wait_for_state(EXAMPLE, run_id, "wait", "deferred")
    trigger = stored_trigger(airflow, deferred["trigger"]["id"])
    airflow.wait_for(
        "the triggerer to poll", lambda: the_job(pictory, prompt)["polls"], lambda polls: polls == 1, 60
    )
    pictory.set_job(the_job(pictory, prompt)["job_id"], "completed")
    state = airflow.wait_for_run(EXAMPLE, run_id)
    consumed = airflow.wait_for_first_run(CONSUMER)
    return SimpleNamespace(
        run_id=run_id,
        state=state,
        pictory=pictory,
        job=the_job(pictory, prompt),
        folder=folder,
        deferred=deferred,
        trigger=trigger,
        consumed=consumed,
        consumer_state=airflow.wait_for_run(CONSUMER, consumed),
    )
