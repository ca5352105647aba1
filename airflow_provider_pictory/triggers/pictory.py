"""The trigger that waits for a job in the triggerer, and the meaning of the event it ends with."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_pictory.api import VideoJob
from airflow_provider_pictory.api.jobs import UnreadableJobError
from airflow_provider_pictory.api.redaction import clean
from airflow_provider_pictory.arguments import time_span
from airflow_provider_pictory.exceptions import PictoryError, PictoryRedirectedError
from airflow_provider_pictory.poller import shared_poller
from airflow_provider_pictory.polling import (
    JobWatch,
    WaitLimit,
    deadline_after,
    look,
    may_pass,
    timed_out,
    what_is_known,
)
from airflow_provider_pictory.schedule import first_look_at
from airflow_provider_pictory.starting import backstop_after

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_pictory.hooks.pictory import PictoryHook
    from airflow_provider_pictory.polling import Logger


# What Airflow 3 and 2 resume a task with when their own timeout of the deferral is over.
TRIGGER_TIMEOUTS = ("Trigger timeout", "Trigger/execution timeout")

# After so many events in doubt while all is well on the worker, waiting on is no use.
MOST_DOUBTS = 3

# Airflow takes seconds to notice the end of the worker that deferred a task. A task that is resumed before
# may be failed for that, and retried (apache/airflow#67287 and #72716). No event is fired sooner, in seconds.
SHORTEST_STAY = 10.0


class VideoJobTrigger(BaseTrigger):
    """
    Wait for a Pictory job without a worker.

    It fires one event: what became of the job, or that the wait ended without that being known. Its arguments
    are all it needs to go on after the triggerer was restarted, and none of them is a secret.

    :param job_id: of the job.
    :param pictory_conn_id: id of the Airflow connection.
    :param deadline: the moment when the wait ends, in ISO 8601 with its offset from UTC.
    :param poll_interval: seconds between looks; ``None`` for our own schedule of 10 to 30 s.
    :param first_look: the moment of the first look, likewise; at once without it.
    """

    def __init__(
        self,
        job_id: str,
        pictory_conn_id: str,
        deadline: str,
        poll_interval: float | None = None,
        first_look: str | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.job_id = job_id
        self.pictory_conn_id = pictory_conn_id
        self.deadline = deadline
        # Otherwise the loop that all triggers share would meet what no timer can hold.
        self.poll_interval = time_span(poll_interval, "poll_interval")
        self.first_look = first_look

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Give what is stored in Airflow's database to make this trigger again."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "job_id": self.job_id,
                "pictory_conn_id": self.pictory_conn_id,
                "deadline": self.deadline,
                "poll_interval": self.poll_interval,
                "first_look": self.first_look,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look at the job until it has ended, the deadline has passed, or looking makes no sense any more."""
        started = time.monotonic()
        # Where dag.test() runs triggers itself, without a task instance, no worker is to be waited for, but
        # a person who waits.
        is_test = self.task_instance is None
        outcome = await wait_for_event(
            job_id=self.job_id,
            pictory_conn_id=self.pictory_conn_id,
            deadline=self.deadline,
            poll_interval=self.poll_interval,
            first_look=None if is_test else self.first_look,
            log=self.log,
        )
        if not is_test:
            await asyncio.sleep(started + SHORTEST_STAY - time.monotonic())
        if isinstance(outcome, Exception):
            yield TriggerEvent(doubtful_event(self.job_id, outcome))
        else:
            yield TriggerEvent(ended_event(outcome))

    async def on_kill(self) -> None:
        """
        Say what a task leaves behind that a person ended while it waited (Airflow 3.3 and later).

        Airflow also calls this when nobody acted, so it says nothing that isn't true then, and does nothing.
        """
        say_what_goes_on(self.job_id, self.log)


