"""Jobs that show up after their submission's window, when the submission was taken for never arrived."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from airflow_provider_pictory.clock import SYSTEM_CLOCK
from airflow_provider_pictory.exceptions import PictoryError
from airflow_provider_pictory.hooks.pictory import PictoryHook
from airflow_provider_pictory.submission.account_lists import AccountLists
from airflow_provider_pictory.submission.evidence import Found, Videos, Wait, conclude

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from airflow_provider_pictory.clock import Clock
    from airflow_provider_pictory.submission.names import Claims
    from airflow_provider_pictory.submission.record import LostSubmission, SubmissionRecord
    from airflow_provider_pictory.task_log import Logger

# How long after a submission to look for its job at all, and for one among jobs that are still running.
LATEST = timedelta(hours=1)
LATEST_END = timedelta(hours=25)


@dataclass(frozen=True)
class LateJobs:
    """
    What the lists say about submissions that were taken for never arrived.

    :param job_ids: the jobs that came from them all the same.
    :param is_conclusive: whether nobody need look again.
    """

    job_ids: tuple[str, ...] = ()
    is_conclusive: bool = True


def report_late_jobs(
    record: SubmissionRecord,
    *,
    hook: PictoryHook,
    claims: Callable[[Iterable[str]], Claims],
    clock: Clock,
    log: Logger,
) -> SubmissionRecord:
    """
    Log what was paid for besides the job that a task went on with.

    :param record: with the job that was submitted after what was lost.
    :param hook: of the connection that all went over.
    :param claims: return who has which of some jobs.
    :param clock: for the age of a submission, where Pictory's clock isn't known.
    :param log: of the running task.
    :return: the record, without what nobody need look for again.
    """
    if not record.lost:
        return record
    try:
        late = find_late_jobs(record, hook, claims, clock)
    except PictoryError as error:
        log.info("Whether a submission arrived late can't be found out now: %s", error)
        return record
    if late.job_ids:
        cost = "an unknown number of" if record.estimated_credits is None else f"{record.estimated_credits:g}"
        log.error(
            "Pictory acted on a submission of %s after its window was over, when another one had been sent "
            "in its place: besides job %s there is job %s, and each is paid for (about %s AI credits each). "
            "Raise submission_window in the extra of connection %r if this happens again",
            record.place,
            record.job_id,
            ", ".join(late.job_ids),
            cost,
            record.fingerprint.pictory_conn_id,
        )
    return record.but(lost=()) if late.job_ids or late.is_conclusive else record


def report_late_jobs_of_another(
    record: SubmissionRecord, claims: Callable[[Iterable[str]], Claims], log: Logger
) -> SubmissionRecord:
    """Report late jobs for a record of another task, over the connection that the record names."""
    hook = PictoryHook(record.fingerprint.pictory_conn_id)
    try:
        return report_late_jobs(record, hook=hook, claims=claims, clock=SYSTEM_CLOCK, log=log)
    finally:
        hook.close()


def find_late_jobs(
    record: SubmissionRecord,
    hook: PictoryHook,
    claims: Callable[[Iterable[str]], Claims],
    clock: Clock,
) -> LateJobs:
    """
    Look for jobs of a record's lost submissions.

    :raises PictoryError: the lists can't be read.
    """
    found: list[str] = []
    is_conclusive = True
    server_now = hook.get_baseline().server_time
    own = {record.job_id, *(earlier.job_id for earlier in record.earlier_jobs)}
    for lost in record.lost:
        lists = AccountLists(_as_intent(record, lost), hook)
        lists.refresh(clock.monotonic(), skipped=set())
        owned = claims(lists.candidates)
        free = [
            candidate
            for job_id, candidate in lists.candidates.items()
            if job_id not in own and not owned.owners(job_id)
        ]
        evidence = conclude(
            record.fingerprint,
            free,
            lists.videos() if free else Videos(),
            is_complete=True,
            is_settled=True,
            is_in_order=False,
            window=0.0,
            now=clock.monotonic(),
        )
        age = _age(lost, server_now, clock)
        if isinstance(evidence, Found):
            found += [job_id for job_id in evidence.job_ids if job_id not in found]
        elif age < LATEST or (age < LATEST_END and isinstance(evidence, Wait)):
            is_conclusive = False
    return LateJobs(tuple(found), is_conclusive)


def _age(lost: LostSubmission, server_now: datetime | None, clock: Clock) -> timedelta:
    if lost.server_time is not None and server_now is not None:
        return server_now - lost.server_time
    return clock.now() - lost.intended_at


def _as_intent(record: SubmissionRecord, lost: LostSubmission) -> SubmissionRecord:
    return record.but(
        intended_at=lost.intended_at,
        server_time=lost.server_time,
        baseline=lost.baseline,
        newest_job_id=lost.newest_job_id,
        candidates=None,
    )
