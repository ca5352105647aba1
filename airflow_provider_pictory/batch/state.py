"""What is known of a batch's items in the present try, and what a job's end means for its item."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_pictory.api.redaction import clean
from airflow_provider_pictory.batch.document import Entry, ItemError
from airflow_provider_pictory.batch.plan import ItemState, Progress, state_of
from airflow_provider_pictory.exceptions import PictoryError
from airflow_provider_pictory.outcome import require_completed
from airflow_provider_pictory.submission.record import CloseReason, RecordState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_pictory.api import VideoJob
    from airflow_provider_pictory.batch_requests import BatchItem
    from airflow_provider_pictory.submission.record import SubmissionRecord
    from airflow_provider_pictory.task_log import Logger


class BatchState:
    """
    What is known of a batch's items.

    :param items: of the batch, in their order.
    :param entries: of all items that were ever in the list, by their keys; changed in place.
    :param signature: of the present try: what an earlier one knows has to be decided about anew.
    :param log: of the task.
    """

    def __init__(
        self, items: Sequence[BatchItem], entries: dict[str, Entry], signature: str, log: Logger
    ) -> None:
        self.items = {item.key: item for item in items}
        self._entries = entries
        self._signature = signature
        self._log = log

    def entry(self, key: str) -> Entry:
        """Return what is known of an item."""
        return self._entries.get(key, Entry())

    def __getitem__(self, key: str) -> ItemState:
        return state_of(self._entries.get(key), self._signature)

    def keys(self, *states: ItemState) -> list[str]:
        """Return the keys of the items in one of these states, in their order."""
        return [key for key in self.items if self[key] in states]

    def in_flight(self) -> dict[str, str]:
        """Return the ids of the jobs in the making, by their items' keys."""
        records = {key: self.entry(key).record for key in self.keys(ItemState.RUNNING)}
        return {key: record.job_id for key, record in records.items() if record and record.job_id}

    @property
    def progress(self) -> Progress:
        """How far the batch has come."""
        states = {key: self[key] for key in self.items}
        costs = [
            self.items[key].request.estimated_credits or 0.0
            for key, state in states.items()
            if state is not ItemState.WAITING
        ]
        return Progress.of(states.values(), sum(costs))

    def removed(self) -> list[str]:
        """Return the keys of items that are no longer in the list though their jobs may be running."""
        return [
            key
            for key, entry in self._entries.items()
            if key not in self.items and entry.record and entry.record.job_id and entry.job is None
        ]

    # What becomes known

    def keep(self, key: str, record: SubmissionRecord | None, *, is_settled: bool = False) -> None:
        """
        Note an item's record.

        :param key: of the item.
        :param record: what was recorded last.
        :param is_settled: whether this try knows what it is to know by now.
        """
        signature = self._signature if is_settled else ""
        self._entries[key] = Entry(record, None if is_settled else self.entry(key).job, None, signature)

    def conclude(self, key: str, record: SubmissionRecord | None, job: VideoJob) -> None:
        """Note that an item's job has ended."""
        record = record and record.but(has_ended=True)
        self._entries[key] = Entry(record, job, signature=self._signature)
        try:
            require_completed(job)
        except PictoryError as error:
            record = record and record.but(state=RecordState.CLOSED, reason=CloseReason.JOB_FAILED)
            self.fail(key, record, error, job)

    def fail(
        self, key: str, record: SubmissionRecord | None, error: PictoryError, job: VideoJob | None = None
    ) -> None:
        """Note why an item has no video in this try."""
        code = getattr(error, "code", None) or getattr(error, "error_code", None) or type(error).__name__
        message = (job.error_message if job is not None else None) or clean(str(error))
        self._entries[key] = Entry(record, job, ItemError(str(code), message), self._signature)
        self._log.warning("%s has no video: %s", str(self.items[key]).capitalize(), error)

    def deliver(self) -> None:
        """Note that the accepted jobs were delivered."""
        for key, entry in self._entries.items():
            if entry.record is not None and entry.record.state is RecordState.ACCEPTED:
                self._entries[key] = entry.but(record=entry.record.but(state=RecordState.DELIVERED))
