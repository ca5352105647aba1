"""What the sandbox responds is what the rest of the package reads."""

from __future__ import annotations

import pytest

from airflow_provider_pictory.api import JobStatus, Quota, ResponseError, ResponseErrorKind, VideoRequest
from airflow_provider_pictory.api.responses import Response, read_job, read_quota, read_submission


def as_read(response):
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Response(response.status_code, response.content, headers)


def test_a_request_becomes_a_job_and_the_job_a_video(client):
    request = VideoRequest("A red fox in the snow", model="veo3.1", aspect_ratio="9:16", duration=6)

    job_id = read_submission(as_read(client.post(request.payload)))
    job = read_job(as_read(client.job(job_id)), job_id)

    assert (job.job_id, job.status) == (job_id, JobStatus.COMPLETED)
    assert (job.width, job.height, job.duration_seconds) == (360, 640, 6)
    assert job.ai_credits_used == request.estimated_credits == 120
    assert job.url
    assert job.thumbnail_url
    assert job.preview_url
    assert job.last_frame_image_url
    assert read_quota(as_read(client.get("/v1/quota"))) == Quota(120, 22000)


@pytest.mark.parametrize("status", ["in-progress", "failed", "cleaned", "queued"])
def test_every_status_is_read_as_it_is_meant(pictory_sandbox, client, status):
    job_id = client.submitted()
    pictory_sandbox.set_job(job_id, status, error_code="1", error_message="NO")

    job = read_job(as_read(client.job(job_id)), job_id)

    assert job.status == status
    assert (job.error_code, job.error_message) == (("1", "NO") if status == "failed" else (None, None))


def test_every_error_is_read_as_it_is_meant(pictory_sandbox_factory, client_of):
    client = client_of(pictory_sandbox_factory(credits=1))

    def kind(response, read=read_submission):
        with pytest.raises(ResponseError) as caught:
            read(as_read(response))
        return caught.value.kind

    assert kind(client.submit(prompt="")) == ResponseErrorKind.INVALID_REQUEST
    assert kind(client.submit()) == ResponseErrorKind.INSUFFICIENT_CREDITS
    assert kind(client.job("x"), lambda it: read_job(it, "x")) == ResponseErrorKind.JOB_NOT_FOUND
    assert kind(client.get("/v1/quota", headers={"Authorization": "x"})) == ResponseErrorKind.UNAUTHORIZED
    assert (
        kind(client.get("/v1/quota", headers={"User-Agent": "Python-urllib/3"}))
        == ResponseErrorKind.FORBIDDEN
    )
