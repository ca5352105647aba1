"""What each look at a job means to whoever waits for it, and what is ridden out meanwhile."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_pictory.api import JobStatus, VideoJob
from airflow_provider_pictory.api.checks import is_usual_job_id
from airflow_provider_pictory.arguments import LONGEST_SPAN, time_span
from airflow_provider_pictory.exceptions import (
    PictoryAPIError,
    PictoryError,
    PictoryExecutionTimeoutError,
    PictoryInsufficientCreditsError,
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

# The way out where there is no video and waiting on is no use, in an error's last sentence.
PAY_AGAIN = (
    "clear the task that submitted it, which submits and pays again; clearing a task that only waits for it "
    "or saves it fails again"
)

# When a job still has a status that nobody documented after so many seconds, a person should have a look.
UNKNOWN_STATUS_REMINDER = 300.0
# What a status that nobody documented may be about, by how it is written. It is told, never acted upon.
UNHAPPY_WORDS = (
    *("abort", "block", "cancel", "delet", "denied", "died", "error", "expir", "fail", "invalid", "kill"),
    *("refus", "reject", "remov", "stop", "terminat", "timeout", "timed-out", "timed out", "unknown"),
)
HAPPY_WORDS = ("complet", "done", "finish", "ready", "success", "succeed")

# A wait on a worker ends so many seconds before Airflow would interrupt it, for one last poll.
ROOM_FOR_LAST_POLL = 10.0
# Airflow 2 counts a task's deferral and its resumption as one execution: the latter takes so long to begin.
ROOM_TO_RESUME = 30.0

# The name by which others know it.
seconds = time_span


class Logger(Protocol):
    """What both loggers of Airflow can do, that of triggers and tasks and the standard library's."""

    def info(self, message: str, /, *arguments: object) -> Any:
        """Log what a user wants to know."""

    def warning(self, message: str, /, *arguments: object) -> Any:
        """Log what a user should look into."""

    def error(self, message: str, /, *arguments: object) -> Any:
        """Log what has cost a user something."""


def deadline_after(timeout: float) -> datetime:
    """Give the moment when a wait of so many seconds ends, which a restart of whoever waits doesn't move."""
    return datetime.now(UTC) + timedelta(seconds=min(timeout, LONGEST_SPAN))


@dataclass(frozen=True)
class WaitLimit:
    """
    What ends a wait: whichever of two arguments of the task is over first.

    :param argument: its name, ``timeout`` or ``execution_timeout``.
    :param seconds: what it is set to.
    :param deadline: the moment when the wait ends.
    """

    argument: str
    seconds: float
    deadline: datetime

    @property
    def advice(self) -> str:
        """How to go on after that, as a whole sentence."""
        return f"Clear this task to go on waiting for it, with a longer {self.argument} if it needs one."


def wait_limit(
    task: Any, timeout: float, *, began: datetime, is_deferred: bool, task_instance: Any = None
) -> WaitLimit:
    """
    Return what ends a wait that begins now.

    Airflow 3 forgets a task's ``execution_timeout`` while it is deferred, and in the pauses of a rescheduled
    sensor.

    :param task: the operator.
    :param timeout: seconds that the wait may take.
    :param began: when this try of the task began.
    :param is_deferred: whether the wait is to be in the triggerer.
    :param task_instance: Airflow's.
    """
    by_timeout = WaitLimit("timeout", timeout, deadline_after(timeout))
    if not task.execution_timeout:
        return by_timeout
    span = min(task.execution_timeout.total_seconds(), LONGEST_SPAN)
    room = 0.0
    if not is_deferred:
        room = ROOM_FOR_LAST_POLL
    elif hasattr(task_instance, "trigger_timeout"):
        # Airflow 2's, which ends a resumed task without a word once the time since its start is over.
        room = ROOM_TO_RESUME
        began = task_instance.start_date or began
    deadline = began + timedelta(seconds=span - min(room, span / 4))
    by_execution = WaitLimit("execution_timeout", span, deadline)
    return min(by_execution, by_timeout, key=lambda limit: limit.deadline)


