"""The control surface shows and steers what no client of Pictory's could."""

from __future__ import annotations

import pytest
import requests

VIDEOS = "/pictoryapis/v1/aistudio/videos"
JOB = "/pictoryapis/v1/jobs/{job_id}"


@pytest.fixture
def control(pictory_sandbox):
    """Call the control surface over HTTP, without key and without a name."""

    def call(method, path, body=None):
        return requests.request(method, f"{pictory_sandbox.url}/sandbox{path}", json=body, timeout=10)

    return call


class TestCounts:
    def test_requests_and_their_responses_are_counted_by_route(self, client, control):
        job_id = client.submitted()
        client.submit(prompt="")
        client.job(job_id)
        client.job("nobody")
        client.get("/v1/nonsense")
        client.get("/v1/quota", headers={"Authorization": "nonsense"})
        requests.get(client.data(job_id)["url"], headers={"Range": "bytes=0-9"}, timeout=10)

        assert control("GET", "/counts").json() == {
            "requests": {
                f"POST {VIDEOS}": 2,
                f"GET {JOB}": 3,
                "GET (no such route)": 1,
                "GET /pictoryapis/v1/quota": 1,
                "GET /files/{video_id}/{file_name}": 1,
            },
            "statuses": {
                f"POST {VIDEOS}": {"200": 1, "400": 1},
                f"GET {JOB}": {"200": 2, "404": 1},
                "GET (no such route)": {"404": 1},
                "GET /pictoryapis/v1/quota": {"401": 1},
                "GET /files/{video_id}/{file_name}": {"206": 1},
            },
            "jobs_created": 1,
            "jobs_of_others": 0,
            "credits_used": 8,
            "credits_used_by_others": 0,
            "jobs_rendered": 1,
            "files_asked_with_key": 0,
            "webhooks_sent": 0,
            "webhooks_failed": 0,
            "faults": {},
            "requests_permitted": 0,
            "requests_limited": 0,
        }

    def test_a_key_given_away_to_the_files_is_counted(self, pictory_sandbox, client):
        url = client.data(client.submitted())["url"]

        client.session.head(f"{url}/nonsense", timeout=5)
        client.session.head(url.replace("video.mp4", "nonsense"), timeout=5)

        assert pictory_sandbox.counts()["files_asked_with_key"] == 1

    def test_looking_changes_nothing(self, pictory_sandbox, control):
        first, second = (control("GET", "/counts").json() for _ in range(2))

        assert first == second == pictory_sandbox.counts()


class TestJobs:
    def test_they_are_shown_with_what_pictory_doesn_t_tell(self, pictory_sandbox, client, control):
        job_id = client.submitted(model="veo3.1", aspect_ratio="a typo")

        (job,) = control("GET", "/jobs").json()["jobs"]

        assert [job] == pictory_sandbox.jobs()
        assert job["job_id"] == job_id
        assert job["status"] == "completed"
        assert job["prompt"] == "A red fox walks through fresh snow at dawn"
        assert job["request"] == {"prompt": job["prompt"], "model": "veo3.1", "aspect_ratio": "a typo"}
        assert job["credits_taken"] == 80

    @pytest.mark.parametrize("status", ["completed", "failed", "cleaned", "in-progress", "on-hold"])
    def test_any_status_can_be_forced(self, client, control, status):
        job_id = client.submitted()

        assert control("POST", f"/jobs/{job_id}", {"status": status}).json()["status"] == status

        assert client.data(job_id)["status"] == status

    def test_a_forced_failure_has_the_given_reason(self, client, control):
        job_id = client.submitted()

        control("POST", f"/jobs/{job_id}", {"status": "failed", "error_code": "1", "error_message": "NO"})

        assert client.data(job_id) == {"status": "failed", "error_code": "1", "error_message": "NO"}
        assert client.ai_credits()["used"] == 0

    @pytest.mark.parametrize("body", [{}, {"status": 1}, {"state": "failed"}, [], None])
    def test_a_wrong_change_is_refused_with_the_reason(self, client, control, body):
        job_id = client.submitted()

        response = control("POST", f"/jobs/{job_id}", body)

        assert response.status_code == 400
        assert response.json()["message"]
        assert client.data(job_id)["status"] == "completed"

    def test_an_unknown_job_can_t_be_changed(self, pictory_sandbox, control):
        assert control("POST", "/jobs/nobody", {"status": "failed"}).status_code == 404
        with pytest.raises(LookupError):
            pictory_sandbox.set_job("nobody", "failed")


class TestScriptedResponses:
    def test_they_are_given_as_often_as_asked_and_then_the_truth_is_back(self, client, control):
        script = {"path": "/v1/quota", "status": 429, "headers": {"Retry-After": 7}, "body": {"a": 1}}
        assert control("POST", "/responses", {**script, "times": 2}).status_code == 200

        for _ in range(2):
            response = client.get("/v1/quota")
            assert (response.status_code, response.json(), response.headers["Retry-After"]) == (
                429,
                {"a": 1},
                "7",
            )
        assert client.get("/v1/quota").status_code == 200

    def test_text_goes_over_the_wire_as_it_is(self, pictory_sandbox, client):
        pictory_sandbox.respond_next("/v1/quota", body='{"truncated": ')
        pictory_sandbox.respond_next("/v1/quota", body="<html>", headers={"Content-Type": "text/html"})
        pictory_sandbox.respond_next("/v1/quota", body=b"\xff\x00")

        truncated, page, rubbish = (client.get("/v1/quota") for _ in range(3))

        assert truncated.text == '{"truncated": '
        assert truncated.headers["Content-Type"] == "application/json"
        assert page.headers["Content-Type"] == "text/html"
        assert rubbish.content == b"\xff\x00"

    def test_only_fitting_requests_get_them(self, pictory_sandbox, client):
        job_id = client.submitted()
        pictory_sandbox.respond_next(f"/pictoryapis/v1/jobs/{job_id}", status=500)
        pictory_sandbox.respond_next("/v1/aistudio", method="post", status=503)

        assert client.videos().status_code == 200
        assert client.job("other").status_code == 404
        assert client.submit().status_code == 503
        assert client.job(job_id).status_code == 500
        assert client.job(job_id).status_code == 200

    def test_a_response_comes_instead_of_what_was_asked_for(self, pictory_sandbox, client):
        pictory_sandbox.respond_next("/v1/aistudio/videos", body={"success": True, "data": {}})

        assert client.submit().json() == {"success": True, "data": {}}
        assert pictory_sandbox.jobs() == []

    def test_or_only_the_response_is_lost(self, pictory_sandbox, client):
        pictory_sandbox.respond_next("/v1/aistudio/videos", status=500, body="lost", is_processed=True)

        assert client.submit().status_code == 500
        assert len(pictory_sandbox.jobs()) == 1

    def test_they_come_before_key_and_network_and_reach_files_but_not_the_control_surface(
        self, pictory_sandbox, client, control
    ):
        url = client.data(client.submitted())["url"]
        pictory_sandbox.respond_next(status=502, times=2)

        assert control("GET", "/counts").status_code == 200
        assert requests.get(url, timeout=5).status_code == 502
        assert client.get("/v1/quota", headers={"Authorization": "nonsense"}).status_code == 502

    @pytest.mark.parametrize("body", [{"status": "500"}, {"status": 99}, {"delay": 1}, {"headers": []}, []])
    def test_a_wrong_script_is_refused(self, client, control, body):
        assert control("POST", "/responses", body).status_code == 400
        assert client.get("/v1/quota").status_code == 200
