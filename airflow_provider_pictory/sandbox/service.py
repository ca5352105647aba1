"""
The service's memory: one account, its credits and their ledger, its jobs and their ends. No I/O, no HTTP.

Time decides what a job is: nothing runs while one is in progress, and nothing happens when it ends. Its
status is worked out whenever somebody asks.

Guesses: credits are taken when a job is accepted and given back when it fails; a job that the remaining
credits don't cover is refused before it exists; one that appears late is paid for when it does; all keys lead
to the same account; the billing term is the sandbox's lifetime; only a job that has ended can be cleaned, and
a failed one counts as ended; the error code and message of a failure that was given none.
"""

from __future__ import annotations

import heapq
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_provider_pictory.api.jobs import JobStatus
from airflow_provider_pictory.sandbox.jobs import ENDED, Fate, Job

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_pictory.sandbox.validation import VideoOrder

# What a long run keeps: the oldest jobs that have ended go first, and their files with them.
MOST_JOBS = 10_000
MOST_BYTES_OF_ORDERS = 16 * 1024 * 1024
_MOST_TRANSACTIONS = 20_000

DEFAULT_ERROR_CODE = "5001"
DEFAULT_ERROR_MESSAGE = "VIDEO_GENERATION_FAILED"


class InsufficientCreditsError(Exception):
    """The account's remaining credits don't cover a video."""


