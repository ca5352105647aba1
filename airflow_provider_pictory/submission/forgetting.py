"""
The deletion of a job's record by another task, or a trigger, that saw the job end.

Light enough for a triggerer: it loads no HTTP client.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_pictory.api.redaction import clean
from airflow_provider_pictory.submission.names import RecordName, short_prompt
from airflow_provider_pictory.submission.record import RecordState, read_record
from airflow_provider_pictory.submission.task_states import GONE, find_task_state
from airflow_provider_pictory.submission.variables import (
    ListedVariables,
    open_variables,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from airflow_provider_pictory.submission.names import Claims
    from airflow_provider_pictory.submission.record import SubmissionRecord
    from airflow_provider_pictory.task_log import Logger

    LateReport = Callable[[SubmissionRecord, Callable[[Iterable[str]], Claims], Logger], SubmissionRecord]


def forget_job(job_id: str, context: Any, log: Logger, *, report_late: LateReport | None = None) -> None:
    """
    Delete the record of a job that was seen ended, unless somebody still needs it.

    For a wait for a job that another task submitted. Nothing that goes wrong here matters to the wait.

    :param job_id: of the job.
    :param context: Airflow's of the running task, ``None`` in a triggerer.
    :param log: of the task.
    :param report_late: report jobs of earlier submissions of the record's, and return it without those that
        nobody need look for again; without it such records are left to others.
    """
    try:
        variables = open_variables()
        if not isinstance(variables, ListedVariables):
            return
        for _, text in variables.find_by_job(job_id):
            record = read_record(text)
            if record.job_id != job_id or record.is_kept:
                continue
            if record.state is not RecordState.DELIVERED and not record.is_over_when_accepted:
                continue
            claims = variables.claims(())
            if is_awaited(record, claims) or claims.of_other_submissions(RecordName.of(record)):
                continue
            if context is not None and find_task_state(context, record.place) not in (GONE, "success"):
                continue
            is_searched_for = bool(record.lost)
            if is_searched_for and report_late is not None:
                is_searched_for = bool(report_late(record, variables.claims, log).lost)
            if not is_searched_for:
                variables.remove(record)
    except Exception as error:  # noqa: BLE001  (see above)
        log.info("The record of job %s can't be deleted now: %s", job_id, clean(repr(error)))


def is_awaited(record: SubmissionRecord, claims: Claims) -> bool:
    """Tell whether another task may take this record's job for its own once the record is gone."""
    return bool(claims.undecided(short_prompt(record)) - {record.place.digest})
