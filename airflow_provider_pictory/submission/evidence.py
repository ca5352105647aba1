"""What the account's lists prove about a submission whose response was lost: a pure decision, without I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_provider_pictory.api import JobStatus
from airflow_provider_pictory.submission.fingerprint import url_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_provider_pictory.api.listings import ListedVideo
    from airflow_provider_pictory.submission.fingerprint import RequestFingerprint


@dataclass(frozen=True)
class Candidate:
    """
    A job that may have come from the lost submission.

    :param job_id: of the job.
    :param status: as last seen, ``None`` where it couldn't be read.
    :param url: of its video.
    :param completed_at: when it was first seen completed, in seconds of the caller's clock.
    """

    job_id: str
    status: str | None
    url: str | None
    completed_at: float | None = None


@dataclass(frozen=True)
class Videos:
    """
    What the account's list of finished videos shows.

    :param by_path: those since the submission, and some before it, by the paths of their URLs.
    :param without_job: those since the submission that belong to none of the account's known jobs.
    """

    by_path: Mapping[str, ListedVideo] = field(default_factory=dict)
    without_job: tuple[ListedVideo, ...] = ()


@dataclass(frozen=True)
class Found:
    """
    Jobs made a video of the request's prompt and settings, any of which will do.

    :param job_ids: in the order of their creation.
    """

    job_ids: tuple[str, ...]


@dataclass(frozen=True)
class NotSubmitted:
    """
    It is certain that the submission never arrived.

    :param words: why, as a clause.
    """

    words: str = "no newer job can be its"


@dataclass(frozen=True)
class Wait:
    """
    Time will tell.

    :param words: what is waited for, as a clause.
    :param job_ids: the jobs it is about.
    :param is_bounded: whether it is sure to be over within the window.
    """

    words: str
    job_ids: tuple[str, ...] = ()
    is_bounded: bool = False


@dataclass(frozen=True)
class Undecidable:
    """
    Time won't tell, and there is no proof.

    :param words: why, as a clause.
    :param job_ids: the jobs it is about.
    """

    words: str
    job_ids: tuple[str, ...] = ()


Evidence = Found | NotSubmitted | Wait | Undecidable


def conclude(
    fingerprint: RequestFingerprint,
    candidates: Iterable[Candidate],
    videos: Videos,
    *,
    is_complete: bool,
    is_settled: bool,
    is_in_order: bool,
    window: float,
    now: float,
) -> Evidence:
    """
    Conclude from what the account's lists show.

    Of identical requests each takes the oldest job that it can. One that took a newer job while an older one
    may still turn out to match could leave nothing for a request that came after the older job.

    A completed job that stays away from the list of videos is of another kind, since that list has all
    videos that could be the request's. A failed or deleted job can't be ruled out: no list has its prompt.

    :param fingerprint: of the request.
    :param candidates: the jobs newer than the account's newest one before the submission, in the order of
        their creation, less those that belong to other tasks.
    :param videos: what the list of finished videos shows.
    :param is_complete: whether it is certain that no candidate is missing.
    :param is_settled: whether the window is over in which a job may still appear.
    :param is_in_order: whether a match counts only once all older candidates are known, which is when the
        window is over and they have ended, since other tasks may have lost the response to an identical
        request.
    :param window: seconds that a video may be late in its list.
    :param now: in seconds, as the candidates' ``completed_at``.
    """
    sorted_out = _SortedOut()
    for candidate in candidates:
        sorted_out.add(candidate, fingerprint, videos, is_in_order=is_in_order, window=window, now=now)
    if sorted_out.matching and (is_settled or not is_in_order):
        return Found(tuple(sorted_out.matching))
    if not is_settled:
        words = "its job may still appear in the account's lists"
        return Wait(words, tuple(sorted_out.running), is_bounded=True)
    if sorted_out.reason is not None:
        return sorted_out.reason
    if any(fingerprint.matches(video) is not False for video in videos.without_job):
        return Undecidable("a video has its prompt, but to which job it belongs can't be told")
    if not is_complete:
        return Undecidable("no video has its prompt, but which jobs are newer than it can't be told")
    return NotSubmitted()


@dataclass
class _SortedOut:
    """
    The candidates' job ids by what is known of them, each list in the order of creation.

    :param running: those that haven't ended.
    :param unlisted: those that completed, but whose video may be listed late.
    :param matching: those whose video is the request's.
    :param unclear: those whose video may be.
    :param gone: those that left nothing by which to tell.
    """

    running: list[str] = field(default_factory=list)
    unlisted: list[str] = field(default_factory=list)
    matching: list[str] = field(default_factory=list)
    unclear: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)

    def add(
        self,
        candidate: Candidate,
        fingerprint: RequestFingerprint,
        videos: Videos,
        *,
        is_in_order: bool,
        window: float,
        now: float,
    ) -> None:
        """Sort out the next candidate."""
        if candidate.status in (JobStatus.FAILED, JobStatus.CLEANED):
            self.gone.append(candidate.job_id)
        elif candidate.status != JobStatus.COMPLETED:
            self.running.append(candidate.job_id)
        elif (video := videos.by_path.get(url_path(candidate.url))) is None:
            if now - (now if candidate.completed_at is None else candidate.completed_at) < window:
                self.unlisted.append(candidate.job_id)
        elif (is_match := fingerprint.matches(video)) is None:
            self.unclear.append(candidate.job_id)
        elif is_match and not (is_in_order and (self.running or self.unlisted)):
            self.matching.append(candidate.job_id)

    @property
    def reason(self) -> Wait | Undecidable | None:
        """What keeps a submission from counting as never arrived, once its window is over."""
        if self.running:
            return Wait("jobs that may be its are still running", tuple(self.running))
        if self.unlisted:
            words = "the videos of these jobs may not be listed yet"
            return Wait(words, tuple(self.unlisted), is_bounded=True)
        if self.unclear:
            return Undecidable("these videos may be it", tuple(self.unclear))
        if self.gone:
            words = "these jobs failed or were deleted, and nothing tells what they were to make"
            return Undecidable(words, tuple(self.gone))
        return None