async def wait_for_event(
    *,
    job_id: str,
    pictory_conn_id: str,
    deadline: str,
    poll_interval: float | None,
    first_look: str | None,
    log: Logger,
) -> VideoJob | Exception:
    """
    Wait in a triggerer, with the poller that all its triggers share.

    :param job_id: of the job.
    :param pictory_conn_id: id of the Airflow connection.
    :param deadline: the moment when the wait ends.
    :param poll_interval: seconds between looks, or ``None`` for our own schedule.
    :param first_look: the moment of the first look; at once without it.
    :param log: of the trigger.
    :return: the job that has ended, or what kept us from knowing; raised, it would end the task without any
        look at the job.
    """
    try:
        watch = JobWatch(
            job_id,
            deadline=datetime.fromisoformat(deadline),
            poll_interval=poll_interval,
            first_look=datetime.fromisoformat(first_look) if first_look else None,
            log=log,
        )
        watch.announce()
        async with shared_poller(pictory_conn_id) as poller:
            return await poller.ended(watch)
    except Exception as error:  # noqa: BLE001  (see above)
        return error


def say_what_goes_on(job_id: str, log: Logger) -> None:
    """Tell whoever reads the log of a wait that was ended what became of the job."""
    log.warning(
        "This wait for Pictory job %s is being ended. Pictory has no way to cancel a job: if it is running, "
        "it goes on and is paid for. Clearing the task goes on waiting for it",
        job_id,
    )


def ended_event(job: VideoJob) -> dict[str, Any]:
    """Make the event for a job that has ended, however it ended."""
    return {"outcome": "ended", "job": job.to_dict()}


def doubtful_event(job_id: str, error: Exception, deadline: str | None = None) -> dict[str, Any]:
    """
    Make the event for a wait that ended without a job's end.

    The worker looks once more and finds out by itself what is wrong; the words are for whoever reads the
    event in the database.

    :param job_id: of the job.
    :param error: why it isn't known.
    :param deadline: the moment when the wait ends, where only the trigger knows.
    """
    return {
        "outcome": "doubtful",
        "job_id": job_id,
        "error": type(error).__name__,
        "message": clean(str(error)),
        "deadline": deadline,
    }


def read_event(event: object, job_id: str) -> VideoJob | None:
    """
    Check an event before it is believed.

    :param event: what the task was resumed with.
    :param job_id: of the job that the task waits for.
    :return: the job that has ended, or ``None`` when the event leaves that in doubt: the job itself must be
        asked then.
    """
    if not isinstance(event, Mapping) or event.get("outcome") != "ended":
        return None
    try:
        job = VideoJob.from_dict(event.get("job"))
    except UnreadableJobError:
        return None
    return job if job.job_id == job_id and job.has_ended else None


def job_after_event(
    event: object,
    *,
    hook: PictoryHook,
    job_id: str,
    deadline: str,
    advice: str,
    doubts: int = 0,
    limit: WaitLimit | None = None,
) -> VideoJob | None:
    """
    Find out what became of the job that a task was resumed for.

    :param event: what the task was resumed with.
    :param hook: to ask once more when the event leaves anything in doubt.
    :param job_id: of the job that the task waits for.
    :param deadline: the trigger's.
    :param advice: how to go on after a timeout, as a whole sentence.
    :param doubts: how many events of this wait left things in doubt before this one.
    :param limit: what the deadline comes from.
    :return: the job that has ended, or ``None`` when there is still something and time to wait for.
    :raises PictoryJobTimedOutError: the deadline has passed and the job hadn't ended.
    :raises PictoryExecutionTimeoutError: the same, and the deadline is the ``execution_timeout``'s.
    :raises PictoryError: the job can't be asked, and time won't mend that.
    """
    job = read_event(event, job_id)
    if job is not None:
        return job
    seen = look(hook, job_id)
    if isinstance(seen, VideoJob) and seen.has_ended:
        return seen
    if datetime.fromisoformat(deadline) <= datetime.now(UTC) and not isinstance(seen, AirflowFailException):
        raise timed_out(job_id, seen, advice, limit)
    is_first_redirect = (
        isinstance(seen, PictoryRedirectedError)
        and isinstance(event, Mapping)
        and event.get("error") != PictoryRedirectedError.__name__
    )
    if isinstance(seen, PictoryError) and not may_pass(seen) and not is_first_redirect:
        raise seen
    if doubts >= MOST_DOUBTS:
        # Only the triggerer is in trouble, for instance without the connection that the workers have.
        words = event.get("message") if isinstance(event, Mapping) else None
        raise PictoryError(
            f"Waiting for Pictory job {job_id} in the triggerer keeps failing, though a worker can look at "
            f"it: {words or 'its events make no sense'}. The wait is over, {what_is_known(seen)} {advice}"
        )
    return None


