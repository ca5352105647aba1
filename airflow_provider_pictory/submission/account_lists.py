"""What the account's lists say about one submission; a failed reading is never taken for an empty list."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from airflow_provider_pictory.api import JobStatus
from airflow_provider_pictory.api.listings import BaselineKind
from airflow_provider_pictory.exceptions import (
    PictoryAPIError,
    PictoryInvalidRequestError,
    PictoryJobNotFoundError,
)
from airflow_provider_pictory.submission.account_pages import AccountPages
from airflow_provider_pictory.submission.evidence import Candidate, Videos
from airflow_provider_pictory.submission.fingerprint import url_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_pictory.api.listings import JobListPage, ListedVideo
    from airflow_provider_pictory.hooks.pictory import PictoryHook
    from airflow_provider_pictory.submission.record import SubmissionRecord

# Pictory doesn't document what the date of a listed video stands for.
MARGIN_OF_DATES = timedelta(minutes=15)
MARGIN_OF_CLOCKS = timedelta(seconds=30)
MOST_PAGES = 50
MOST_PAGES_WITHOUT_BASELINE = 5


class AccountLists:
    """
    What the account's lists say about one submission.

    :param record: of the submission, an intent without a job.
    :param hook: of the connection that it went over.
    :param pages: what others have read of the lists; by default they are read anew each time.
    """

    def __init__(
        self, record: SubmissionRecord, hook: PictoryHook, pages: AccountPages | None = None
    ) -> None:
        self.record = record
        self._hook = hook
        self._shared_pages = pages
        self._pages = pages or AccountPages(hook, 0.0)
        self.is_complete = record.baseline is not BaselineKind.UNKNOWN
        self.candidates: dict[str, Candidate] = {}
        self._is_frozen = record.candidates is not None
        self._listed: set[str] = set()
        self._has_seen_all_jobs = False

    def refresh(self, now: float, *, skipped: set[str]) -> None:
        """
        Read the jobs that may have come from the submission, oldest first.

        :param now: seconds, for when a job was first seen completed.
        :param skipped: jobs that needn't be polled.
        """
        self._pages = self._shared_pages or AccountPages(self._hook, now)
        if not self._is_frozen:
            self._read_newer_jobs(now)
        elif not self.candidates:
            self.candidates = {
                job_id: Candidate(job_id, None, None) for job_id in self.record.candidates or ()
            }
        for job_id, candidate in self.candidates.items():
            if job_id not in skipped and (
                self._needs_poll(candidate) if self._is_frozen else _has_no_url(candidate)
            ):
                self.candidates[job_id] = self._polled(candidate, now)

    def freeze(self) -> tuple[str, ...]:
        """Accept no further candidates from now on, and return the present ones."""
        self._is_frozen = True
        return tuple(self.candidates)

    def thaw(self) -> None:
        """Accept newer jobs as candidates again."""
        self._is_frozen = False

    def videos(self) -> Videos:
        """List the finished videos since the submission."""
        if not self.candidates and self.is_complete:
            return Videos()
        began = self.record.server_time or self.record.intended_at - MARGIN_OF_CLOCKS
        by_path: dict[str, ListedVideo] = {}
        without_url: list[ListedVideo] = []
        for video in self._listed_videos(began - MARGIN_OF_DATES):
            if video.url:
                by_path.setdefault(url_path(video.url), video)
            elif video.prompt is None:
                raise PictoryAPIError("an item of Pictory's list of videos can't be read")
            else:
                without_url.append(video)
        self._listed = set(by_path)
        if not self.is_complete:
            # Among jobs of any age, only the dates tell what can't have come from this submission.
            by_path = {
                path: video
                for path, video in by_path.items()
                if video.created_at is None or video.created_at >= began - MARGIN_OF_DATES
            }
        return Videos(by_path, self._without_job(by_path, without_url, began))

    def _without_job(
        self, by_path: dict[str, ListedVideo], without_url: list[ListedVideo], began: datetime
    ) -> tuple[ListedVideo, ...]:
        own = {url_path(candidate.url) for candidate in self.candidates.values()}
        unmatched = [
            video
            for video in (*(video for path, video in by_path.items() if path not in own), *without_url)
            if (video.created_at is None or video.created_at >= began - MARGIN_OF_CLOCKS)
            and self.record.fingerprint.matches(video) is not False
        ]
        if paths := {url_path(video.url) for video in unmatched if video.url}:
            # Most belong to jobs that were submitted earlier or later.
            left = self._without_those_of_jobs(paths)
            unmatched = [video for video in unmatched if not video.url or url_path(video.url) in left]
        return tuple(unmatched)

    def _without_those_of_jobs(self, paths: set[str]) -> set[str]:
        """Return which of some videos' paths belong to no job, not even to one before the submission."""
        left, pages_before = set(paths), 0
        is_before = self.record.newest_job_id is None
        # Read after the videos, since their jobs may have come in between.
        for page in self._pages_of_jobs(AccountPages(self._hook, 0.0), MOST_PAGES):
            left.difference_update(url_path(job.url) for job in page.jobs)
            is_before |= any(job.job_id == self.record.newest_job_id for job in page.jobs)
            pages_before += is_before
            if not left or pages_before == MOST_PAGES_WITHOUT_BASELINE:
                break
        return left

    def _needs_poll(self, candidate: Candidate) -> bool:
        """Tell whether another poll may show something new: not about a listed video."""
        if candidate.status == JobStatus.COMPLETED:
            return url_path(candidate.url) not in self._listed
        return candidate.status not in (JobStatus.FAILED, JobStatus.CLEANED)

    def _read_newer_jobs(self, now: float) -> None:
        found: dict[str, Candidate] = {}
        is_complete = self.record.baseline is not BaselineKind.UNKNOWN
        has_baseline = False
        pages = self._pages_of_jobs(self._pages, MOST_PAGES if is_complete else MOST_PAGES_WITHOUT_BASELINE)
        for job in (job for page in pages for job in page.jobs):
            if job.job_id is None:
                raise PictoryAPIError("an item of Pictory's list of jobs has no id that can be read")
            if job.job_id == self.record.newest_job_id:
                has_baseline = True
                break
            before = self.candidates.get(job.job_id)
            found.setdefault(job.job_id, _candidate(job.job_id, job.status, job.url, now, before))
        self.is_complete = has_baseline or (
            self.record.baseline is BaselineKind.EMPTY and self._has_seen_all_jobs
        )
        # In the list's order, since an older job may appear after a newer one. A list that lags may drop jobs
        # that it has shown, which are newer then.
        oldest_first = dict(reversed(found.items()))
        forgotten = {job_id: job for job_id, job in self.candidates.items() if job_id not in found}
        self.candidates = {**oldest_first, **forgotten}

    def _pages_of_jobs(self, pages: AccountPages, most_pages: int) -> Iterator[JobListPage]:
        page_key: str | None = None
        self._has_seen_all_jobs = False
        for _ in range(most_pages):
            page = pages.jobs(page_key)
            yield page
            page_key = page.next_page_key
            if page_key is None:
                self._has_seen_all_jobs = True
                return

    def _polled(self, before: Candidate, now: float) -> Candidate:
        try:
            job = self._hook.get_job(before.job_id)
        except (PictoryJobNotFoundError, PictoryInvalidRequestError):
            return before
        except PictoryAPIError as error:
            if error.status_code == 200 and before.status == JobStatus.COMPLETED:
                # A job of another kind, whose response isn't that of a video.
                return before
            raise
        return _candidate(job.job_id, job.status, job.url, now, before)

    def _listed_videos(self, since: datetime) -> Iterator[ListedVideo]:
        page_key: str | None = None
        for _ in range(MOST_PAGES):
            page = self._pages.videos(page_key)
            yield from page.videos
            page_key = page.next_page_key
            oldest = min((video.created_at for video in page.videos if video.created_at), default=None)
            if page_key is None or (oldest is not None and oldest < since):
                return
        raise PictoryAPIError(f"Pictory's list of videos has more than {MOST_PAGES} pages since {since}")


def _candidate(
    job_id: str, status: str | None, url: str | None, now: float, before: Candidate | None
) -> Candidate:
    if status != JobStatus.COMPLETED:
        return Candidate(job_id, status, url)
    was_completed = before is not None and before.status == JobStatus.COMPLETED
    return Candidate(job_id, status, url, before.completed_at if before and was_completed else now)


def _has_no_url(candidate: Candidate) -> bool:
    """Tell whether a job is completed but no list shows the URL by which its video is found."""
    return candidate.status == JobStatus.COMPLETED and not candidate.url
