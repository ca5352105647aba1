"""The examples: reading them is free, and each runs to its end as it stands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.pictory_words import POST, count, only_job

FOLDER = Path(__file__).parents[2] / "example_dags"
FILES = sorted(FOLDER.glob("*.py"))

# Runs in a process of its own, where nothing is imported yet and what is done can be watched from the start.
READ_WATCHED = """
import importlib.util, json, sys

touched = []
watched = ("socket.connect", "socket.getaddrinfo", "sqlite3.connect")

def watch(event, arguments):
    if event in watched:
        touched.append([event, repr(arguments)])

import airflow.providers.common.compat.sdk as sdk
# What every DAG file needs, whatever it uses of ours.
sdk.DAG, sdk.BaseOperator, sdk.BaseSensorOperator, sdk.Param, sdk.task
import pendulum

sys.addaudithook(watch)
dag_ids = []
for number, path in enumerate(sys.argv[1:]):
    specification = importlib.util.spec_from_file_location(f"example_{number}", path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    dag_ids.append(module.dag.dag_id)

from airflow_provider_pictory.operators.pictory import GenerateVideoOperator
from airflow_provider_pictory.sensors.pictory import VideoJobSensor
GenerateVideoOperator(task_id="generate", prompt="A paper boat", pictory_conn_id="nowhere", deferrable=True)
VideoJobSensor(task_id="wait", job_id="{{ some.id }}", pictory_conn_id="nowhere")

loaded = [name for name in ("aiohttp", "airflow_provider_pictory.hooks.pictory") if name in sys.modules]
print(json.dumps({"dag_ids": dag_ids, "touched": touched, "loaded": loaded}))
"""


def load(path):
    from airflow.models.dagbag import DagBag

    bag = DagBag(dag_folder=str(path))
    assert bag.import_errors == {}
    return bag


@pytest.fixture
def example(run_dag):
    """Run an example as it stands in its file."""

    def run(path, conf=None):
        (dag,) = load(path).dags.values()
        return run_dag(dag, conf)

    return run


def test_reading_them_touches_neither_network_nor_database_and_loads_nothing_heavy(tmp_path):
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_CONN_")},
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path}/never-there/airflow.db",
    }

    reading = subprocess.run(
        [sys.executable, "-c", READ_WATCHED, *map(str, FILES)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert reading.returncode == 0, reading.stderr
    found = json.loads(reading.stdout.splitlines()[-1])
    assert found == {"dag_ids": [path.stem for path in FILES], "touched": [], "loaded": []}


def test_airflow_finds_no_fault_in_any(airflow_database):
    bag = load(FOLDER)

    assert sorted(bag.dags) == [path.stem for path in FILES]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_has_a_docstring_and_tags_to_be_found_by(path):
    (dag,) = load(path).dags.values()

    assert path.read_text().startswith('"""')
    assert {"example", "pictory"} <= set(dag.tags)


def test_generate_video_saves_the_video_under_the_jobs_name(pictory, example, tmp_path):
    folder = tmp_path / "videos" / "of today"

    run = example(
        FOLDER / "example_pictory_generate_video.py", {"folder": str(folder), "prompt": "A red fox"}
    )

    job = only_job(pictory)
    (file,) = folder.iterdir()
    assert run.states == dict.fromkeys(("generate", "wait", "save"), "success")
    assert run.xcom("save") == str(file)
    assert file.name == f"{job['job_id']}.mp4"
    assert file.read_bytes()[4:8] == b"ftyp"
    assert job["request"]["prompt"] == "A red fox"
    assert count(pictory, POST) == 1


def test_daily_video_greets_with_the_date(pictory, example):
    run = example(FOLDER / "example_pictory_daily_video.py")

    (job,) = pictory.jobs()
    assert run.states == dict.fromkeys(("generate", "wait"), "success")
    assert run.xcom("wait")["job_id"] == job["job_id"]
    assert (run.xcom("wait")["width"], run.xcom("wait")["height"]) == (360, 640)
    assert f"{datetime.now(UTC):%B}" in job["request"]["prompt"]
    assert "{{" not in job["request"]["prompt"]
