"""The API's paths respond as documented; the examples are those of Pictory's documentation, word for word."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
import requests

from airflow_provider_pictory.sandbox.service import Clock

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
IMAGE = "https://example.com/image.png"


@pytest.fixture
def slow(pictory_sandbox_factory):
    return pictory_sandbox_factory(render_seconds=20)


class TestGenerateVideo:
    def test_the_response_is_a_success_with_a_job_id(self, client):
        response = client.submit()

        assert response.status_code == 200
        assert response.headers["Content-Type"].startswith("application/json")
        job_id = response.json()["data"]["jobId"]
        assert UUID.fullmatch(job_id)
        assert response.json() == {"success": True, "data": {"jobId": job_id}}

    def test_two_equal_submissions_are_two_jobs(self, client):
        assert client.submitted() != client.submitted()
        assert client.ai_credits()["used"] == 16

    def test_a_broken_rule_is_named_field_by_field_and_costs_nothing(self, client):
        response = client.submit(model="veo3.1", duration="5s", aspectRatio="1:1")

        assert response.status_code == 400
        assert response.json() == {
            "code": "INVALID_REQUEST_BODY",
            "message": "The request body is invalid.",
            "fields": [
                {"name": "aspectRatio", "errors": "aspectRatio must be one of 16:9, 9:16 for model veo3.1"},
                {"name": "duration", "errors": "duration must be one of 4s, 6s, 8s for model veo3.1"},
            ],
        }
        assert client.ai_credits()["used"] == 0

    @pytest.mark.parametrize("content", [b"", b"{", b"[]", b"prompt=fox"])
    def test_a_body_that_is_no_json_object_is_a_400(self, client, content):
        response = client.session.post(f"{client.api}/v1/aistudio/videos", data=content, timeout=5)

        assert response.status_code == 400
        assert response.json()["code"] == "INVALID_REQUEST_BODY"
        assert response.json()["fields"] == []

    def test_credits_run_out(self, pictory_sandbox_factory, client_of):
        client = client_of(pictory_sandbox_factory(credits=20))
        client.submitted(duration="8s")

        response = client.submit(duration="5s")

        assert response.status_code == 402
        assert response.json()["code"] == "INSUFFICIENT_CREDITS"
        assert client.ai_credits() == {"used": 12.8, "limit": 20}


class TestGetJob:
    def test_a_running_job_shows_its_status_and_nothing_else(self, slow, client_of):
        client = client_of(slow)
        job_id = client.submitted()

        response = client.job(job_id)

        assert response.status_code == 200
        assert response.json() == {"job_id": job_id, "success": True, "data": {"status": "in-progress"}}

    def test_a_completed_job_shows_what_came_out(self, client):
        job_id = client.submitted(model="pixverse5.5", duration="8s", aspectRatio="16:9")

        document = client.job(job_id).json()

        data = document["data"]
        assert document == {"job_id": job_id, "success": True, "data": data}
        assert set(data) == {
            "status",
            "url",
            "duration",
            "width",
            "height",
            "thumbnailImageUrl",
            "lastFrameImageUrl",
            "previewImageUrl",
            "aiCreditsUsed",
        }
        assert (data["status"], data["duration"]) == ("completed", "8s")
        assert (data["width"], data["height"], data["aiCreditsUsed"]) == (640, 360, 12.8)
        assert data["url"].endswith(".mp4")
        assert data["lastFrameImageUrl"].endswith(".png")
        assert data["thumbnailImageUrl"].endswith(".jpg")
        assert data["previewImageUrl"].endswith(".jpg")

    def test_no_url_gives_the_job_s_id_away(self, client):
        job_id = client.submitted()

        assert job_id not in str(client.data(job_id))

    def test_a_failed_job_is_http_200_without_success(self, pictory_sandbox, client):
        job_id = client.submitted()
        pictory_sandbox.set_job(job_id, "failed", error_code="1001", error_message="CONTENT_REFUSED")

        response = client.job(job_id)

        assert response.status_code == 200
        assert response.json() == {
            "job_id": job_id,
            "success": False,
            "data": {"status": "failed", "error_code": "1001", "error_message": "CONTENT_REFUSED"},
        }

    def test_an_unknown_job_is_a_404(self, client):
        response = client.job("4a09edf9-d071-4847-bda5-8dea913d80fe")

        assert response.status_code == 404
        assert response.json() == {
            "job_id": "4a09edf9-d071-4847-bda5-8dea913d80fe",
            "success": False,
            "data": {"error_code": "5000", "error_message": "JOB_NOT_FOUND"},
        }

    def test_urls_begin_with_the_address_that_the_client_used(self, pictory_sandbox, client):
        job_id = client.submitted()

        data = client.get(f"/v1/jobs/{job_id}", headers={"Host": "pictory.test:8080"}).json()["data"]

        assert data["url"].startswith("http://pictory.test:8080/")


class TestListJobs:
    def test_no_jobs_are_an_empty_list(self, client):
        assert client.jobs().json() == {"items": [], "nextPageKey": None}

    def test_items_carry_their_id_inside_data_newest_first(self, slow, client_of):
        client = client_of(slow)
        first, second, third = (client.submitted() for _ in range(3))
        slow.set_job(first, "completed")
        slow.set_job(second, "failed")

        document = client.jobs().json()

        assert document["nextPageKey"] is None
        newest, middle, oldest = document["items"]
        assert newest == {"success": True, "data": {"jobId": third, "status": "in-progress"}}
        assert (middle["success"], middle["data"]["jobId"]) == (False, second)
        assert (oldest["success"], oldest["data"]["status"]) == (True, "completed")

    def test_no_item_shows_a_prompt(self, client):
        client.submitted()

        assert "fox" not in client.jobs().text

    def test_further_pages_are_fetched_with_the_key_of_the_one_before(self, client):
        submitted = [client.submitted() for _ in range(45)]

        found, key = [], None
        for expected in (20, 20, 5):
            document = client.jobs(**({"nextPageKey": key} if key else {})).json()
            assert len(document["items"]) == expected
            found += [item["data"]["jobId"] for item in document["items"]]
            key = document["nextPageKey"]

        assert key is None
        assert found == submitted[::-1]

    def test_a_made_up_page_key_is_a_400(self, client):
        assert client.jobs(nextPageKey="nonsense").status_code == 400
        assert client.videos(nextPageKey="nonsense").status_code == 400


class TestListVideos:
    def test_only_finished_videos_are_listed(self, slow, client_of):
        client = client_of(slow)
        _, finished, failed, cleaned = (client.submitted(prompt=f"Video {it}") for it in range(4))
        for job_id, status in ((finished, "completed"), (failed, "failed"), (cleaned, "cleaned")):
            slow.set_job(job_id, status)

        assert [item["prompt"] for item in client.videos().json()["items"]] == ["Video 1"]

    def test_an_item_shows_everything_but_the_job(self, pictory_sandbox_factory, client_of):
        moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
        client = client_of(pictory_sandbox_factory(clock=Clock(moment.timestamp), fetch_sources=False))
        job_id = client.submitted(model="veo3.1", aspectRatio="9:16", duration="6s", firstFrameImageUrl=IMAGE)

        document = client.videos().json()

        (item,) = document["items"]
        assert "nextPageKey" not in document
        assert item["id"] != job_id
        assert job_id not in str(item)
        data = client.data(job_id)
        assert item == {
            "id": item["id"],
            "url": data["url"],
            "prompt": "A red fox walks through fresh snow at dawn",
            "aspectRatio": "9:16",
            "createdDate": "2026-01-02T03:04:05.000Z",
            "model": "veo3.1",
            "width": 360,
            "height": 640,
            "duration": "6s",
            "previewImageUrl": data["previewImageUrl"],
            "thumbnailImageUrl": data["thumbnailImageUrl"],
            "lastFrameImageUrl": data["lastFrameImageUrl"],
            "firstFrameImageUrl": IMAGE,
        }

    @pytest.mark.parametrize(
        ("name", "value"), [("extendVideoUrl", "https://example.com/a.mp4"), ("referenceImageUrls", [IMAGE])]
    )
    def test_the_source_is_shown_where_one_was_used(self, pictory_sandbox_factory, client_of, name, value):
        client = client_of(pictory_sandbox_factory(fetch_sources=False))
        client.submitted(**{name: value})

        assert client.videos().json()["items"][0][name] == value

    def test_a_page_holds_100(self, client):
        for number in range(101):
            client.submitted(prompt=f"Video {number}")

        first = client.videos().json()
        second = client.videos(nextPageKey=first["nextPageKey"]).json()

        assert [len(first["items"]), len(second["items"])] == [100, 1]
        assert first["items"][0]["prompt"] == "Video 100"
        assert second["items"][0]["prompt"] == "Video 0"
        assert "nextPageKey" not in second

    def test_newest_are_those_that_ended_last(self, slow, client_of):
        client = client_of(slow)
        early, late = client.submitted(prompt="Early"), client.submitted(prompt="Late!")
        slow.set_job(late, "completed")
        slow.advance(1)
        slow.set_job(early, "completed")

        assert [item["prompt"] for item in client.videos().json()["items"]] == ["Early", "Late!"]


class TestAccount:
    def test_the_quota_is_a_bare_object(self, client):
        quota = client.get("/v1/quota").json()

        assert set(quota) == {
            "aiCredits",
            "videoMinutes",
            "transcriptionMinutes",
            "elevenLabsVoiceOverMinutes",
        }
        assert quota["aiCredits"] == {"used": 0, "limit": 22000}

    def test_the_ledger_is_a_bare_array_of_what_was_taken_and_given_back(self, pictory_sandbox, client):
        client.submitted(duration="8s")
        pictory_sandbox.set_job(client.submitted(model="veo3.1", duration="4s"), "failed")

        ledger = client.get("/v1/aicredits/usage").json()

        assert [(line["type"], line["amount"]) for line in ledger] == [
            ("debit", 12.8),
            ("debit", 80),
            ("credit", 80),
        ]
        assert len({line["transactionId"] for line in ledger}) == 3
        for line in ledger:
            assert set(line) == {
                "transactionId",
                "type",
                "amount",
                "source",
                "description",
                "plan",
                "transactionDate",
            }
            assert datetime.fromisoformat(line["transactionDate"]).tzinfo

    def test_the_ledger_is_by_month(self, pictory_sandbox_factory, client_of):
        clock = Clock(lambda: datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC).timestamp())
        client = client_of(pictory_sandbox_factory(clock=clock))
        client.submitted()
        clock.advance(2)

        def lines(**parameters):
            return len(client.get("/v1/aicredits/usage", params=parameters).json())

        assert lines() == 0
        assert lines(month=1) == 1
        assert lines(year=2026, month="01") == 1
        assert lines(year=2025, month=1) == 0

    @pytest.mark.parametrize(
        "parameters", [{"year": 2026}, {"month": 13}, {"month": "may"}, {"year": 0, "month": 1}]
    )
    def test_a_year_needs_a_month_and_both_must_make_sense(self, client, parameters):
        assert client.get("/v1/aicredits/usage", params=parameters).status_code == 400


class TestClean:
    def test_a_finished_job_is_cleaned_for_good(self, client):
        job_id = client.submitted()
        url = client.data(job_id)["url"]

        response = client.clean(job_id)

        assert response.status_code == 200
        expected = {"job_id": job_id, "success": True, "data": {"status": "cleaned"}}
        assert client.job(job_id).json() == response.json() == expected
        assert requests.get(url, timeout=5).status_code == 404
        assert client.videos().json()["items"] == []

    def test_a_running_job_can_t_be_cleaned(self, slow, client_of):
        client = client_of(slow)
        job_id = client.submitted()

        assert client.clean(job_id).status_code == 400
        assert client.data(job_id) == {"status": "in-progress"}

    def test_an_unknown_job_is_a_404(self, client):
        assert client.clean("nobody").json()["data"]["error_message"] == "JOB_NOT_FOUND"