class TooManyJobsError(Exception):
    """There is no room for another job, for none of those that there are has ended."""


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
        """Return the seconds since the epoch."""
        return self._source() + self._ahead

    def advance(self, seconds: float) -> None:
        """Move ahead, which lets jobs end early."""
        self._ahead += seconds


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

    ``credits_used_by_others`` is what was taken for other clients' jobs and not given back;
    ``when_forgotten`` is called with each job that goes to make room for another.
    """

    def __init__(self, *, render_seconds: float, credit_limit: float, clock: Clock | None = None) -> None:
        self.when_forgotten: list[Callable[[Job], None]] = []
        self.render_seconds = render_seconds
        self.credit_limit = credit_limit
        self.clock = clock or Clock()
        self.credits_used_by_others = 0.0
        self._credits_used = 0.0
        self._credits_promised = 0.0
        self._transactions: list[Transaction] = []
        self._jobs: dict[str, Job] = {}
        self._job_ids_by_video: dict[str, str] = {}
        self._jobs_ever = 0
        self._bytes_of_orders = 0
        # What will be taken and given back: moment, place in line, for which job, what is then due for it.
        self._to_settle: list[tuple[float, int, Job, float]] = []

    @property
    def jobs(self) -> list[Job]:
        """All jobs, in the order of their submission."""
        return self.jobs_at(self.clock.now())

    @property
    def credits_used(self) -> float:
        """What was taken and not given back."""
        self._settle_due()
        return self._credits_used

    @property
    def transactions(self) -> list[Transaction]:
        """The ledger of what was taken and given back."""
        self._settle_due()
        return self._transactions

    def jobs_at(self, moment: float) -> list[Job]:
        """Return the jobs that there were at a moment, in the order of their submission."""
        self._settle_due()
        return [job for job in self._jobs.values() if job.created_at <= moment]

    def finished_jobs_at(self, moment: float) -> list[Job]:
        """Return the jobs whose video was there at a moment, in the order of their submission."""
        return [job for job in self.jobs_at(moment) if job.status_at(moment) == JobStatus.COMPLETED]

    def submit(self, order: VideoOrder, fate: Fate | None = None, *, created_at: float | None = None) -> Job:
        """
        Take an order and its price.

        :param order: what to make.
        :param fate: what becomes of it; all goes well without.
        :param created_at: when it came, where that is known only now.
        :raises InsufficientCreditsError: when the price isn't covered; nothing was taken.
        :raises TooManyJobsError: when there is no room for it; nothing was taken.
        """
        if self.credits_used + self._credits_promised + order.price > self.credit_limit:
            raise InsufficientCreditsError
        self._make_room(order)
        fate, now = fate or Fate(), self.clock.now()
        created_at = (now if created_at is None else created_at) + fate.appears_after
        ends_at = created_at + (self.render_seconds if fate.render_seconds is None else fate.render_seconds)
        job = Job(**vars(fate), order=order, created_at=created_at, ends_at=ends_at, position=self._jobs_ever)
        if job.cleaned_after is not None:
            job.cleaned_at = ends_at + job.cleaned_after
        self._jobs_ever += 1
        self._bytes_of_orders += order.size
        self._jobs[job.job_id] = job
        self._job_ids_by_video[job.video_id] = job.job_id
        if created_at > now:
            self._credits_promised += order.price
            heapq.heappush(self._to_settle, (created_at, 2 * job.position, job, order.price))
        else:
            self._settle(job, order.price, created_at)
        if job.outcome == JobStatus.FAILED:
            heapq.heappush(self._to_settle, (job.ends_at, 2 * job.position + 1, job, 0.0))
        return job

    def forget(self, job: Job) -> None:
        """Let a job be as if it had never been, but for the credits."""
        if self._jobs.pop(job.job_id, None):
            del self._job_ids_by_video[job.video_id]
            self._bytes_of_orders -= job.order.size
            for tell in self.when_forgotten:
                tell(job)
        if len(self._to_settle) > 2 * MOST_JOBS:
            self._to_settle = [it for it in self._to_settle if it[2].job_id in self._jobs]
            heapq.heapify(self._to_settle)

    def job(self, job_id: str) -> Job:
        """
        Find a job.

        :raises UnknownJobError: when there is none of this id.
        """
        self._settle_due()
        job = self._jobs.get(job_id)
        if job is None or job.created_at > self.clock.now():
            raise UnknownJobError(job_id)
        return job

    def known_job(self, job_id: str) -> Job:
        """
        Find a job for a client that asks for it, which its fate may not allow yet.

        :raises UnknownJobError: when there is none of this id, or not yet.
        """
        job = self.job(job_id)
        if job.created_at + job.unknown_for > self.clock.now():
            raise UnknownJobError(job_id)
        return job

    def note_poll(self, job_id: str) -> None:
        """Count that somebody asked for a job, were it even one that is yet to be created."""
        if job := self._jobs.get(job_id):
            job.note_poll(self.clock.now())

    def job_of_video(self, video_id: str) -> Job:
        """
        Find the job that made a video.

        :raises UnknownJobError: when none did.
        """
        return self.job(self._job_ids_by_video.get(video_id, ""))

    def status(self, job: Job) -> str:
        """Tell what a job is right now."""
        return job.status_at(self.clock.now())

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
        job.cleaned_at = self.clock.now()
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
        job.awaits_source = False
        job.cleaned_at = None
        has_failed = status == JobStatus.FAILED
        job.error_code = (error_code or DEFAULT_ERROR_CODE) if has_failed else None
        job.error_message = (error_message or DEFAULT_ERROR_MESSAGE) if has_failed else None
        self._settle_due()
        self._settle(job, 0.0 if has_failed else job.order.price, job.ends_at)
        return job

    def note_source(self, job: Job, error_code: str | None = None, error_message: str | None = None) -> None:
        """
        Let a job end that waited for what its video starts from, unless somebody has ended it since.

        :param job: which job.
        :param error_code: of the failure that it ends in, if the source can't be used.
        :param error_message: likewise.
        """
        if not job.awaits_source:
            return
        job.awaits_source = False
        job.ends_at = max(job.ends_at, self.clock.now())
        if error_code:
            job.outcome, job.error_code, job.error_message = JobStatus.FAILED, error_code, error_message
            heapq.heappush(self._to_settle, (job.ends_at, 2 * job.position + 1, job, 0.0))

    def _make_room(self, order: VideoOrder) -> None:
        while len(self._jobs) >= MOST_JOBS or self._bytes_of_orders + order.size > MOST_BYTES_OF_ORDERS:
            oldest = next((job for job in self._jobs.values() if self.has_ended(job)), None)
            if oldest is None:
                raise TooManyJobsError(
                    f"The sandbox keeps at most {MOST_JOBS} jobs, and none of them has ended."
                )
            self.forget(oldest)

    def _settle_due(self) -> None:
        """Take and give back what time has brought about since anybody last asked for the credits."""
        now = self.clock.now()
        while self._to_settle and self._to_settle[0][0] <= now:
            moment, _, job, due = heapq.heappop(self._to_settle)
            if due:
                self._credits_promised -= due
            if due or job.outcome == JobStatus.FAILED:
                self._settle(job, due, moment)

    def _settle(self, job: Job, due: float, moment: float) -> None:
        if amount := due - job.credits_taken:
            description = f"Generate video, model {job.order.model}, {job.order.duration}s"
            self._transactions.append(Transaction(amount, description, moment))
            del self._transactions[:-_MOST_TRANSACTIONS]
            job.credits_taken = due
            # Rounded each time, since many small prices in binary would drift away from what they are.
            self._credits_used = round(self._credits_used + amount, 2)
            if job.is_foreign:
                self.credits_used_by_others = round(self.credits_used_by_others + amount, 2)
