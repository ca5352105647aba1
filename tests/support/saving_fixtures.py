"""Transfers here take real MP4s from hosts on this machine, to its disk and to an S3 server on it."""

from __future__ import annotations

import inspect
import time
from types import SimpleNamespace

import pytest

from airflow_provider_pictory.saving import file_host, source
from airflow_provider_pictory.transfers.pictory_to_object_storage import PictoryToObjectStorageOperator
from tests.support.file_hosts import HEIGHT, SECONDS, WIDTH
from tests.support.loopback import Loopback
from tests.support.pictory_words import submit


@pytest.fixture(autouse=True)
def pauses(monkeypatch):
    """Note the pauses after fruitless attempts, and don't wait."""
    slept = []
    # Not in the time module itself, where the servers would miss theirs.
    clock = SimpleNamespace(monotonic=time.monotonic, sleep=slept.append)
    for module in (file_host, source):
        monkeypatch.setattr(module, "time", clock)
    return slept


@pytest.fixture(autouse=True)
def no_surroundings(monkeypatch, tmp_path):
    """Let nothing of this machine's own setup reach the clients."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-configuration"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def serve():
    """Start hosts that end with the test; takes what :class:`Loopback` takes."""
    running = []

    def start(*responses):
        server = Loopback(*responses)
        running.append(server)
        return server.__enter__()

    yield start
    for server in running:
        server.__exit__()


@pytest.fixture
def finished_job(pictory):
    """
    Finish a job whose file is on some other host, and give the job's id.

    Each poll of the job gives the next of the URLs, the last one for ever.
    """

    def finish(*urls, **facts):
        job_id = submit()
        for url in (*urls, *[urls[-1]] * 20):
            data = {
                "status": "completed",
                "url": url,
                "duration": f"{SECONDS}s",
                "width": WIDTH,
                "height": HEIGHT,
                **facts,
            }
            body = {"job_id": job_id, "success": True, "data": data}
            pictory.respond_next(f"/v1/jobs/{job_id}", body=body)
        return job_id

    return finish


@pytest.fixture
def save():
    """Run the operator, on any thread, and give what it returns."""

    def save(**arguments):
        operator = PictoryToObjectStorageOperator(task_id="save", **arguments)
        # Without Airflow's wrapper, which wants to be called by a task's own thread alone.
        return inspect.unwrap(type(operator).execute)(operator, {})

    return save
