"""Responses that are late, cut, wrong or errors, over real HTTP; and what the service did meanwhile."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import pytest
import requests

from airflow_provider_pictory.sandbox.faults.kinds import HtmlPage, ServerError
from airflow_provider_pictory.sandbox.faults.responses import of_wrong_shape


class TestServerErrors:
    @pytest.mark.parametrize("status", [500, 502, 503, 504, 520, 599])
    @pytest.mark.parametrize("has_body", [True, False])
    def test_they_come_with_and_without_a_body(self, faulty, status, has_body):
        sandbox, client = faulty(ServerError(status=status, has_body=has_body))

        response = client.submit()

        assert response.status_code == status
        assert bool(response.content) == has_body
        assert "Retry-After" not in response.headers
        assert sandbox.jobs() == []

    def test_the_service_s_own_is_json_and_one_from_in_front_of_it_a_page(self, faulty):
        _, client = faulty("server-error:count=1", "server-error:status=502")

        assert client.submit().json() == {"message": "Internal Server Error"}
        assert client.submit().text.startswith("<!DOCTYPE html>")

    def test_the_service_can_have_acted_all_the_same(self, faulty):
        sandbox, client = faulty("server-error:is-processed=yes")

        assert client.submit().status_code == 500
        assert len(sandbox.jobs()) == 1
        assert sandbox.counts()["credits_used"] == 8

    def test_they_can_say_when_to_come_back(self, faulty):
        _, client = faulty("server-error:status=503,retry-after=seconds,seconds=30")

        assert client.submit().headers["Retry-After"] == "30"


class TestRateLimit:
    def test_the_budget_is_permitted_and_the_rest_told_when_there_is_room_again(self, faulty):
        sandbox, client = faulty("rate-limit:budget=3,window=10")
        responses = [client.get("/v1/quota") for _ in range(5)]

        assert [response.status_code for response in responses] == [200, 200, 200, 429, 429]
        assert responses[-1].headers["Retry-After"] == "10"
        assert responses[-1].json() == {"message": "Too Many Requests"}
        sandbox.advance(9.5)
        assert client.get("/v1/quota").headers["Retry-After"] == "1"
        sandbox.advance(0.5)
        assert client.get("/v1/quota").status_code == 200
        counts = sandbox.counts()
        assert (counts["requests_permitted"], counts["requests_limited"]) == (4, 3)
        assert counts["faults"] == {"rate-limit": 3}

    def test_all_requests_of_the_api_share_it_and_a_refused_one_does_nothing(self, faulty):
        sandbox, client = faulty("rate-limit:budget=2")
        job_id = client.submitted()
        assert client.job(job_id).status_code == 200

        assert client.submit().status_code == 429
        assert client.clean(job_id).status_code == 429
        assert [job["status"] for job in sandbox.jobs()] == ["completed"]

    def test_files_and_the_control_surface_are_free(self, faulty):
        sandbox, client = faulty("rate-limit:budget=1")
        client.submitted()

        assert requests.head(f"{sandbox.url}/files/x/video.mp4", timeout=5).status_code == 404
        assert requests.get(f"{sandbox.url}/sandbox/counts", timeout=5).status_code == 200

    def test_retry_after_can_be_a_date_of_the_real_time(self, faulty):
        _, client = faulty("rate-limit:retry-after=date,seconds=100")

        moment = parsedate_to_datetime(client.get("/v1/quota").headers["Retry-After"])

        assert 95 < (moment - datetime.now(UTC)).total_seconds() <= 101

    def test_or_be_absent_and_the_body_as_well(self, faulty):
        _, client = faulty("rate-limit:retry-after=none,has-body=no")

        response = client.get("/v1/quota")

        assert (response.status_code, response.content) == (429, b"")
        assert "Retry-After" not in response.headers

    def test_the_seconds_can_be_dictated(self, faulty):
        _, client = faulty("rate-limit:seconds=0,count=1", "rate-limit:seconds=86400")

        assert [client.get("/v1/quota").headers["Retry-After"] for _ in range(2)] == ["0", "86400"]


def test_the_network_in_front_refuses_a_client_that_did_nothing_wrong(faulty):
    sandbox, client = faulty("cdn-refusal:count=1", "cdn-refusal:has-body=no,count=1")

    page, nothing = client.submit(), client.submit()

    assert page.status_code == nothing.status_code == 403
    assert page.text.startswith("<!DOCTYPE html>")
    assert nothing.content == b""
    assert sandbox.jobs() == []
    assert client.submit().status_code == 200


def test_a_slow_response_is_late_though_the_service_was_not(faulty):
    sandbox, client = faulty("slow-response:seconds=0.3")

    with pytest.raises(requests.ReadTimeout):
        client.session.post(f"{client.api}/v1/aistudio/videos", json={"prompt": "A fox"}, timeout=0.1)
    assert len(sandbox.jobs()) == 1
    begin = time.perf_counter()
    assert client.jobs().status_code == 200
    assert 0.25 < time.perf_counter() - begin < 1.5


def test_one_slow_response_holds_up_nobody_else(faulty):
    _, client = faulty("slow-response:seconds=20,path=/v1/jobs")
    with pytest.raises(requests.ReadTimeout):
        client.session.get(f"{client.api}/v1/jobs", timeout=0.05)

    begin = time.perf_counter()
    assert client.get("/v1/quota").status_code == 200
    assert time.perf_counter() - begin < 1


@pytest.mark.parametrize("method", ["submit", "jobs", "ledger", "unknown"])
def test_a_truncated_response_is_whole_to_http_and_no_json(faulty, method):
    sandbox, client = faulty("truncated-json")
    asked = {
        "submit": client.submit,
        "jobs": client.jobs,
        "ledger": lambda: client.get("/v1/aicredits/usage"),
        "unknown": lambda: client.job("x"),
    }

    response = asked[method]()

    assert response.headers["Content-Type"].startswith("application/json")
    assert int(response.headers["Content-Length"]) == len(response.content) > 0
    with pytest.raises(ValueError, match=r"."):
        response.json()
    assert len(sandbox.jobs()) == (method == "submit")


@pytest.mark.parametrize("is_processed", [True, False])
def test_a_page_can_have_the_status_of_a_success(faulty, is_processed):
    sandbox, client = faulty(HtmlPage(is_processed=is_processed))

    response = client.submit()

    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith("text/html")
    assert response.text.startswith("<!DOCTYPE html>")
    assert len(sandbox.jobs()) == is_processed


class TestWrongShapes:
    def test_it_is_json_with_the_right_status_and_many_variants(self, faulty):
        sandbox, client = faulty("wrong-shape")

        responses = [client.submit() for _ in range(60)]

        assert {response.status_code for response in responses} == {200}
        assert len(sandbox.jobs()) == 60
        job_ids = [job["job_id"] for job in sandbox.jobs()]
        shapes = {
            json.dumps(response.json()).replace(job_id, "ID")
            for response, job_id in zip(responses, job_ids, strict=True)
        }
        assert len(shapes) == 10

    def test_the_same_seed_gives_the_same_shapes(self, faulty):
        shapes = [
            [client.get("/v1/quota").text for _ in range(20)]
            for _, client in (faulty("wrong-shape", seed=3) for _ in range(2))
        ]

        assert shapes[0] == shapes[1]

    @pytest.mark.parametrize(
        "document",
        [
            {"job_id": "1", "success": True, "data": {"status": "in-progress"}},
            {"items": [], "nextPageKey": None},
            {"aiCredits": {"used": 0, "limit": 1}},
            [],
            [{"amount": 1}],
        ],
    )
    def test_none_of_them_is_right(self, document):
        content = json.dumps(document).encode()
        shapes = set()
        for variant in range(6):
            shapes.add(of_wrong_shape(content, lambda count, variant=variant: variant % count))

        assert content not in shapes
        assert len(shapes) == 6


def test_a_wrong_key_is_still_noticed_by_whoever_gets_past_the_faults(faulty):
    _, client = faulty("server-error:count=1")
    headers = {"Authorization": "nonsense"}

    assert [client.get("/v1/quota", headers=headers).status_code for _ in range(2)] == [500, 401]
