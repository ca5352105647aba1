"""The job of a task's record, polled before a try decides, and perhaps unknown to Pictory."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from tenacity import Retrying, retry_if_result, stop_after_attempt, wait_exponential

from airflow_provider_pictory.exceptions import PictoryError, PictoryJobNotFoundError
from airflow_provider_pictory.outcome import NOT_FOUND_GRACE, may_pass, poll
from airflow_provider_pictory.submission.attempt import is_not_found, needs_certainty, needs_poll

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_pictory.api import VideoJob
    from airflow_provider_pictory.clock import Clock
    from airflow_provider_pictory.hooks.pictory import PictoryHook
    from airflow_provider_pictory.submission.attempt import Attempt
    from airflow_provider_pictory.submission.policy import SubmissionPolicy
    from airflow_provider_pictory.submission.record import SubmissionRecord

# How often a person's clear polls a job before it gives up on finding out whether that is still running.
ATTEMPTS_TO_POLL = 5
LONGEST_PAUSE_BETWEEN_POLLS = 20.0


@dataclass(frozen=True)
class Submitted:
    """
    A job that belongs to the task.

    :param job_id: of the job.
    :param estimated_credits: what it was to cost, where known.
    :param pictory_conn_id: of the connection it was submitted over, which need not be today's.
    :param job: as it was seen just now, when it has its video already.
    """

    job_id: str
    estimated_credits: float | None
    pictory_conn_id: str
    job: VideoJob | None = None


def poll_for_decision(
    record: SubmissionRecord | None,
    attempt: Attempt,
    policy: SubmissionPolicy,
    *,
    hook_of: Callable[[SubmissionRecord], PictoryHook],
    clock: Clock,
) -> VideoJob | PictoryError | None:
    """
    Poll the record's job where the decision depends on it, several times where it must be known.

    :param record: of the tries before, if there is one.
    :param attempt: the present try.
    :param policy: what the author of the DAG decided.
    :param hook_of: return the hook of the connection that a record's job was submitted over.
    :param clock: to pause by.
    :return: the job, the error that the poll ended in, or ``None`` where nothing depends on it.
    :raises PictoryError: the job must be known and can't be polled.
    """
    if record is None or not needs_poll(record, attempt, policy):
        return None
    hook, job_id = hook_of(record), record.job_id or ""
    if not needs_certainty(record, attempt, policy):
        return poll(hook, job_id)
    attempts = Retrying(
        retry=retry_if_result(lambda polled: isinstance(polled, PictoryError) and may_pass(polled)),
        stop=stop_after_attempt(ATTEMPTS_TO_POLL),
        wait=wait_exponential(multiplier=2.0, max=LONGEST_PAUSE_BETWEEN_POLLS),
        sleep=clock.sleep,
        retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
    )
    polled = attempts(poll, hook, job_id)
    if isinstance(polled, PictoryError) and not is_not_found(polled):
        raise polled
    return polled


def is_young(record: SubmissionRecord, clock: Clock) -> bool:
    """Tell whether a job may still be unknown to a server that didn't create it."""
    age = clock.now() - record.accepted_at if record.accepted_at else timedelta.max
    return age < timedelta(seconds=NOT_FOUND_GRACE)


def not_found(record: SubmissionRecord, polled: PictoryError) -> PictoryJobNotFoundError:
    """Make the error for a record's job that Pictory doesn't know."""
    return PictoryJobNotFoundError(
        f"{polled} This task submitted it to {record.fingerprint.base_url} over connection "
        f"{record.fingerprint.pictory_conn_id!r}. Nothing was submitted again; correct the connection and "
        "clear this task, or set on_clear='new' and clear it to pay for another video",
        status_code=404,
    )
