"""
What became of a submission whose response was lost, found out from the account's lists.

Nothing here spends anything. Failing to look never counts as there being nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from airflow_provider_pictory.api import JobStatus
from airflow_provider_pictory.api.lists import Baseline
from airflow_provider_pictory.exceptions import (
    PictoryAPIError,
    PictoryError,
    PictoryInvalidRequestError,
    PictoryJobNotFoundError,
    PictorySubmissionUnknownError,
    PictorySubmissionUnresolvedError,
)
from airflow_provider_pictory.polling import PAUSE_BETWEEN_REPORTS, may_pass
from airflow_provider_pictory.submission.evidence import (
    Candidate,
    Evidence,
    Found,
    NotSubmitted,
    Undecidable,
    Videos,
    Wait,
    weigh,
)
from airflow_provider_pictory.submission.fingerprint import url_path
from airflow_provider_pictory.submission.variables import short_prompt

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from airflow_provider_pictory.api.lists import ListedJob, ListedVideo
    from airflow_provider_pictory.hooks.pictory import PictoryHook
    from airflow_provider_pictory.polling import Logger
    from airflow_provider_pictory.submission.clock import Clock
    from airflow_provider_pictory.submission.record import SubmissionRecord
    from airflow_provider_pictory.submission.store import RecordStore
    from airflow_provider_pictory.submission.variables import Claims

PAUSE_BETWEEN_POLLS = 15.0
# The longest timeout of a connection and the longest window, generously, in seconds.
LONGEST_SETTLING = 50 * 60 * 60.0
# Another task whose POST is under way gets its response within the connection's timeout, and notes it.
MARGIN_FOR_OTHERS = 5.0
# Of several who claim a job at once some or all withdraw, which takes a few calls to Airflow.
PATIENCE_WITH_CLAIMS = 10.0

# Videos are listed by a date of which it isn't documented what it is the date of.
MARGIN_OF_DATES = timedelta(minutes=15)
MARGIN_OF_CLOCKS = timedelta(seconds=30)
MOST_PAGES = 50
MOST_PAGES_WITHOUT_BASELINE = 5


class AccountLists:
    """
    What the account's lists say about one submission.

    :param record: of the submission, an intent without a job.
    :param hook: of the connection that it went over.
    """

    def __init__(self, record: SubmissionRecord, hook: PictoryHook) -> None:
        self.record = record
        self._hook = hook
        self.is_complete = record.baseline is not Baseline.UNKNOWN
        self.candidates: dict[str, Candidate] = {}
        self._is_frozen = record.candidates is not None
        self._listed: set[str] = set()
        self._has_seen_all_jobs = False

    def refresh(self, now: float, *, skipped: set[str]) -> None:
        """
        Read the jobs that may have come from the submission, oldest first.

        :param now: seconds, for when a job was first seen completed.
        :param skipped: jobs that needn't be looked at.
        """
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
        """Take no job for a candidate that appears from now on, and return those that are."""
        self._is_frozen = True
        return tuple(self.candidates)

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
        strangers = [
            video
            for video in (*(video for path, video in by_path.items() if path not in own), *without_url)
            if (video.created_at is None or video.created_at >= began - MARGIN_OF_CLOCKS)
            and self.record.fingerprint.matches(video) is not False
        ]
        if any(video.url for video in strangers):
            # Most belong to jobs that were submitted earlier or later.
            known = {url_path(job.url) for job in self._listed_jobs(MOST_PAGES_WITHOUT_BASELINE)}
            strangers = [video for video in strangers if not video.url or url_path(video.url) not in known]
        return tuple(strangers)

    def _needs_poll(self, candidate: Candidate) -> bool:
        """Tell whether another poll may show something new: nothing is new about a listed video."""
        if candidate.status == JobStatus.COMPLETED:
            return url_path(candidate.url) not in self._listed
        return candidate.status not in (JobStatus.FAILED, JobStatus.CLEANED)

    def _read_newer_jobs(self, now: float) -> None:
        found: dict[str, Candidate] = {}
        is_complete = self.record.baseline is not Baseline.UNKNOWN
        has_baseline = False
        for job in self._listed_jobs(MOST_PAGES if is_complete else MOST_PAGES_WITHOUT_BASELINE):
            if job.job_id is None:
                raise PictoryAPIError("an item of Pictory's list of jobs has no id that can be read")
            if job.job_id == self.record.newest_job_id:
                has_baseline = True
                break
            before = self.candidates.get(job.job_id)
            found.setdefault(job.job_id, _candidate(job.job_id, job.status, job.url, now, before))
        self.is_complete = has_baseline or (
            self.record.baseline is Baseline.EMPTY and self._has_seen_all_jobs
        )
        # A list that lags may forget what it has shown.
        oldest_first = dict(reversed(found.items()))
        self.candidates = {**self.candidates, **oldest_first}

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
            page = self._hook.list_videos(page_key)
            yield from page.videos
            page_key = page.next_page_key
            oldest = min((video.created_at for video in page.videos if video.created_at), default=None)
            if page_key is None or (oldest is not None and oldest < since):
                return
        raise PictoryAPIError(f"Pictory's list of videos has more than {MOST_PAGES} pages since {since}")


@dataclass(frozen=True)
class _Search:
    """Where a job is looked for, and the monotonic second after which none appears there."""

    lists: AccountLists
    settles_at: float


@dataclass(frozen=True)
class _Owned:
    """Who has a job, and since which monotonic second that is known."""

    owners: frozenset[str]
    since: float


class Reconciler:
    """
    Finds out what became of one submission.

    :param record: of the submission, an intent without a job.
    :param hook: of the connection that it went over.
    :param store: where jobs are claimed, and the candidates written down for a later try.
    :param is_own_intent: whether this very try sent it, so that its worker's clock can be relied on.
    :param timeout: seconds to wait, beyond the window, for running jobs that may be it.
    :param clock: what to wait by.
    :param log: of the task.
    """

    def __init__(
        self,
        record: SubmissionRecord,
        *,
        hook: PictoryHook,
        store: RecordStore,
        is_own_intent: bool,
        timeout: float,
        clock: Clock,
        log: Logger,
    ) -> None:
        self._record = record
        self._hook = hook
        self._store = store
        self._is_own_intent = is_own_intent
        self._timeout = timeout
        self._clock = clock
        self._log = log
        self._lists = AccountLists(record, hook)
        # What this task got before doesn't come from this submission, were the lists even behind.
        self._earlier = {earlier.job_id for earlier in record.earlier_jobs}
        self._rank = 0
        self._own = _Search(self._lists, 0.0)
        self._began_at = 0.0
        self._server_time: datetime | None = None
        # Since when other tasks with this prompt are known to wait for a response, and who did when a job
        # was first seen.
        self._watched: dict[str, float] = {}
        self._seen_with: dict[str, frozenset[str]] = {}
        # Who else has which job; which of them found it in the lists; and where their own may be.
        self._owned: dict[str, _Owned] = {}
        self._takers: dict[str, list[str]] = {}
        self._searches: dict[str, _Search] = {}

    def resolve(self) -> SubmissionRecord | None:
        """
        Return the record with the job that came from the submission, or ``None`` when it never arrived.

        :raises PictorySubmissionUnresolvedError: it isn't known yet; a later try may find out.
        :raises PictorySubmissionUnknownError: it can't be found out.
        :raises PictoryError: the account can't be asked, and time won't mend that.
        """
        self._begin()
        give_up_at = self._own.settles_at + self._timeout
        reported_at = self._clock.monotonic()
        while True:
            evidence = self._gather()
            now = self._clock.monotonic()
            if isinstance(evidence, Found):
                record = self._take(evidence.job_ids)
                if record is not None:
                    return record
                continue
            if isinstance(evidence, NotSubmitted):
                self._log.info("The submission never arrived: %s", evidence.words)
                return None
            if isinstance(evidence, Undecidable):
                raise self._unknown(evidence)
            if now >= give_up_at and not evidence.is_bounded:
                raise self._unresolved(evidence)
            if now - reported_at >= PAUSE_BETWEEN_REPORTS:
                reported_at = now
                self._log.info("What became of the submission isn't known yet: %s", _named(evidence))
            self._clock.sleep(self._pause(now, give_up_at))

    def _begin(self) -> None:
        self._server_time = self._hook.newest_job().server_time
        rest = settles_in(
            self._record,
            server_now=self._server_time,
            own_now=self._clock.now() if self._is_own_intent else None,
        )
        self._began_at = self._clock.monotonic()
        self._own = _Search(self._lists, self._began_at + rest)
        if rest > 0:
            self._log.info(
                "A submission of %s has no known outcome; its job may appear in Pictory's lists for another "
                "%.0f s",
                f"{self._record.intended_at:%Y-%m-%d %H:%M:%S} UTC",
                rest,
            )

    def _pause(self, now: float, give_up_at: float) -> float:
        moments = [moment for moment in (self._own.settles_at, give_up_at) if moment > now]
        return min([PAUSE_BETWEEN_POLLS, *(moment - now for moment in moments)])

    def _gather(self) -> Evidence:
        now = self._clock.monotonic()
        try:
            evidence = self._weigh(self._own, now)
            if isinstance(evidence, NotSubmitted | Undecidable):
                return self._weigh_swaps(evidence, now)
            return evidence
        except PictoryError as error:
            if not may_pass(error):
                raise
            return Wait(f"the account can't be asked ({error})")

    def _weigh(self, search: _Search, now: float) -> Evidence:
        lists, is_settled = search.lists, now >= search.settles_at
        lists.refresh(now, skipped={*self._earlier, *self._owned})
        if is_settled:
            self._freeze(search)
        claims = self._store.claims(lists.candidates)
        self._watch(lists, claims, now)
        free = [
            candidate
            for job_id, candidate in lists.candidates.items()
            if job_id not in self._earlier
            and job_id not in self._owned
            # Were the failed one that of whoever has taken ours, nothing was paid for it.
            and not (search is not self._own and candidate.status == JobStatus.FAILED)
        ]
        evidence = weigh(
            self._record.fingerprint,
            free,
            lists.videos(),
            is_complete=lists.is_complete,
            is_settled=is_settled,
            window=self._record.window,
            now=now,
        )
        return self._without_those_of_others(evidence, now) if isinstance(evidence, Found) else evidence

    def _weigh_swaps(self, evidence: Evidence, now: float) -> Evidence:
        """
        Look also for jobs of those who may have taken ours.

        Whoever lost a response takes any job that made its video. That may be ours, while its own is one that
        we couldn't take for ours, since it is older than our submission.
        """
        gathered = [evidence]
        looked_at: set[str] = set()
        waiting = [self._own]
        while waiting:
            candidates = waiting.pop().lists.candidates
            owned = {job_id: self._owned[job_id] for job_id in candidates if job_id in self._owned}
            if any(now - one.since < PATIENCE_WITH_CLAIMS for one in owned.values()):
                # Not bounded: should claims change for ever, a later try goes on.
                return Wait("other tasks are about to take jobs that may be its", tuple(owned))
            for place, swap in self._swaps(owned).items():
                if place not in looked_at:
                    looked_at.add(place)
                    gathered.append(self._weigh(swap, now))
                    waiting.append(swap)
        for kind in (Found, Wait, Undecidable):
            for one in gathered:
                if isinstance(one, kind):
                    return one
        return evidence

    def _swaps(self, job_ids: Iterable[str]) -> dict[str, _Search]:
        """Return where to look for what those submitted who have taken these jobs."""
        unread = [job_id for job_id in job_ids if job_id not in self._takers]
        for job_id in unread:
            self._takers[job_id] = []
        prompt = self._record.fingerprint.prompt_digest
        for record in self._store.read_claims(unread):
            if record.job_id in self._takers and record.fingerprint.prompt_digest == prompt:
                rest = settles_in(record, server_now=self._server_time)
                lists = AccountLists(record.but(candidates=None), self._hook)
                self._takers[record.job_id].append(record.place.digest)
                self._searches.setdefault(record.place.digest, _Search(lists, self._began_at + rest))
        places = [place for job_id in job_ids for place in self._takers[job_id]]
        return {place: self._searches[place] for place in places}

    def _freeze(self, search: _Search) -> None:
        """Take no newer jobs for candidates, of which there may be without end, nor let a later try."""
        candidates = search.lists.freeze()
        if search is self._own and search.lists.is_complete and self._record.candidates is None:
            self._record = self._store.write(self._record.but(candidates=candidates))

    def _watch(self, lists: AccountLists, claims: Claims, now: float) -> None:
        """Note who has which job, and who else waits for a response."""
        own = self._store.place.digest
        for job_id in lists.candidates:
            owners = frozenset(claims.owners(job_id) - {own})
            known = self._owned.pop(job_id, None)
            if known is None or known.owners != owners:
                self._takers.pop(job_id, None)
                known = _Owned(owners, now)
            if owners:
                self._owned[job_id] = known
        pending = claims.pending(short_prompt(self._record)) - {own}
        self._watched = {place: self._watched.get(place, now) for place in pending}
        for job_id in lists.candidates:
            self._seen_with.setdefault(job_id, frozenset(pending))

    def _without_those_of_others(self, found: Found, now: float) -> Evidence:
        """Leave alone for a while what may be the job of another task's POST that is still under way."""
        patience = self._record.time_limit + MARGIN_FOR_OTHERS
        late = {place for place, since in self._watched.items() if now - since < patience}
        free = tuple(job_id for job_id in found.job_ids if not late & self._seen_with[job_id])
        if free:
            return Found(free)
        return Wait("another task may be about to get its response", found.job_ids, is_bounded=True)

    def _take(self, job_ids: tuple[str, ...]) -> SubmissionRecord | None:
        """Claim a job, the first that is free but for those who came first."""
        job_id = job_ids[min(self._rank, len(job_ids) - 1)]
        claimed = self._store.claim(self._record, job_id, self._clock)
        if isinstance(claimed, int):
            # Those before this one take the jobs before; the next round sees which are left.
            self._rank = claimed
            self._clock.sleep(1.0 + claimed % 7 / 7)
            return None
        others = [other for other in job_ids if other != job_id]
        if others:
            self._log.warning(
                "Several jobs made a video of this prompt with these settings: %s is taken for this task's, "
                "%s may be those of other tasks or of other programs",
                job_id,
                ", ".join(others[:10]),
            )
        self._log.info("The submission did arrive: job %s has its prompt and its settings", job_id)
        return claimed

    def _unknown(self, evidence: Undecidable) -> PictorySubmissionUnknownError:
        return PictorySubmissionUnknownError(
            f"{self._what()} can't be found out: {_named(evidence)}. Nothing was submitted again, since that "
            f"could pay twice. {ways_out(evidence.job_ids)}"
        )

    def _unresolved(self, evidence: Wait) -> PictorySubmissionUnresolvedError:
        return PictorySubmissionUnresolvedError(
            f"{self._what()} isn't known yet: {_named(evidence)}. Nothing was submitted again. A retry, or a "
            "clear of this task, looks on. " + (ways_out(evidence.job_ids) if evidence.job_ids else ""),
            retry_after=PAUSE_BETWEEN_POLLS,
            candidates=evidence.job_ids,
        )

    def _what(self) -> str:
        return (
            "Whether Pictory accepted the video that this task submitted at "
            f"{self._record.intended_at:%Y-%m-%d %H:%M:%S} UTC"
        )


