"""A job: what was ordered, and what time makes of it. Nothing runs, its state is worked out when asked."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_provider_pictory.api.jobs import JobStatus

if TYPE_CHECKING:
    from airflow_provider_pictory.sandbox.validation import VideoOrder

ENDED = frozenset({JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CLEANED})


@dataclass(kw_only=True)
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


@dataclass(kw_only=True)
class Job(Fate):
    """
    One job, with its fate before it.

    :param order: the accepted submission.
    :param created_at: from when on it exists.
    :param ends_at: when the outcome shows itself.
    :param position: its place among all jobs, in the order of submission.
    :param cleaned_at: when its outputs go, if ever.
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
    cleaned_at: float | None = None
    awaits_source: bool = False
    credits_taken: float = 0.0
    polls: int = 0
    first_poll_at: float | None = None
    last_poll_at: float | None = None
    job_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    video_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def status_at(self, moment: float) -> str:
        """Tell what the job is at a moment."""
        if moment < self.ends_at or self.awaits_source:
            is_at_first = moment < self.created_at + self.first_status_for
            return self.first_status if is_at_first else JobStatus.IN_PROGRESS
        if self.cleaned_at is not None and moment >= self.cleaned_at:
            return JobStatus.CLEANED
        return self.outcome

    def note_poll(self, moment: float) -> None:
        """Count that somebody asked for the job."""
        self.polls += 1
        self.last_poll_at = moment
        if self.first_poll_at is None:
            self.first_poll_at = moment
