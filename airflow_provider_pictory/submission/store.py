"""
Where the submission record of one task instance is kept, and how jobs are claimed.

A person may delete a Variable, and a clear of Airflow 3.4 empties task state. So while a video is in flight,
its record is in a Variable and, on Airflow 3.3 and later, in task state as well.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from airflow_provider_pictory.api.redaction import clean
from airflow_provider_pictory.exceptions import PictoryRecordError
from airflow_provider_pictory.submission.record import CloseReason, RecordState, TaskPlace, read_record
from airflow_provider_pictory.submission.task_state_record import STATE_KEY, read_task_state, write_task_state
from airflow_provider_pictory.submission.variables import open_variables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_pictory.clock import Clock
    from airflow_provider_pictory.submission.names import Claims, RecordName
    from airflow_provider_pictory.submission.record import SubmissionRecord
    from airflow_provider_pictory.submission.record_variables import RecordVariables


class RecordStore:
    """
    The submission record of one task instance, whatever its tries.

    :param place: the task instance.
    :param variables: Airflow's Variables.
    :param task_state: ``context["task_state_store"]``, ``None`` where Airflow has none.
    :param has_earlier_tries: whether there may be a record of an earlier try.
    """

    def __init__(
        self, place: TaskPlace, variables: RecordVariables, task_state: Any, *, has_earlier_tries: bool
    ) -> None:
        self.place = place
        self._variables = variables
        self._task_state = task_state
        self._has_earlier_tries = has_earlier_tries

    @property
    def outlives_variables(self) -> bool:
        """Whether a record that isn't among the Variables is still found."""
        return self._task_state is not None

    def __str__(self) -> str:
        also = f" and task state {STATE_KEY!r}" if self.outlives_variables else ""
        return f"Variables pictory_submission_{self.place.digest}*{also} for {self.place}"

    def read(self, *, is_first_try: bool = False) -> SubmissionRecord | None:
        """
        Return what was written last, or ``None`` where it is certain that nothing was.

        :param is_first_try: whether the task instance's first try asks, before it has written anything.
        :raises PictoryRecordError: it can't be read or understood.
        """
        try:
            found = self._variables.find(self.place.digest, is_new=is_first_try)
            texts = [text for _, text in found]
            kept = read_task_state(self._task_state, is_expected=self._has_earlier_tries and not texts)
        except Exception as error:
            raise PictoryRecordError(
                f"The record of what this task has submitted ({self}) can't be read ({error_words(error)}), "
                "so nothing was submitted: it might be paid for twice. A later try may find it."
            ) from error
        records = [self._understood(text) for text in (*texts, *filter(None, [kept]))]
        last = max(records, key=lambda record: record.revision, default=None)
        for record in records:
            if last is not None and record.state is RecordState.INTENT and record.job_id is not None:
                # A try that crashed while it claimed a job didn't find out whether another task has it, and
                # another job may be this task's in the end.
                last = self._withdraw(record, last)
        return last

    def write(self, record: SubmissionRecord) -> SubmissionRecord:
        """
        Replace what was written last, in both stores: either may be emptied.

        :return: the record as it was written.
        :raises PictoryRecordError: it can't be written to any store; an intent insists on the Variable.
        """
        record = record.but(revision=record.revision + 1)
        try:
            self._write_variable(record)
        except PictoryRecordError:
            if record.state is RecordState.INTENT or not self.outlives_variables:
                raise
            self._write_task_state(record)
            return record
        if self.outlives_variables:
            with suppress(PictoryRecordError):
                self._write_task_state(record)
        return record

    def write_intent(self, intent: SubmissionRecord) -> SubmissionRecord:
        """
        Write what is about to be submitted, and insist on reading it as the next try would.

        Airflow asks a secrets backend before its own database, and writes to the latter alone.

        :return: the record as it was written.
        :raises PictoryRecordError: it can't be written or is read as something else, so nothing may be sent.
        """
        intent = self.write(intent)
        try:
            shown = self._variables.shown(intent)
        except Exception as error:
            raise self._hidden(intent, f"can't be read ({error_words(error)})") from error
        if shown != intent.as_json():
            raise self._hidden(intent, "can't be read" if shown is None else "is read as something else")
        return intent

    def retire(self, record: SubmissionRecord, *, is_needed: bool) -> None:
        """
        Write a record whose outcome is known, without a Variable where another store keeps it.

        :param record: the record.
        :param is_needed: whether somebody may still look for the Variable.
        :raises PictoryRecordError: it can't be written.
        """
        if is_needed or not self.outlives_variables:
            self.write(record)
            return
        record = record.but(revision=record.revision + 1)
        self._write_task_state(record)
        self._remove_all(record)

    def close(self, record: SubmissionRecord) -> None:
        """
        Write the record of a submission of which nothing came, or none where there is nothing to remember.

        :raises PictoryRecordError: it can't be written.
        """
        if record.earlier_jobs or record.lost:
            self.write(record)
        elif self.outlives_variables:
            self.retire(record, is_needed=False)
        else:
            self._remove_all(record)

    def remove(self, record: SubmissionRecord) -> None:
        """
        Delete the record's Variable.

        :raises PictoryRecordError: it can't be deleted.
        """
        try:
            self._variables.remove(record)
        except Exception as error:
            raise self._unwritable(error) from error

    def insist_on_no_other_try(self) -> None:
        """
        Make sure that nobody else has written since this try's last read or write.

        A worker may have been given up and replaced while it was stopped for a while.

        :raises PictoryRecordError: another try has taken over, or that can't be found out.
        """
        try:
            version = self._variables.version(self.place.digest)
        except Exception as error:
            raise PictoryRecordError(
                f"The record of what this task has submitted ({self}) can't be read ({error_words(error)}), "
                "so nothing was submitted"
            ) from error
        if version != self._variables.known_version(self.place.digest):
            raise PictoryRecordError("Another try of this task has taken over; nothing was submitted")

    def read_other(self, name: RecordName) -> SubmissionRecord | None:
        """Return another task instance's record, ``None`` where it is gone or can't be understood."""
        text = self._variables.read(name)
        try:
            return None if text is None else read_record(text)
        except ValueError:
            return None

    def tidy(self, record: SubmissionRecord, now: datetime, is_only_run: Callable[[], bool]) -> None:
        """Delete Variables that are too old to be asked about, where Airflow can't list them."""
        self._variables.tidy(self.place, [record], now, is_only_run)

    def claims(self, job_ids: Iterable[str]) -> Claims:
        """
        Return who has which of these jobs.

        :raises PictoryRecordError: it can't be found out.
        """
        try:
            return self._variables.claims(job_ids)
        except Exception as error:
            raise PictoryRecordError(f"Who has which job can't be read ({error_words(error)})") from error

    def claims_at_read(self) -> Claims:
        """Return who had which job when :meth:`read` was called, at no cost."""
        return self._variables.claims_when_found()

    def claim(self, intent: SubmissionRecord, job_id: str, clock: Clock) -> SubmissionRecord | int:
        """
        Make a job that the lists show this task instance's own, unless another one claims it as well.

        Of two who claim it in the same moment at least one sees the other, and whoever sees another yields.

        :param intent: the record without a job.
        :param job_id: the job.
        :param clock: what to wait by.
        :return: the record with the job; else how many of those who claimed it come before this one.
        :raises PictoryRecordError: it can't be found out.
        """
        others = self._other_owners(job_id)
        if others:
            return self._rank_among(others)
        claimed = intent.accepted(job_id, clock.now(), is_claimed=True).but(revision=intent.revision + 1)
        # Not accepted yet: should this try crash right here, the next one has to find out once more.
        tentative = claimed.but(state=RecordState.INTENT)
        self._write_variable(tentative)
        pause = self._variables.pause_before_claim_counts()
        if pause:
            clock.sleep(pause)
        others = self._other_owners(job_id)
        if not others:
            return self.write(claimed)
        self._withdraw(tentative, intent)
        return self._rank_among(others)

    def read_owners(self, job_ids: Iterable[str]) -> list[SubmissionRecord]:
        """
        Return the records of the other task instances that have one of these jobs, or are about to take it.

        :raises PictoryRecordError: they can't be read.
        """
        try:
            texts = [text for job_id in job_ids for _, text in self._variables.find_by_job(job_id)]
            records = [read_record(text) for text in texts]
        except Exception as error:
            raise PictoryRecordError(f"Who has which job can't be read ({error_words(error)})") from error
        return [record for record in records if record.place != self.place]

    def _other_owners(self, job_id: str) -> set[str]:
        return self.claims([job_id]).owners(job_id) - {self.place.digest}

    def _withdraw(self, claimed: SubmissionRecord, record: SubmissionRecord) -> SubmissionRecord:
        """Take back a claim that hasn't become this task instance's job, and write the record without it."""
        if record.state is RecordState.INTENT:
            record = record.but(
                job_id=None, accepted_at=None, is_claimed=False, revision=claimed.revision + 1
            )
        try:
            self._variables.withdraw(claimed, record, self._description)
        except Exception as error:
            raise self._unwritable(error) from error
        return record

    def _rank_among(self, others: set[str]) -> int:
        return sum(other < self.place.digest for other in others)

    def _remove_all(self, record: SubmissionRecord) -> None:
        try:
            self._variables.remove_all(record)
        except Exception as error:
            raise self._unwritable(error) from error

    @property
    def _description(self) -> str:
        return f"What {self.place} has submitted to Pictory"[:1000]

    def _write_variable(self, record: SubmissionRecord) -> None:
        try:
            self._variables.write(record, self._description)
        except Exception as error:
            raise self._unwritable(error) from error

    def _write_task_state(self, record: SubmissionRecord) -> None:
        try:
            write_task_state(self._task_state, record)
        except Exception as error:
            raise self._unwritable(error) from error

    def _understood(self, text: str) -> SubmissionRecord:
        try:
            return read_record(text)
        except ValueError as error:
            raise PictoryRecordError(
                f"The record of what this task has submitted ({self}) can't be understood ({error}), so "
                "nothing was submitted: it might be paid for twice. Look up in Pictory whether the video is "
                "there; delete the record to submit again."
            ) from None

    def _hidden(self, intent: SubmissionRecord, how: str) -> PictoryRecordError:
        with suppress(PictoryRecordError):
            # Else the next try would look for what was never sent.
            self.close(intent.closed(CloseReason.REFUSED))
        return PictoryRecordError(
            f"The record of what this task is about to submit ({self}) was written and {how}, so nothing was "
            "submitted: the next try couldn't tell what was paid for. A secrets backend in front of "
            "Airflow's Variables has to leave those that begin with 'pictory_' to Airflow's database"
        )

    def _unwritable(self, error: BaseException) -> PictoryRecordError:
        return PictoryRecordError(
            f"The record of what this task submits ({self}) can't be written ({error_words(error)})"
        )


