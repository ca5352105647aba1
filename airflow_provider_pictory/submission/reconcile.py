"""
What became of a submission whose response was lost, found out from the account's lists.

Nothing here spends anything. A failed reading is never taken for an empty list.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from airflow_provider_pictory.exceptions import (
    PictoryError,
    PictorySubmissionIndeterminateError,
    PictorySubmissionPendingError,
)
from airflow_provider_pictory.outcome import PAUSE_BETWEEN_REPORTS, may_pass
from airflow_provider_pictory.submission.account_lists import AccountLists
from airflow_provider_pictory.submission.account_pages import AccountPages
from airflow_provider_pictory.submission.evidence import (
    Evidence,
    Found,
    NotSubmitted,
    Undecidable,
    Wait,
    conclude,
)
from airflow_provider_pictory.submission.names import short_prompt
from airflow_provider_pictory.submission.record import RecordState

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from airflow_provider_pictory.clock import Clock
    from airflow_provider_pictory.hooks.pictory import PictoryHook
    from airflow_provider_pictory.submission.names import Claims
    from airflow_provider_pictory.submission.record import SubmissionRecord
    from airflow_provider_pictory.submission.store import RecordStore
    from airflow_provider_pictory.task_log import Logger

PAUSE_BETWEEN_POLLS = 15.0
# The longest timeout of a connection and the longest window, generously, in seconds.
LONGEST_SETTLING = 50 * 60 * 60.0
# How long a claim takes, generously.
PAUSE_BETWEEN_CLAIMS = 0.7
# Another task whose POST is under way gets its response within the connection's timeout, and notes it.
MARGIN_FOR_OTHERS = 5.0
# Of several who claim a job at once some or all withdraw, which takes a few calls to Airflow.
PATIENCE_WITH_CLAIMS = 10.0


class Reconciler:
    """
    Find out what became of one submission.

    :param record: of the submission, an intent without a job.
    :param hook: of the connection that it went over.
    :param store: where jobs are claimed, and the candidates written down for a later try.
    :param is_own_intent: whether this very try sent it, so that its worker's clock can be relied on.
    :param timeout: seconds to wait, beyond the window, for running jobs that may have come from it.
    :param clock: what to wait by.
    :param log: of the task.
    :param pages: what others have read of the account's lists; nothing is waited for then.
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
        pages: AccountPages | None = None,
    ) -> None:
        self._record = record
        self._hook = hook
        self._store = store
        self._is_own_intent = is_own_intent
        self._timeout = timeout
        self._clock = clock
        self._log = log
        self._pages = pages
        self._lists = AccountLists(record, hook, pages)
        # What this task got before doesn't come from this submission, even if the lists lag.
        self._earlier = {earlier.job_id for earlier in record.earlier_jobs}
        self._began_at = 0.0
        self._settles_at = 0.0
        # The last moment whose jobs are candidates; it may be long ago.
        self._looked_until = 0.0
        self._server_time: datetime | None = None
        # Since when other tasks with this prompt are known to wait for a response, and who did when a job
        # was first seen.
        self._watched: dict[str, float] = {}
        self._seen_with: dict[str, frozenset[str]] = {}
        # Jobs that other tasks have, and since when nothing but those speaks for an arrival.
        self._owned: frozenset[str] = frozenset()
        self._concluded_at: float | None = None

    def resolve(self) -> SubmissionRecord | None:
        """
        Return the record with the job that came from the submission, or ``None`` when it never arrived.

        :raises PictorySubmissionPendingError: it isn't known yet; a later try may find out.
        :raises PictorySubmissionIndeterminateError: it can't be found out.
        :raises PictoryError: the account can't be asked, and waiting won't help.
        """
        self._begin()
        reported_at = self._clock.monotonic()
        while True:
            evidence = self._gather()
            now = self._clock.monotonic()
            give_up_at = self._settles_at + self._timeout
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
            if self._pages is not None or (now >= give_up_at and not evidence.is_bounded):
                raise self._still_pending(evidence, now)
            if now - reported_at >= PAUSE_BETWEEN_REPORTS:
                reported_at = now
                self._log.info("What became of the submission isn't known yet: %s", _named(evidence))
            self._clock.sleep(self._pause(now, give_up_at))

    def _begin(self) -> None:
        self._server_time, self._began_at = (
            AccountPages(self._hook, 0.0) if self._pages is None else self._pages
        ).server_time(self._clock)
        rest = until_settled(
            self._record,
            server_now=self._server_time,
            own_now=self._clock.now() if self._is_own_intent else None,
        )
        # Since when it is settled counts only where the lists were read some time ago.
        self._settles_at = self._began_at + (max(0.0, rest) if self._pages is None else rest)
        # Until when an earlier try has looked isn't known where nobody knows Pictory's clock.
        self._looked_until = self._began_at + rest if self._record.candidates is None else -math.inf
        if rest > 0 and self._pages is None:
            self._log.info(
                "A submission of %s has no known outcome; its job may appear in Pictory's lists for another "
                "%.0f s",
                f"{self._record.intended_at:%Y-%m-%d %H:%M:%S} UTC",
                rest,
            )

    def _pause(self, now: float, give_up_at: float) -> float:
        confirmed_at = now if self._concluded_at is None else self._concluded_at + PATIENCE_WITH_CLAIMS
        moments = [moment for moment in (self._settles_at, give_up_at, confirmed_at) if moment > now]
        return min([PAUSE_BETWEEN_POLLS, *(moment - now for moment in moments)])

    def _gather(self) -> Evidence:
        # What was read before the window was over proves nothing about what came after.
        now = self._clock.monotonic() if self._pages is None else self._pages.began_at
        try:
            evidence = self._conclude(now)
            if isinstance(evidence, NotSubmitted | Undecidable):
                return self._confirmed(evidence, now)
            self._concluded_at = None
            return evidence
        except PictoryError as error:
            if not may_pass(error):
                raise
            return Wait(f"the account can't be asked ({error})")

    def _conclude(self, now: float) -> Evidence:
        is_settled = now >= self._settles_at
        lists = self._lists
        lists.refresh(now, skipped={*self._earlier, *self._owned})
        if is_settled:
            self._freeze()
        claims = self._store.claims(lists.candidates)
        rivals = self._watch(claims, now)
        evidence = conclude(
            self._record.fingerprint,
            [
                candidate
                for job_id, candidate in lists.candidates.items()
                if job_id not in self._earlier and job_id not in self._owned
            ],
            lists.videos(),
            is_complete=lists.is_complete,
            is_settled=is_settled,
            is_in_order=bool(rivals) or not claims.shows_pending,
            window=self._record.window,
            now=now,
        )
        return self._without_those_of_others(evidence, now) if isinstance(evidence, Found) else evidence

    def _confirmed(self, evidence: Evidence, now: float) -> Evidence:
        """
        Conclude nothing for good while other tasks' claims of jobs that may be ours can still change.

        Whoever lost a response takes any job that made its video. That may be ours, and its own may appear
        for as long as its own window is open. Of several who claim a job at once all may yield.
        """
        if not self._owned:
            return evidence
        owners = self._store.read_owners(self._owned)
        moments = [
            self._began_at + until_settled(taker, server_now=self._server_time)
            for taker in self._takers(owners)
        ]
        if (theirs := max(moments, default=self._looked_until)) > self._looked_until:
            # Even if that has passed: an earlier try took no jobs for candidates that came after its window.
            self._looked_until = theirs
            self._settles_at = max(self._settles_at, theirs)
            self._lists.thaw()
            self._record = self._record.but(candidates=None)
            return Wait("another task took a job that may be its, and that one's may still appear", (), True)
        if self._owned <= {owner.job_id for owner in owners if owner.state is not RecordState.INTENT}:
            # Nobody gives up a job that is its own by now.
            return evidence
        if self._concluded_at is None:
            self._concluded_at = now
        if now - self._concluded_at < PATIENCE_WITH_CLAIMS:
            return Wait("other tasks are about to take jobs that may be its", tuple(self._owned), True)
        return evidence

    def _takers(self, owners: Iterable[SubmissionRecord]) -> list[SubmissionRecord]:
        """Return the records of those who found jobs that may be ours in the account's lists."""
        prompt = self._record.fingerprint.prompt_digest
        return [owner for owner in owners if owner.is_claimed and owner.fingerprint.prompt_digest == prompt]

    def _freeze(self) -> None:
        """Accept no newer jobs as candidates, now or in a later try, since they may appear without end."""
        candidates = self._lists.freeze()
        if self._lists.is_complete and self._record.candidates is None:
            self._record = self._store.write(self._record.but(candidates=candidates))

    def _watch(self, claims: Claims, now: float) -> frozenset[str]:
        """Note who has which job, and return who else waits for a response to this prompt."""
        own = {self._store.place.digest}
        self._owned = frozenset(job_id for job_id in self._lists.candidates if claims.owners(job_id) - own)
        pending = frozenset(claims.pending(short_prompt(self._record)) - own)
        self._watched = {place: self._watched.get(place, now) for place in pending}
        for job_id in self._lists.candidates:
            self._seen_with.setdefault(job_id, pending)
        return pending

    def _without_those_of_others(self, found: Found, now: float) -> Evidence:
        """Leave alone for a while what may be the job of another task's POST that is still under way."""
        patience = self._record.time_limit + MARGIN_FOR_OTHERS
        late = {place for place, since in self._watched.items() if now - since < patience}
        free = tuple(job_id for job_id in found.job_ids if not late & self._seen_with[job_id])
        if free:
            return Found(free)
        return Wait("another task may be about to get its response", found.job_ids, is_bounded=True)

    def _take(self, job_ids: tuple[str, ...]) -> SubmissionRecord | None:
        """
        Claim a job, the oldest that is free: a newer one may be the only one that another task can take.

        :return: ``None`` where others claim it as well. They try again one after the other.
        """
        job_id = job_ids[0]
        claimed = self._store.claim(self._record, job_id, self._clock)
        if isinstance(claimed, int):
            self._clock.sleep(1.0 + min(claimed * PAUSE_BETWEEN_CLAIMS, PAUSE_BETWEEN_POLLS))
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

    def _unknown(self, evidence: Undecidable) -> PictorySubmissionIndeterminateError:
        return PictorySubmissionIndeterminateError(
            f"{self._what()} can't be found out: {_named(evidence)}. Nothing was submitted again, since that "
            f"could pay twice. {ways_out(evidence.job_ids)}"
        )

    def _still_pending(self, evidence: Wait, now: float) -> PictorySubmissionPendingError:
        return PictorySubmissionPendingError(
            f"{self._what()} isn't known yet: {_named(evidence)}. Nothing was submitted again. A retry, or a "
            "clear of this task, looks on. " + (ways_out(evidence.job_ids) if evidence.job_ids else ""),
            retry_after=max(self._settles_at - now, PAUSE_BETWEEN_POLLS if self._pages is None else 0.0),
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
    wasn't read, the whole time is waited for, though some of it has passed.

    :param record: of the submission.
    :param server_now: the present moment by Pictory's clock, where known.
    :param own_now: the present moment by the clock of the worker that wrote the record, where this is that
        worker.
    """
    return max(0.0, until_settled(record, server_now=server_now, own_now=own_now))


def until_settled(
    record: SubmissionRecord, *, server_now: datetime | None = None, own_now: datetime | None = None
) -> float:
    """Return the same as :func:`settles_in`, but negative where that moment has passed."""
    whole = min(record.seconds_to_settle, LONGEST_SETTLING)
    if record.server_time is not None and server_now is not None:
        passed = (server_now - record.server_time).total_seconds()
    elif own_now is not None:
        passed = (own_now - record.intended_at).total_seconds()
    else:
        passed = 0.0
    return min(whole - passed, whole)


def ways_out(job_ids: Iterable[str]) -> str:
    """Return what a person can do where the evidence isn't conclusive."""
    ways = "Look into Pictory's list of videos. If it is there, take it"
    ids = list(job_ids)
    if ids:
        ways += f" with VideoJobSensor(job_id={ids[0]!r})" if len(ids) == 1 else " with VideoJobSensor"
    return f"{ways}; if not, set on_unknown_submission='resubmit' and clear this task to submit it again."


def _named(evidence: Wait | Undecidable) -> str:
    if not evidence.job_ids:
        return evidence.words
    shown = ", ".join(evidence.job_ids[:10])
    return f"{evidence.words} ({shown}{', ...' if len(evidence.job_ids) > 10 else ''})"
