"""Connections really end, stay silent or drip, as seen from a socket."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import time
from urllib.parse import urlsplit

import pytest
import requests

from airflow_provider_pictory.sandbox.background import PictorySandbox
from airflow_provider_pictory.sandbox.faults.kinds import (
    DropAfterProcessing,
    DropBeforeProcessing,
    DropWhileResponding,
)
from tests.sandbox.receiver import eventually

DROPS = (DropBeforeProcessing, DropAfterProcessing, DropWhileResponding)


def submission(sandbox, padding=0):
    body = json.dumps({"prompt": "A red fox", "padding": "x" * padding}).encode()
    head = (
        "POST /pictoryapis/v1/aistudio/videos HTTP/1.1\r\nHost: x\r\nUser-Agent: tests/1\r\n"
        f"Authorization: {sandbox.api_key}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def connected(sandbox):
    parts = urlsplit(sandbox.url)
    return socket.create_connection((parts.hostname, parts.port), timeout=5)


def read_to_the_end(connection):
    """Return what came, and whether the connection was reset rather than closed."""
    received = b""
    try:
        while chunk := connection.recv(65536):
            received += chunk
    except ConnectionResetError:
        return received, True
    return received, False


@pytest.mark.parametrize("is_reset", [True, False])
@pytest.mark.parametrize("kind", DROPS)
def test_it_ends_by_reset_or_by_closing_before_or_after_the_job_is_there(faulty, kind, is_reset):
    fault = kind(is_reset=is_reset, count=1)
    sandbox, client = faulty(fault)
    with connected(sandbox) as connection:
        connection.sendall(submission(sandbox))

        received, was_reset = read_to_the_end(connection)

    assert was_reset == is_reset
    created = 0 if kind is DropBeforeProcessing else 1
    counts = sandbox.counts()
    assert (counts["jobs_created"], counts["credits_used"]) == (created, 8 * created)
    assert counts["faults"] == {fault.kind: 1}
    if kind is DropWhileResponding:
        headers, _, body = received.partition(b"\r\n\r\n")
        whole = len(json.dumps({"success": True, "data": {"jobId": sandbox.jobs()[0]["job_id"]}}))
        assert headers.startswith(b"HTTP/1.1 200 ")
        assert f"Content-Length: {whole}".encode() in headers
        assert len(body) == whole // 2
    else:
        assert received == b""
        assert counts["statuses"] == {}
    assert client.submit().status_code == 200


def test_even_after_a_large_body_closing_is_no_reset(faulty):
    sandbox, _ = faulty("drop-before-processing:is-reset=no")
    with connected(sandbox) as connection:
        connection.sendall(submission(sandbox, padding=900_000))

        assert read_to_the_end(connection) == (b"", False)


@pytest.mark.parametrize("kind", DROPS)
def test_a_client_s_library_sees_an_error_and_can_go_on(faulty, kind):
    _, client = faulty(kind(count=3))

    for _ in range(3):
        with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
            client.submit()
    assert client.submit().status_code == 200


def test_a_download_can_break_off_and_be_resumed(faulty):
    sandbox, client = faulty()
    url = client.data(client.submitted())["url"]
    whole = requests.get(url, timeout=10).content
    sandbox.set_faults(["drop-while-responding:path=/files,is-reset=no,count=2"])

    received = b""
    for _ in range(3):
        with (
            requests.get(
                url, headers={"Range": f"bytes={len(received)}-"}, stream=True, timeout=5
            ) as response,
        ):
            assert response.status_code == 206
            try:
                for chunk in response.iter_content(4096):
                    received += chunk
            except requests.exceptions.ChunkedEncodingError:
                pass

    assert received == whole


def test_without_a_response_the_connection_stays_open_until_the_client_gives_up(faulty):
    sandbox, client = faulty("no-response:path=/v1/aistudio")

    for method in (client.session.post, client.session.get):
        with pytest.raises(requests.ReadTimeout):
            method(f"{client.api}/v1/aistudio/videos", json={"prompt": "A fox"}, timeout=0.1)
    assert sandbox.jobs() == []
    assert client.get("/v1/quota").status_code == 200


def test_a_request_without_a_response_ends_when_its_client_has_gone(faulty):
    sandbox, client = faulty("no-response:count=3")
    before = len(asyncio.all_tasks(sandbox._server.loop))

    for _ in range(3):
        with pytest.raises(requests.ReadTimeout):
            client.session.get(f"{client.api}/v1/quota", timeout=0.05)
    assert len(asyncio.all_tasks(sandbox._server.loop)) > before

    client.close()
    eventually(lambda: len(asyncio.all_tasks(sandbox._server.loop)) <= before)


def test_without_a_response_the_service_can_have_acted(faulty):
    sandbox, client = faulty("no-response:is-processed=yes")

    with pytest.raises(requests.ReadTimeout):
        client.session.post(f"{client.api}/v1/aistudio/videos", json={"prompt": "A fox"}, timeout=0.1)
    assert len(sandbox.jobs()) == 1


def test_a_dripping_response_never_lets_a_single_read_time_out(faulty):
    sandbox, client = faulty("dripping-response:seconds=0.01")

    with connected(sandbox) as connection:
        connection.settimeout(1)
        connection.sendall(submission(sandbox))
        begin, pieces = time.perf_counter(), []
        response = http.client.HTTPResponse(connection)
        response.begin()
        while piece := response.read1(65536):
            pieces.append(piece)

    assert time.perf_counter() - begin > 0.01 * 70
    assert len(pieces) > 30
    assert json.loads(b"".join(pieces))["data"]["jobId"] == sandbox.jobs()[0]["job_id"]
    sandbox.clear_faults()
    assert client.submit().status_code == 200


@pytest.mark.parametrize("fault", ["no-response", "slow-response:seconds=60", "dripping-response:seconds=60"])
def test_nothing_that_waits_holds_up_the_end(fault):
    with PictorySandbox(faults=[fault]) as sandbox, connected(sandbox) as connection:
        connection.sendall(submission(sandbox))
        while not sandbox.counts()["faults"]:
            time.sleep(0.01)
        time.sleep(0.05)
        begin = time.perf_counter()
        sandbox.stop()

        assert time.perf_counter() - begin < 0.9
