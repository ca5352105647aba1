"""What a service that behaves unlike Pictory costs: one that redirects, and one whose ids are no UUIDs."""

from __future__ import annotations

import contextlib
import json
from urllib.parse import unquote

import pytest

from airflow_provider_pictory.exceptions import (
    PictoryConfigurationError,
    PictoryError,
    PictoryRedirectedError,
    PictorySubmissionIndeterminateError,
)
from airflow_provider_pictory.hooks.pictory import PictoryHook
from airflow_provider_pictory.operators.pictory import GenerateVideoOperator
from airflow_provider_pictory.sensors.pictory import VideoJobSensor
from airflow_provider_pictory.transfers.pictory_to_object_storage import PictoryToObjectStorageOperator
from airflow_provider_pictory.waiting import job_watch
from tests.support.bare_tasks import BareTask
from tests.support.file_hosts import film
from tests.support.loopback import Loopback, response

JOB_ID = "4a09edf9-d071-4847-bda5-8dea913d80fe"
LIST = "/pictoryapis/v1/jobs"
KEY = "pictai_never-to-be-seen"
ODD_IDS = ["a/b", "../quota", "%2F", "a?b=c", "a#b", "ä b", "7", 7, "x" * 3000]
HOPELESS_IDS = ["a\nb\x1b[31m", "..", "None", "[7]", "x" * 1_000_000]


class Service:
    """A Pictory of which a test decides what it says."""

    def __init__(self, job_id=JOB_ID):
        self.job_id = job_id
        self.redirect = None
        self.jobs = 0
        self.server = Loopback(self._serve)

    def _serve(self, server, connection, request):
        path = request.target.partition("?")[0]
        if self.redirect:
            status, location = self.redirect
            return response(b"", status, Location=location + request.target)(server, connection, request)
        if request.method == "POST":
            self.jobs += 1
            return response({"success": True, "data": {"jobId": self.job_id}})(server, connection, request)
        if path in (LIST, "/pictoryapis/v1/aistudio/videos"):
            return response({"items": [], "nextPageKey": None})(server, connection, request)
        if path == "/film.mp4":
            return response(film())(server, connection, request)
        if unquote(path.removeprefix(f"{LIST}/")) != str(self.job_id):
            return response({"error_code": "5000", "error_message": "JOB_NOT_FOUND"}, 404)(
                server, connection, request
            )
        data = {"status": "completed", "url": f"{self.server.url}/film.mp4"}
        return response({"job_id": self.job_id, "data": data})(server, connection, request)

    @property
    def asked(self):
        return [f"{request.method} {request.target}" for request in self.server.requests]


@pytest.fixture
def service_of():
    with contextlib.ExitStack() as running:

        def start(job_id=JOB_ID):
            service = Service(job_id)
            running.enter_context(service.server)
            return service

        yield start


@pytest.fixture
def connect(monkeypatch):
    def set_connection(url):
        connection = {"conn_type": "pictory", "host": url, "password": KEY}
        monkeypatch.setenv("AIRFLOW_CONN_PICTORY_DEFAULT", json.dumps(connection))

    return set_connection


def a_video(**arguments):
    return BareTask(lambda: GenerateVideoOperator(task_id="generate", prompt="A paper boat", **arguments))


# Redirects


@pytest.mark.parametrize("check_quota", [False, True])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirecting_host_is_found_out_before_anything_is_paid(service_of, connect, status, check_quota):
    old, new = service_of(), service_of()
    old.redirect = (status, new.server.url)
    connect(old.server.url)
    video = a_video(check_quota=check_quota)

    with pytest.raises(PictoryConfigurationError) as caught:
        video.execute()

    assert f"put '{new.server.url}' into the connection's host" in str(caught.value)
    assert not any(request.startswith("POST") for request in old.asked)
    assert new.server.connections == 0
    # Nothing was written down that would stand in the way of the corrected connection.
    assert video.state.texts == video.variables.texts == {}

    connect(new.server.url)
    video.clear()
    video._make = lambda: GenerateVideoOperator(task_id="generate", prompt="A paper boat")
    assert video.execute() == JOB_ID
    assert (old.jobs, new.jobs) == (0, 1)


