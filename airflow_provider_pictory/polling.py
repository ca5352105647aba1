"""What each look at a job means to whoever waits for it, and what is ridden out meanwhile."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_pictory.api import JobStatus, VideoJob
from airflow_provider_pictory.api.checks import is_usual_job_id
from airflow_provider_pictory.api.faults import shown
from airflow_provider_pictory.exceptions import (
    PictoryAPIError,
    PictoryError,
    PictoryInsufficientCreditsError,
    PictoryInvalidRequestError,
    PictoryJobExpiredError,
    PictoryJobFailedError,
    PictoryJobNotFoundError,
    PictoryJobTimedOutError,
    PictoryRedirectedError,
)
from airflow_provider_pictory.schedule import next_pause

if TYPE_CHECKING:
    from airflow_provider_pictory.hooks.pictory import PictoryHook

# A server may not know yet what another one created: for so many seconds a job may be unknown.
NOT_FOUND_GRACE = 120.0
# A CDN may refuse a client for a while, and a network's login page redirect it: a 403 and a redirect are
# believed once they have lasted so many seconds.
FORBIDDEN_GRACE = 120.0
LONGEST_TROUBLED_PAUSE = 60.0
LONGEST_RETRY_AFTER = 300.0
PAUSE_BETWEEN_REPORTS = 60.0

# Beyond every wait that makes sense, and far within what a date can hold.
LONGEST_SPAN = 366 * 24 * 60 * 60.0


class Logger(Protocol):
    """What both loggers of Airflow can do, that of triggers and tasks and the standard library's."""

    def info(self, message: str, /, *arguments: object) -> Any:
        """Log what a user wants to know."""

    def warning(self, message: str, /, *arguments: object) -> Any:
        """Log what a user should look into."""


def seconds(value: object, field: str) -> float | None:
    """
    Read a time span that a user gave as a number of seconds or a ``timedelta``.

    :param value: the span, or ``None`` where nothing was given.
    :param field: name of the argument, for the message.
    :raises PictoryInvalidRequestError: when it is no positive time span.
    """
    if value is None:
        return None
    span = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(span, bool) or not isinstance(span, (int, float)) or not 0 < span <= LONGEST_SPAN:
        raise PictoryInvalidRequestError(
            f"{field}: got {shown(value)}, but a positive number of seconds or a timedelta is needed, "
            f"{LONGEST_SPAN / 86400:.0f} days at most"
        )
    return float(span)


def deadline_after(timeout: float) -> datetime:
    """Give the moment when a wait of so many seconds ends, which a restart of whoever waits doesn't move."""
    return datetime.now(UTC) + timedelta(seconds=min(timeout, LONGEST_SPAN))


