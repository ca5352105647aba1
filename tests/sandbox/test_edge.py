"""What a request meets before the service: the CDN, the key, and errors in JSON."""

from __future__ import annotations

import pytest
from urllib3.util import SKIP_HEADER

PATHS = [
    "/v1/quota",
    "/v1/jobs",
    "/v1/jobs/x",
    "/v1/aistudio/videos",
    "/v1/aicredits/usage",
    "/v1/nonsense",
    "",
]


@pytest.mark.parametrize("key", ["", "nonsense", "Bearer pictai_sandbox", "PICTAI_x", None])
def test_a_bad_key_is_a_401_everywhere(client, key):
    for path in PATHS:
        response = client.get(path, headers={"Authorization": key})

        assert response.status_code == 401
        assert response.json() == {"message": "Unauthorized"}


def test_any_key_that_looks_like_one_is_accepted(client):
    assert client.get("/v1/quota", headers={"Authorization": "pictai_whatever"}).status_code == 200


def test_with_a_key_of_its_own_only_that_one_is(pictory_sandbox_factory, client_of):
    sandbox = pictory_sandbox_factory(api_key="pictai_mine")
    client = client_of(sandbox)

    assert sandbox.api_key == "pictai_mine"
    assert client.get("/v1/quota").status_code == 200
    assert client.get("/v1/quota", headers={"Authorization": "pictai_other"}).status_code == 401


@pytest.mark.parametrize("user_agent", ["Python-urllib/3.11", "python-urllib/3.13", None])
def test_a_client_without_a_name_of_its_own_is_refused_with_a_page(client, user_agent):
    # A header that is merely left out, urllib3 would add itself.
    response = client.get(
        "/v1/quota", headers={"User-Agent": SKIP_HEADER if user_agent is None else user_agent}
    )

    assert response.status_code == 403
    assert response.headers["Content-Type"].startswith("text/html")
    assert response.text.startswith("<!DOCTYPE html>")


def test_the_refusal_comes_before_the_key_is_looked_at(client):
    response = client.get(
        "/v1/quota", headers={"User-Agent": "Python-urllib/3.11", "Authorization": "nonsense"}
    )

    assert response.status_code == 403


@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/nonsense", "/v1/jobs/a/b", "/v2/quota"])
def test_an_unknown_path_is_a_404_in_json(client, path):
    response = client.get(path)

    assert response.status_code == 404
    assert response.json() == {"message": "Not Found"}


@pytest.mark.parametrize(("method", "path"), [("PUT", "/v1/aistudio/videos"), ("POST", "/v1/quota")])
def test_a_wrong_method_is_a_405_in_json(client, method, path):
    response = client.session.request(method, f"{client.api}{path}", timeout=5)

    assert response.status_code == 405
    assert response.json() == {"message": "Method Not Allowed"}
    assert "GET" in response.headers["Allow"]


def test_a_body_too_large_is_a_413_in_json(client):
    response = client.submit(nonsense="x" * 2_000_000)

    assert response.status_code == 413
    assert "message" in response.json()