def deadline_of(event: object) -> str | None:
    """Give the moment that an event says its wait ends at, ``None`` where it says none."""
    deadline = event.get("deadline") if isinstance(event, Mapping) else None
    try:
        return datetime.fromisoformat(deadline or "").astimezone(UTC).isoformat()
    except (ValueError, TypeError):
        return None


def is_of_another_try(context: Context, try_number: int | None) -> bool:
    """
    Tell whether a task was resumed with what another try of it left behind.

    Airflow 3.0 keeps what a deferral left when a resumed task fails, so that a retry begins with the event of
    the try before.

    :param context: Airflow's of the running task.
    :param try_number: of the try that deferred, where that is known.
    """
    present = getattr(context.get("ti"), "try_number", None)
    return try_number is not None and present is not None and int(present) != int(try_number)


def deferral(
    *,
    context: Context,
    job_id: str,
    pictory_conn_id: str,
    limit: WaitLimit,
    poll_interval: float | None,
    log: Logger,
    doubts: int,
) -> dict[str, Any]:
    """
    Give the arguments of ``defer`` for a task that waits for a job.

    :param context: Airflow's of the running task.
    :param job_id: of the job.
    :param pictory_conn_id: id of the Airflow connection.
    :param limit: what ends the wait.
    :param poll_interval: seconds between looks, or ``None`` for our own schedule.
    :param log: of the task.
    :param doubts: how many events of this wait left things in doubt so far.
    """
    deadline = limit.deadline.isoformat()
    first_look = first_look_at(datetime.now(UTC), poll_interval).isoformat()
    log.info(
        "Waiting for job %s in the triggerer until %s UTC, as the %s says",
        job_id,
        f"{limit.deadline:%Y-%m-%d %H:%M:%S}",
        limit.argument,
    )
    return {
        "trigger": VideoJobTrigger(job_id, pictory_conn_id, deadline, poll_interval, first_look),
        "method_name": "execute_complete",
        "kwargs": {
            "deadline": deadline,
            "limit": limit.argument,
            "job_id": job_id,
            "try_number": getattr(context.get("ti"), "try_number", None),
            "doubts": doubts,
        },
        "timeout": backstop_after((limit.deadline - datetime.now(UTC)).total_seconds()),
    }


def resume_arguments(
    next_method: str, next_kwargs: dict[str, Any] | None, *, timeout: float, log: Logger
) -> dict[str, Any]:
    """
    Give the arguments of ``execute_complete`` for whatever Airflow resumes a task with.

    When Airflow itself gave up on the trigger, for instance on its own timeout, its base classes would end
    the task without asking for the job, which may well have its video. So that is an event in doubt.

    :param next_method: ``execute_complete``, or ``__fail__`` when Airflow gave up.
    :param next_kwargs: what Airflow hands over.
    :param timeout: of the task, in seconds.
    :param log: of the task.
    """
    if next_method != "__fail__":
        return next_kwargs or {}
    reason = str((next_kwargs or {}).get("error"))
    log.warning("Airflow ended the wait in the triggerer: %s", reason)
    if reason in TRIGGER_TIMEOUTS:
        return {}
    # Time may be left, but how much isn't known here any more.
    return {
        "event": {"message": reason},
        "deadline": deadline_after(timeout).isoformat(),
        "doubts": MOST_DOUBTS,
    }
