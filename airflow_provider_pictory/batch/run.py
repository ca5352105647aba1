"""
One process's part of a batch: go on with what was submitted, submit what there is room for, record it.

Each item is submitted as a single video is. The outcome of one item doesn't affect the others.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from airflow_provider_pictory.api import JobStatus
from airflow_provider_pictory.batch.plan import Awaited, ItemState, ends_to_await
from airflow_provider_pictory.batch.recording import ItemRecording
from airflow_provider_pictory.batch.records import BatchRecords
from airflow_provider_pictory.batch.state import BatchState
from airflow_provider_pictory.exceptions import (
    PictoryError,
    PictoryInvalidRequestError,
    PictoryJobError,
    PictoryJobNotFoundError,
    PictoryRateLimitedError,
    PictorySubmissionIndeterminateError,
    PictorySubmissionPendingError,
)
from airflow_provider_pictory.outcome import may_pass, poll
from airflow_provider_pictory.submission.account_pages import AccountPages
from airflow_provider_pictory.submission.attempt import Reattach, decide
from airflow_provider_pictory.submission.fingerprint import RequestFingerprint
from airflow_provider_pictory.submission.record import RecordState
from airflow_provider_pictory.submission.submitter import Submitter, reattached
from airflow_provider_pictory.task_log import PrefixedLog
from airflow_provider_pictory.waiting.limits import timed_out

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from airflow_provider_pictory.api import VideoJob
    from airflow_provider_pictory.batch.store import BatchStore
    from airflow_provider_pictory.batch_requests import BatchItem
    from airflow_provider_pictory.clock import Clock, Moment
    from airflow_provider_pictory.hooks.pictory import PictoryHook
    from airflow_provider_pictory.submission.attempt import Attempt
    from airflow_provider_pictory.submission.policy import SubmissionPolicy
    from airflow_provider_pictory.submission.store import RecordStore
    from airflow_provider_pictory.task_log import Logger
    from airflow_provider_pictory.waiting.limits import WaitLimit

# How often submissions that were delayed or lost are tried again while nothing is in flight.
MOST_ROUNDS = 20
FIRST_PAUSE = 5.0
LONGEST_PAUSE = 60.0
# What ends one item without affecting the others; anything else keeps a try from submitting any more.
ITEM_ERRORS = (
    PictoryInvalidRequestError,
    PictoryJobError,
    PictoryJobNotFoundError,
    PictorySubmissionIndeterminateError,
)


class BatchRun:
    """
    What a process does for a batch.

    :param items: of the batch, in their order.
    :param store: of the batch's document.
    :param attempt: the present try.
    :param hook: of the connection to submit over.
    :param policy: what the author of the DAG decided, as for a single video.
    :param max_active_jobs: how many jobs may be in flight, ``None`` for all.
    :param clock: the clock to use.
    :param log: of the task.

    ``state`` is what is known of the items, and ``trouble`` what keeps this try from submitting any more.
    """

    def __init__(
        self,
        items: Sequence[BatchItem],
        *,
        store: BatchStore,
        attempt: Attempt,
        hook: PictoryHook,
        policy: SubmissionPolicy,
        max_active_jobs: int | None,
        clock: Clock,
        log: Logger,
    ) -> None:
        self._attempt = attempt
        self._hook = hook
        # What a batch may cost was checked for all items together.
        self._policy = replace(policy, max_credits=None, check_quota=False)
        self._max_active_jobs = max_active_jobs
        self._clock = clock
        self._log = log
        signature = f"{attempt.try_number}:{attempt.max_tries}:{attempt.task_instance_id}"
        self.state = BatchState(items, store.entries, signature, log)
        self.trouble: PictoryError | None = None
        self._delay: PictoryRateLimitedError | None = None
        self._records = BatchRecords(store, clock=clock, log=log)
        # When the lists tell what became of submissions, by the keys of their items.
        self._settles_at: dict[str, datetime] = {}
        # What this process has read of the account's lists in one go.
        self._pages: AccountPages | None = None
        self._read_at: Moment = clock.moment()
        self._current: Submitter | None = None
        self._is_stopped = False

    def open(self, *, is_resumed: bool) -> None:
        """
        Read what the processes before this one have done, and take over from them.

        :param is_resumed: whether another process of this try has come before.
        :raises PictoryRecordError: it can't be read or written.
        """
        self._records.open(self.state.items, is_new=self._attempt.is_first and not is_resumed)
        self._read_at = self._clock.moment()
        if removed := self.state.removed():
            self._log.warning(
                "%d items are no longer in the list, but their jobs go on and are paid for: %s",
                len(removed),
                ", ".join(removed[:10]),
            )

    def stop(self) -> None:
        """Submit nothing from now on; a task that is being killed may still run for seconds."""
        self._is_stopped = True
        if self._current is not None:
            self._current.stop()

    # Jobs that were submitted before

    def note_ends(self, jobs: Iterable[VideoJob]) -> None:
        """Take note of jobs that have ended."""
        keys = {job_id: key for key, job_id in self.state.in_flight().items()}
        for job in jobs:
            if job.has_ended and job.job_id in keys:
                key = keys[job.job_id]
                self.state.conclude(key, self.state.entry(key).record, job)

    def poll_open(self, limits: Mapping[str, WaitLimit], keys: Iterable[str]) -> None:
        """
        Take a last poll of each job whose time is up, and of those whose wait has ended without their end.

        :param limits: what ends the waits for the jobs in flight, by their items' keys.
        :param keys: of items whose wait has ended though their job hasn't.
        """
        now, asked = self._clock.now(), set(keys)
        for key, job_id in self.state.in_flight().items():
            limit, record = limits.get(key), self.state.entry(key).record
            is_over = limit is not None and limit.deadline <= now
            if not is_over and key not in asked:
                continue
            seen = poll(self._hook, job_id)
            if not isinstance(seen, PictoryError) and seen.has_ended:
                self.state.conclude(key, record, seen)
            elif isinstance(seen, PictoryError) and not may_pass(seen):
                self.state.fail(key, record, seen)
            elif limit is not None and is_over and limit.argument == "timeout":
                self.state.fail(key, record, timed_out(job_id, seen, limit.advice, limit))

    def look_for_unknown(self) -> None:
        """Find out what became of submissions, from one reading of the lists and without waiting."""
        self._pages = None
        for key in self.state.keys(ItemState.UNKNOWN):
            self._submit(key)

    # What is submitted

    def advance(self) -> Awaited | None:
        """
        Submit what there is room for, and record what is known.

        :return: what to wait for, ``None`` where all items have ended or nothing more can be done by now.
        :raises PictoryRecordError: what is known can't be recorded, or another try has taken over.
        """
        self._submit_waiting()
        rounds = 0
        while self._has_nothing_in_flight_but_more_to_do():
            if (rounds := rounds + 1) > MOST_ROUNDS:
                self.trouble = self._delay or PictorySubmissionPendingError(
                    "Pictory has taken no submission for a long time; a retry, or a clear, goes on"
                )
                break
            # Nothing else to wait for: what became of submissions is found out here, and a rate limit is
            # waited out.
            if self.state.keys(ItemState.UNKNOWN):
                self._find_out_unknown()
            else:
                wanted = self._delay.retry_after if self._delay is not None else None
                self._clock.sleep(min(LONGEST_PAUSE, wanted or FIRST_PAUSE * 2.0 ** (rounds - 1)))
            self._submit_waiting()
        self._records.write(self.state.keys(ItemState.COMPLETED, ItemState.FAILED))
        if not (jobs := self.state.in_flight()):
            return None
        waiting = 0 if self.trouble else len(self.state.keys(ItemState.WAITING))
        return Awaited(jobs, ends_to_await(len(jobs), self._max_active_jobs, waiting), self._until())

    def _until(self) -> datetime | None:
        """Return when the last of the submissions without a known outcome can be found out about."""
        now = self._clock.now()
        unknown = self.state.keys(ItemState.UNKNOWN)
        # What another process left without a known outcome has no moment until this one looks at it.
        moments = [self._settles_at.get(key, now) for key in unknown]
        return max((moment for moment in moments if moment > now), default=None)

    def _has_nothing_in_flight_but_more_to_do(self) -> bool:
        return (
            self.trouble is None
            and not self._is_stopped
            and not self.state.in_flight()
            and bool(self.state.keys(ItemState.UNKNOWN, ItemState.WAITING))
        )

    def has_job_or_may_have(self, key: str) -> bool:
        """Return whether going on with an item may cost nothing, since there may be a job that isn't over."""
        record = self.state.entry(key).record
        if record is not None and record.state in (RecordState.DELIVERED, RecordState.CLOSED):
            return False
        return bool(record and record.job_id) or self._records.has_variable(key)

    def deliver(self) -> None:
        """
        Record that the batch has done all it is to do; call it as late as possible.

        :raises PictoryRecordError: it can't be recorded.
        :raises PictoryError: this task is being killed, so Airflow won't take its success.
        """
        if self._is_stopped:
            raise PictoryError("This task is being killed; a retry or a clear of it goes on with its videos")
        self.state.deliver()
        self._records.retire()

    def tidy_up(self) -> None:
        """Delete what batches have left that nobody will ask about any more."""
        self._records.tidy(is_first_try=self._attempt.is_first)

    def _submit_waiting(self) -> None:
        """Submit items in their order, those with a job first: to go on with one costs nothing."""
        self._pages = None
        if kept := sum(self._keep_video(key) for key in self.state.keys(ItemState.WAITING)):
            self._log.info("%d items have had their videos before; nothing is paid again", kept)
        waiting = sorted(
            self.state.keys(ItemState.WAITING), key=lambda key: not self.has_job_or_may_have(key)
        )
        in_flight = len(self.state.keys(ItemState.RUNNING, ItemState.UNKNOWN))
        room = None if self._max_active_jobs is None else max(0, self._max_active_jobs - in_flight)
        self._records.announce(waiting[:room])
        for key in waiting:
            is_full = self._max_active_jobs is not None and in_flight >= self._max_active_jobs
            if self._is_stopped or self.trouble or (is_full and not self.has_job_or_may_have(key)):
                return
            if not self._submit(key):
                return
            in_flight += self.state[key] in (ItemState.RUNNING, ItemState.UNKNOWN)

    def _keep_video(self, key: str) -> bool:
        """Keep the video that an earlier try knew of, where that takes no more than what the document has."""
        entry, record = self.state.entry(key), self.state.entry(key).record
        if (
            record is None
            or entry.job is None
            or entry.job.status != JobStatus.COMPLETED
            # There may be something newer.
            or self._records.has_variable(key)
        ):
            return False
        fingerprint = RequestFingerprint.of(
            self.state.items[key].request, self._hook.pictory_conn_id, self._hook.get_base_url()
        ).digest
        decision = decide(record, self._attempt, self._policy, fingerprint, entry.job)
        if fingerprint != record.fingerprint.digest or not isinstance(decision, Reattach):
            return False
        self.state.conclude(key, reattached(decision.record, self._attempt, self._policy), entry.job)
        return True

    def _submitter(
        self, item: BatchItem, store: RecordStore, recording: ItemRecording, *, waits: bool
    ) -> Submitter:
        self._pages = self._pages or AccountPages(self._hook, self._clock.monotonic())
        return Submitter(
            attempt=self._attempt,
            store=store,
            recording=recording,
            hook=self._hook,
            policy=self._policy,
            log=PrefixedLog(self._log, str(item)),
            clock=self._clock,
            is_one_of_many=True,
            read_at=self._read_at,
            pages=None if waits else self._pages,
        )

    def _submit(self, key: str, *, waits: bool = False) -> bool:
        """
        Submit an item or go on with it.

        :param waits: whether to wait until it is known what became of an earlier submission.
        :return: whether the next one may follow at once.
        """
        item, entry = self.state.items[key], self.state.entry(key)
        self._records.announce([key])
        store = self._records.of_item(key)
        recording = ItemRecording(store, clock=self._clock, log=PrefixedLog(self._log, str(item)))
        submitter = self._current = self._submitter(item, store, recording, waits=waits)
        try:
            submitted = submitter.ensure(item.request, ended=entry.job)
        except PictorySubmissionPendingError as error:
            self._records.note_variable(key)
            self._settles_at[key] = self._clock.now() + timedelta(seconds=error.retry_after or 0.0)
            self.state.keep(key, store.read_written(), is_settled=True)
            return True
        except ITEM_ERRORS as error:
            self.state.fail(key, recording.record or entry.record, error, entry.job)
            return True
        except PictoryError as error:
            self.state.keep(key, recording.record or entry.record)
            if isinstance(error, PictoryRateLimitedError):
                self._delay = error
                self._log.info("Pictory takes no more submissions for the moment: %s", error)
            else:
                self.trouble = error
            return False
        finally:
            self._current = None
            self._read_at = submitter.read_at
        self._records.note_variable(key)
        if submitted.job is not None:
            self.state.conclude(key, recording.record, submitted.job)
        else:
            self.state.keep(key, recording.record, is_settled=True)
        return True

    def _find_out_unknown(self) -> None:
        """Find out what became of submissions, and wait for it."""
        for key in self.state.keys(ItemState.UNKNOWN):
            self._submit(key, waits=True)
            if self.state[key] is ItemState.UNKNOWN:
                self.trouble = PictorySubmissionPendingError(
                    f"What became of the submission of {self.state.items[key]} isn't known yet; a retry, or "
                    "a clear of this task, looks on"
                )
                return
