"""Whatever a sandbox is sent, there is an end to what it keeps and to what it does at a time."""

from __future__ import annotations

import resource
import threading
import time

import pytest
import requests

from airflow_provider_pictory.sandbox import scripted_responses, service, sources, webhooks
from airflow_provider_pictory.sandbox.faults import InvalidFaultError
from airflow_provider_pictory.sandbox.faults.reading import MOST_FAULTS
from tests.sandbox.receiver import eventually
from tests.sandbox.test_sources import a_picture, host, saved

__all__ = ["host"]


@pytest.fixture
def control(pictory_sandbox):
    def call(method, path, body=None, **arguments):
        arguments = arguments or {"json": body}
        return requests.request(method, f"{pictory_sandbox.url}/sandbox{path}", timeout=30, **arguments)

    return call


class TestScriptedResponses:
    @pytest.mark.parametrize("times", [10**9, 10**30, 0, -1, True, 1.0, "1"])
    def test_they_cannot_be_given_as_often_as_one_likes(self, client, control, times):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

        response = control("POST", "/responses", {"status": 500, "times": times})

        assert (response.status_code, "times" in response.json()["message"]) == (400, True)
        assert client.get("/v1/quota").status_code == 200
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024

    def test_often_is_free(self, pictory_sandbox, client):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

        pictory_sandbox.respond_next("/v1/quota", status=503, times=1_000_000)

        assert [client.get("/v1/quota").status_code for _ in range(3)] == [503] * 3
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50 * 1024

    def test_so_many_and_so_large_ones_wait_and_no_more(self, pictory_sandbox, control, monkeypatch):
        monkeypatch.setattr(scripted_responses, "MOST_RESPONSES", 3)
        monkeypatch.setattr(scripted_responses, "MOST_BYTES_OF_RESPONSES", 2**20)

        with pytest.raises(ValueError, match="at most 3 responses of 1 MB in all"):
            pictory_sandbox.respond_next(body=b"x" * 2**21)
        statuses = [control("POST", "/responses", {"path": "/none"}).status_code for _ in range(5)]
        assert statuses == [200, 200, 200, 400, 400]

    @pytest.mark.parametrize("headers", [{"A": "b\r\nC: d"}, {"A\n": "b"}, {"A": "\0"}])
    def test_a_header_that_is_no_line_is_refused(self, control, headers):
        assert control("POST", "/responses", {"headers": headers}).status_code == 400

    @pytest.mark.parametrize("body", [{"path": "/" + "x" * 2000}, {"a\nb" * 9000: 1}])
    def test_names_and_texts_have_a_length(self, control, body):
        response = control("POST", "/responses", body)

        assert response.status_code == 400
        assert len(response.json()["message"]) < 300


class TestFaults:
    def test_there_are_so_many_and_no_more(self, pictory_sandbox, control):
        assert control("PUT", "/faults", {"faults": ["html-page:path=/x"] * MOST_FAULTS}).status_code == 200

        for method, body in (("POST", "html-page"), ("PUT", {"faults": ["html-page"] * (MOST_FAULTS + 1)})):
            response = control(method, "/faults", body)
            assert (response.status_code, str(MOST_FAULTS) in response.json()["message"]) == (400, True)
        with pytest.raises(InvalidFaultError):
            pictory_sandbox.set_faults("html-page" for _ in iter(int, 1))
        assert len(pictory_sandbox.faults()) == MOST_FAULTS

    def test_their_texts_have_a_length(self, control):
        for name in ("error_message", "error_code"):
            assert control("POST", "/faults", {"kind": "job-fails", name: "x" * 1001}).status_code == 400


class TestJobs:
    def test_the_oldest_that_ended_go_and_their_files_with_them(
        self, pictory_sandbox, client, host, monkeypatch
    ):
        monkeypatch.setattr(service, "MOST_JOBS", 3)
        url = host.give("/sun.png", saved(a_picture()))
        first = client.submitted(firstFrameImageUrl=url)
        video = client.data(first)["url"]
        assert requests.get(video, timeout=30).status_code == 200
        others = [client.submitted() for _ in range(4)]

        assert [job["job_id"] for job in pictory_sandbox.jobs()] == others[1:]
        assert client.job(first).status_code == 404
        assert requests.get(video, timeout=30).status_code == 404
        assert client.ai_credits()["used"] == 5 * 8

    def test_those_in_progress_stay_and_there_are_no_more_than_so_many(
        self, pictory_sandbox_factory, client_of, monkeypatch
    ):
        monkeypatch.setattr(service, "MOST_JOBS", 3)
        sandbox = pictory_sandbox_factory(render_seconds=60)
        client = client_of(sandbox)
        jobs = [client.submitted() for _ in range(3)]

        response = client.submit()

        assert response.status_code == 429
        assert "none of them has ended" in response.json()["message"]
        assert [job["job_id"] for job in sandbox.jobs()] == jobs
        assert client.ai_credits()["used"] == 3 * 8
        sandbox.advance(60)
        assert client.submit().status_code == 200

    def test_what_their_bodies_take_has_an_end_too(self, pictory_sandbox, client, monkeypatch):
        monkeypatch.setattr(service, "MOST_BYTES_OF_ORDERS", 2**20)
        for _ in range(4):
            client.submitted(nonsense="x" * 400_000)

        assert len(pictory_sandbox.jobs()) == 2
        assert client.submit(nonsense="x" * 2**21).status_code == 413

    def test_the_ledger_has_an_end(self, pictory_sandbox, client, monkeypatch):
        monkeypatch.setattr(service, "_MOST_TRANSACTIONS", 2)
        for _ in range(4):
            client.submitted()

        assert len(client.get("/v1/aicredits/usage").json()) == 2
        assert client.ai_credits()["used"] == 4 * 8

    def test_a_status_has_a_length(self, client, control):
        job_id = client.submitted()

        assert control("POST", f"/jobs/{job_id}", {"status": "x" * 2000}).status_code == 400


def test_so_many_sources_are_fetched_at_a_time(pictory_sandbox, client, host, monkeypatch):
    most, now, lock = [0], [0], threading.Lock()

    class Counting(dict):
        def __getitem__(self, path):
            with lock:
                now[0] += 1
                most[0] = max(most[0], now[0])
            time.sleep(0.2)
            with lock:
                now[0] -= 1
            return super().__getitem__(path)

    url = host.give("/sun.png", saved(a_picture()))
    host.files = Counting(host.files)
    for _ in range(12):
        client.submitted(firstFrameImageUrl=url)

    eventually(lambda: all(job["status"] == "completed" for job in pictory_sandbox.jobs()))
    assert 1 < most[0] <= sources._MOST_AT_ONCE


def test_so_many_webhooks_are_called_at_a_time(pictory_sandbox_factory, client_of, receiver, monkeypatch):
    monkeypatch.setattr(webhooks, "_MOST_AT_ONCE", 2)
    sandbox = pictory_sandbox_factory(render_seconds=60)
    client = client_of(sandbox)
    receiver.delay = 0.3
    for _ in range(6):
        client.submitted(webhook=receiver.url)

    begin = time.monotonic()
    sandbox.advance(60)
    eventually(lambda: sandbox.counts()["webhooks_sent"] == 6)

    assert time.monotonic() - begin > 0.8
