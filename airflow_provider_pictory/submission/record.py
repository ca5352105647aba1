"""The submission record: what a task instance has submitted, in a form that outlives its tries."""

from __future__ import annotations

import hashlib
import json
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydantic import AwareDatetime, ValidationError

from airflow_provider_pictory.api.listings import BaselineKind
from airflow_provider_pictory.submission.fingerprint import RequestFingerprint, Stored

if TYPE_CHECKING:
    from datetime import datetime

MOST_EARLIER_JOBS = 50


class RecordState(StrEnum):
    """How far a submission has come."""

    INTENT = "intent"
    ACCEPTED = "accepted"
    DELIVERED = "delivered"
    CLOSED = "closed"


class CloseReason(StrEnum):
    """Why a record is closed: in none of these cases is there a job to go on with."""

    REFUSED = "refused"
    NOT_SUBMITTED = "not_submitted"
    JOB_FAILED = "job_failed"
    PREVIOUS_RUN = "previous_run"


class TaskPlace(NamedTuple):
    """What names a task instance over all its tries, and one item of it where it has a batch of them."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int = -1
    item: str | None = None
    iteration: int | None = None

    def __str__(self) -> str:
        mapped = f"[{self.map_index}]" if self.map_index >= 0 else ""
        item = "" if self.item is None else f", item {self.item!r}"
        iteration = "" if self.iteration is None else f", iteration {self.iteration}"
        return f"{self.dag_id}.{self.task_id}{mapped} of run {self.run_id}{iteration}{item}"

    @property
    def digest(self) -> str:
        """A name of fixed length, since a Variable's may have 250 characters, and a place can have more."""
        return digest_of(*self.parts)

    @property
    def parts(self) -> list[str | int | None]:
        """The parts of the name, without those at its end that say nothing."""
        parts = list(self)
        while parts[-1] is None:
            parts.pop()
        return parts


class EarlierJob(Stored):
    """A job that this task instance got before the present one, so that its id is never lost."""

    job_id: str
    fingerprint: str


class LostSubmission(Stored):
    """
    A POST that was taken for never arrived, after which another one was sent.

    Kept so that a job of it that shows up later than the window allows is reported.

    :param intended_at: when it was about to be sent, by the worker's clock.
    :param server_time: the same moment by Pictory's clock, where known.
    :param baseline: whether the account's newest job before it is known.
    :param newest_job_id: that job.
    """

    intended_at: AwareDatetime
    server_time: AwareDatetime | None = None
    baseline: BaselineKind = BaselineKind.UNKNOWN
    newest_job_id: str | None = None


