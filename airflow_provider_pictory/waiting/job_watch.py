"""One wait for one job: what it concludes from each poll, and when the next one is due."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_pictory.api import VideoJob
from airflow_provider_pictory.api.checks import is_usual_job_id
from airflow_provider_pictory.exceptions import (
    PictoryAPIError,
    PictoryError,
    PictoryJobNotFoundError,
    PictoryRedirectedError,
)
from airflow_provider_pictory.outcome import (
    NOT_FOUND_GRACE,
    PAUSE_BETWEEN_REPORTS,
    may_pass,
    poll,
    status_meaning,
)
from airflow_provider_pictory.waiting.intervals import STEADY_PAUSE, next_pause
from airflow_provider_pictory.waiting.limits import timed_out

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_pictory.hooks.pictory import PictoryHook
    from airflow_provider_pictory.task_log import Logger
    from airflow_provider_pictory.waiting.limits import WaitLimit

# A CDN may refuse a client for a while, and a network's login page may redirect it: a 403 and a redirect
# count once they have lasted so many seconds.
FORBIDDEN_GRACE = 120.0
LONGEST_TROUBLED_PAUSE = 60.0
LONGEST_RETRY_AFTER = 300.0
# When a job still has a status that nobody documented after so many seconds, a person should have a look.
UNKNOWN_STATUS_REMINDER = 300.0


class JobWatch:
    """
    What one wait for one job knows, and what it concludes from each poll. It makes no calls itself.

    A poll that fails says nothing about the job: network errors, 429, 5xx and unreadable responses are
    tolerated with growing pauses until the deadline, as are a 403 or a 404 that pass. An error that waiting
    can't resolve ends the wait at once.

    :param job_id: of the job.
    :param deadline: the moment when the wait ends.
    :param poll_interval: seconds between polls, or ``None`` for our own schedule.
    :param log: where the few lines go that a user reads while waiting.
    :param advice: how to go on after a timeout, as a whole sentence.
    :param waited: seconds that the job was waited for before, in other processes.
    :param first_poll: the moment of the first poll, where that isn't to be taken at once.
    :param limit: what the deadline comes from, where that is known here.
    :param now: the time in seconds since the epoch.
    """

    def __init__(
        self,
        job_id: str,
        *,
        deadline: datetime,
        poll_interval: float | None,
        log: Logger,
        advice: str = "",
        waited: float = 0.0,
        first_poll: datetime | None = None,
        limit: WaitLimit | None = None,
        now: Callable[[], float] | None = None,
    ) -> None:
        self.job_id = job_id
        self._now = now or time.time
        self._limit = limit
        self._first_poll = first_poll
        self._deadline = deadline.timestamp()
        self._poll_interval = poll_interval
        self._log = log
        self._advice = advice
        self._reported = self._now()
        self._started = self._reported - waited
        self._polls = 0
        self._troubles = 0
        self._forbidden_since: float | None = None
        self._unknown_status: str | None = None
        self._unknown_since = 0.0
        self._is_reminded = False

    def announce(self, pause: float | None = None) -> None:
        """
        Log what is waited for and until when, once the wait begins.

        :param pause: seconds until the next poll; until the first one by default.
        """
        self._log.info(
            "Waiting for job %s until %s; next poll in %.0f s",
            self.job_id,
            moment(self._deadline),
            self.first_pause if pause is None else pause,
        )

    @property
    def remaining(self) -> float:
        """The seconds until the deadline, not negative."""
        return max(0.0, self._deadline - self._now())

    @property
    def first_pause(self) -> float:
        """The seconds until the first poll, not negative and not beyond the deadline."""
        if self._first_poll is None:
            return 0.0
        return min(max(0.0, self._first_poll.timestamp() - self._now()), self.remaining)

    @property
    def interval(self) -> float:
        """The approximate seconds between two polls of a healthy job."""
        return STEADY_PAUSE if self._poll_interval is None else self._poll_interval

    def pause_after(self, seen: VideoJob | PictoryError, longest: float | None = None) -> float | None:
        """
        Conclude from a poll when the next one is due.

        :param seen: the job, or the error that the poll ended in.
        :param longest: seconds that our own schedule may be shortened to.
        :return: seconds until the next poll, or ``None`` when the job has ended.
        :raises PictoryJobTimedOutError: the deadline has passed and the job hadn't ended.
        :raises PictoryError: the poll's error, when waiting can't resolve it.
        """
        self._polls += 1
        now = self._now()
        if isinstance(seen, PictoryError):
            pause = self._pause_in_trouble(seen, now)
        else:
            self._note_recovery()
            if seen.has_ended:
                return None
            self._note_status(seen, now)
            is_first = self._polls == 1 and self._first_poll is None
            pause = next_pause(self._poll_interval, is_first=is_first, longest=longest)
        if now >= self._deadline:
            raise timed_out(self.job_id, seen, self._advice, self._limit)
        pause = min(pause, self._deadline - now)
        self._report(seen, now, pause)
        return pause

    def _pause_in_trouble(self, error: PictoryError, now: float) -> float:
        if not self.tolerates(error):
            raise error
        if self._troubles == 0:
            self._log.warning(
                "Polling Pictory job %s failed, which says nothing about the job; trying on: %s",
                self.job_id,
                error,
            )
        self._troubles += 1
        pause = next_pause(self._poll_interval, is_first=False) * 2.0 ** min(self._troubles - 1, 10)
        pause = min(pause, max(LONGEST_TROUBLED_PAUSE, self._poll_interval or 0))
        retry_after = getattr(error, "retry_after", None) or 0.0
        return max(pause, min(retry_after, LONGEST_RETRY_AFTER))

    def tolerates(self, error: PictoryError) -> bool:
        """Return whether polls may still succeed after this error, so that waiting on makes sense."""
        now = self._now()
        if not isinstance(error, PictoryAPIError):
            return False
        status_code = error.status_code
        if isinstance(error, AirflowFailException) and not isinstance(
            error, (PictoryJobNotFoundError, PictoryRedirectedError)
        ):
            return False
        if status_code == 403 or isinstance(error, PictoryRedirectedError):
            # A network's login page redirects, too.
            self._forbidden_since = self._forbidden_since or now
            return now - self._forbidden_since < FORBIDDEN_GRACE
        self._forbidden_since = None
        if status_code == 404 or isinstance(error, PictoryJobNotFoundError):
            return is_usual_job_id(self.job_id) and now - self._started < NOT_FOUND_GRACE
        return may_pass(error)

    def _note_recovery(self) -> None:
        if self._troubles:
            polls = "a failed poll" if self._troubles == 1 else f"{self._troubles} failed polls"
            self._log.info("Pictory responds again after %s of job %s", polls, self.job_id)
        self._troubles = 0
        self._forbidden_since = None

    def _note_status(self, job: VideoJob, now: float) -> None:
        """Log an undocumented status at once, and once more if it stays."""
        if not job.has_unknown_status:
            return
        if job.status != self._unknown_status:
            self._unknown_status, self._unknown_since = job.status, now
            self._is_reminded = False
            self._log.warning(
                "Pictory reports the status %r for job %s, which this provider doesn't know; waiting on. %s",
                job.status,
                job.job_id,
                status_meaning(job.status),
            )
        elif not self._is_reminded and now - self._unknown_since >= UNKNOWN_STATUS_REMINDER:
            self._is_reminded = True
            self._log.warning(
                "Pictory job %s still has the status %r after %.0f s, which this provider doesn't know; "
                "waiting on until %s. %s",
                job.job_id,
                job.status,
                now - self._unknown_since,
                moment(self._deadline),
                status_meaning(job.status),
            )

    def _report(self, seen: VideoJob | PictoryError, now: float, pause: float) -> None:
        """Log about once a minute how the wait goes on."""
        if now - self._reported < PAUSE_BETWEEN_REPORTS:
            return
        self._reported = now
        state = f"is {seen.status}" if isinstance(seen, VideoJob) else "can't be polled right now"
        self._log.info(
            "Pictory job %s %s after %.0f s of waiting; next poll in %.0f s, deadline %s",
            self.job_id,
            state,
            now - self._started,
            pause,
            moment(self._deadline),
        )


def moment(timestamp: float) -> str:
    """Return a moment as a log line shows it."""
    return f"{datetime.fromtimestamp(timestamp, UTC):%Y-%m-%d %H:%M:%S} UTC"


def wait_for_job(
    hook: PictoryHook, watch: JobWatch, sleep: Callable[[float], None] | None = None
) -> VideoJob:
    """
    Wait for a job on a worker.

    :param hook: makes the polls.
    :param watch: what this wait knows and wants.
    :param sleep: waits for so many seconds.
    :return: the job once it has ended, however it ended.
    :raises PictoryError: as :meth:`JobWatch.pause_after`.
    """
    sleep = sleep or time.sleep
    watch.announce()
    while True:
        seen = poll(hook, watch.job_id)
        pause = watch.pause_after(seen)
        if pause is None and not isinstance(seen, PictoryError):
            return seen
        sleep(pause or 0.0)