def open_store(context: Context, *, has_earlier_tries: bool = True) -> RecordStore:
    """
    Return the record store of the running task instance.

    :param context: Airflow's of the running task.
    :param has_earlier_tries: whether there may be a record of an earlier try.
    """
    task_state = cast("Mapping[str, Any]", context).get("task_state_store")
    return RecordStore(place_of(context), open_variables(), task_state, has_earlier_tries=has_earlier_tries)


def try_that_submitted(context: Context) -> int | None:
    """Return the number of the last try that went on to wait for the job, ``None`` if unknown."""
    try:
        record = open_store(context).read()
    except PictoryRecordError:
        return None
    return record.try_number if record is not None else None


def place_of(context: Context) -> TaskPlace:
    """Return what names the running task instance."""
    task_instance: Any = context["ti"]
    map_index = -1 if task_instance.map_index is None else int(task_instance.map_index)
    # All iterations of a loop have the same task and map index (Airflow 3.4).
    loop: Any = cast("Mapping[str, Any]", context).get("loop")
    return TaskPlace(
        task_instance.dag_id,
        task_instance.run_id,
        task_instance.task_id,
        map_index,
        iteration=None if loop is None else int(loop.index),
    )


def error_words(error: BaseException) -> str:
    """Return an error of Airflow's as a message may quote it."""
    # A database's errors may quote the address it was asked at, with user and password.
    return clean(f"{type(error).__name__}: {error}")
