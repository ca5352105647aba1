"""The wait for many jobs at once, until enough of them have ended, and the event that it ends with."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_pictory.api import VideoJob
from airflow_provider_pictory.api.jobs import UnreadableJobError
from airflow_provider_pictory.api.redaction import clean
from airflow_provider_pictory.outcome import PAUSE_BETWEEN_REPORTS
from airflow_provider_pictory.waiting.job_watch import JobWatch
from airflow_provider_pictory.waiting.poller import shared_poller

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from airflow_provider_pictory.task_log import Logger

# Seconds to wait for more ends once enough jobs have ended, so that those need no resumption of their own.
GATHERING_TIME = 2.0


@dataclass(frozen=True)
class BatchEvent:
    """
    What a wait for many jobs ended with.

    :param ended: jobs that have ended.
    :param open_job_ids: jobs whose wait has ended though they haven't, with the error that ended it.
    """

    ended: tuple[VideoJob, ...]
    open_job_ids: Mapping[str, str]


async def wait_for_ends(
    jobs: Sequence[tuple[str, str]],
    *,
    ends: int,
    pictory_conn_id: str,
    poll_interval: float | None,
    first_poll: str | None,
    progress: Callable[[int], str],
    log: Logger,
    until: str | None = None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    pause_between_reports: float = PAUSE_BETWEEN_REPORTS,
) -> dict[str, Any]:
    """
    Wait until enough jobs have ended, with the poller that all waits of this process share.

    :param jobs: their ids, each with the moment when the wait for it ends.
    :param ends: how many of these waits are to end.
    :param pictory_conn_id: id of the Airflow connection.
    :param poll_interval: seconds between polls, or ``None`` for our own schedule.
    :param first_poll: the moment of the first poll; at once without it.
    :param progress: return how far the batch is, for a number of jobs that have ended, to be logged once a
        minute.
    :param log: of the trigger.
    :param until: when the wait ends in any case, in ISO 8601; ``None`` without such a moment.
    :param sleep: wait for so many seconds.
    :param pause_between_reports: seconds between two lines about the progress.
    :return: the event.
    """
    async with shared_poller(pictory_conn_id) as poller:
        waits: dict[asyncio.Future[VideoJob], str] = {
            asyncio.ensure_future(
                poller.ended(
                    JobWatch(
                        job_id,
                        deadline=datetime.fromisoformat(deadline),
                        poll_interval=poll_interval,
                        first_poll=datetime.fromisoformat(first_poll) if first_poll else None,
                        log=QuietLog(log),
                    )
                )
            ): job_id
            for job_id, deadline in jobs
        }
        try:
            done: set[asyncio.Future[VideoJob]] = set()
            loop = asyncio.get_running_loop()
            report_at = loop.time() + pause_between_reports
            end_at = loop.time() + (math.inf if until is None else _seconds_until(until))
            while len(done) < min(ends, len(waits)) and loop.time() < end_at:
                ended, _ = await asyncio.wait(
                    set(waits) - done,
                    timeout=max(0.0, min(report_at, end_at) - loop.time()),
                    return_when=asyncio.FIRST_COMPLETED,
                )
                done |= ended
                if loop.time() >= report_at:
                    log.info("%s", progress(len(done)))
                    report_at = loop.time() + pause_between_reports
            await sleep(GATHERING_TIME if len(done) < len(waits) else 0)
            done |= {wait for wait in waits if wait.done()}
            return _event({waits[wait]: _outcome(wait) for wait in done})
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)


def read_batch_event(event: object, job_ids: set[str]) -> BatchEvent | None:
    """
    Read an event, and check it before it is used.

    :param event: what the task was resumed with.
    :param job_ids: of the jobs that the task waits for.
    :return: ``None`` where the event isn't one of ours: the jobs themselves must be polled then.
    """
    if not isinstance(event, Mapping) or event.get("outcome") != "batch":
        return None
    ended, open_job_ids = event.get("ended"), event.get("open")
    if not isinstance(ended, list) or not isinstance(open_job_ids, Mapping):
        return None
    try:
        jobs = tuple(VideoJob.from_dict(job) for job in ended)
    except UnreadableJobError:
        return None
    return BatchEvent(
        tuple(job for job in jobs if job.has_ended and job.job_id in job_ids),
        {str(job_id): str(words) for job_id, words in open_job_ids.items() if job_id in job_ids},
    )


class QuietLog:
    """
    What the wait for one of many jobs logs: only what a user should look into.

    :param log: of the trigger.
    """

    def __init__(self, log: Logger) -> None:
        self._log = log

    def info(self, message: str, /, *arguments: object) -> Any:
        """Leave out how one job is doing."""

    def warning(self, message: str, /, *arguments: object) -> Any:
        """Log what a user should look into."""
        self._log.warning(message, *arguments)

    def error(self, message: str, /, *arguments: object) -> Any:
        """Log what has cost a user something."""
        self._log.error(message, *arguments)


def _seconds_until(moment: str) -> float:
    return (datetime.fromisoformat(moment) - datetime.now(UTC)).total_seconds()


def _outcome(wait: asyncio.Future[VideoJob]) -> VideoJob | BaseException:
    return wait.exception() or wait.result()


def _event(outcomes: Mapping[str, VideoJob | BaseException]) -> dict[str, Any]:
    return {
        "outcome": "batch",
        "ended": [outcome.to_dict() for outcome in outcomes.values() if isinstance(outcome, VideoJob)],
        "open": {
            job_id: clean(f"{type(outcome).__name__}: {outcome}")
            for job_id, outcome in outcomes.items()
            if not isinstance(outcome, VideoJob)
        },
    }