def settles_in(
    record: SubmissionRecord, *, server_now: datetime | None = None, own_now: datetime | None = None
) -> float:
    """
    Return the seconds until the lists tell what became of a submission, not negative.

    Moments of two workers' clocks are never compared: they may be hours apart. Where Pictory's own clock
    wasn't read, the whole time is waited for, which began before.

    :param record: of the submission.
    :param server_now: the present moment by Pictory's clock, where known.
    :param own_now: the present moment by the clock of the worker that wrote the record, where this is that.
    """
    whole = min(record.seconds_to_settle, LONGEST_SETTLING)
    if record.server_time is not None and server_now is not None:
        passed = (server_now - record.server_time).total_seconds()
    elif own_now is not None:
        passed = (own_now - record.intended_at).total_seconds()
    else:
        passed = 0.0
    return max(0.0, min(whole - passed, whole))


def ways_out(job_ids: Iterable[str]) -> str:
    """Say what a person can do where the evidence doesn't settle it."""
    ways = "Look into Pictory's list of videos. If it is there, take it"
    ids = list(job_ids)
    if ids:
        ways += f" with VideoJobSensor(job_id={ids[0]!r})" if len(ids) == 1 else " with VideoJobSensor"
    return f"{ways}; if not, set on_unknown_submission='resubmit' and clear this task to submit it again."


def _candidate(
    job_id: str, status: str | None, url: str | None, now: float, before: Candidate | None
) -> Candidate:
    if status != JobStatus.COMPLETED:
        return Candidate(job_id, status, url)
    was_completed = before is not None and before.status == JobStatus.COMPLETED
    return Candidate(job_id, status, url, before.completed_at if before and was_completed else now)


def _has_no_url(candidate: Candidate) -> bool:
    """Tell a completed job of which a list doesn't show the URL, by which its video is found."""
    return candidate.status == JobStatus.COMPLETED and not candidate.url


def _named(evidence: Wait | Undecidable) -> str:
    if not evidence.job_ids:
        return evidence.words
    shown = ", ".join(evidence.job_ids[:10])
    return f"{evidence.words} ({shown}{', ...' if len(evidence.job_ids) > 10 else ''})"
