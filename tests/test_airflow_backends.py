"""Where XComs lie in an object store, and connections and Variables come from a secrets backend."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from airflow_provider_pictory.sandbox.background import PictorySandbox
from tests.conftest import API_KEY
from tests.support.airflow_versions import HEEDS_REFUSALS, without_debug_lines
from tests.support.pictory_words import POST, count

ROOT = Path(__file__).parents[1]

XCOM_BACKEND = "airflow.providers.common.io.xcom.backend.XComObjectStorageBackend"
SECRETS_BACKEND = "secrets_backends.Changing"

# Airflow reads these settings when it is first imported, so this runs in a process of its own, from the DAGs
# folder, where Airflow 3 finds what it runs. One process for all backends, since its start takes longest.
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
    import sys

    from secrets_backends import Changing

    for Changing.manner in sys.argv[1:]:
        print("BACKEND", Changing.manner, flush=True)
        run = dag.test()
        states = {it.task_id: str(it.state) for it in run.get_task_instances()}
        print("STATES", json.dumps(states), flush=True)
"""

BACKENDS = '''
from airflow.secrets.local_filesystem import LocalFilesystemBackend


class Changing(LocalFilesystemBackend):
    """Has what is in its files, and for what isn't there a manner of its own."""

    manner = ""

    def get_variable(self, key, *args, **kwargs):
        found = super().get_variable(key)
        if found is None and self.manner == "knows all":
            return "nothing special"
        if found is None and self.manner == "denies":
            from airflow.sdk.exceptions import AirflowSecretsBackendAccessDenied

            raise AirflowSecretsBackendAccessDenied(key)
        return found
'''

# What a backend says of a Variable that it doesn't have.
LEAVES_IT, KNOWS_ALL, DENIES = "leaves it to others", "knows all", "denies"


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

    def run(self, manners):
        """Run the DAG once with each, and return all that was said with which."""
        own = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_CONN_")}
        kwargs = {
            f"{name}_file_path": str(self.home / f"{name}.json") for name in ("connections", "variables")
        }
        done = subprocess.run(
            [sys.executable, str(self.home / "dags/videos.py"), *manners],
            cwd=self.home,
            env={
                **own,
                "PYTHONPATH": os.pathsep.join([str(ROOT), str(self.home / "modules")]),
                "AIRFLOW_HOME": str(self.home),
                "AIRFLOW__CORE__DAGS_FOLDER": str(self.home / "dags"),
                "AIRFLOW__CORE__XCOM_BACKEND": XCOM_BACKEND,
                "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH": self.xcoms.as_uri(),
                "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_THRESHOLD": "0",
                "AIRFLOW__SECRETS__BACKEND": SECRETS_BACKEND,
                "AIRFLOW__SECRETS__BACKEND_KWARGS": json.dumps(kwargs),
            },
            # In their order.
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=200,
            check=False,
        )
        said = without_debug_lines(done.stdout)
        assert API_KEY not in said
        parts = re.split(r"^BACKEND (.*)\n", said, flags=re.MULTILINE)
        return dict(zip(parts[1::2], parts[2::2], strict=True)) or said


@pytest.fixture(scope="module")
def ran(tmp_path_factory, airflow_database):
    """Run the DAG with each backend, the one that lets it pay last."""
    manners = [KNOWS_ALL, *([DENIES] if HEEDS_REFUSALS else []), LEAVES_IT]
    with PictorySandbox(api_key=API_KEY, render_seconds=0.2) as pictory:
        backends = Backends(tmp_path_factory.mktemp("backends"), airflow_database, pictory)
        said = backends.run(manners)
        return SimpleNamespace(
            said=said,
            stored=[json.loads(file.read_text()) for file in backends.xcoms.rglob("*") if file.is_file()],
            posts=count(pictory, POST),
            jobs=pictory.jobs(),
        )


def line(said, word):
    (found,) = [text for text in said.splitlines() if word in text]
    return json.loads(found.partition(f"{word} ")[2])


def test_xcoms_in_an_object_store_and_secrets_in_files_serve_as_airflows_own(ran):
    said = ran.said[LEAVES_IT]

    assert line(said, "STATES") == dict.fromkeys(["generate", "wait", "show"], "success"), said
    (job,) = ran.jobs
    video, result = line(said, "SHOWN")
    assert video == result
    assert (video["job_id"], video["status"]) == (job["job_id"], "completed")
    assert video in ran.stored
    assert job["job_id"] in ran.stored
    assert API_KEY not in json.dumps(ran.stored)


@pytest.mark.parametrize(
    "manner",
    [
        KNOWS_ALL,
        pytest.param(
            DENIES,
            marks=pytest.mark.skipif(
                not HEEDS_REFUSALS, reason="this Airflow overlooks a secrets backend's refusal"
            ),
        ),
    ],
)
def test_a_secrets_backend_that_hides_the_records_is_named_before_anything_is_paid(ran, manner):
    said = ran.said[manner]

    assert line(said, "STATES")["generate"] == "failed", said
    assert "PictoryRecordError" in said
    # Airflow 3.0 breaks lines, with colours.
    words = " ".join(re.sub(r"\x1b\[[\d;]*m", "", said).split())
    assert "has to leave those that begin with 'pictory_' to Airflow's database" in words
    # That of the backend that leaves them.
    assert ran.posts == 1
