"""The recording of what became of a submission; a failure to write it doesn't change how the task ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from airflow_provider_pictory.exceptions import PictoryRecordError
from airflow_provider_pictory.submission.record import CloseReason

if TYPE_CHECKING:
    from airflow_provider_pictory.clock import Clock
    from airflow_provider_pictory.submission.attempt import Attempt
    from airflow_provider_pictory.submission.record import SubmissionRecord
    from airflow_provider_pictory.submission.store import RecordStore
    from airflow_provider_pictory.submission.tidying import Tidier
    from airflow_provider_pictory.task_log import Logger

# How many attempts to write a job id are made before the task goes on without.
ATTEMPTS_TO_WRITE = 4


class Recording:
    """
    What one try writes once it knows something.

    :param store: of the task's record.
    :param tidier: deletes what nobody needs any more; ``None`` where others see to that.
    :param clock: to pause by.
    :param log: of the task.
    """

    def __init__(self, store: RecordStore, tidier: Tidier | None, *, clock: Clock, log: Logger) -> None:
        self._store = store
        self._tidier = tidier
        self._clock = clock
        self._log = log
        self._written: SubmissionRecord | None = None

    def note(self, record: SubmissionRecord) -> None:
        """Write what is already true, and go on without if that can't be written."""
        attempts = Retrying(
            retry=retry_if_exception_type(PictoryRecordError),
            stop=stop_after_attempt(ATTEMPTS_TO_WRITE),
            wait=wait_exponential(multiplier=0.2, max=2.0),
            sleep=self._clock.sleep,
            reraise=True,
        )
        try:
            self._written = attempts(self._store.write, record)
        except PictoryRecordError as error:
            self._log.warning(
                "%s; should this task be interrupted, its next try has to find out from Pictory's lists "
                "whether there is a job",
                error,
            )

    def close(self, intent: SubmissionRecord) -> None:
        """Record that nothing came of an intent, unless another try has taken over meanwhile."""
        try:
            self._store.insist_on_no_other_try()
            self._store.close(intent.closed(CloseReason.REFUSED))
        except PictoryRecordError as error:
            self._log.warning("That nothing was submitted can't be recorded: %s", error)

    def retire(self, job_id: str | None, **changes: object) -> None:
        """
        Record how the task ends.

        :param job_id: its job; nothing is recorded of another one.
        :param changes: fields of the record.
        """
        try:
            record = self._written
            if record is None:
                record = self._store.read()
            else:
                self._store.insist_on_no_other_try()
            if record is not None and record.job_id == job_id and self._tidier is not None:
                self._tidier.retire(record.but(**changes))
        except PictoryRecordError as error:
            self._log.warning("How job %s ended can't be recorded: %s", job_id, error)

    def leave(self) -> None:
        """Leave the record as it is, and tidy up after others."""
        if self._written is not None and self._tidier is not None:
            self._tidier.tidy_up(self._written)

    def without_previous_run(
        self, previous: SubmissionRecord | None, attempt: Attempt
    ) -> SubmissionRecord | None:
        """Write at once that a record is a former run's: this run's second try couldn't tell any more."""
        if previous is None or previous.reason is not CloseReason.PREVIOUS_RUN:
            return previous
        return self._store.write(
            attempt.sign(previous).but(
                job_id=None, accepted_at=None, candidates=None, earlier_jobs=previous.jobs_so_far
            )
        )
