"""
The record of a job that was seen ended is deleted by whoever saw that, another task or a trigger.

Light enough for a triggerer: it loads no HTTP client.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_pictory.submission.record import RecordState, read_record
from airflow_provider_pictory.submission.task_states import GONE, find_task_state
from airflow_provider_pictory.submission.variables import ListedVariables, open_variables, short_prompt

if TYPE_CHECKING:
    from airflow_provider_pictory.polling import Logger
    from airflow_provider_pictory.submission.record import SubmissionRecord
    from airflow_provider_pictory.submission.variables import Claims


def forget_job(job_id: str, context: Any, log: Logger) -> None:
    """
    Delete the record of a job that was seen ended, unless somebody still needs it.

    For whoever waits for a job that another task submitted. Nothing that goes wrong here matters to it.

    :param job_id: of the job.
    :param context: Airflow's of the running task, ``None`` in a triggerer.
    :param log: of the task.
    """
    try:
        variables = open_variables()
        for _, text in variables.find_by_job(job_id):
            record = read_record(text)
            if record.job_id != job_id or record.state is not RecordState.DELIVERED:
                continue
            if record.is_kept or record.lost:
                continue
            if not isinstance(variables, ListedVariables) or is_awaited(record, variables.claims(())):
                continue
            if context is None or find_task_state(context, record.place) in (GONE, "success"):
                variables.remove(record)
    except Exception as error:  # noqa: BLE001  (see above)
        log.info("The record of job %s can't be deleted now: %r", job_id, error)


def is_awaited(record: SubmissionRecord, claims: Claims) -> bool:
    """Tell whether another task may take this record's job for its own once the record is gone."""
    return bool(claims.pending(short_prompt(record)) - {record.place.digest})