def resumed_limit(task: Any, timeout: float, argument: str | None, deadline: str) -> WaitLimit:
    """
    Return what ends the wait that a task was resumed from.

    :param task: the operator.
    :param timeout: what its ``timeout`` is, in seconds.
    :param argument: whose deadline it was; where no worker handed that through, the shorter one's.
    :param deadline: the moment when the wait ends.
    """
    span = task.execution_timeout.total_seconds() if task.execution_timeout else timeout
    argument = argument or ("execution_timeout" if span < timeout else "timeout")
    return WaitLimit(argument, timeout if argument == "timeout" else span, datetime.fromisoformat(deadline))


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
    :param limit: what the deadline comes from, where that is known here.
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
        limit: WaitLimit | None = None,
    ) -> None:
        self.job_id = job_id
        self._limit = limit
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
        self._unknown_since = 0.0
        self._is_reminded = False

    def announce(self, pause: float | None = None) -> None:
        """
        Log what is waited for and until when, once the wait begins.

        :param pause: seconds until the next look; until the first one by default.
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
            self._note_status(seen, now)
            is_first = self._looks == 1 and self._first_look is None
            pause = next_pause(self._poll_interval, is_first=is_first)
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

    def _note_status(self, job: VideoJob, now: float) -> None:
        """Tell at once that a status is strange, and once more when it stays."""
        if not job.has_unknown_status:
            return
        if job.status != self._unknown_status:
            self._unknown_status, self._unknown_since = job.status, now
            self._is_reminded = False
            self._log.warning(
                "Pictory reports the status %r for job %s, which this provider doesn't know; waiting on. %s",
                job.status,
                job.job_id,
                _guess(job.status),
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
                _guess(job.status),
            )

    def _report(self, seen: VideoJob | PictoryError, now: float, pause: float) -> None:
        """Tell about once a minute how the wait goes on."""
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


def _guess(status: str) -> str:
    """Return what a status that nobody documented may mean, and where a person finds out."""
    words = status.lower()
    meaning = "may be a new word for a job that runs, or for one that has ended"
    if any(word in words for word in UNHAPPY_WORDS):
        meaning = "sounds as if the job had ended without a video"
    elif any(word in words for word in HAPPY_WORDS):
        meaning = "sounds as if the video were finished"
    return f"It {meaning}; look for the job in Pictory's application, https://app.pictory.ai/."


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
    watch.announce()
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
                f"{message}: the account is out of AI credits. Add some at Pictory; then {PAY_AGAIN}",
                code=job.error_code,
            )
        raise PictoryJobFailedError(
            f"{message}. For another video {PAY_AGAIN}", job_id=job.job_id, error_code=job.error_code
        )
    if job.status == JobStatus.CLEANED:
        raise PictoryJobExpiredError(
            f"The video of Pictory job {job.job_id} was deleted at Pictory (status 'cleaned') and can't be "
            f"brought back; it takes a new submission to have it again: {PAY_AGAIN}",
            job_id=job.job_id,
        )
    return job


def timed_out(
    job_id: str, seen: VideoJob | PictoryError | None, advice: str, limit: WaitLimit | None = None
) -> PictoryJobTimedOutError | PictoryExecutionTimeoutError:
    """
    Make the error for a wait whose time is up.

    :param job_id: of the job.
    :param seen: what the last look brought; ``None`` where there was none.
    :param advice: how to go on, as a whole sentence.
    :param limit: what ended the wait, where that is known.
    :return: an error that no retry follows, unless it was the ``execution_timeout``, which is one try's.
    """
    parts = [f"The wait for Pictory job {job_id} is over, {what_is_known(seen)}"]
    if limit is not None:
        parts.append(f"What ended it was its {limit.argument} of {limit.seconds:g} s.")
    message = " ".join(filter(None, (*parts, advice)))
    error: PictoryJobTimedOutError | PictoryExecutionTimeoutError
    if limit is not None and limit.argument == "execution_timeout":
        error = PictoryExecutionTimeoutError(message, job_id=job_id)
    else:
        error = PictoryJobTimedOutError(message, job_id=job_id)
    if isinstance(seen, PictoryError):
        error.__cause__ = seen
    return error


def what_is_known(seen: VideoJob | PictoryError | None) -> str:
    """
    Return what is known of a job that nobody waits for any more, as the end of a sentence.

    :param seen: what the last look brought; ``None`` where there was none.
    """
    if isinstance(seen, VideoJob) and seen.has_unknown_status:
        return (
            f"and whether the job is isn't known (status {str(seen.status)!r}), since this provider doesn't "
            f"know that status. {_guess(seen.status)} If it is running, Pictory has no way to cancel it."
        )
    if isinstance(seen, VideoJob):
        truth = f"but the job is not (status {str(seen.status)!r}):"
    elif seen is None:
        truth = "and whether it has ended is unknown. If it is running,"
    else:
        truth = f"and whether it has ended is unknown: the last look failed ({seen}). If it is running,"
    return f"{truth} it goes on and is paid for, since Pictory has no way to cancel it."


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
