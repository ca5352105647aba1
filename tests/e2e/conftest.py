"""One real Airflow and one Pictory for all end-to-end tests of a module."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_pictory.sandbox.background import PictorySandbox
from tests.conftest import API_KEY, RENDER_SECONDS
from tests.e2e.real_airflow import RealAirflow

ROOT = Path(__file__).parents[2]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    """Show what Airflow wrote last below the failure of a test that used it."""
    report = yield
    if report.failed and "airflow" in getattr(item, "funcargs", {}):
        report.sections.append(("Airflow's logs", item.funcargs["airflow"].tail()))
    return report


@pytest.fixture(scope="module")
def airflow(tmp_path_factory):
    """Start a real Airflow with the example DAGs and those of the end-to-end tests."""
    dag_files = [*(ROOT / "example_dags").glob("*.[cp]*"), *(ROOT / "tests/e2e/dags").glob("*.py")]
    with RealAirflow(tmp_path_factory.mktemp("airflow"), dag_files) as airflow:
        yield airflow


@pytest.fixture(scope="module")
def connected(airflow):
    """Give Airflow the connection ``pictory_default``, which each test's Pictory moves to itself."""
    airflow.request(
        "POST",
        "/connections",
        {"connection_id": "pictory_default", "conn_type": "pictory", "password": API_KEY},
    )
    return airflow


@pytest.fixture
def pictory(connected):
    """Start a Pictory for one test, whose jobs are in progress until the test moves its time ahead."""
    with PictorySandbox(render_seconds=RENDER_SECONDS, api_key=API_KEY) as pictory:
        connected.request(
            "PATCH",
            "/connections/pictory_default?update_mask=host",
            {"connection_id": "pictory_default", "conn_type": "pictory", "host": pictory.url},
        )
        yield pictory