class JobWatch:
    """
    What one wait for one job knows, and what it concludes from each look. It makes no calls itself.

    A look that fails says nothing about the job: network errors, 429, 5xx and unreadable answers are ridden
    out with growing pauses until the deadline, as are a 403 or a 404 that pass. What can't mend itself ends
    the wait at once.

    :param job_id: of the job.
    :param deadline: the moment when the wait ends.
    :param poll_interval: seconds between looks, or ``None`` for our own schedule.
    :param log: where the few lines go that a user reads while waiting.
    :param advice: how to go on after a timeout, as a whole sentence.
    :param waited: seconds that the job was waited for before, in other processes.
    :param first_look: the moment of the first look, where that isn't to be taken at once.
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
        first_look: datetime | None = None,
    ) -> None:
        self.job_id = job_id
        self._first_look = first_look
        self._deadline = deadline.timestamp()
        self._poll_interval = poll_interval
        self._log = log
        self._advice = advice
        self._reported = time.time()
        self._started = self._reported - waited
        self._looks = 0
        self._troubles = 0
        self._forbidden_since: float | None = None
        self._unknown_status: str | None = None

    @property
    def remaining(self) -> float:
        """The seconds until the deadline, not negative."""
        return max(0.0, self._deadline - time.time())

    @property
    def first_pause(self) -> float:
        """The seconds until the first look, not negative and not beyond the deadline."""
        if self._first_look is None:
            return 0.0
        return min(max(0.0, self._first_look.timestamp() - time.time()), self.remaining)

    def pause_after(self, seen: VideoJob | PictoryError) -> float | None:
        """
        Conclude from a look.

        :param seen: the job, or the error that the look ended in.
        :return: seconds until the next look, or ``None`` when the job has ended.
        :raises PictoryJobTimedOutError: the deadline has passed and the job hadn't ended.
        :raises PictoryError: the look's error, when it can't mend itself.
        """
        self._looks += 1
        now = time.time()
        if isinstance(seen, PictoryError):
            pause = self._pause_in_trouble(seen, now)
        else:
            self._note_recovery()
            if seen.has_ended:
                return None
            self._report(seen, now)
            is_first = self._looks == 1 and self._first_look is None
            pause = next_pause(self._poll_interval, is_first=is_first)
        if now >= self._deadline:
            raise timed_out(self.job_id, seen, self._advice)
        return min(pause, self._deadline - now)

    def _pause_in_trouble(self, error: PictoryError, now: float) -> float:
        if not self.tolerates(error):
            raise error
        if self._troubles == 0:
            self._log.warning(
                "Looking at Pictory job %s failed, which says nothing about the job; trying on: %s",
                self.job_id,
                error,
            )
        self._troubles += 1
        pause = next_pause(self._poll_interval, is_first=False) * 2.0 ** min(self._troubles - 1, 10)
        pause = min(pause, max(LONGEST_TROUBLED_PAUSE, self._poll_interval or 0))
        retry_after = getattr(error, "retry_after", None) or 0.0
        return max(pause, min(retry_after, LONGEST_RETRY_AFTER))

    def tolerates(self, error: PictoryError) -> bool:
        """Tell whether a failed look may still mend itself, so that waiting on makes sense."""
        now = time.time()
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
            looks = "a failed look" if self._troubles == 1 else f"{self._troubles} failed looks"
            self._log.info("Pictory answers again after %s at job %s", looks, self.job_id)
        self._troubles = 0
        self._forbidden_since = None

    def _report(self, job: VideoJob, now: float) -> None:
        if job.has_unknown_status and job.status != self._unknown_status:
            self._unknown_status = job.status
            self._log.warning(
                "Pictory reports the status %r for job %s, which this provider doesn't know; waiting on",
                job.status,
                job.job_id,
            )
        if now - self._reported >= PAUSE_BETWEEN_REPORTS:
            self._reported = now
            self._log.info(
                "Pictory job %s is %s after %.0f s of waiting", job.job_id, job.status, now - self._started
            )


def may_pass(error: PictoryError) -> bool:
    """Tell whether a failed look may mend itself at any time, as network errors, 429 and 5xx may."""
    if not isinstance(error, PictoryAPIError) or isinstance(error, AirflowFailException):
        return False
    status_code = error.status_code
    return status_code is None or status_code in (408, 425, 429) or not 400 <= status_code < 500


def look(hook: PictoryHook, job_id: str) -> VideoJob | PictoryError:
    """Look at a job once, with a failed look as an outcome like any other."""
    try:
        return hook.get_job(job_id)
    except PictoryError as error:
        return error


def wait_for_job(hook: PictoryHook, watch: JobWatch) -> VideoJob:
    """
    Wait for a job on a worker.

    :return: the job once it has ended, however it ended.
    :raises PictoryError: as :meth:`JobWatch.pause_after`.
    """
    while True:
        seen = look(hook, watch.job_id)
        pause = watch.pause_after(seen)
        if pause is None and not isinstance(seen, PictoryError):
            return seen
        time.sleep(pause or 0.0)


def require_completed(job: VideoJob) -> VideoJob:
    """
    Insist on a video.

    :param job: a job that has ended.
    :return: the same job, when it is completed.
    :raises PictoryInsufficientCreditsError: it failed for want of credits.
    :raises PictoryJobFailedError: it failed otherwise.
    :raises PictoryJobExpiredError: its video was deleted at Pictory.
    """
    if job.status == JobStatus.FAILED:
        words = ": ".join(filter(None, (job.error_code, job.error_message))) or "no reason given"
        message = f"Pictory job {job.job_id} failed ({words})"
        if "INSUFFICIENT_CREDITS" in (job.error_code, job.error_message):
            raise PictoryInsufficientCreditsError(
                f"{message}: the account is out of AI credits", code=job.error_code
            )
        raise PictoryJobFailedError(message, job_id=job.job_id, error_code=job.error_code)
    if job.status == JobStatus.CLEANED:
        raise PictoryJobExpiredError(
            f"The video of Pictory job {job.job_id} was deleted at Pictory (status 'cleaned') and can't be "
            "brought back; it takes a new submission to have it again",
            job_id=job.job_id,
        )
    return job


def timed_out(job_id: str, seen: VideoJob | PictoryError | None, advice: str) -> PictoryJobTimedOutError:
    """
    Make the error for a wait whose time is up.

    :param job_id: of the job.
    :param seen: what the last look brought; ``None`` where there was none.
    :param advice: how to go on, as a whole sentence.
    """
    if isinstance(seen, VideoJob):
        truth = f"but the job is not (status {str(seen.status)!r}):"
    elif seen is None:
        truth = "and whether it has ended is unknown. If it is running,"
    else:
        truth = f"and whether it has ended is unknown: the last look failed ({seen}). If it is running,"
    return PictoryJobTimedOutError(
        f"The wait for Pictory job {job_id} is over, {truth} it goes on and is paid for, since Pictory has "
        f"no way to cancel it. {advice}".rstrip(),
        job_id=job_id,
    )


def describe(job: VideoJob) -> str:
    """Give what a user wants to know about a finished video, for one log line."""
    facts = []
    if job.duration_seconds is not None:
        facts.append(f"{job.duration_seconds:g} s")
    if job.width and job.height:
        facts.append(f"{job.width}x{job.height}")
    if job.ai_credits_used is not None:
        facts.append(f"{job.ai_credits_used:g} AI credits used")
    return ", ".join(facts) or "no details given"
