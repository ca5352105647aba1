"""
What became of a submission whose answer was lost, found out from the account's lists.

Nothing here spends anything. Failing to look never counts as there being nothing.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from airflow_provider_pictory.api import JobStatus
from airflow_provider_pictory.api.lists import Baseline
from airflow_provider_pictory.division import Division
from airflow_provider_pictory.exceptions import (
    PictoryAPIError,
    PictoryError,
    PictoryInvalidRequestError,
    PictoryJobNotFoundError,
    PictorySubmissionUnknownError,
    PictorySubmissionUnresolvedError,
)
from airflow_provider_pictory.ledger import Standing
from airflow_provider_pictory.polling import PAUSE_BETWEEN_REPORTS, may_pass
from airflow_provider_pictory.wish import url_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from airflow_provider_pictory.api.lists import ListedJob, ListedVideo
    from airflow_provider_pictory.hooks.pictory import PictoryHook
    from airflow_provider_pictory.ledger import Ledger, LedgerEntry
    from airflow_provider_pictory.polling import Logger
    from airflow_provider_pictory.wish import Wish

# For so many seconds after the POST was over, its job may still be on its way into the lists.
SETTLING_TIME = 120.0
PAUSE_BETWEEN_LOOKS = 15.0
# The longest timeout of a connection and the settling time, generously, in seconds.
LONGEST_SETTLING = 25 * 60 * 60.0

# Videos are listed by a date of which it isn't documented what it is the date of.
MARGIN_OF_DATES = timedelta(minutes=15)
MARGIN_OF_CLOCKS = timedelta(seconds=30)
MOST_PAGES = 50
MOST_PAGES_WITHOUT_BASELINE = 5


@dataclass(frozen=True)
class Candidate:
    """
    A job that may have come from the lost submission.

    :param job_id: of the job.
    :param status: as last seen, ``None`` where it couldn't be read.
    :param url: of its video.
    :param completed_at: when it was first seen completed, by the worker's clock.
    """

    job_id: str
    status: str | None
    url: str | None
    completed_at: float | None = None


@dataclass(frozen=True)
class Verdict:
    """
    What the evidence says.

    :param is_final: whether time can't change it.
    :param words: what speaks for it, as a clause.
    :param job_ids: the jobs it is about.
    :param match: the job that has the video, where exactly one has.
    :param never_arrived: whether it is certain that there is no job.
    :param is_settling: whether it is sure to become final within the settling time.
    :param are_alike: whether any of several jobs would do, if nobody else submitted one of them.
    """

    is_final: bool
    words: str
    job_ids: tuple[str, ...] = ()
    match: str | None = None
    never_arrived: bool = False
    is_settling: bool = False
    are_alike: bool = False


@dataclass(frozen=True)
class Videos:
    """
    What the account's list of finished videos shows.

    :param by_path: those since the submission, and some before it, by the paths of their URLs.
    :param strangers: those since the submission that belong to none of the account's known jobs.
    """

    by_path: Mapping[str, ListedVideo] = field(default_factory=dict)
    strangers: tuple[ListedVideo, ...] = ()


def weigh(
    wish: Wish, candidates: Iterable[Candidate], videos: Videos, *, are_all: bool, now: float
) -> Verdict:
    """
    Conclude from what the account's lists show.

    A completed job that stays away from the list of videos is of another kind, since that list has all
    videos that could be ours. A failed or deleted one can't be told from ours: its prompt is nowhere.

    :param wish: what was submitted.
    :param candidates: the jobs newer than the account's newest one before the submission, less those that
        belong to other tasks.
    :param videos: what the list of finished videos shows.
    :param are_all: whether it is certain that no candidate is missing.
    :param now: by the worker's clock.
    """
    running: list[str] = []
    settling: list[str] = []
    matching: list[str] = []
    unclear: list[str] = []
    gone: list[str] = []
    for candidate in candidates:
        if candidate.status in (JobStatus.FAILED, JobStatus.CLEANED):
            gone.append(candidate.job_id)
        elif candidate.status != JobStatus.COMPLETED:
            running.append(candidate.job_id)
        elif (video := videos.by_path.get(url_path(candidate.url))) is None:
            if now - (candidate.completed_at or now) < SETTLING_TIME:
                settling.append(candidate.job_id)
        elif (resembles := wish.resembles(video)) is not False:
            (matching if resembles else unclear).append(candidate.job_id)
    match = matching[0] if len(matching) == 1 else None
    if running:
        return Verdict(
            is_final=False,
            words="jobs that may be its are still running",
            job_ids=tuple(running),
            match=match,
        )
    if settling:
        words = "the videos of these jobs may not be listed yet"
        return Verdict(is_final=False, words=words, job_ids=tuple(settling), match=match, is_settling=True)
    if match:
        return Verdict(is_final=True, words="one video has its prompt", job_ids=(match,), match=match)
    if matching:
        words = "several jobs made a video of its prompt"
        return Verdict(is_final=True, words=words, job_ids=tuple(matching), are_alike=True)
    if unclear:
        return Verdict(is_final=True, words="these videos may be it", job_ids=tuple(unclear))
    if gone:
        words = "these jobs failed or were deleted, and nothing tells what they were to make"
        return Verdict(is_final=True, words=words, job_ids=tuple(gone))
    if any(wish.resembles(video) is not False for video in videos.strangers):
        return Verdict(
            is_final=True, words="a video has its prompt, but to which job it belongs can't be told"
        )
    if not are_all:
        words = "no video has its prompt, but which jobs are newer than it can't be told"
        return Verdict(is_final=True, words=words)
    return Verdict(is_final=True, words="no newer job can be its", never_arrived=True)


class Reconciliation:
    """
    Finds out what became of one submission.

    :param entry: of the ledger, an intent without a job id.
    :param hook: of the connection that the submission went over.
    :param ledger: where jobs are claimed, and the candidates written down for a later try.
    :param timeout: seconds to wait, beyond the settling time, for running jobs that may be it, and for other
        tasks that may have lost the same submission.
    :param log: of the task.
    """

    def __init__(
        self, entry: LedgerEntry, *, hook: PictoryHook, ledger: Ledger, timeout: float, log: Logger
    ) -> None:
        self._entry = entry
        self._hook = hook
        self._ledger = ledger
        self._timeout = timeout
        self._log = log
        self._division = Division(entry.wish.fingerprint, ledger.name)
        self._candidates: dict[str, Candidate] | None = None
        # What this task got before doesn't come from this submission, were the lists even behind.
        self._others = {earlier.job_id for earlier in entry.earlier_jobs}
        self._listed: set[str] = set()
        self._has_seen_all_jobs = False
        self._are_all = entry.baseline is not Baseline.UNKNOWN

    def job_id(self) -> str | None:
        """
        Give the job that came from the submission, claimed, or ``None`` when it certainly never arrived.

        :raises PictorySubmissionUnresolvedError: it isn't known yet; a later try may find out.
        :raises PictorySubmissionUnknownError: it can't be found out.
        :raises PictoryError: the account can't be asked, and time won't mend that.
        """
        try:
            return self._job_id()
        finally:
            self._division.leave()

    def _job_id(self) -> str | None:
        self._wait_until_settled()
        give_up_at = time.time() + self._timeout
        reported_at = time.time()
        while True:
            try:
                verdict = self._look()
            except PictoryError as error:
                if not may_pass(error):
                    raise
                verdict = Verdict(is_final=False, words=f"the account can't be asked ({error})")
            is_over = time.time() >= give_up_at and not verdict.is_settling
            if verdict.are_alike:
                # Those who submitted the others may be about to find out as well.
                share = self._division.share(verdict.job_ids)
                verdict = replace(verdict, match=share, is_final=bool(share) or is_over)
            if verdict.match and (verdict.is_final or is_over):
                if self._ledger.claim(verdict.match):
                    self._log.info(
                        "The submission did arrive: job %s has its prompt and its settings", verdict.match
                    )
                    return verdict.match
                self._others.add(verdict.match)
                continue
            if verdict.never_arrived:
                self._log.info("The submission never arrived: %s", verdict.words)
                return None
            if verdict.is_final:
                raise self._unknown(verdict)
            if is_over:
                raise self._unresolved(verdict)
            if time.time() - reported_at >= PAUSE_BETWEEN_REPORTS:
                reported_at = time.time()
                self._log.info("What became of the submission isn't known yet: %s", _named(verdict))
            rest = give_up_at - time.time()
            time.sleep(min(PAUSE_BETWEEN_LOOKS, rest) if rest > 0 else PAUSE_BETWEEN_LOOKS)

    def _wait_until_settled(self) -> None:
        pause = settles_in(self._entry)
        if pause > 0:
            self._log.info(
                "A submission of %s has no known outcome; waiting %.0f s until Pictory's lists have settled",
                f"{self._entry.intended_at:%Y-%m-%d %H:%M:%S} UTC",
                pause,
            )
            time.sleep(pause)

    def _look(self) -> Verdict:
        if self._candidates is None:
            self._candidates = self._first_look()
        else:
            for job_id, candidate in self._candidates.items():
                if self._needs_look(candidate) and job_id not in self._others:
                    self._candidates[job_id] = self._seen(job_id, candidate)
        # Others may have claimed theirs since.
        free = []
        for job_id, candidate in self._candidates.items():
            if job_id in self._others:
                continue
            standing = self._ledger.standing(job_id)
            # What isn't certainly newer may have come from a former life of this task, in a run of this name.
            if standing is Standing.OWN and self._are_all:
                words = "this task had its answer already"
                return Verdict(is_final=True, words=words, job_ids=(job_id,), match=job_id)
            if standing is Standing.OTHERS:
                self._others.add(job_id)
            else:
                free.append(candidate)
        videos = self._videos() if self._candidates or not self._are_all else Videos()
        return weigh(self._entry.wish, free, videos, are_all=self._are_all, now=time.time())

    def _needs_look(self, candidate: Candidate) -> bool:
        """Tell whether another look at a job may show something new: nothing is new about a listed video."""
        if candidate.status == JobStatus.COMPLETED:
            return url_path(candidate.url) not in self._listed
        return candidate.status not in (JobStatus.FAILED, JobStatus.CLEANED)

    def _first_look(self) -> dict[str, Candidate]:
        """
        List the jobs that may be it, once: those that appear later can't be.

        Written down, so that a later try doesn't take newer ones for candidates, of which there may be
        without end.
        """
        if self._entry.candidates is not None:
            unseen = (Candidate(job_id, None, None) for job_id in self._entry.candidates)
            return {candidate.job_id: self._seen(candidate.job_id, candidate) for candidate in unseen}
        candidates = self._newer_jobs()
        if self._are_all:
            self._entry = self._entry.but(candidates=tuple(candidates))
            self._ledger.write(self._entry)
        return candidates

    def _newer_jobs(self) -> dict[str, Candidate]:
        found: dict[str, Candidate] = {}
        for job in self._listed_jobs(MOST_PAGES if self._are_all else MOST_PAGES_WITHOUT_BASELINE):
            if job.job_id is None:
                raise PictoryAPIError("an item of Pictory's list of jobs has no id that can be read")
            if job.job_id == self._entry.newest_job_id:
                return found
            found.setdefault(job.job_id, _candidate(job.job_id, job.status, job.url))
        self._are_all = self._entry.baseline is Baseline.EMPTY and self._has_seen_all_jobs
        return found

    def _listed_jobs(self, most_pages: int) -> Iterator[ListedJob]:
        page_key: str | None = None
        self._has_seen_all_jobs = False
        for _ in range(most_pages):
            page = self._hook.list_jobs(page_key)
            yield from page.jobs
            page_key = page.next_page_key
            if page_key is None:
                self._has_seen_all_jobs = True
                return

    def _seen(self, job_id: str, before: Candidate) -> Candidate:
        try:
            job = self._hook.get_job(job_id)
        except (PictoryJobNotFoundError, PictoryInvalidRequestError):
            return before
        except PictoryAPIError as error:
            if error.status_code == 200 and before.status == JobStatus.COMPLETED:
                # A job of another kind, whose answer isn't that of a video.
                return before
            raise
        return _candidate(job_id, job.status, job.url, before.completed_at)

    def _videos(self) -> Videos:
        """List the finished videos since the submission."""
        began = self._entry.server_time or self._entry.intended_at - MARGIN_OF_CLOCKS
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
        if not self._are_all:
            # Among jobs of any age, only the dates tell what can't have come from this submission.
            by_path = {
                path: video
                for path, video in by_path.items()
                if video.created_at is None or video.created_at >= began - MARGIN_OF_DATES
            }
        candidates = (self._candidates or {}).values()
        own = {url_path(candidate.url) for candidate in candidates}
        strangers = [
            video
            for video in (*(video for path, video in by_path.items() if path not in own), *without_url)
            if (video.created_at is None or video.created_at >= began - MARGIN_OF_CLOCKS)
            and self._entry.wish.resembles(video) is not False
        ]
        if any(video.url for video in strangers):
            # Most belong to jobs that were submitted earlier or later.
            known = {url_path(job.url) for job in self._listed_jobs(MOST_PAGES_WITHOUT_BASELINE)}
            strangers = [video for video in strangers if not video.url or url_path(video.url) not in known]
        return Videos(by_path, tuple(strangers))

    def _listed_videos(self, since: datetime) -> Iterator[ListedVideo]:
        page_key: str | None = None
        for _ in range(MOST_PAGES):
            page = self._hook.list_videos(page_key)
            yield from page.videos
            page_key = page.next_page_key
            oldest = min((video.created_at for video in page.videos if video.created_at), default=None)
            if page_key is None or (oldest is not None and oldest < since):
                return
        raise PictoryAPIError(f"Pictory's list of videos has more than {MOST_PAGES} pages since {since}")

    def _unknown(self, verdict: Verdict) -> PictorySubmissionUnknownError:
        return PictorySubmissionUnknownError(
            f"{self._what()} can't be found out: {_named(verdict)}. Nothing was submitted again, since that "
            f"could pay twice. {ways_out(verdict.job_ids)}"
        )

    def _unresolved(self, verdict: Verdict) -> PictorySubmissionUnresolvedError:
        return PictorySubmissionUnresolvedError(
            f"{self._what()} isn't known yet: {_named(verdict)}. Nothing was submitted again. A retry, or a "
            "clear of this task, looks on. " + (ways_out(verdict.job_ids) if verdict.job_ids else ""),
            retry_after=PAUSE_BETWEEN_LOOKS,
            candidates=verdict.job_ids,
        )

    def _what(self) -> str:
        return (
            "Whether Pictory accepted the video that this task submitted at "
            f"{self._entry.intended_at:%Y-%m-%d %H:%M:%S} UTC"
        )


def settles_in(entry: LedgerEntry) -> float:
    """Give the seconds until the lists tell what became of a submission, not negative."""
    settling = timedelta(seconds=SETTLING_TIME)
    rest = entry.over_at + settling - datetime.now(UTC)
    # However wrong the clock of the worker was that wrote the entry, it is never more than the whole of it.
    most = (entry.over_at - entry.intended_at + settling).total_seconds()
    return max(0.0, min(rest.total_seconds(), most, LONGEST_SETTLING))


def ways_out(job_ids: Iterable[str]) -> str:
    """Say what a person can do where the evidence doesn't settle it."""
    ways = "Look into Pictory's list of videos. If it is there, take it"
    ids = list(job_ids)
    if ids:
        ways += f" with VideoJobSensor(job_id={ids[0]!r})" if len(ids) == 1 else " with VideoJobSensor"
    return f"{ways}; if not, set on_unknown_submission='resubmit' and clear this task to submit it again."


def _candidate(
    job_id: str, status: str | None, url: str | None, completed_at: float | None = None
) -> Candidate:
    is_completed = status == JobStatus.COMPLETED
    return Candidate(job_id, status, url, (completed_at or time.time()) if is_completed else None)


def _named(verdict: Verdict) -> str:
    if not verdict.job_ids:
        return verdict.words
    shown = ", ".join(verdict.job_ids[:10])
    return f"{verdict.words} ({shown}{', ...' if len(verdict.job_ids) > 10 else ''})"
