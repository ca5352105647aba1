"""What becomes known of one item is recorded in its Variable while its job is in flight, then in memory."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from airflow_provider_pictory.exceptions import PictoryRecordError
from airflow_provider_pictory.submission.record import CloseReason
from airflow_provider_pictory.submission.recording import Recording

if TYPE_CHECKING:
    from airflow_provider_pictory.clock import Clock
    from airflow_provider_pictory.submission.record import SubmissionRecord
    from airflow_provider_pictory.submission.store import RecordStore
    from airflow_provider_pictory.task_log import Logger


class ItemRecording(Recording):
    """
    What one try writes of one item; how it ends goes into the batch's document, which its owner writes.

    :param store: of the item's record.
    :param clock: to pause by.
    :param log: of the task.

    ``record`` is what was recorded last, ``None`` where nothing was submitted.
    """

    def __init__(self, store: RecordStore, *, clock: Clock, log: Logger) -> None:
        super().__init__(store, None, clock=clock, log=log)
        self.record: SubmissionRecord | None = None

    def note(self, record: SubmissionRecord) -> None:
        """Write what is already true, and go on without if that can't be written."""
        super().note(record)
        self.record = self._written or record

    def close(self, intent: SubmissionRecord) -> None:
        """Record that nothing came of an intent, unless another try has taken over meanwhile."""
        try:
            self._store.insist_on_no_other_try()
            self._store.remove(intent)
        except PictoryRecordError as error:
            self._log.warning("That nothing was submitted can't be recorded: %s", error)
        self.record = intent.closed(CloseReason.REFUSED)

    def retire(self, job_id: str | None, **changes: object) -> None:
        """Keep in memory how the item ended."""
        with suppress(PictoryRecordError):
            self.record = self.record or self._store.read()
        if self.record is not None and self.record.job_id == job_id:
            self.record = self.record.but(**changes)
