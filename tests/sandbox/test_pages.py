"""No page of the web can steer a sandbox, and who listens for other machines is told what that means."""

from __future__ import annotations

import logging

import pytest
import requests

from airflow_provider_pictory.sandbox.background import PictorySandbox
from tests.sandbox.client import PROMPT

STEERING = [
    ("POST", "/sandbox/responses", {"status": 500}),
    ("POST", "/sandbox/jobs/{job_id}", {"status": "failed"}),
    ("PUT", "/sandbox/faults", {"faults": ["html-page"]}),
    ("POST", "/sandbox/faults", "html-page"),
    ("DELETE", "/sandbox/faults", None),
    ("GET", "/sandbox/jobs", None),
    ("GET", "/sandbox/counts", None),
    ("GET", "/%73andbox/counts", None),
]


@pytest.fixture
def call(pictory_sandbox, client):
    job_id = client.submitted()

    def call(method, path, body, headers):
        url = pictory_sandbox.url + path.format(job_id=job_id)
        return requests.request(method, url, json=body, headers=headers, timeout=5).status_code

    return call


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://127.0.0.1.evil.example"},
        {"Host": "evil.example"},
        {"Host": "evil.example:8765", "Origin": "http://evil.example:8765"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": "[::1"},
    ],
)
def test_a_page_cannot_steer_it(pictory_sandbox, call, headers):
    assert {call(method, path, body, headers) for method, path, body in STEERING} == {403}

    assert pictory_sandbox.faults() == []
    assert pictory_sandbox.jobs()[0]["status"] == "completed"
    assert call("GET", "/pictoryapis/v1/quota", None, {"Authorization": "pictai_x"}) == 200


@pytest.mark.parametrize(
    "name", ["localhost", "LOCALHOST:8765", "127.0.0.1", "[::1]:8765", "192.0.2.7", "pictory"]
)
def test_who_steers_it_by_hand_or_from_its_own_address_can(call, name):
    for origin in ({}, {"Origin": f"http://{name}"}, {"Origin": f"https://{name}"}):
        assert call("GET", "/sandbox/counts", None, {"Host": name, **origin}) == 200


def test_it_can_be_steered_under_the_name_that_it_listens_on(pictory_sandbox_factory):
    sandbox = pictory_sandbox_factory(host="localhost")

    assert requests.get(f"{sandbox.url}/sandbox/counts", timeout=5).status_code == 200


def test_a_page_cannot_submit_either_but_may_show_the_files(pictory_sandbox, client):
    page = {"Origin": "https://evil.example"}
    url = client.data(client.submitted())["url"]

    response = client.session.post(
        f"{client.api}/v1/aistudio/videos", json={"prompt": PROMPT}, headers=page, timeout=5
    )

    assert response.status_code == 403
    assert len(pictory_sandbox.jobs()) == 1
    assert requests.get(url, headers={**page, "Range": "bytes=0-9"}, timeout=30).status_code == 206


def test_the_api_responds_under_any_name_since_a_tunnel_has_its_own(client):
    assert client.get("/v1/quota", headers={"Host": "tunnel.example"}).status_code == 200


@pytest.mark.parametrize(
    ("host", "is_warned"), [("0.0.0.0", True), ("127.0.0.1", False), ("localhost", False)]
)
def test_listening_for_other_machines_is_said(caplog, host, is_warned):
    with caplog.at_level(logging.WARNING), PictorySandbox(host=host):
        pass

    warnings = [it.getMessage() for it in caplog.records if it.levelno == logging.WARNING]
    assert len(warnings) == is_warned
    for words in ("0.0.0.0", "prompts", "/sandbox without a key", "fetch URLs", "127.0.0.1 alone"):
        assert not is_warned or words in warnings[0]
