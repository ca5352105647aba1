"""Where a batch's document and the records of its items in flight are kept, and who may write them."""

from __future__ import annotations

import json
import secrets
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from airflow.providers.common.compat.sdk import Variable

from airflow_provider_pictory import clock as clocks
from airflow_provider_pictory.batch.document import BatchDocument, read_document
from airflow_provider_pictory.exceptions import PictoryRecordError
from airflow_provider_pictory.submission.names import Claims, RecordName, job_digest
from airflow_provider_pictory.submission.store import RecordStore, error_words, place_of
from airflow_provider_pictory.submission.task_states import is_only_run
from airflow_provider_pictory.submission.tidying import OLDEST
from airflow_provider_pictory.submission.variables import (
    ListedVariables,
    list_names,
    open_variables,
    read_existing,
    read_for_certain,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_pictory.batch.document import Entry
    from airflow_provider_pictory.submission.record import SubmissionRecord, TaskPlace
    from airflow_provider_pictory.submission.record_variables import RecordVariables

DOCUMENT_PREFIX = "pictory_batch_"
STATE_KEY = "pictory_batch"
# How many documents of other batches a batch deletes at most.
MOST_DELETED = 20
# Airflow warns of larger values in its store of task state, by default beyond 65,535 bytes. A document of
# more than about eighty items is in its Variable alone.
LARGEST_TASK_STATE = 60_000


class BatchStore:
    """
    The document of one batch, whatever its tries; its Variable's name says who wrote it, and when.

    :param place: the task instance.
    :param variables: Airflow's, for the records of items.
    :param task_state: ``context["task_state_store"]``, ``None`` where Airflow has none.
    :param is_only_run: tells whether the DAG has had no other run.

    ``is_listed`` says whether Airflow lists the names of Variables.
    """

    def __init__(
        self,
        place: TaskPlace,
        variables: RecordVariables,
        task_state: Any,
        is_only_run: Callable[[], bool] = lambda: False,
    ) -> None:
        self.place = place
        self.variables = variables
        self._task_state = task_state
        self._is_only_run = is_only_run
        self.is_listed = isinstance(variables, ListedVariables)
        self._token = f"{int(clocks.SYSTEM_CLOCK.now().timestamp() * 1_000_000):x}_{secrets.token_hex(4)}"
        self._names: set[str] = set()
        self._text: str | None = None
        # What is known of the items by now, written or not.
        self.entries: dict[str, Entry] = {}

    def __str__(self) -> str:
        also = f" and task state {STATE_KEY!r}" if self._task_state is not None else ""
        return f"Variable {self._prefix}*{also} for {self.place}"

    def read(self, *, is_new: bool = False) -> BatchDocument:
        """
        Return what was written last; a document without entries where it is certain that nothing was.

        :param is_new: whether it is certain that nothing was, since this is the first try's first process.
        :raises PictoryRecordError: it can't be read or understood.
        """
        try:
            texts = self._read_variables(is_new=is_new)
            kept = None if self._task_state is None else self._task_state.get(STATE_KEY)
        except Exception as error:
            raise PictoryRecordError(
                f"What this batch has submitted ({self}) can't be read ({error_words(error)}), so nothing "
                "was submitted: it might be paid for twice. A later try may find it."
            ) from error
        if kept is not None:
            texts.append(kept if isinstance(kept, str) else json.dumps(kept))
        try:
            documents = [read_document(text) for text in texts]
        except (ValueError, TypeError, KeyError) as error:
            raise PictoryRecordError(
                f"What this batch has submitted ({self}) can't be understood ({error_words(error)}), so "
                "nothing was submitted: it might be paid for twice. Look up in Pictory which videos are "
                "there; delete it to submit all again."
            ) from error
        nothing = BatchDocument(self.place)
        return max(documents, key=lambda document: document.revision, default=nothing)

    def write(self, document: BatchDocument) -> BatchDocument:
        """
        Replace what was written last, in both stores where it isn't too large: either may be emptied.

        :return: the document as it was written.
        :raises PictoryRecordError: it can't be written to the Variable.
        """
        document = replace(document, revision=document.revision + 1)
        text = document.as_json()
        try:
            self._write_variable(text)
        except Exception as error:
            raise PictoryRecordError(
                f"What this batch submits ({self}) can't be written ({error_words(error)})"
            ) from error
        with suppress(PictoryRecordError):
            self._write_task_state(text)
        return document

    def retire(self, document: BatchDocument) -> None:
        """
        Write what needs no Variable any more where another store keeps it.

        :raises PictoryRecordError: it can't be written.
        """
        text = replace(document, revision=document.revision + 1).as_json()
        if self._task_state is None or len(text) > LARGEST_TASK_STATE:
            self.write(document)
            return
        self._write_task_state(text)
        try:
            for name in self._names:
                Variable.delete(name)
        except Exception as error:
            raise PictoryRecordError(f"{self} can't be deleted ({error_words(error)})") from error
        self._names.clear()

    def insist_on_no_other_try(self) -> None:
        """
        Make sure that nobody else has written since this process did.

        :raises PictoryRecordError: another try has taken over, or that can't be found out.
        """
        try:
            if self.is_listed:
                is_ours = set(list_names(self._prefix)) == self._names
            else:
                is_ours = read_for_certain(self._prefix) == self._text
        except Exception as error:
            raise PictoryRecordError(
                f"What this batch has submitted ({self}) can't be read ({error_words(error)}), so nothing "
                "more was submitted"
            ) from error
        if not is_ours:
            raise PictoryRecordError("Another try of this task has taken over; nothing more was submitted")

    def keys_with_records(self, document: BatchDocument, keys: set[str]) -> set[str]:
        """
        Return the keys of the items that have, or may have, a Variable of their own.

        :param document: as it was read.
        :param keys: of all items, those that were in the list before among them.
        :raises PictoryRecordError: they can't be read.
        """
        if not isinstance(self.variables, ListedVariables):
            return keys & set(document.recorded)
        try:
            places = {name.place for name in self.variables.names()}
        except Exception as error:
            raise PictoryRecordError(f"Who has which job can't be read ({error_words(error)})") from error
        return {key for key in keys if self.place._replace(item=key).digest in places}

    def record_store(self, key: str, known: SubmissionRecord | None, *, is_written: bool) -> ItemStore:
        """
        Return the store of one item's record.

        :param key: of the item.
        :param known: what the document has of it.
        :param is_written: whether there may be a Variable of its own.
        """
        return ItemStore(self, key, known, is_written=is_written)

    def records_of(self, job_ids: Iterable[str]) -> dict[str, SubmissionRecord]:
        """Return the records of the batch's items that have one of these jobs, by the jobs' ids."""
        wanted = set(job_ids)
        return {
            entry.record.job_id: entry.record
            for entry in self.entries.values()
            if entry.record is not None and entry.record.job_id in wanted
        }

    def names_of_jobs(self, but: str | None) -> list[RecordName]:
        """
        Return names for the jobs that the batch's items have or have had.

        :param but: key of an item whose jobs are left out.
        """
        return [
            RecordName(self.place._replace(item=key).digest, 0, "", job_digest(job.job_id))
            for key, entry in self.entries.items()
            if key != but and entry.record is not None
            for job in entry.record.jobs_so_far
        ]

    @property
    def _prefix(self) -> str:
        return f"{DOCUMENT_PREFIX}{self.place.digest}"

    def tidy(self, records: Iterable[SubmissionRecord], now: datetime, *, is_first_try: bool = False) -> None:
        """
        Delete documents of other batches that are too old to be asked about.

        :param records: those of this batch that are left, to be deleted by age where they can't be listed.
        :param now: this moment.
        :param is_first_try: whether no other try of this task instance has come before.
        """
        if not self.is_listed:
            self.variables.tidy(
                self.place, records, now, lambda: is_first_try and self._is_only_run(), [self._prefix]
            )
            return
        oldest = int((now - OLDEST).timestamp() * 1_000_000)
        names = set(list_names(DOCUMENT_PREFIX)) - self._names
        old = [name for name in names if (_written_at(name) or oldest) < oldest]
        for name in old[:MOST_DELETED]:
            Variable.delete(name)

    def _read_variables(self, *, is_new: bool) -> list[str]:
        if self.is_listed:
            self._names = set(list_names(self._prefix))
            return [read_existing(name) for name in self._names]
        self._text = None if is_new else read_for_certain(self._prefix)
        return [] if self._text is None else [self._text]

    def _write_variable(self, text: str) -> None:
        name = f"{self._prefix}_{self._token}" if self.is_listed else self._prefix
        description = f"What the batch of {self.place} has submitted to Pictory"[:1000]
        Variable.set(name, text, description)
        for former in self._names - {name}:
            Variable.delete(former)
        self._names = {name}
        self._text = text

    def _write_task_state(self, text: str) -> None:
        if self._task_state is None:
            return
        from airflow.sdk.execution_time.context import NEVER_EXPIRE

        try:
            if len(text) > LARGEST_TASK_STATE:
                # What was small enough before is out of date by now.
                self._task_state.delete(STATE_KEY)
            else:
                self._task_state.set(STATE_KEY, json.loads(text), retention=NEVER_EXPIRE)
        except Exception as error:
            raise PictoryRecordError(f"{self} can't be written ({error_words(error)})") from error


class ItemStore(RecordStore):
    """
    The submission record of one item: in a Variable while its job is in flight, else in the document.

    :param batch: of the item.
    :param key: of the item.
    :param known: what the document has of it.
    :param is_written: whether there may be a Variable of its own.
    """

    def __init__(
        self, batch: BatchStore, key: str, known: SubmissionRecord | None, *, is_written: bool
    ) -> None:
        super().__init__(batch.place._replace(item=key), batch.variables, None, has_earlier_tries=False)
        self._batch = batch
        self._known = known
        self._is_written = is_written

    def read(self, *, is_first_try: bool = False) -> SubmissionRecord | None:
        """Return what was written last, in the Variable or the document, whichever try asks."""
        written = super().read() if self._is_written else None
        known = self._known
        if written is None or (known is not None and known.revision > written.revision):
            return known
        return written

    def read_written(self) -> SubmissionRecord | None:
        """Return what the Variable holds, which this try has written."""
        return super().read()

    def claims(self, job_ids: Iterable[str]) -> Claims:
        """Return who has which of these jobs; what other items have had has no Variable any more."""
        claims = super().claims(job_ids)
        return Claims((*claims.names, *self._batch.names_of_jobs(self.place.item)), claims.shows_pending)

    def read_owners(self, job_ids: Iterable[str]) -> list[SubmissionRecord]:
        """Return the records of others that have one of these jobs; of the same batch they are known."""
        job_ids = set(job_ids)
        known = self._batch.records_of(job_ids)
        return [
            *(record for record in known.values() if record.place != self.place),
            *super().read_owners(job_ids - known.keys()),
        ]

    def insist_on_no_other_try(self) -> None:
        """Make sure that no other try of the batch has taken over."""
        self._batch.insist_on_no_other_try()


def open_batch_store(context: Context) -> BatchStore:
    """
    Return the store of the running task instance's batch.

    :param context: Airflow's of the running task.
    """
    task_state = cast("Mapping[str, Any]", context).get("task_state_store")
    return BatchStore(place_of(context), open_variables(), task_state, lambda: is_only_run(context))


def _written_at(name: str) -> int | None:
    """Return when a document's Variable was first written, in microseconds, as its name says."""
    try:
        return int(name.rsplit("_", 2)[1], 16)
    except (ValueError, IndexError):
        return None
