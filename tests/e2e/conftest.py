"""One real Airflow for all end-to-end tests, on which all that they are about happens at the same time."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.real_airflow import RealAirflow
from tests.e2e.stage import SCENARIOS, Stage

ROOT = Path(__file__).parents[2]

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
