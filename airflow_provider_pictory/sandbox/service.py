"""
The service's memory: one account, its credits and their ledger, its jobs and their ends. No I/O, no HTTP.

Time decides what a job is: nothing runs while one is in progress, and nothing happens when it ends. Its
status is worked out whenever somebody asks.

Guesses: credits are taken when a job is accepted and given back when it fails; a job that the remaining
credits don't cover is refused before it exists; all keys lead to the same account; the billing term is the
sandbox's lifetime; only a job that has ended can be cleaned, and a failed one counts as ended; the error code
and message of a failure that was given none.
"""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_provider_pictory.api.jobs import JobStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_pictory.sandbox.validation import VideoOrder

ENDED = frozenset({JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CLEANED})
DEFAULT_ERROR_CODE = "5001"
DEFAULT_ERROR_MESSAGE = "VIDEO_GENERATION_FAILED"


class InsufficientCreditsError(Exception):
    """The account's remaining credits don't cover a video."""


class UnknownJobError(LookupError):
    """There is no job of this id."""


class UnfinishedJobError(Exception):
    """Something was asked for that only a job that has ended allows."""


class Clock:
    """
    The sandbox's own time, which tests can move ahead instead of sleeping.

    :param source: where the seconds since the epoch come from.
    """

    def __init__(self, source: Callable[[], float] = time.time) -> None:
        self._source = source
        self._ahead = 0.0

    def now(self) -> float:
        """Give the seconds since the epoch."""
        return self._source() + self._ahead

    def advance(self, seconds: float) -> None:
        """Move ahead, which lets jobs end early."""
        self._ahead += seconds


@dataclass
class Job:
    """
    One job: what was ordered, and what becomes of it when.

    :param order: the accepted submission.
    :param created_at: when it was accepted.
    :param ends_at: when the outcome shows itself.
    :param outcome: the status from then on.
    :param position: its place among all jobs, in the order of submission.
    :param credits_taken: what the account has paid for it and not got back.
    :param job_id: under which its state can be asked.
    :param video_id: under which the finished video is listed; as at Pictory, not the job's.
    """

    order: VideoOrder
    created_at: float
    ends_at: float
    position: int
    outcome: str = JobStatus.COMPLETED
    error_code: str | None = None
    error_message: str | None = None
    credits_taken: float = 0.0
    job_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    video_id: str = field(default_factory=lambda: str(uuid.uuid4()))


@dataclass(frozen=True)
class Transaction:
    """
    One line of the credit ledger.

    :param amount: AI credits; negative ones were given back.
    :param description: what for.
    :param moment: when, in seconds since the epoch.
    :param transaction_id: a name of its own.
    """

    amount: float
    description: str
    moment: float
    transaction_id: str = field(default_factory=lambda: str(uuid.uuid4()))


class Service:
    """
    What the API, the files and the control surface all look at.

    :param render_seconds: how long a job stays in progress.
    :param credit_limit: the AI credits of the account.
    :param clock: whose time counts.

    ``credits_used`` is what was taken and not given back, ``transactions`` is the ledger of it.
    """

    def __init__(self, *, render_seconds: float, credit_limit: float, clock: Clock | None = None) -> None:
        self.render_seconds = render_seconds
        self.credit_limit = credit_limit
        self.clock = clock or Clock()
        self.credits_used = 0.0
        self.transactions: list[Transaction] = []
        self._jobs: dict[str, Job] = {}
        self._job_ids_by_video: dict[str, str] = {}

    @property
    def jobs(self) -> list[Job]:
        """All jobs, in the order of their submission."""
        return list(self._jobs.values())

    @property
    def finished_jobs(self) -> list[Job]:
        """The jobs whose video is there, in the order of their submission."""
        return [job for job in self._jobs.values() if self.status(job) == JobStatus.COMPLETED]

    def submit(self, order: VideoOrder) -> Job:
        """
        Take an order and its price.

        :raises InsufficientCreditsError: when the price isn't covered; nothing was taken.
        """
        if self.credits_used + order.price > self.credit_limit:
            raise InsufficientCreditsError
        now = self.clock.now()
        job = Job(order=order, created_at=now, ends_at=now + self.render_seconds, position=len(self._jobs))
        self._jobs[job.job_id] = job
        self._job_ids_by_video[job.video_id] = job.job_id
        self._settle(job, order.price)
        return job

    def job(self, job_id: str) -> Job:
        """
        Find a job.

        :raises UnknownJobError: when there is none of this id.
        """
        try:
            return self._jobs[job_id]
        except KeyError:
            raise UnknownJobError(job_id) from None

    def job_of_video(self, video_id: str) -> Job:
        """
        Find the job that made a video.

        :raises UnknownJobError: when none did.
        """
        return self.job(self._job_ids_by_video.get(video_id, ""))

    def status(self, job: Job) -> str:
        """Tell what a job is right now."""
        return job.outcome if self.clock.now() >= job.ends_at else JobStatus.IN_PROGRESS

    def has_ended(self, job: Job) -> bool:
        """Tell whether a job has come to one of the documented ends."""
        return self.status(job) in ENDED

    def clean(self, job_id: str) -> Job:
        """
        Delete what a finished job has made and was given.

        :raises UnknownJobError: when there is no such job.
        :raises UnfinishedJobError: when it hasn't ended.
        """
        job = self.job(job_id)
        if not self.has_ended(job):
            raise UnfinishedJobError(job_id)
        job.outcome = JobStatus.CLEANED
        return job

    def set_status(
        self,
        job_id: str,
        status: str,
        *,
        error_code: str | None = None,
        error_message: str | None = None,
    ) -> Job:
        """
        Give a job another fate, from this moment on; its credits follow.

        :param status: any text; one that Pictory doesn't document is reported as it is, and isn't an end.
        :param error_code: of a failure.
        :param error_message: of a failure.
        :raises UnknownJobError: when there is no such job.
        """
        job = self.job(job_id)
        job.outcome = status
        job.ends_at = self.clock.now()
        has_failed = status == JobStatus.FAILED
        job.error_code = (error_code or DEFAULT_ERROR_CODE) if has_failed else None
        job.error_message = (error_message or DEFAULT_ERROR_MESSAGE) if has_failed else None
        self._settle(job, 0.0 if has_failed else job.order.price)
        return job

    def _settle(self, job: Job, due: float) -> None:
        if amount := due - job.credits_taken:
            description = f"Generate video, model {job.order.model}, {job.order.duration}s"
            self.transactions.append(Transaction(amount, description, self.clock.now()))
            job.credits_taken = due
            # Rounded each time, since many small prices in binary would drift away from what they are.
            self.credits_used = round(self.credits_used + amount, 2)
