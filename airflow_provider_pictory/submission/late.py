"""Jobs of submissions that were taken for never arrived, and showed up later than the window allows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_pictory.submission.evidence import Found, Wait, weigh
from airflow_provider_pictory.submission.reconcile import AccountLists

if TYPE_CHECKING:
    from airflow_provider_pictory.hooks.pictory import PictoryHook
    from airflow_provider_pictory.submission.record import LostSubmission, SubmissionRecord
    from airflow_provider_pictory.submission.store import RecordStore


@dataclass(frozen=True)
class LateJobs:
    """
    What the lists say about submissions that were taken for never arrived.

    :param job_ids: the jobs that came from them all the same.
    :param is_conclusive: whether time can't change it.
    """

    job_ids: tuple[str, ...] = ()
    is_conclusive: bool = True


def find_late_jobs(record: SubmissionRecord, hook: PictoryHook, store: RecordStore, now: float) -> LateJobs:
    """
    Look for jobs of a record's lost submissions.

    :param record: with the job that was submitted after them.
    :param hook: of the connection that they went over.
    :param store: which knows other tasks' jobs.
    :param now: seconds, of any clock.
    :raises PictoryError: the lists can't be read.
    """
    found: list[str] = []
    is_conclusive = True
    for lost in record.lost:
        lists = AccountLists(_as_intent(record, lost), hook)
        lists.refresh(now, skipped=set())
        own = {record.job_id, *(earlier.job_id for earlier in record.earlier_jobs)}
        claims = store.claims(lists.candidates)
        free = [
            candidate
            for job_id, candidate in lists.candidates.items()
            if job_id not in own and not claims.owners(job_id)
        ]
        if not free:
            continue
        evidence = weigh(
            record.fingerprint,
            free,
            lists.videos(),
            is_complete=True,
            is_settled=True,
            window=record.window,
            now=now,
        )
        if isinstance(evidence, Found):
            found += [job_id for job_id in evidence.job_ids if job_id not in found]
        elif isinstance(evidence, Wait):
            is_conclusive = False
    return LateJobs(tuple(found), is_conclusive)


def _as_intent(record: SubmissionRecord, lost: LostSubmission) -> SubmissionRecord:
    return record.but(
        intended_at=lost.intended_at,
        server_time=lost.server_time,
        baseline=lost.baseline,
        newest_job_id=lost.newest_job_id,
        candidates=None,
    )
