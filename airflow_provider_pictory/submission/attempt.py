"""What a try does with the record of the tries before it: a pure decision, without I/O."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from airflow_provider_pictory.api import JobStatus, VideoJob
from airflow_provider_pictory.exceptions import PictoryAPIError, PictoryError, PictoryJobNotFoundError
from airflow_provider_pictory.submission.policy import OnClear
from airflow_provider_pictory.submission.record import CloseReason, RecordState

if TYPE_CHECKING:
    from airflow_provider_pictory.submission.policy import SubmissionPolicy
    from airflow_provider_pictory.submission.record import SubmissionRecord

XCOM_RETURN_KEY = "return_value"


class Relation(StrEnum):
    """What the present try is to the one that wrote the record."""

    RETRY = "retry"
    CLEAR = "clear"
    NEW_RUN = "new run"


@dataclass(frozen=True)
class Attempt:
    """
    The present try, as Airflow counts it.

    :param try_number: of the try.
    :param max_tries: how many there may be; a person's clear changes it, a retry doesn't.
    :param task_instance_id: Airflow's id of the try, empty where it has none (Airflow 2).
    :param former_xcoms: the XComs that the try before has left; ``None`` where Airflow doesn't say.
    :param pushes_result: whether Airflow pushes what the task returns.
    """

    try_number: int
    max_tries: int
    task_instance_id: str = ""
    former_xcoms: frozenset[str] | None = None
    pushes_result: bool = True

    @classmethod
    def of(cls, task_instance: Any, *, pushes_result: bool) -> Attempt:
        """Describe the running task instance."""
        run: Any = getattr(task_instance, "_ti_context_from_server", None)
        former_xcoms = frozenset(run.xcom_keys_to_clear or ()) if _shows_former_xcoms(run) else None
        return cls(
            int(task_instance.try_number),
            int(task_instance.max_tries),
            str(getattr(task_instance, "id", None) or ""),
            former_xcoms,
            pushes_result,
        )

    @property
    def is_first(self) -> bool:
        """Whether it is certain that no try of this DAG run has come before; Airflow 2 doesn't say."""
        return self.try_number == 1 and bool(self.task_instance_id)

    @property
    def has_retry_left(self) -> bool:
        """Whether Airflow runs another try by itself if this one fails."""
        return self.try_number <= self.max_tries

    def relation_to(self, record: SubmissionRecord) -> Relation:
        """Tell what this try is to the one that wrote the record."""
        if record.try_number > self.try_number:
            return Relation.NEW_RUN
        if record.try_number == self.try_number and (
            not self.task_instance_id or record.task_instance_id != self.task_instance_id
        ):
            # Tries are counted upwards, so this is a DAG run that was deleted and made again.
            return Relation.NEW_RUN
        return Relation.RETRY if record.max_tries == self.max_tries else Relation.CLEAR

    def sign(self, record: SubmissionRecord) -> SubmissionRecord:
        """Return the record as this try's; otherwise a retry after a clear would look like another clear."""
        return record.but(
            try_number=self.try_number, max_tries=self.max_tries, task_instance_id=self.task_instance_id
        )

    @property
    def shows_delivery(self) -> bool:
        """Whether the next try sees by what this one returns that it ended well."""
        return self.pushes_result and self.former_xcoms is not None

    def was_delivered(self, record: SubmissionRecord) -> bool:
        """Tell whether an earlier try ended well, as far as anybody can tell afterwards."""
        if self.pushes_result and self.former_xcoms:
            # What a task returns is pushed last, so a crash before that shows.
            return XCOM_RETURN_KEY in self.former_xcoms
        return record.state is RecordState.DELIVERED


def _shows_former_xcoms(run: Any) -> bool:
    """
    Return whether Airflow tells a try which XComs the one before it has left.

    From Airflow 3.4 on XComs belong to a try, and no try is told of another's. That version is recognised by
    the ``loop`` in what a try is told.
    """
    return hasattr(run, "xcom_keys_to_clear") and not hasattr(run, "loop")


@dataclass(frozen=True)
class Reattach:
    """Go on with the job of the record."""

    record: SubmissionRecord


