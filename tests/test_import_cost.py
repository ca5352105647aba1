"""Parsing a DAG loads neither an HTTP client nor the hook, and describing Pictory doesn't need Airflow."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.support.airflow_versions import IS_3_0

# What any operator, sensor and trigger has to import, and any DAG to load; Airflow 2 loads requests with it.
ANYBODYS = """
from datetime import datetime, timezone

from airflow.providers.common.compat.sdk import (
    DAG, BaseOperator, BaseOperatorLink, BaseSensorOperator, conf, task
)
from airflow.triggers.base import BaseTrigger, TriggerEvent

with DAG("anybodys", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=timezone.utc)):

    @task
    def one(result):
        return result

    one(BaseOperator(task_id="other").output)
"""
A_DAG = """
from datetime import datetime, timezone

from airflow.providers.common.compat.sdk import DAG
from airflow_provider_pictory.operators.pictory import GenerateVideoOperator
from airflow_provider_pictory.sensors.pictory import VideoJobSensor
from airflow_provider_pictory.transfers.pictory_to_object_storage import PictoryToObjectStorageOperator

with DAG("parsed", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=timezone.utc)):
    generate = GenerateVideoOperator(task_id="generate", prompt="A red fox in snow")
    wait = VideoJobSensor(task_id="wait", job_id=generate.output)
    PictoryToObjectStorageOperator(task_id="save", video=wait.output, path="films/")

    from airflow_provider_pictory.decorators.pictory import pictory_video_task

    @pictory_video_task
    def clip():
        return "A red fox in snow"

    clip()

    from airflow_provider_pictory.decorators.batch import pictory_videos_task
    from airflow_provider_pictory.operators.batch import GenerateVideosOperator

    batch = GenerateVideosOperator(
        task_id="batch", requests=["A red fox in snow", {"key": "owl", "prompt": "An owl at dusk"}]
    )
    PictoryToObjectStorageOperator(task_id="save_all", video=batch.output, path="films/{key}.mp4")

    @pictory_videos_task
    def clips():
        return ["A red fox in snow"]

    clips()
"""
REST = """
import airflow_provider_pictory.exceptions
import airflow_provider_pictory.triggers.pictory
import airflow_provider_pictory.triggers.without_worker
"""
# Whatever else of ours is loaded is paid for at each parse of each file.
ENOUGH_FOR_A_DAG = {
    "airflow_provider_pictory.arguments",
    "airflow_provider_pictory.decorators",
    "airflow_provider_pictory.decorators.batch",
    "airflow_provider_pictory.decorators.pictory",
    "airflow_provider_pictory.links",
    "airflow_provider_pictory.links.pictory",
    "airflow_provider_pictory.literals",
    "airflow_provider_pictory.operators",
    "airflow_provider_pictory.operators.batch",
    "airflow_provider_pictory.operators.pictory",
    "airflow_provider_pictory.waiting",
    "airflow_provider_pictory.waiting.intervals",
    "airflow_provider_pictory.request_arguments",
    "airflow_provider_pictory.sensors",
    "airflow_provider_pictory.sensors.pictory",
    "airflow_provider_pictory.submission",
    "airflow_provider_pictory.submission.operator",
    "airflow_provider_pictory.waiting.poking",
    "airflow_provider_pictory.waiting.starting",
    "airflow_provider_pictory.transfers",
    "airflow_provider_pictory.transfers.pictory_to_object_storage",
}
A_DAG_OF_LITERALS = f"""{A_DAG}
    GenerateVideoOperator(
        task_id="literal",
        prompt="A red fox in snow, at dusk",
        model="veo3.1",
        duration=8,
        aspect_ratio="9:16",
        first_frame_image_url="https://example.com/1.png",
        webhook="https://example.com/done?of=1",
        wait_for_completion=True,
        deferrable=True,
        max_credits=200,
        check_quota=True,
        on_clear="new",
        on_unknown_submission="resubmit",
        resubmit_failed=True,
    )
    VideoJobSensor(
        task_id="one", job_id="4a09edf9-d071-4847-bda5-8dea913d80fe", deferrable=False, soft_fail=True
    )
    PictoryToObjectStorageOperator(
        task_id="keep",
        job_id="4a09edf9-d071-4847-bda5-8dea913d80fe",
        path="films/",
        overwrite=True,
        check_video=False,
    )
"""
EXPENSIVE = {
    "requests",
    "urllib3",
    "aiohttp",
    "ssl",
    "fsspec",
    "airflow_provider_pictory.saving.object_store",
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
    return modules_after(ANYBODYS, A_DAG, REST)


def test_parsing_a_dag_loads_no_http_client_and_no_hook(modules_of_a_dag):
    anybodys, ours, rest = modules_of_a_dag

    assert ours >= ENOUGH_FOR_A_DAG
    assert "airflow_provider_pictory.waiting.poller" in rest
    assert (ours | rest) & EXPENSIVE == set()
    assert IS_3_0 or "aiohttp" not in anybodys


def test_parsing_a_dag_loads_of_ours_only_what_describes_tasks(modules_of_a_dag):
    _, ours, _ = modules_of_a_dag

    assert {module for module in ours if module.startswith("airflow_provider_pictory.")} == ENOUGH_FOR_A_DAG


def test_checking_literals_loads_nothing_more_than_what_a_request_is_made_of():
    _, ours = modules_after(ANYBODYS, A_DAG_OF_LITERALS)

    assert {module for module in ours if module.startswith("airflow_provider_pictory.")} == {
        *ENOUGH_FOR_A_DAG,
        "airflow_provider_pictory.api",
        "airflow_provider_pictory.api.models",
        "airflow_provider_pictory.api.video_request",
    }


def test_parsing_a_dag_loads_little_that_is_not_ours(modules_of_a_dag):
    _, ours, _ = modules_of_a_dag

    assert len(ours - ENOUGH_FOR_A_DAG) < 40


def test_describing_pictory_loads_neither_airflow_nor_a_client():
    (ours,) = modules_after("from airflow_provider_pictory.api import *")

    assert {
        module for module in ours if module.partition(".")[0] in ("airflow", "requests", "aiohttp")
    } == set()
    assert {module for module in ours if module.startswith("airflow_provider_pictory.")} <= {
        "airflow_provider_pictory.api",
        *(
            f"airflow_provider_pictory.api.{name}"
            for name in (
                "responses",
                "checks",
                "errors",
                "headers",
                "json_text",
                "validation_errors",
                "jobs",
                "models",
                "redaction",
                "secret_search",
                "video_request",
            )
        ),
    }
