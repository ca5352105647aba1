"""A job: what was ordered, and what time makes of it. Nothing runs, its state is worked out when asked."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_provider_pictory.api.jobs import JobStatus

if TYPE_CHECKING:
    from airflow_provider_pictory.sandbox.validation import VideoOrder

ENDED = frozenset({JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CLEANED})


@dataclass(frozen=True)
class Fate:
    """
    What becomes of a job, decided when it is submitted; without any word it goes well.

    :param outcome: the status that it ends with.
    :param error_code: of a failure.
    :param error_message: of a failure.
    :param appears_after: how many seconds after its submission it is created.
    :param unknown_for: how many seconds it then can't be asked for.
    :param cleaned_after: how many seconds after its end its outputs go, if ever.
    :param first_status: what it shows as its status at first.
    :param first_status_for: how many seconds it does so.
    :param render_seconds: how long it takes; as long as all others without it.
    :param is_foreign: whether another client of the account submitted it.
    """

    outcome: str = JobStatus.COMPLETED
    error_code: str | None = None
    error_message: str | None = None
    appears_after: float = 0.0
    unknown_for: float = 0.0
    cleaned_after: float | None = None
    first_status: str = JobStatus.IN_PROGRESS
    first_status_for: float = 0.0
    render_seconds: float | None = None
    is_foreign: bool = False


GOOD_FATE = Fate()


@dataclass
class Job:
    """
    One job.

    :param order: the accepted submission.
    :param created_at: from when on it exists.
    :param ends_at: when the outcome shows itself.
    :param outcome: the status from then on.
    :param position: its place among all jobs, in the order of submission.
    :param known_at: from when on it can be asked for.
    :param cleaned_at: when its outputs go, if ever.
    :param first_status: what it shows as its status at first.
    :param first_status_until: until when it does so.
    :param is_foreign: whether another client of the account submitted it.
    :param awaits_source: whether what its video starts from is still being fetched; it can't end before.
    :param credits_taken: what the account has paid for it and not got back.
    :param polls: how often it was asked for, whatever the response was.
    :param first_poll_at: when it was first asked for.
    :param last_poll_at: when it was last asked for.
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
    known_at: float = 0.0
    cleaned_at: float | None = None
    first_status: str = JobStatus.IN_PROGRESS
    first_status_until: float = 0.0
    is_foreign: bool = False
    awaits_source: bool = False
    credits_taken: float = 0.0
    polls: int = 0
    first_poll_at: float | None = None
    last_poll_at: float | None = None
    job_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    video_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    @classmethod
    def of(
        cls, order: VideoOrder, fate: Fate, created_at: float, render_seconds: float, position: int
    ) -> Job:
        """
        Make a job that has its fate before it.

        :param render_seconds: how long it takes, unless its fate knows better.
        """
        seconds = render_seconds if fate.render_seconds is None else fate.render_seconds
        ends_at = created_at + seconds
        return cls(
            order=order,
            created_at=created_at,
            ends_at=ends_at,
            position=position,
            outcome=fate.outcome,
            error_code=fate.error_code,
            error_message=fate.error_message,
            known_at=created_at + fate.unknown_for,
            cleaned_at=None if fate.cleaned_after is None else ends_at + fate.cleaned_after,
            first_status=fate.first_status,
            first_status_until=created_at + fate.first_status_for,
            is_foreign=fate.is_foreign,
        )

    def status_at(self, moment: float) -> str:
        """Tell what the job is at a moment."""
        if moment < self.ends_at or self.awaits_source:
            return self.first_status if moment < self.first_status_until else JobStatus.IN_PROGRESS
        if self.cleaned_at is not None and moment >= self.cleaned_at:
            return JobStatus.CLEANED
        return self.outcome

    def note_poll(self, moment: float) -> None:
        """Count that somebody asked for the job."""
        self.polls += 1
        self.last_poll_at = moment
        if self.first_poll_at is None:
            self.first_poll_at = moment