@dataclass(frozen=True)
class Reconcile:
    """
    Find out first what became of a POST.

    :param record: the intent.
    :param is_new_wanted: whether another video is wanted whatever became of it.
    """

    record: SubmissionRecord
    is_new_wanted: bool


@dataclass(frozen=True)
class Submit:
    """
    Submit a video.

    :param previous: what was submitted before, if anything.
    :param reason: why, as a line for the log; empty where none is needed.
    """

    previous: SubmissionRecord | None
    reason: str = ""


Decision = Reattach | Reconcile | Submit


def needs_poll(record: SubmissionRecord | None, attempt: Attempt, policy: SubmissionPolicy) -> bool:
    """Tell whether the decision depends on what became of the record's job."""
    if record is None or record.job_id is None or record.state is RecordState.INTENT:
        return False
    return _job_counts(record, attempt.relation_to(record), policy) is not False


def needs_certainty(record: SubmissionRecord, attempt: Attempt, policy: SubmissionPolicy) -> bool:
    """Tell whether a poll that fails leaves the decision open."""
    return _job_counts(record, attempt.relation_to(record), policy) is None


def decide(
    record: SubmissionRecord | None,
    attempt: Attempt,
    policy: SubmissionPolicy,
    fingerprint: str | None,
    polled: VideoJob | PictoryError | None,
) -> Decision:
    """
    Decide what a try does.

    Without retries a clear is how people recover, so a job that is still running is kept, and so is a video
    that the task hasn't delivered, unless it asks for another one by now. A delivered video or a failed job
    is what they saw when they cleared, so they want another.

    :param record: of the tries before, if there is one.
    :param attempt: the present try.
    :param policy: what the author of the DAG decided.
    :param fingerprint: of what this try asks for; ``None`` where that makes no request.
    :param polled: the record's job, or the error that the poll ended in; only where :func:`needs_poll`.
    """
    if record is None:
        return Submit(None)
    relation = attempt.relation_to(record)
    if record.state is RecordState.INTENT:
        is_new_wanted = relation is Relation.CLEAR and policy.on_clear is OnClear.NEW
        return Reconcile(record, is_new_wanted)
    if relation is Relation.NEW_RUN:
        return Submit(record.closed(CloseReason.PREVIOUS_RUN))
    if record.job_id is None:
        return Submit(record)
    counts = _job_counts(record, relation, policy)
    if counts is None:
        counts = _is_wanted_after_clear(record, attempt, fingerprint, polled)
    if not counts:
        return Submit(record, f"This task was cleared, so another video follows job {record.job_id}")
    if isinstance(polled, VideoJob) and polled.status == JobStatus.FAILED and policy.resubmit_failed:
        return Submit(record, f"Job {record.job_id} failed, so another video is submitted")
    return Reattach(record)


def is_not_found(polled: object) -> bool:
    """Tell whether a poll got a 404, also one without Pictory's words, as another server there may send."""
    return isinstance(polled, PictoryAPIError) and (
        isinstance(polled, PictoryJobNotFoundError) or polled.status_code == 404
    )


def _job_counts(record: SubmissionRecord, relation: Relation, policy: SubmissionPolicy) -> bool | None:
    """Tell whether to go on with the record's job; ``None`` where that depends on the job."""
    if relation is Relation.NEW_RUN:
        return False
    if relation is Relation.RETRY or policy.on_clear is OnClear.REATTACH:
        return True
    if policy.on_clear is OnClear.NEW or record.reason is CloseReason.JOB_FAILED:
        return False
    return None


def _is_wanted_after_clear(
    record: SubmissionRecord,
    attempt: Attempt,
    fingerprint: str | None,
    polled: VideoJob | PictoryError | None,
) -> bool:
    if not isinstance(polled, VideoJob):
        # It may be running, so the caller goes on with the record's job, and deals with the error.
        return True
    if not polled.has_ended:
        return True
    is_owed = polled.status == JobStatus.COMPLETED and not attempt.was_delivered(record)
    return is_owed and fingerprint == record.fingerprint.digest
