"""What ends a wait before its job has ended, and the error that says so."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_pictory.arguments import LONGEST_SPAN
from airflow_provider_pictory.exceptions import (
    PictoryError,
    PictoryExecutionTimeoutError,
    PictoryJobTimedOutError,
)
from airflow_provider_pictory.outcome import what_is_known

if TYPE_CHECKING:
    from airflow_provider_pictory.api import VideoJob

# A wait on a worker ends so many seconds before Airflow would interrupt it, for one last poll.
ROOM_FOR_LAST_POLL = 10.0
# Airflow 2 counts a deferral and the resumption as one execution: so many seconds are left for the latter.
ROOM_TO_RESUME = 30.0


def deadline_after(timeout: float) -> datetime:
    """Return the moment when a wait of so many seconds ends, which no restart moves."""
    return datetime.now(UTC) + timedelta(seconds=min(timeout, LONGEST_SPAN))


@dataclass(frozen=True)
class WaitLimit:
    """
    What ends a wait: whichever of two arguments of the task runs out first.

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
        room = min(ROOM_FOR_LAST_POLL, span / 10)
    elif hasattr(task_instance, "trigger_timeout"):
        # Airflow 2 silently ends a resumed task once its execution_timeout has passed since its start.
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
    :param argument: whose deadline it was; where no worker passed that on, the shorter one.
    :param deadline: the moment when the wait ends.
    """
    span = task.execution_timeout.total_seconds() if task.execution_timeout else timeout
    argument = argument or ("execution_timeout" if span < timeout else "timeout")
    return WaitLimit(argument, timeout if argument == "timeout" else span, datetime.fromisoformat(deadline))


def timed_out(
    job_id: str, seen: VideoJob | PictoryError | None, advice: str, limit: WaitLimit | None = None
) -> PictoryJobTimedOutError | PictoryExecutionTimeoutError:
    """
    Make the error for a wait whose time is up.

    :param job_id: of the job.
    :param seen: what the last poll brought; ``None`` where there was none.
    :param advice: how to go on, as a whole sentence.
    :param limit: what ended the wait, where that is known.
    :return: an error that no retry follows, unless it was the ``execution_timeout``, which applies to one
        try.
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
