"""What a person is told of a job that outlives the task which submitted it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_pictory.exceptions import PictoryJobExpiredError, PictoryJobFailedError

if TYPE_CHECKING:
    from airflow_provider_pictory.submission.submitter import Submitter
    from airflow_provider_pictory.task_log import Logger


def after_wait(on_clear: str, argument: str) -> str | None:
    """
    Return how to go on after a wait that has ended before its job, ``None`` where a clear goes on waiting.

    :param on_clear: what a clear of the task means.
    :param argument: name of the limit that has ended the wait.
    """
    if on_clear != "new":
        return None
    return (
        "A clear of this task submits and pays for another video, as on_clear='new' says; to go on "
        f"waiting for this one, set it to 'auto' first, with a longer {argument} if need be."
    )


def after_error(error: Exception, job_id: str | None, on_clear: str, log: Logger) -> None:
    """
    Log the job that outlives an error, unless the error names it.

    :param error: what the task ends with.
    :param job_id: of the job that it has submitted, if any.
    :param on_clear: what a clear of the task means.
    :param log: of the task.
    """
    if not job_id or isinstance(error, TaskDeferred):
        return
    if job_id not in str(error):
        log.warning(
            "Pictory job %s goes on and is paid for; a retry or a clear of this task goes on with it", job_id
        )
    elif isinstance(error, (PictoryJobExpiredError, PictoryJobFailedError)) and on_clear == "reattach":
        log.warning(
            "A clear of this task goes on with job %s and submits no other, as on_clear='reattach' says; "
            "set it to 'auto' first where another video is wanted",
            job_id,
        )


def after_kill(submission: Submitter, log: Logger) -> None:
    """
    Log what a killed task leaves behind, since there is no way to cancel a job.

    :param submission: the task's.
    :param log: of the task.
    """
    if submission.job_id is not None:
        log.warning(
            "This task is being killed. Pictory has no way to cancel a job: job %s goes on and is paid "
            "for, unless it has ended. Clearing this task picks it up while it runs",
            submission.job_id,
        )
    elif submission.is_under_way:
        log.warning(
            "This task is being killed while it isn't known whether Pictory accepted its video, and "
            "Pictory has no way to cancel a job; clearing this task finds out and picks it up"
        )
