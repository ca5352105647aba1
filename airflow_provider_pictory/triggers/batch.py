"""The trigger that waits for the next moment at which a worker has something to do for a batch."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_pictory.arguments import time_span
from airflow_provider_pictory.waiting.batch_events import wait_for_ends
from airflow_provider_pictory.waiting.events import inconclusive_event
from airflow_provider_pictory.waiting.intervals import SHORTEST_ABSENCE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence


class VideoBatchTrigger(BaseTrigger):
    """
    Wait until enough of a batch's jobs have ended, without a worker.

    It fires one event: which jobs have ended, and for which the wait has. Its arguments are the jobs in
    flight and a few numbers; none of them is a secret.

    :param jobs: ids of the jobs in flight, each with the moment when the wait for it ends, in ISO 8601.
    :param pictory_conn_id: id of the Airflow connection.
    :param ends: how many of the waits are to end before the event.
    :param progress: numbers about the batch's progress, by their names, for a line a minute.
    :param poll_interval: seconds between polls; ``None`` for our own schedule of 10 to 30 s.
    :param first_poll: the moment of the first poll, in ISO 8601; at once without it.
    :param until: when a worker has something to do in any case, in ISO 8601; ``None`` without such a moment.
    """

    def __init__(
        self,
        jobs: Sequence[Sequence[str]],
        pictory_conn_id: str,
        ends: int,
        progress: Mapping[str, float],
        poll_interval: float | None = None,
        first_poll: str | None = None,
        until: str | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.jobs = [[job_id, deadline] for job_id, deadline in jobs]
        self.pictory_conn_id = pictory_conn_id
        self.ends = ends
        self.progress = dict(progress)
        self.poll_interval = time_span(poll_interval, "poll_interval")
        self.first_poll = first_poll
        self.until = until

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what is stored in Airflow's database to make this trigger again."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "jobs": self.jobs,
                "pictory_conn_id": self.pictory_conn_id,
                "ends": self.ends,
                "progress": self.progress,
                "poll_interval": self.poll_interval,
                "first_poll": self.first_poll,
                "until": self.until,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll the jobs until enough waits have ended, or until polling makes no sense any more."""
        started = time.monotonic()
        is_test = self.task_instance is None
        try:
            event = await wait_for_ends(
                [(job_id, deadline) for job_id, deadline in self.jobs],
                ends=self.ends,
                pictory_conn_id=self.pictory_conn_id,
                poll_interval=self.poll_interval,
                first_poll=None if is_test else self.first_poll,
                until=self.until,
                progress=self._progress_in_words,
                log=self.log,
            )
        except Exception as error:  # noqa: BLE001  (raised, it would end the task without another poll)
            event = inconclusive_event("", error)
        if not is_test:
            await asyncio.sleep(started + SHORTEST_ABSENCE - time.monotonic())
        yield TriggerEvent(event)

    async def on_kill(self) -> None:
        """Log what is left behind by a task that a person ended while it waited (Airflow 3.3 and later)."""
        self.log.warning(
            "This wait for %d Pictory jobs is being ended. Pictory has no way to cancel a job: those that "
            "are running go on and are paid for. Clearing the task goes on waiting for them",
            len(self.jobs),
        )

    def _progress_in_words(self, ended: int) -> str:
        known = self.progress
        return (
            f"{known['completed']:g} of {known['total']:g} videos are completed, {known['failed']:g} failed; "
            f"of {len(self.jobs)} in flight {ended} have ended by now, {known['waiting']:g} aren't submitted "
            f"yet; about {known['estimated_credits']:g} AI credits so far"
        )
