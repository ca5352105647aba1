"""What one process has written down of a batch, and which of its items have a Variable of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_pictory.api.redaction import clean
from airflow_provider_pictory.batch.document import BatchDocument
from airflow_provider_pictory.submission.forgetting import is_awaited
from airflow_provider_pictory.submission.reconcile import settles_in
from airflow_provider_pictory.submission.record import RecordState

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from airflow_provider_pictory.batch.store import BatchStore, ItemStore
    from airflow_provider_pictory.clock import Clock
    from airflow_provider_pictory.task_log import Logger


class BatchRecords:
    """
    What one process has written down of a batch.

    :param store: of the batch's document.
    :param clock: the clock to use.
    :param log: of the task.
    """

    def __init__(self, store: BatchStore, *, clock: Clock, log: Logger) -> None:
        self._store = store
        self._clock = clock
        self._log = log
        self._document = BatchDocument(store.place)
        # The keys of the items that have a Variable of their own.
        self._with_variable: set[str] = set()

    def open(self, keys: Collection[str], *, is_new: bool) -> None:
        """
        Read what the processes before this one have written, and take over from them.

        :param keys: of the items in the list.
        :param is_new: whether it is certain that nothing was written.
        :raises PictoryRecordError: it can't be read or written.
        """
        document = self._store.read(is_new=is_new)
        self._store.entries.update(document.entries)
        self._with_variable = self._store.keys_with_records(document, {*keys, *document.entries})
        self._document = self._store.write(document)

    def has_variable(self, key: str) -> bool:
        """Return whether an item has, or may have, a Variable of its own."""
        return key in self._with_variable

    def note_variable(self, key: str) -> None:
        """Note that an item has a Variable of its own from now on."""
        self._with_variable.add(key)

    def of_item(self, key: str) -> ItemStore:
        """Return the store of one item's record."""
        entry = self._store.entries.get(key)
        known = entry.record if entry is not None else None
        return self._store.record_store(key, known, is_written=self.has_variable(key))

    def announce(self, keys: Iterable[str]) -> None:
        """
        Write down which items may have a Variable soon, where a later try can't list those.

        :raises PictoryRecordError: it can't be written.
        """
        recorded = {*self._document.recorded, *self._with_variable}
        if not self._store.is_listed and not recorded.issuperset(keys):
            self._document = self._store.write(self._present(recorded.union(keys)))

    def write(self, ended: Iterable[str]) -> None:
        """
        Write what is known, and delete the Variables of items that have ended.

        :param ended: the keys of those.
        :raises PictoryRecordError: it can't be written.
        """
        self._document = self._store.write(self._present(self._with_variable))
        records = [
            record
            for key in ended
            if self.has_variable(key)
            and (entry := self._store.entries.get(key))
            and (record := entry.record)
            and (record.has_ended or record.state is RecordState.CLOSED)
        ]
        if not records:
            return
        try:
            claims, now = self._store.variables.claims(()), self._clock.now()
            for record in records:
                # Where nobody can tell who waits for a response, they have all had the time to get it.
                is_needed = not self._store.is_listed and settles_in(record, own_now=now) > 0
                if not is_needed and not is_awaited(record, claims):
                    self._store.record_store(record.item or "", None, is_written=True).remove(record)
                    self._with_variable.discard(record.item or "")
        except Exception as error:  # noqa: BLE001  (what is left over is deleted by later tasks)
            self._log.info("Records of ended items can't be deleted now: %s", clean(repr(error)))

    def retire(self) -> None:
        """
        Write what is known for the last time, where nobody looks for it among Variables.

        :raises PictoryRecordError: it can't be written.
        """
        self._store.retire(self._present(self._with_variable))

    def tidy(self, *, is_first_try: bool) -> None:
        """
        Delete what batches have left that nobody will ask about any more.

        :param is_first_try: whether no other try of this task instance has come before.
        """
        entries = [self._store.entries.get(key) for key in self._with_variable]
        left = [entry.record for entry in entries if entry is not None and entry.record is not None]
        try:
            self._store.tidy(left, self._clock.now(), is_first_try=is_first_try)
        except Exception as error:  # noqa: BLE001  (nothing that goes wrong here matters to the task)
            self._log.info("What other batches have left can't be tidied up now: %s", clean(repr(error)))

    def _present(self, recorded: set[str]) -> BatchDocument:
        return BatchDocument(
            self._store.place, self._store.entries, self._document.revision, tuple(sorted(recorded))
        )
