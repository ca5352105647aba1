"""The event that a wait in the triggerer ends with, and what a worker makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_pictory.api import VideoJob
from airflow_provider_pictory.api.jobs import UnreadableJobError
from airflow_provider_pictory.api.redaction import clean
from airflow_provider_pictory.exceptions import PictoryError, PictoryRedirectedError
from airflow_provider_pictory.outcome import may_pass, poll, what_is_known
from airflow_provider_pictory.waiting.job_watch import JobWatch
from airflow_provider_pictory.waiting.limits import timed_out
from airflow_provider_pictory.waiting.poller import shared_poller

if TYPE_CHECKING:
    from airflow_provider_pictory.hooks.pictory import PictoryHook
    from airflow_provider_pictory.task_log import Logger
    from airflow_provider_pictory.waiting.limits import WaitLimit

# After so many inconclusive events while all is well on the worker, waiting on is no use.
MOST_INCONCLUSIVE = 3


async def wait_for_event(
    *,
    job_id: str,
    pictory_conn_id: str,
    deadline: str,
    poll_interval: float | None,
    first_poll: str | None,
    log: Logger,
) -> VideoJob | Exception:
    """
    Wait in a triggerer, with the poller that all its triggers share.

    :param job_id: of the job.
    :param pictory_conn_id: id of the Airflow connection.
    :param deadline: the moment when the wait ends.
    :param poll_interval: seconds between polls, or ``None`` for our own schedule.
    :param first_poll: the moment of the first poll; at once without it.
    :param log: of the trigger.
    :return: the job that has ended, or the error that kept us from knowing, which would end the task without
        another poll of the job if it were raised.
    """
    try:
        watch = JobWatch(
            job_id,
            deadline=datetime.fromisoformat(deadline),
            poll_interval=poll_interval,
            first_poll=datetime.fromisoformat(first_poll) if first_poll else None,
            log=log,
        )
        watch.announce()
        async with shared_poller(pictory_conn_id) as poller:
            return await poller.ended(watch)
    except Exception as error:  # noqa: BLE001  (see above)
        return error


def say_what_goes_on(job_id: str, log: Logger) -> None:
    """Log that the job outlives a wait that is being ended."""
    log.warning(
        "This wait for Pictory job %s is being ended. Pictory has no way to cancel a job: if it is running, "
        "it goes on and is paid for. Clearing the task goes on waiting for it",
        job_id,
    )


def ended_event(job: VideoJob) -> dict[str, Any]:
    """Make the event for a job that has ended, however it ended."""
    return {"outcome": "ended", "job": job.to_dict()}


def inconclusive_event(job_id: str, error: Exception, deadline: str | None = None) -> dict[str, Any]:
    """
    Make the event for a wait that ended without a job's end.

    The worker polls once more and finds out by itself what is wrong; the words are for whoever reads the
    event in the database.

    :param job_id: of the job.
    :param error: why it isn't known.
    :param deadline: the moment when the wait ends, where only the trigger knows.
    """
    return {
        "outcome": "inconclusive",
        "job_id": job_id,
        "error": type(error).__name__,
        "message": clean(str(error)),
        "deadline": deadline,
    }


def read_event(event: object, job_id: str) -> VideoJob | None:
    """
    Read an event, and check it before it is used.

    :param event: what the task was resumed with.
    :param job_id: of the job that the task waits for.
    :return: the job that has ended, or ``None`` when the event is inconclusive: the job itself must be polled
        then.
    """
    if not isinstance(event, Mapping) or event.get("outcome") != "ended":
        return None
    try:
        job = VideoJob.from_dict(event.get("job"))
    except UnreadableJobError:
        return None
    return job if job.job_id == job_id and job.has_ended else None


def job_after_event(
    event: object,
    *,
    hook: PictoryHook,
    job_id: str,
    limit: WaitLimit,
    advice: str,
    inconclusive: int = 0,
) -> VideoJob | None:
    """
    Find out what became of the job that a task was resumed for.

    :param event: what the task was resumed with.
    :param hook: to ask once more when the event is inconclusive.
    :param job_id: of the job that the task waits for.
    :param limit: what ends the wait.
    :param advice: how to go on after a timeout, as a whole sentence.
    :param inconclusive: how many inconclusive events this wait had before this one.
    :return: the job that has ended, or ``None`` when the job is still running and time is left.
    :raises PictoryJobTimedOutError: the deadline has passed and the job hadn't ended.
    :raises PictoryExecutionTimeoutError: the same, where the deadline is that of the ``execution_timeout``.
    :raises PictoryError: the job can't be polled and waiting won't help, or the triggerer keeps failing.
    """
    job = read_event(event, job_id)
    if job is not None:
        return job
    seen = poll(hook, job_id)
    if isinstance(seen, VideoJob) and seen.has_ended:
        return seen
    if limit.deadline <= datetime.now(UTC) and not isinstance(seen, AirflowFailException):
        raise timed_out(job_id, seen, advice, limit)
    is_first_redirect = (
        isinstance(seen, PictoryRedirectedError)
        and isinstance(event, Mapping)
        and event.get("error") != PictoryRedirectedError.__name__
    )
    if isinstance(seen, PictoryError) and not may_pass(seen) and not is_first_redirect:
        raise seen
    if inconclusive >= MOST_INCONCLUSIVE:
        # Only the triggerer is in trouble, for instance without the connection that the workers have.
        words = event.get("message") if isinstance(event, Mapping) else None
        raise PictoryError(
            f"Waiting for Pictory job {job_id} in the triggerer keeps failing, though a worker can poll "
            f"it: {words or 'its events make no sense'}. The wait is over, {what_is_known(seen)} {advice}"
        )
    return None


def deadline_of(event: object) -> str | None:
    """Return the moment that an event says its wait ends at, ``None`` where it says none."""
    deadline = event.get("deadline") if isinstance(event, Mapping) else None
    try:
        return datetime.fromisoformat(deadline or "").astimezone(UTC).isoformat()
    except (ValueError, TypeError):
        return None
