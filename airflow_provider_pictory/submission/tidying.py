"""
The deletion of the Variables of submissions that nobody will ask about any more.

A record is needed while its job may run, while a crash may have kept Airflow from knowing how its task ended,
and while another task with the same prompt doesn't know yet which job is its own.
"""

from __future__ import annotations

import random
from datetime import timedelta
from typing import TYPE_CHECKING

from airflow_provider_pictory.api import VideoJob
from airflow_provider_pictory.api.redaction import clean
from airflow_provider_pictory.exceptions import PictoryRecordError
from airflow_provider_pictory.outcome import poll
from airflow_provider_pictory.submission.forgetting import is_awaited
from airflow_provider_pictory.submission.late import report_late_jobs
from airflow_provider_pictory.submission.names import RecordName
from airflow_provider_pictory.submission.record import RecordState
from airflow_provider_pictory.submission.task_states import GONE, find_task_state, is_only_run

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_pictory.clock import Clock
    from airflow_provider_pictory.hooks.pictory import PictoryHook
    from airflow_provider_pictory.submission.names import Claims
    from airflow_provider_pictory.submission.record import SubmissionRecord
    from airflow_provider_pictory.submission.store import RecordStore
    from airflow_provider_pictory.task_log import Logger

# No job ends earlier, so younger records are hardly ever over.
YOUNGEST = timedelta(seconds=45)
# Whatever became of it, nobody asks about a record that is so old.
OLDEST = timedelta(days=30)
# How many records of others a task looks at: the oldest, which is likely to be over, and any others.
MOST_INSPECTED = 5
# On Airflow 2 a record is a row of a database that is near, and no task deletes its own.
MOST_INSPECTED_IN_DATABASE = 20

# In which states of its task nobody asks about a record any more. A task that failed is owed its video.
ENDS = {
    RecordState.ACCEPTED: (GONE,),
    RecordState.DELIVERED: (GONE, "success"),
    RecordState.CLOSED: (GONE, "success", "failed"),
}


class Tidier:
    """
    Delete what a task, and others before it, have left among the Variables.

    :param context: Airflow's of the running task.
    :param store: of the task's own record.
    :param hook: to poll jobs with.
    :param log: of the task.
    :param clock: for the age of records.
    """

    def __init__(
        self, context: Context, store: RecordStore, *, hook: PictoryHook, log: Logger, clock: Clock
    ) -> None:
        self._context = context
        self._store = store
        self._hook = hook
        self._log = log
        self._clock = clock

    def tidy_up(self, own: SubmissionRecord) -> None:
        """Delete a few Variables of other tasks, without a new listing, where this task's record stays."""
        self._tidy_up(own, self._store.claims_at_read())

    def retire(self, record: SubmissionRecord) -> None:
        """
        Write a record whose task is about to end, and tidy up after others.

        :raises PictoryRecordError: it can't be written.
        """
        claims = self._claims()
        record = self._with_late_jobs_reported(record)
        is_needed = (
            claims is None
            or record.is_kept
            or not record.has_ended
            or bool(record.lost)
            or is_awaited(record, claims)
        )
        self._store.retire(record, is_needed=is_needed)
        if claims is not None:
            self._tidy_up(record, claims)

    def _claims(self) -> Claims | None:
        try:
            return self._store.claims(())
        except PictoryRecordError as error:
            self._log.info("Records of other submissions can't be read now: %s", error)
            return None

    def _with_late_jobs_reported(self, record: SubmissionRecord) -> SubmissionRecord:
        return report_late_jobs(
            record, hook=self._hook, claims=self._store.claims, clock=self._clock, log=self._log
        )

    def _tidy_up(self, own: SubmissionRecord, claims: Claims) -> None:
        """Delete a few Variables that are over; nothing that goes wrong here matters to the task."""
        try:
            self._store.tidy(own, self._clock.now(), lambda: is_only_run(self._context))
            for name in self._worth_inspecting(claims):
                record = self._store.read_other(name)
                if record is not None and self._is_over(record, claims):
                    self._store.remove(record)
        except Exception as error:  # noqa: BLE001  (see above)
            self._log.info("Records of other submissions can't be tidied up now: %s", clean(repr(error)))

    def _worth_inspecting(self, claims: Claims) -> list[RecordName]:
        now = self._clock.now().timestamp()
        old = sorted(
            (
                name
                for name in claims.names
                if name.place != self._store.place.digest
                and now - name.written_at / 1_000_000 > YOUNGEST.total_seconds()
            ),
            key=lambda name: name.written_at,
        )
        most = MOST_INSPECTED if self._store.outlives_variables else MOST_INSPECTED_IN_DATABASE
        if len(old) <= most:
            return old
        # Hardly the oldest, since those may be of tasks that nobody clears, and would hide all others.
        return [old[0], *random.sample(old[1:], most - 1)]

    def _is_over(self, record: SubmissionRecord, claims: Claims) -> bool:
        if self._clock.now() - record.intended_at > OLDEST:
            return True
        if record.is_kept or record.state is RecordState.INTENT or is_awaited(record, claims):
            return False
        own = RecordName.of(record)
        others = claims.of_other_submissions(own)
        if others:
            # The last one goes last: without it an earlier one would be taken for the task's record.
            return own.written_at < max(other.written_at for other in others)
        state = RecordState.DELIVERED if record.is_over_when_accepted else record.state
        if find_task_state(self._context, record.place) not in ENDS[state]:
            return False
        return self._has_ended(record) and not self._with_late_jobs_reported(record).lost

    def _has_ended(self, record: SubmissionRecord) -> bool:
        if record.has_ended or record.job_id is None:
            return True
        if record.fingerprint.pictory_conn_id != self._hook.pictory_conn_id:
            return False
        polled = poll(self._hook, record.job_id)
        return isinstance(polled, VideoJob) and polled.has_ended
