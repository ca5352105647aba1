"""The records of what is about to be submitted, written before each attempt of a POST."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_pictory.submission.record import RecordState, SubmissionRecord

if TYPE_CHECKING:
    from airflow_provider_pictory.clock import Clock
    from airflow_provider_pictory.hooks.pictory import PictoryHook
    from airflow_provider_pictory.submission.attempt import Attempt
    from airflow_provider_pictory.submission.fingerprint import RequestFingerprint
    from airflow_provider_pictory.submission.record import TaskPlace
    from airflow_provider_pictory.submission.store import RecordStore


def draft(
    place: TaskPlace,
    attempt: Attempt,
    fingerprint: RequestFingerprint,
    previous: SubmissionRecord | None,
    **facts: Any,
) -> SubmissionRecord:
    """
    Return the record of a submission of which nothing is known yet but its request.

    :param place: the task instance.
    :param attempt: the present try.
    :param fingerprint: of the request.
    :param previous: what was submitted before, if anything.
    :param facts: further fields of the record.
    """
    return SubmissionRecord(
        revision=previous.revision + 1 if previous else 0,
        state=RecordState.INTENT,
        **place._asdict(),
        fingerprint=fingerprint,
        try_number=attempt.try_number,
        max_tries=attempt.max_tries,
        task_instance_id=attempt.task_instance_id,
        time_limit=0.0,
        window=0.0,
        earlier_jobs=previous.jobs_so_far if previous else (),
        lost=previous.lost_so_far if previous else (),
        **facts,
    )


class Intents:
    """
    The intents of one submission: a refused POST is sent again after a pause, with an intent of its own.

    The account's newest job is read right away, so that whatever is newer may have come from a POST.

    :param draft: the record, but for the moments and the account's state.
    :param store: where intents are written.
    :param hook: of the connection to submit over.
    :param clock: of this worker.
    """

    def __init__(
        self, draft: SubmissionRecord, *, store: RecordStore, hook: PictoryHook, clock: Clock
    ) -> None:
        self._store = store
        self._clock = clock
        self._read_at = clock.monotonic()
        baseline = hook.get_baseline()
        self._draft = draft.but(
            window=hook.get_submission_window(),
            server_time=baseline.server_time,
            baseline=baseline.kind,
            newest_job_id=baseline.job_id,
        )
        self.written: list[SubmissionRecord] = []

    @property
    def last(self) -> SubmissionRecord:
        """The intent of the last attempt."""
        return self.written[-1]

    def write(self, time_limit: float) -> None:
        """
        Write the intent of an attempt that follows at once.

        :param time_limit: seconds after which that attempt is over however it goes.
        :raises PictoryRecordError: it can't be written or read again, so nothing may be sent.
        """
        intent = self._draft.but(intended_at=self._clock.now(), time_limit=time_limit)
        if intent.server_time is not None:
            # Refusals may have been waited out since, for minutes, and the window begins with this POST.
            since = timedelta(seconds=self._clock.monotonic() - self._read_at)
            intent = intent.but(server_time=intent.server_time + since)
        self.written.append(self._store.write_intent(intent))