class SubmissionRecord(Stored):
    """
    One task instance's submission.

    :param revision: counts the writes, so that of two stores the later one is believed.
    :param state: how far it has come.
    :param reason: why it is closed.
    :param dag_id: of the task instance, as the next three.
    :param run_id: likewise.
    :param task_id: likewise.
    :param map_index: likewise; -1 where the task isn't mapped.
    :param item: of a batch, the item's own key or its index; ``None`` where the task makes one video.
    :param iteration: of the loop that the task is in (Airflow 3.4), from 0; ``None`` outside of loops.
    :param fingerprint: of the request.
    :param try_number: Airflow's number of the try that wrote this.
    :param max_tries: Airflow's count of tries then; a person's clear changes it, a retry doesn't.
    :param task_instance_id: Airflow's id of that try, empty where it has none (Airflow 2).
    :param intended_at: when the POST was about to be sent, by the worker's clock.
    :param time_limit: seconds after which that POST was over, however it went.
    :param window: seconds after that in which its job may still appear in the account's lists.
    :param server_time: the moment of ``intended_at`` by Pictory's clock, where known.
    :param baseline: whether the account's newest job before the POST is known.
    :param newest_job_id: that job.
    :param candidates: the jobs that may have come from the POST, once the window was over.
    :param job_id: the job.
    :param is_claimed: whether the job was found in the account's lists, and not in a response.
    :param has_ended: whether the job was seen ended.
    :param accepted_at: when the job became known, by the worker's clock.
    :param estimated_credits: what the video was to cost.
    :param earlier_jobs: what this task instance got before, newest last.
    :param lost: what was taken for never arrived.
    :param ends_when_accepted: whether its task ends once there is a job, which Airflow shows afterwards.
    :param is_kept: whether the author wants every clear to go on with this job (``on_clear="reattach"``).
    """

    version: Literal[1] = 1
    revision: int = 1
    state: RecordState
    reason: CloseReason | None = None
    dag_id: str
    run_id: str
    task_id: str
    map_index: int = -1
    item: str | None = None
    iteration: int | None = None
    fingerprint: RequestFingerprint
    try_number: int
    max_tries: int
    task_instance_id: str = ""
    intended_at: AwareDatetime
    time_limit: float
    window: float
    server_time: AwareDatetime | None = None
    baseline: BaselineKind = BaselineKind.UNKNOWN
    newest_job_id: str | None = None
    candidates: tuple[str, ...] | None = None
    job_id: str | None = None
    is_claimed: bool = False
    has_ended: bool = False
    accepted_at: AwareDatetime | None = None
    estimated_credits: float | None = None
    earlier_jobs: tuple[EarlierJob, ...] = ()
    lost: tuple[LostSubmission, ...] = ()
    ends_when_accepted: bool = False
    is_kept: bool = False

    def but(self, **changes: Any) -> SubmissionRecord:
        """Return the same record with some fields changed."""
        return self.model_copy(update=changes)

    def accepted(self, job_id: str, now: datetime, *, is_claimed: bool = False) -> SubmissionRecord:
        """Return the record of a job that became known."""
        return self.but(
            state=RecordState.ACCEPTED,
            reason=None,
            job_id=job_id,
            accepted_at=now,
            is_claimed=is_claimed,
            has_ended=False,
        )

    def closed(self, reason: CloseReason) -> SubmissionRecord:
        """Return the record with nothing to go on with."""
        return self.but(state=RecordState.CLOSED, reason=reason)

    @property
    def place(self) -> TaskPlace:
        """The task instance."""
        return TaskPlace(self.dag_id, self.run_id, self.task_id, self.map_index, self.item, self.iteration)

    @property
    def is_over_when_accepted(self) -> bool:
        """Whether its task does nothing more, as far as the record tells."""
        return self.state is RecordState.ACCEPTED and self.ends_when_accepted

    @property
    def seconds_to_settle(self) -> float:
        """The seconds after the intent in which the account's lists may still change."""
        return self.time_limit + self.window

    @property
    def jobs_so_far(self) -> tuple[EarlierJob, ...]:
        """The jobs that a next submission of this task instance comes after."""
        if self.job_id is None:
            return self.earlier_jobs
        present = EarlierJob(job_id=self.job_id, fingerprint=self.fingerprint.digest)
        return (*self.earlier_jobs, present)[-MOST_EARLIER_JOBS:]

    @property
    def lost_so_far(self) -> tuple[LostSubmission, ...]:
        """What a next submission is to remember as never arrived."""
        if self.reason is not CloseReason.NOT_SUBMITTED:
            return self.lost
        present = LostSubmission(
            intended_at=self.intended_at,
            server_time=self.server_time,
            baseline=self.baseline,
            newest_job_id=self.newest_job_id,
        )
        return (*self.lost, present)[-MOST_EARLIER_JOBS:]

    def as_json(self) -> str:
        """Return the text that is stored."""
        return self.model_dump_json(exclude_none=True)


def read_record(text: str) -> SubmissionRecord:
    """
    Read what was stored.

    :raises ValueError: it can't be understood completely; the message says why.
    """
    try:
        return SubmissionRecord.model_validate_json(text)
    except ValidationError as error:
        faults = error.errors()
        words = [f"{_path(fault['loc'])}: {fault['msg']}" for fault in faults[:3]]
        if any(fault["type"] == "extra_forbidden" or fault["loc"] == ("version",) for fault in faults):
            words.append("a newer version of this provider may have written it, which is needed here as well")
        raise ValueError("; ".join(words)) from None


def digest_of(*parts: object) -> str:
    """Return a short name for what may be long."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def _path(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location) or "it"
