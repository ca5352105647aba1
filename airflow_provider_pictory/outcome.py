"""What a poll of a job means for the task that waits for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_pictory.api import JobStatus, VideoJob
from airflow_provider_pictory.exceptions import (
    PictoryAPIError,
    PictoryError,
    PictoryInsufficientCreditsError,
    PictoryJobExpiredError,
    PictoryJobFailedError,
)

if TYPE_CHECKING:
    from airflow_provider_pictory.hooks.pictory import PictoryHook

# A server may not know yet what another one created: for so many seconds a job may be unknown.
NOT_FOUND_GRACE = 120.0
PAUSE_BETWEEN_REPORTS = 60.0
# The way out where there is no video and waiting on is no use, in an error's last sentence.
PAY_AGAIN = (
    "clear the task that submitted it, which submits and pays again; clearing a task that only waits for it "
    "or saves it fails again"
)
# What the wording of an undocumented status may mean. It is reported, never acted upon.
UNHAPPY_WORDS = (
    *("abort", "block", "cancel", "delet", "denied", "died", "error", "expir", "fail", "invalid", "kill"),
    *("refus", "reject", "remov", "stop", "terminat", "timeout", "timed-out", "timed out", "unknown"),
)
HAPPY_WORDS = ("complet", "done", "finish", "ready", "success", "succeed")


def poll(hook: PictoryHook, job_id: str) -> VideoJob | PictoryError:
    """Poll a job once, and return the error of a failed poll instead of raising it."""
    try:
        return hook.get_job(job_id)
    except PictoryError as error:
        return error


def may_pass(error: PictoryError) -> bool:
    """Return whether polling again may succeed at any time, as after network errors, 429 and 5xx."""
    if not isinstance(error, PictoryAPIError) or isinstance(error, AirflowFailException):
        return False
    status_code = error.status_code
    return status_code is None or status_code in (408, 425, 429) or not 400 <= status_code < 500


def require_completed(job: VideoJob) -> VideoJob:
    """
    Return the job if it has a video; raise otherwise.

    :param job: a job that has ended.
    :return: the same job, when it is completed.
    :raises PictoryInsufficientCreditsError: it failed for lack of credits.
    :raises PictoryJobFailedError: it failed otherwise.
    :raises PictoryJobExpiredError: its video was deleted at Pictory.
    """
    if job.status == JobStatus.FAILED:
        words = ": ".join(filter(None, (job.error_code, job.error_message))) or "no reason given"
        message = f"Pictory job {job.job_id} failed ({words})"
        if "INSUFFICIENT_CREDITS" in (job.error_code, job.error_message):
            raise PictoryInsufficientCreditsError(
                f"{message}: the account is out of AI credits. Add some at Pictory; then {PAY_AGAIN}",
                code=job.error_code,
            )
        raise PictoryJobFailedError(
            f"{message}. For another video {PAY_AGAIN}", job_id=job.job_id, error_code=job.error_code
        )
    if job.status == JobStatus.CLEANED:
        raise PictoryJobExpiredError(
            f"The video of Pictory job {job.job_id} was deleted at Pictory (status 'cleaned') and can't be "
            f"brought back; it takes a new submission to have it again: {PAY_AGAIN}",
            job_id=job.job_id,
        )
    return job


def what_is_known(seen: VideoJob | PictoryError | None) -> str:
    """
    Return what is known of a job that nobody waits for any more, as the end of a sentence.

    :param seen: what the last poll brought; ``None`` where there was none.
    """
    if isinstance(seen, VideoJob) and seen.has_unknown_status:
        return (
            f"and whether the job is isn't known (status {str(seen.status)!r}), since this provider doesn't "
            f"know that status. {status_meaning(seen.status)} If it is running, Pictory has no way to cancel "
            "it."
        )
    if isinstance(seen, VideoJob):
        truth = f"but the job is not (status {str(seen.status)!r}):"
    elif seen is None:
        truth = "and whether it has ended is unknown. If it is running,"
    else:
        truth = f"and whether it has ended is unknown: the last poll failed ({seen}). If it is running,"
    return f"{truth} it goes on and is paid for, since Pictory has no way to cancel it."


def describe(job: VideoJob) -> str:
    """Return what a user wants to know about a finished video, for one log line."""
    facts = []
    if job.duration_seconds is not None:
        facts.append(f"{job.duration_seconds:g} s")
    if job.width and job.height:
        facts.append(f"{job.width}x{job.height}")
    if job.ai_credits_used is not None:
        facts.append(f"{job.ai_credits_used:g} AI credits used")
    return ", ".join(facts) or "no details given"


def status_meaning(status: str) -> str:
    """Return what an undocumented status may mean, and where a person finds out."""
    words = status.lower()
    meaning = "may be a new word for a job that runs, or for one that has ended"
    if any(word in words for word in UNHAPPY_WORDS):
        meaning = "sounds as if the job had ended without a video"
    elif any(word in words for word in HAPPY_WORDS):
        meaning = "sounds as if the video were finished"
    return f"It {meaning}; look for the job in Pictory's application, https://app.pictory.ai/."


def means_no_video(error: PictoryError) -> bool:
    """Return whether an error says that there is no video, rather than that something is set up wrongly."""
    from airflow_provider_pictory.exceptions import (
        PictoryAPIError,
        PictoryExecutionTimeoutError,
        PictoryInsufficientCreditsError,
        PictoryJobError,
    )

    last = error.__cause__
    if isinstance(last, PictoryAPIError) and last.status_code in (401, 403, 404):
        # Time was up before it was certain that nobody here may ask for this job.
        return False
    return isinstance(error, (PictoryJobError, PictoryExecutionTimeoutError, PictoryInsufficientCreditsError))
