"""The trigger that waits for a job in the triggerer, and the meaning of the event it ends with."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_pictory.arguments import time_span
from airflow_provider_pictory.waiting.events import (
    ended_event,
    inconclusive_event,
    say_what_goes_on,
    wait_for_event,
)
from airflow_provider_pictory.waiting.intervals import SHORTEST_ABSENCE, first_poll_at
from airflow_provider_pictory.waiting.starting import backstop_after

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_pictory.task_log import Logger
    from airflow_provider_pictory.waiting.limits import WaitLimit


class VideoJobTrigger(BaseTrigger):
    """
    Wait for a Pictory job without a worker.

    It fires one event: what became of the job, or that the wait ended without that being known. Its arguments
    are all it needs to go on after the triggerer was restarted, and none of them is a secret.

    :param job_id: of the job.
    :param pictory_conn_id: id of the Airflow connection.
    :param deadline: the moment when the wait ends, in ISO 8601 with its offset from UTC.
    :param poll_interval: seconds between polls; ``None`` for our own schedule of 10 to 30 s.
    :param first_poll: the moment of the first poll, in the same form; at once without it.
    """

    def __init__(
        self,
        job_id: str,
        pictory_conn_id: str,
        deadline: str,
        poll_interval: float | None = None,
        first_poll: str | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.job_id = job_id
        self.pictory_conn_id = pictory_conn_id
        self.deadline = deadline
        # Checked, so that no timer of the loop that all triggers share gets more than it can hold.
        self.poll_interval = time_span(poll_interval, "poll_interval")
        self.first_poll = first_poll

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what is stored in Airflow's database to make this trigger again."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "job_id": self.job_id,
                "pictory_conn_id": self.pictory_conn_id,
                "deadline": self.deadline,
                "poll_interval": self.poll_interval,
                "first_poll": self.first_poll,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll the job until it has ended, the deadline has passed, or polling makes no sense any more."""
        started = time.monotonic()
        # dag.test() runs triggers itself, without a task instance: no worker has to end first, and a person
        # is waiting.
        is_test = self.task_instance is None
        outcome = await wait_for_event(
            job_id=self.job_id,
            pictory_conn_id=self.pictory_conn_id,
            deadline=self.deadline,
            poll_interval=self.poll_interval,
            first_poll=None if is_test else self.first_poll,
            log=self.log,
        )
        if not is_test:
            await asyncio.sleep(started + SHORTEST_ABSENCE - time.monotonic())
        if isinstance(outcome, Exception):
            yield TriggerEvent(inconclusive_event(self.job_id, outcome))
        else:
            yield TriggerEvent(ended_event(outcome))

    async def on_kill(self) -> None:
        """
        Log what is left behind by a task that a person ended while it waited (Airflow 3.3 and later).

        Airflow also calls this when nobody ended the task, so the message is true then, too, and nothing is
        done.
        """
        say_what_goes_on(self.job_id, self.log)


def deferral(
    *,
    context: Context,
    job_id: str,
    pictory_conn_id: str,
    limit: WaitLimit,
    poll_interval: float | None,
    log: Logger,
    inconclusive: int,
) -> dict[str, Any]:
    """
    Return the arguments of ``defer`` for a task that waits for a job.

    :param context: Airflow's of the running task.
    :param job_id: of the job.
    :param pictory_conn_id: id of the Airflow connection.
    :param limit: what ends the wait.
    :param poll_interval: seconds between polls, or ``None`` for our own schedule.
    :param log: of the task.
    :param inconclusive: how many inconclusive events this wait had so far.
    """
    deadline = limit.deadline.isoformat()
    first_poll = first_poll_at(datetime.now(UTC), poll_interval).isoformat()
    log.info(
        "Waiting for job %s in the triggerer until %s UTC, as the %s says",
        job_id,
        f"{limit.deadline:%Y-%m-%d %H:%M:%S}",
        limit.argument,
    )
    return {
        "trigger": VideoJobTrigger(job_id, pictory_conn_id, deadline, poll_interval, first_poll),
        "method_name": "execute_complete",
        "kwargs": {
            "deadline": deadline,
            "limit": limit.argument,
            "job_id": job_id,
            "try_number": getattr(context.get("ti"), "try_number", None),
            "inconclusive": inconclusive,
        },
        "timeout": backstop_after((limit.deadline - datetime.now(UTC)).total_seconds()),
    }
