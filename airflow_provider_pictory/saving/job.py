"""The job whose video is wanted, and the URL that Pictory gives for its file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_pictory.exceptions import PictoryAPIError, PictoryJobUnfinishedError
from airflow_provider_pictory.outcome import may_pass, require_completed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_pictory.api import VideoJob
    from airflow_provider_pictory.clock import Clock
    from airflow_provider_pictory.hooks.pictory import PictoryHook

POLLS_OF_JOB = 3
PAUSE_BETWEEN_POLLS = 2.0
LONGEST_PAUSE_BETWEEN_POLLS = 60.0


def completed_job(hook: PictoryHook, job_id: str, clock: Clock) -> VideoJob:
    """
    Return a job that has a video, polling it a few times where a poll fails.

    :raises PictoryJobUnfinishedError: it hasn't ended.
    :raises PictoryError: it has no video, or Pictory can't be asked about it.
    """
    for polls_left in reversed(range(POLLS_OF_JOB)):
        try:
            job = hook.get_job(job_id)
            break
        except PictoryAPIError as error:
            pause = error.retry_after or PAUSE_BETWEEN_POLLS
            if not polls_left or not may_pass(error) or pause > LONGEST_PAUSE_BETWEEN_POLLS:
                raise
        clock.sleep(pause)
    if not job.has_ended:
        raise PictoryJobUnfinishedError(
            f"Pictory job {job_id} has no video yet (status {str(job.status)!r}). Put a "
            "VideoJobSensor between the task that submits it and this one, and give this one "
            "video=wait.output"
        )
    return require_completed(job)


def video_urls(hook: PictoryHook, job: VideoJob, clock: Clock) -> Iterator[str]:
    """Yield the URL of a completed job's video, and a fresh one whenever it has expired."""
    while True:
        assert job.url is not None  # noqa: S101  (no completed job is without one)
        yield job.url
        job = completed_job(hook, job.job_id, clock)
