"""What a batch does next: pure decisions, without I/O."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from airflow_provider_pictory.api import JobStatus
from airflow_provider_pictory.submission.record import RecordState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from airflow_provider_pictory.batch.document import Entry


class ItemState(StrEnum):
    """What is known of an item, as the manifest says it."""

    WAITING = "waiting"
    UNKNOWN = "unknown"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"


@dataclass(frozen=True)
class Progress:
    """
    How far a batch has come.

    :param total: how many items there are.
    :param waiting: how many aren't submitted yet.
    :param running: how many are in the making, or may be.
    :param completed: how many have their video.
    :param failed: how many ended without.
    :param estimated_credits: what those submitted so far cost, by our estimates.
    """

    total: int
    waiting: int
    running: int
    completed: int
    failed: int
    estimated_credits: float

    @classmethod
    def of(cls, states: Iterable[ItemState], estimated_credits: float) -> Progress:
        """Count items by their states."""
        counts = dict.fromkeys(ItemState, 0)
        for state in states:
            counts[state] += 1
        return cls(
            sum(counts.values()),
            counts[ItemState.WAITING],
            counts[ItemState.RUNNING] + counts[ItemState.UNKNOWN],
            counts[ItemState.COMPLETED],
            counts[ItemState.FAILED],
            round(estimated_credits, 2),
        )

    def __str__(self) -> str:
        return (
            f"{self.completed} of {self.total} videos are completed, {self.failed} failed, {self.running} "
            f"running, {self.waiting} not submitted yet; about {self.estimated_credits:g} AI credits so far"
        )


@dataclass(frozen=True)
class Awaited:
    """
    What a batch waits for before a worker has something to do.

    :param jobs: ids of the jobs in flight, by the keys of their items.
    :param ends: how many of them are to end.
    :param until: when a worker has something to do all the same, ``None`` without such a moment.
    """

    jobs: Mapping[str, str]
    ends: int
    until: datetime | None = None


def state_of(entry: Entry | None, signature: str) -> ItemState:
    """
    Tell what is known of an item in this try.

    :param entry: what the document has of it.
    :param signature: of this try: what an earlier one knows has to be decided about anew.
    """
    if entry is None or entry.signature != signature:
        return ItemState.WAITING
    if entry.error is not None:
        return ItemState.FAILED
    if entry.job is not None:
        return ItemState.COMPLETED if entry.job.status == JobStatus.COMPLETED else ItemState.FAILED
    if entry.record is not None and entry.record.state is RecordState.INTENT:
        return ItemState.UNKNOWN
    # Without a job, a submission was refused for the moment, or never arrived.
    return ItemState.RUNNING if entry.record is not None and entry.record.job_id else ItemState.WAITING


def ends_to_await(running: int, max_active_jobs: int | None, waiting: int) -> int:
    """
    Return how many jobs are to end before a worker has something to do.

    Each resumption of a task costs a process, so half of what may be in flight is filled up at once.

    :param running: how many jobs are awaited.
    :param max_active_jobs: how many may be in flight, ``None`` for all.
    :param waiting: how many items aren't submitted yet.
    """
    if max_active_jobs is None or waiting == 0:
        return running
    return max(1, min(running, (max_active_jobs + 1) // 2, max(waiting, 1)))
