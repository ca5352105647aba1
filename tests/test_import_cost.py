"""Parsing a DAG loads neither an HTTP client nor the hook, and describing Pictory doesn't need Airflow."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

# What any operator, sensor and trigger has to import; Airflow 2 loads requests with it.
ANYBODYS = """
from airflow.providers.common.compat.sdk import BaseOperator, BaseOperatorLink, BaseSensorOperator, conf, task
from airflow.triggers.base import BaseTrigger, TriggerEvent
"""
OURS = """
import airflow_provider_pictory.decorators.pictory
import airflow_provider_pictory.exceptions
import airflow_provider_pictory.links.pictory
import airflow_provider_pictory.operators.pictory
import airflow_provider_pictory.sensors.pictory
import airflow_provider_pictory.transfers.pictory_to_object_storage
import airflow_provider_pictory.triggers.pictory
"""
EXPENSIVE = {
    "requests",
    "urllib3",
    "aiohttp",
    "ssl",
    "fsspec",
    "airflow_provider_pictory.transfers.object_store",
    "airflow.providers.http",
    "airflow_provider_pictory.hooks",
}


def modules_after(*programs):
    """Run programs one after the other in one fresh Python, and give the modules that each one added."""
    report = "print(json.dumps(sorted(set(sys.modules) - before))); before = set(sys.modules)\n"
    program = "import json, sys\nbefore = set(sys.modules)\n" + "".join(
        text + "\n" + report for text in programs
    )
    finished = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return [set(json.loads(line)) for line in finished.stdout.splitlines() if line.startswith('["')]


@pytest.fixture(scope="module")
def modules_of_a_dag():
    return modules_after(ANYBODYS, OURS)


def test_parsing_a_dag_loads_no_http_client_and_no_hook(modules_of_a_dag):
    anybodys, ours = modules_of_a_dag

    assert {"airflow_provider_pictory.operators.pictory", "airflow_provider_pictory.triggers.pictory"} <= ours
    assert ours & EXPENSIVE == set()
    assert "aiohttp" not in anybodys


def test_parsing_a_dag_adds_little_to_what_airflow_loads_anyway(modules_of_a_dag):
    _, ours = modules_of_a_dag

    assert {module for module in ours if module.startswith("airflow_provider_pictory.sandbox")} == set()
    assert len([module for module in ours if not module.startswith("airflow_provider_pictory")]) < 100


def test_describing_pictory_loads_neither_airflow_nor_a_client():
    (ours,) = modules_after("import airflow_provider_pictory.api")

    assert {
        module for module in ours if module.partition(".")[0] in ("airflow", "requests", "aiohttp")
    } == set()
    assert {module for module in ours if module.startswith("airflow_provider_pictory.")} <= {
        "airflow_provider_pictory.api",
        *(
            f"airflow_provider_pictory.api.{name}"
            for name in ("answers", "checks", "faults", "jobs", "models", "video_request")
        ),
    }
