"""
One process's part of a batch: go on with what was submitted, submit what there is room for, record it.

Each item is submitted as a single video is. What one item ends in doesn't touch the others.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from airflow_provider_pictory.api.redaction import clean
from airflow_provider_pictory.batch.document import BatchDocument, Entry, ItemError
from airflow_provider_pictory.batch.plan import ItemState, Progress, ends_to_await, state_of
from airflow_provider_pictory.batch.recording import ItemRecording
from airflow_provider_pictory.exceptions import (
    PictoryError,
    PictoryInvalidRequestError,
    PictoryJobError,
    PictoryJobNotFoundError,
    PictoryRateLimitedError,
    PictorySubmissionIndeterminateError,
    PictorySubmissionPendingError,
)
from airflow_provider_pictory.outcome import may_pass, poll, require_completed
from airflow_provider_pictory.submission.forgetting import is_awaited
from airflow_provider_pictory.submission.reconcile import settles_in
from airflow_provider_pictory.submission.record import CloseReason, RecordState
from airflow_provider_pictory.submission.submitter import Submitter
from airflow_provider_pictory.task_log import PrefixedLog
from airflow_provider_pictory.waiting.limits import timed_out

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from airflow_provider_pictory.api import VideoJob
    from airflow_provider_pictory.batch.store import BatchStore
    from airflow_provider_pictory.batch_requests import BatchItem
    from airflow_provider_pictory.clock import Clock, Moment
    from airflow_provider_pictory.hooks.pictory import PictoryHook
    from airflow_provider_pictory.submission.attempt import Attempt
    from airflow_provider_pictory.submission.policy import SubmissionPolicy
    from airflow_provider_pictory.task_log import Logger
    from airflow_provider_pictory.waiting.limits import WaitLimit

# How often a submission that too many others delay is tried again while nothing is in flight.
MOST_PAUSES = 20
LONGEST_PAUSE = 60.0


@dataclass(frozen=True)
class Awaited:
    """
    What a batch waits for before a worker has something to do.

    :param jobs: ids of the jobs in flight, by the keys of their items.
    :param ends: how many of them are to end.
    """

    jobs: Mapping[str, str]
    ends: int


class BatchRun:
    """
    What a process does for a batch.

    :param items: of the batch, in their order.
    :param store: of the batch's document.
    :param attempt: the present try.
    :param hook: of the connection to submit over.
    :param policy: what the author of the DAG decided, as for a single video.
    :param max_active_jobs: how many jobs may be in flight, ``None`` for all.
    :param clock: the time to live by.
    :param log: of the task.
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
        self._items = {item.key: item for item in items}
        self._store = store
        self._attempt = attempt
        self._hook = hook
        # What a batch may cost was checked for all items together.
        self._policy = replace(policy, max_credits=None, check_quota=False)
        self._max_active_jobs = max_active_jobs
        self._clock = clock
        self._log = log
        self._signature = f"{attempt.try_number}:{attempt.max_tries}:{attempt.task_instance_id}"
        self._document = BatchDocument(store.place)
        self._entries: dict[str, Entry] = {}
        self._with_variable: set[str] | None = set()
        self._read_at: Moment = clock.moment()
        self._current: Submitter | None = None
        self._is_stopped = False
        # What keeps this try from submitting any more items.
        self.trouble: PictoryError | None = None

    # What is known

    @property
    def entries(self) -> dict[str, Entry]:
        """What is known of the items, by their keys."""
        return {key: self._entries.get(key, Entry()) for key in self._items}

    def state_of(self, key: str) -> ItemState:
        """Return what is known of an item in this try."""
        return state_of(self._entries.get(key), self._signature)

    @property
    def progress(self) -> Progress:
        """How far the batch has come."""
        states = {key: self.state_of(key) for key in self._items}
        credits_so_far = sum(
            self._items[key].request.estimated_credits or 0.0
            for key, state in states.items()
            if state is not ItemState.WAITING
        )
        return Progress.of(states.values(), credits_so_far)

    def jobs_in_flight(self) -> dict[str, str]:
        """Return the ids of the jobs in the making, by their items' keys."""
        return {
            key: entry.record.job_id or ""
            for key, entry in self._entries.items()
            if key in self._items and entry.record and self.state_of(key) is ItemState.RUNNING
        }

    # What happens

    def open(self) -> None:
        """
        Read what the processes before this one have done, and take over from them.

        :raises PictoryRecordError: it can't be read, or not written.
        """
        self._document = self._store.read()
        self._entries = dict(self._document.entries)
        self._with_variable = self._store.places_with_records()
        self._document = self._store.write(self._document)
        self._read_at = self._clock.moment()
        removed = [
            key
            for key, entry in self._entries.items()
            if key not in self._items and entry.record and entry.job is None and entry.record.job_id
        ]
        if removed:
            self._log.warning(
                "%d items are no longer in the list, but their jobs go on and are paid for: %s",
                len(removed),
                ", ".join(removed[:10]),
            )

    def note_ends(self, jobs: Iterable[VideoJob]) -> None:
        """Take note of jobs that have ended."""
        keys = {job_id: key for key, job_id in self.jobs_in_flight().items()}
        for job in jobs:
            if job.has_ended and job.job_id in keys:
                self._conclude(keys[job.job_id], job)

    def poll_open(self, limits: Mapping[str, WaitLimit], keys: Iterable[str]) -> None:
        """
        Take a last poll of each job whose time is up, and of those whose wait has ended without their end.

        :param limits: what ends the waits for the jobs in flight, by their items' keys.
        :param keys: of items whose wait has ended though their job hasn't.
        """
        now, asked = self._clock.now(), set(keys)
        for key, job_id in self.jobs_in_flight().items():
            limit = limits.get(key)
            is_over = limit is not None and limit.deadline <= now
            if not is_over and key not in asked:
                continue
            seen = poll(self._hook, job_id)
            if not isinstance(seen, PictoryError) and seen.has_ended:
                self._conclude(key, seen)
            elif isinstance(seen, PictoryError) and not may_pass(seen):
                self._fail(key, seen)
            elif limit is not None and is_over and limit.argument == "timeout":
                self._fail(key, timed_out(job_id, seen, limit.advice, limit))

    def advance(self) -> Awaited | None:
        """
        Submit what there is room for, and record what is known.

        :return: what to wait for, ``None`` where all items have ended or nothing more can be done by now.
        :raises PictoryRecordError: what is known can't be recorded, or another try has taken over.
        """
        self._submit_waiting()
        pauses = 0
        while not self.jobs_in_flight() and self.trouble is None and self._has_more():
            # Nothing else to wait for: what became of submissions is found out here, and a limit waited out.
            if not self._find_out_unknown() and (pauses := pauses + 1) > MOST_PAUSES:
                break
            self._submit_waiting()
        self._write()
        jobs = self.jobs_in_flight()
        if not jobs:
            return None
        waiting = sum(self.state_of(key) is ItemState.WAITING for key in self._items)
        return Awaited(jobs, ends_to_await(len(jobs), self._max_active_jobs, 0 if self.trouble else waiting))

    def stop(self) -> None:
        """Submit nothing from now on; a task that is being killed may still run for seconds."""
        self._is_stopped = True
        if self._current is not None:
            self._current.stop()

    # One item

    def _submit_waiting(self) -> None:
        """Submit items in their order, those with a job first: to go on with one costs nothing."""
        waiting = [key for key in self._items if self.state_of(key) is ItemState.WAITING]
        waiting.sort(key=lambda key: not self._may_have_job(key))
        in_flight = sum(self._is_in_flight(key) for key in self._items)
        for key in waiting:
            is_full = self._max_active_jobs is not None and in_flight >= self._max_active_jobs
            if self._is_stopped or (is_full and not self._may_have_job(key)) or not self._submit(key):
                return
            in_flight += self._is_in_flight(key)

    def _is_in_flight(self, key: str) -> bool:
        return self.state_of(key) in (ItemState.RUNNING, ItemState.UNKNOWN)

    def has_job_or_may_have(self, key: str) -> bool:
        """Return whether going on with an item may cost nothing, since there may be a job."""
        return self._may_have_job(key) or self.state_of(key) is not ItemState.WAITING

    def deliver(self) -> None:
        """
        Record that the batch has done all it is to do; to be called as late as can be.

        :raises PictoryRecordError: it can't be recorded.
        """
        for key, entry in self._entries.items():
            if entry.record is not None and entry.record.state is RecordState.ACCEPTED:
                self._entries[key] = entry.but(record=entry.record.but(state=RecordState.DELIVERED))
        self._store.retire(BatchDocument(self._store.place, self._entries, self._document.revision))

    def _may_have_job(self, key: str) -> bool:
        entry = self._entries.get(key)
        return bool(entry and entry.record and entry.record.job_id) or self._is_written(key)

    def _is_written(self, key: str) -> bool:
        place = self._store.place._replace(item=key)
        return self._with_variable is None or place.digest in self._with_variable

    def _submit(self, key: str, *, timeout: float | None = None) -> bool:
        """Submit an item or go on with it, and return whether the next one may follow at once."""
        item, entry = self._items[key], self._entries.get(key, Entry())
        store = self._store.record_store(key, entry.record, is_written=self._is_written(key))
        recording = ItemRecording(store, clock=self._clock, log=self._log)
        policy = self._policy if timeout is None else replace(self._policy, reconcile_timeout=timeout)
        submitter = self._current = Submitter(
            attempt=self._attempt,
            store=store,
            recording=recording,
            hook=self._hook,
            policy=policy,
            log=PrefixedLog(self._log, str(item)),
            clock=self._clock,
            is_one_of_many=True,
            read_at=self._read_at,
        )
        try:
            submitted = submitter.ensure(item.request, ended=entry.job)
        except PictorySubmissionPendingError:
            self._entries[key] = Entry(record=store.read(), signature=self._signature)
            self._note_variable(key)
            return True
        except PictoryRateLimitedError as error:
            self._entries[key] = entry.but(record=recording.record or entry.record)
            self._log.info("Pictory takes no more submissions for the moment: %s", error)
            return False
        except (PictoryJobError, PictoryJobNotFoundError, PictorySubmissionIndeterminateError) as error:
            self._entries[key] = Entry(recording.record or entry.record, entry.job, signature=self._signature)
            self._fail(key, error)
            return True
        except PictoryInvalidRequestError as error:
            self._entries[key] = Entry(recording.record, signature=self._signature)
            self._fail(key, error)
            return True
        except PictoryError as error:
            self._entries[key] = entry.but(record=recording.record or entry.record)
            self.trouble = error
            return False
        finally:
            self._current = None
            self._read_at = submitter.read_at
        self._note_variable(key)
        self._entries[key] = Entry(recording.record, submitted.job, signature=self._signature)
        return True

    def _note_variable(self, key: str) -> None:
        if self._with_variable is not None:
            self._with_variable.add(self._store.place._replace(item=key).digest)

    def _conclude(self, key: str, job: VideoJob) -> None:
        entry = self._entries[key]
        record = entry.record.but(has_ended=True) if entry.record else None
        try:
            require_completed(job)
        except PictoryError as error:
            if record is not None:
                record = record.but(state=RecordState.CLOSED, reason=CloseReason.JOB_FAILED)
            self._entries[key] = Entry(record, job, signature=self._signature)
            self._fail(key, error, job=job)
        else:
            self._entries[key] = Entry(record, job, signature=self._signature)

    def _fail(self, key: str, error: PictoryError, job: VideoJob | None = None) -> None:
        code = getattr(error, "code", None) or getattr(error, "error_code", None) or type(error).__name__
        message = (job.error_message if job is not None else None) or clean(str(error))
        self._entries[key] = self._entries[key].but(error=ItemError(str(code), message))
        self._log.warning("%s has no video: %s", str(self._items[key]).capitalize(), error)

    # What isn't known yet

    def _has_more(self) -> bool:
        return any(self.state_of(key) in (ItemState.WAITING, ItemState.UNKNOWN) for key in self._items)

    def _find_out_unknown(self) -> bool:
        """Find out what became of submissions, and return whether there were any; else wait out a limit."""
        unknown = [key for key in self._items if self.state_of(key) is ItemState.UNKNOWN]
        for key in unknown:
            self._submit(key)
            if self.state_of(key) is ItemState.UNKNOWN:
                self.trouble = PictorySubmissionPendingError(
                    f"What became of the submission of {self._items[key]} isn't known yet; a retry, or a "
                    "clear of this task, looks on"
                )
                return True
        if not unknown:
            self._clock.sleep(LONGEST_PAUSE)
        return bool(unknown)

    def find_out_settled(self) -> None:
        """Find out what became of those submissions whose window is over, without waiting for anything."""
        for key in self._items:
            entry = self._entries.get(key)
            record = entry.record if entry and self.state_of(key) is ItemState.UNKNOWN else None
            if record is not None and settles_in(record, own_now=self._clock.now()) <= 0:
                self._submit(key, timeout=0.0)

    # What is recorded

    def _write(self) -> None:
        """Write the document, and delete the Variables of items that have ended."""
        self._document = self._store.write(
            BatchDocument(self._store.place, self._entries, self._document.revision)
        )
        ended = [
            key
            for key in self._items
            if self.state_of(key) in (ItemState.COMPLETED, ItemState.FAILED) and self._is_deletable(key)
        ]
        if not ended or self._with_variable is None:
            return
        try:
            claims = self._store.variables.claims(())
            for key in ended:
                record = self._entries[key].record
                if record is not None and not is_awaited(record, claims):
                    self._store.record_store(key, None, is_written=True).remove(record)
                    self._with_variable.discard(record.place.digest)
        except Exception as error:  # noqa: BLE001  (what is left over is deleted by later tasks)
            self._log.info("Records of ended items can't be deleted now: %s", clean(repr(error)))

    def _is_deletable(self, key: str) -> bool:
        record = self._entries[key].record
        if record is None or not self._is_written(key):
            return False
        return record.has_ended or record.state is RecordState.CLOSED