@pytest.mark.parametrize(
    ("location", "advice"),
    [
        ("https://api.example", "put 'https://api.example' into the connection's host"),
        ("https://user:pass-word@api.example:8443/eu", "put 'https://api.example:8443/eu' into"),
        ("/login?token=5q3z&next=", "such as https://api.pictory.ai"),
        ("https://[::1", "such as https://api.pictory.ai"),
        ("javascript:alert(1)//", "such as https://api.pictory.ai"),
    ],
)
def test_the_address_that_a_redirect_leads_to_is_named(service_of, connect, location, advice):
    service = service_of()
    service.redirect = (308, location)
    connect(service.server.url)

    for call in (PictoryHook().get_quota, PictoryHook().list_jobs, PictoryHook().get_baseline):
        with pytest.raises(PictoryRedirectedError, match="not followed") as caught:
            call()
        assert advice in str(caught.value)
        assert "pass-word" not in str(caught.value)
        assert "5q3z" not in str(caught.value)
    assert advice in PictoryHook().test_connection()[1]


@pytest.mark.parametrize("deferrable", [False, True], ids=["poke", "deferred"])
def test_a_job_survives_a_redirect_that_passes(service_of, connect, deferrable, monkeypatch):
    service = service_of()
    service.redirect = (302, "http://portal.example/login")
    connect(service.server.url)
    wait = BareTask(
        lambda: VideoJobSensor(
            task_id="wait", job_id=JOB_ID, deferrable=deferrable, poke_interval=0.05, timeout=20
        )
    )

    def pass_after(job_id, *, get=PictoryHook.get_job):
        def get_job(hook, job_id):
            try:
                return get(hook, job_id)
            finally:
                service.redirect = None

        return get_job

    monkeypatch.setattr(PictoryHook, "get_job", pass_after(JOB_ID))

    assert wait.run()["job_id"] == JOB_ID


@pytest.mark.parametrize("deferrable", [False, True], ids=["poke", "deferred"])
def test_a_redirect_that_lasts_is_the_connections_fault(service_of, connect, deferrable, monkeypatch):
    monkeypatch.setattr(job_watch, "FORBIDDEN_GRACE", 0.3)
    service = service_of()
    service.redirect = (301, "https://api.example")
    connect(service.server.url)
    wait = BareTask(
        lambda: VideoJobSensor(
            task_id="wait", job_id=JOB_ID, deferrable=deferrable, poke_interval=0.05, timeout=60
        )
    )

    with pytest.raises(
        PictoryRedirectedError, match=r"put 'https://api\.example' into the connection's host"
    ):
        wait.run()


# Ids


@pytest.mark.parametrize("job_id", ODD_IDS, ids=lambda job_id: str(job_id)[:8])
@pytest.mark.parametrize("deferrable", [False, True], ids=["on the worker", "deferred"])
def test_whatever_id_a_submission_is_responded_with_can_be_awaited_and_saved(
    service_of, connect, tmp_path, job_id, deferrable
):
    service = service_of(job_id)
    connect(service.server.url)
    text = str(job_id)

    video = a_video(wait_for_completion=True, deferrable=deferrable)
    assert video.run() == video.xcoms["job_id"] == video.xcoms["video"]["job_id"] == text
    video.clear()
    # What it has delivered is not what a person wants once more, and until then it is the same job.
    waited = BareTask(lambda: VideoJobSensor(task_id="wait", job_id=text, deferrable=deferrable)).run()
    assert waited["job_id"] == text
    folder = tmp_path / "videos"
    saved = BareTask(
        lambda: PictoryToObjectStorageOperator(
            task_id="save", job_id=text, path=f"{folder}/", check_video=False
        )
    ).execute()

    assert [saved["path"]] == [str(path) for path in folder.iterdir()]
    assert list(tmp_path.iterdir()) == [folder]
    assert service.jobs == 1


@pytest.mark.parametrize("job_id", HOPELESS_IDS, ids=lambda job_id: str(job_id)[:4])
def test_an_id_that_nothing_can_be_asked_with_is_kept_and_nothing_is_paid_again(service_of, connect, job_id):
    service = service_of(job_id)
    connect(service.server.url)
    video = a_video()

    with pytest.raises(PictorySubmissionIndeterminateError) as caught:
        video.execute()

    error = caught.value
    assert "accepted the video, so it is paid for" in str(error)
    assert "on_clear='new'" in str(error)
    assert len(str(error)) < 1500
    assert error.job_id.isprintable()
    assert error.job_id[:2] == job_id[:2].replace("a\n", "a\\")
    assert len(error.job_id) <= 4000
    video.clear()
    with contextlib.suppress(PictoryError):
        video.execute()
    assert service.jobs == 1
