"""Where XComs lie in an object store, and connections and Variables come from a secrets backend."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import API_KEY
from tests.support.airflow_versions import without_debug_lines
from tests.support.pictory_words import POST, count, only_job

ROOT = Path(__file__).parents[1]

XCOM_BACKEND = "airflow.providers.common.io.xcom.backend.XComObjectStorageBackend"
SECRETS_BACKEND = "airflow.secrets.local_filesystem.LocalFilesystemBackend"
OVERLOOKED = "this Airflow overlooks a secrets backend's refusal"

# Airflow reads these settings when it is first imported, so this runs in a process of its own, from the DAGs
# folder, where Airflow 3 finds what it runs.
DAG_FILE = """
import json
from datetime import datetime, timezone

from airflow.providers.common.compat.sdk import DAG, BaseOperator

from airflow_provider_pictory.operators.pictory import GenerateVideoOperator
from airflow_provider_pictory.sensors.pictory import VideoJobSensor


class Show(BaseOperator):
    template_fields = ("video", "result")

    def __init__(self, video, result, **kwargs):
        super().__init__(**kwargs)
        self.video, self.result = video, result

    def execute(self, context):
        print("SHOWN", json.dumps([self.video, self.result]), flush=True)


with DAG("videos", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=timezone.utc)) as dag:
    generate = GenerateVideoOperator(
        task_id="generate", prompt="{{ var.value.what_to_show }}", wait_for_completion=True
    )
    wait = VideoJobSensor(task_id="wait", job_id=generate.output)
    Show(task_id="show", video=generate.output["video"], result=wait.output)

if __name__ == "__main__":
    run = dag.test()
    print("STATES", json.dumps({it.task_id: str(it.state) for it in run.get_task_instances()}), flush=True)
"""

BACKENDS = '''
from airflow.secrets.local_filesystem import LocalFilesystemBackend


class KnowsAll(LocalFilesystemBackend):
    """Has a value for every Variable, as a backend with a default has."""

    def get_variable(self, key, *args, **kwargs):
        return super().get_variable(key) or "nothing special"


class Denies(LocalFilesystemBackend):
    """Insists that there is nothing but what it has."""

    def get_variable(self, key, *args, **kwargs):
        found = super().get_variable(key)
        if found is None:
            from airflow.sdk.exceptions import AirflowSecretsBackendAccessDenied

            raise AirflowSecretsBackendAccessDenied(key)
        return found
'''


class Backends:
    """
    An Airflow home of its own, with such backends.

    :param home: an empty folder.
    :param database: of an Airflow that has run nothing.
    :param pictory: where the connection leads.
    """

    def __init__(self, home, database, pictory):
        self.home = home
        self.xcoms = home / "xcoms"
        for folder in ("dags", "modules"):
            (home / folder).mkdir()
        (home / "dags/videos.py").write_text(DAG_FILE)
        (home / "modules/secrets_backends.py").write_text(BACKENDS)
        shutil.copy(database, home / "airflow.db")
        files = {
            "connections": {"pictory_default": json.loads(pictory.connection_json)},
            "variables": {"what_to_show": "A paper boat on a rainy street"},
        }
        for name, content in files.items():
            (home / f"{name}.json").write_text(json.dumps(content))

    def run(self, secrets_backend=SECRETS_BACKEND):
        """Run the DAG once, and return all that was said."""
        own = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_CONN_")}
        kwargs = {
            f"{name}_file_path": str(self.home / f"{name}.json") for name in ("connections", "variables")
        }
        done = subprocess.run(
            [sys.executable, str(self.home / "dags/videos.py")],
            cwd=self.home,
            env={
                **own,
                "PYTHONPATH": os.pathsep.join([str(ROOT), str(self.home / "modules")]),
                "AIRFLOW_HOME": str(self.home),
                "AIRFLOW__CORE__DAGS_FOLDER": str(self.home / "dags"),
                "AIRFLOW__CORE__XCOM_BACKEND": XCOM_BACKEND,
                "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH": self.xcoms.as_uri(),
                "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_THRESHOLD": "0",
                "AIRFLOW__SECRETS__BACKEND": secrets_backend,
                "AIRFLOW__SECRETS__BACKEND_KWARGS": json.dumps(kwargs),
            },
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        said = without_debug_lines(done.stdout + done.stderr)
        assert API_KEY not in said
        return said


@pytest.fixture
def backends(tmp_path, airflow_database, pictory):
    return Backends(tmp_path, airflow_database, pictory)


def line(said, word):
    (found,) = [text for text in said.splitlines() if word in text]
    return json.loads(found.partition(f"{word} ")[2])


def test_xcoms_in_an_object_store_and_secrets_in_files_serve_as_airflows_own(backends, pictory):
    said = backends.run()

    assert line(said, "STATES") == dict.fromkeys(["generate", "wait", "show"], "success"), said
    job_id = only_job(pictory)["job_id"]
    video, result = line(said, "SHOWN")
    assert video == result
    assert (video["job_id"], video["status"]) == (job_id, "completed")
    stored = [json.loads(file.read_text()) for file in backends.xcoms.rglob("*") if file.is_file()]
    assert video in stored
    assert job_id in stored
    assert API_KEY not in json.dumps(stored)


@pytest.mark.parametrize("name", ["KnowsAll", "Denies"])
def test_a_secrets_backend_that_hides_the_records_is_named_before_anything_is_paid(backends, pictory, name):
    if name == "Denies":
        exceptions = pytest.importorskip("airflow.sdk.exceptions", reason=OVERLOOKED)
        if not hasattr(exceptions, "AirflowSecretsBackendAccessDenied"):
            pytest.skip(OVERLOOKED)
    said = backends.run(f"secrets_backends.{name}")

    assert line(said, "STATES")["generate"] == "failed", said
    assert "PictoryRecordError" in said
    # Airflow 3.0 breaks lines, with colours.
    words = " ".join(re.sub(r"\x1b\[[\d;]*m", "", said).split())
    assert "has to leave those that begin with 'pictory_' to Airflow's database" in words
    assert count(pictory, POST) == 0
