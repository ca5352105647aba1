"""What tests about Pictory say again and again, in one word each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_pictory.sandbox.background import PictorySandbox

POST = "POST /pictoryapis/v1/aistudio/videos"
JOB = "GET /pictoryapis/v1/jobs/{job_id}"

# The documented keys of a result, in their order.
RESULT_KEYS = [
    "job_id",
    "status",
    "url",
    "duration_seconds",
    "width",
    "height",
    "thumbnail_url",
    "preview_url",
    "last_frame_image_url",
    "ai_credits_used",
]


def count(pictory: PictorySandbox, route: str) -> int:
    """Return how often a route was asked, whatever the response was."""
    return pictory.counts()["requests"].get(route, 0)


def only_job(pictory: PictorySandbox) -> dict[str, Any]:
    """Return the one job that was submitted."""
    (job,) = pictory.jobs()
    return job


def the_job(pictory: PictorySandbox, prompt: str) -> dict[str, Any]:
    """Return the one job with a prompt."""
    (job,) = (job for job in pictory.jobs() if job["prompt"] == prompt)
    return job


def submit(prompt: str = "A paper boat on a rainy street") -> str:
    """Submit a video over the connection ``pictory_default`` and give its job id."""
    from airflow_provider_pictory.api import VideoRequest
    from airflow_provider_pictory.hooks.pictory import PictoryHook

    hook = PictoryHook()
    try:
        return hook.submit_video(VideoRequest(prompt=prompt))
    finally:
        hook.close()
