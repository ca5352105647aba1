"""What a task hands through its deferral, and how it takes up its wait again afterwards."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_pictory.waiting.events import MOST_INCONCLUSIVE, deadline_of, job_after_event
from airflow_provider_pictory.waiting.limits import deadline_after, resumed_limit

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_pictory.api import VideoJob
    from airflow_provider_pictory.hooks.pictory import PictoryHook
    from airflow_provider_pictory.task_log import Logger
    from airflow_provider_pictory.waiting.limits import WaitLimit

# What Airflow 3 and 2 resume a task with when their own timeout of the deferral is over.
TRIGGER_TIMEOUTS = ("Trigger timeout", "Trigger/execution timeout")


@dataclass(frozen=True, kw_only=True)
class DeferredWait:
    """
    What a task hands through its deferral; Airflow itself hands nothing through when it gives up.

    :param deadline: the moment when the wait ends.
    :param limit: the argument whose deadline it is, ``timeout`` or ``execution_timeout``.
    :param job_id: of the job that is waited for.
    :param pictory_conn_id: of the connection that it was submitted over, where the task submitted it.
    :param try_number: of the try that deferred.
    :param inconclusive: how many inconclusive events this wait had so far.
    """

    deadline: str | None = None
    limit: str | None = None
    job_id: str | None = None
    pictory_conn_id: str | None = None
    try_number: int | None = None
    inconclusive: int = 0

    @classmethod
    def read(cls, handed_through: dict[str, Any]) -> DeferredWait:
        """Read the arguments that a task is resumed with, also of another version of this provider."""
        known = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in handed_through.items() if name in known})

    def is_of_another_try(self, context: Context) -> bool:
        """
        Return whether a task was resumed with what another try of it left behind.

        Airflow 3.0 keeps what a deferral left when a resumed task fails, so that a retry begins with the
        event of the try before.

        :param context: Airflow's of the running task.
        """
        present = getattr(context.get("ti"), "try_number", None)
        return self.try_number is not None and present is not None and int(present) != int(self.try_number)

    def job_after(
        self, event: object, *, hook: PictoryHook, job_id: str, limit: WaitLimit, advice: str | None = None
    ) -> VideoJob | None:
        """
        Find out what became of the job; parameters and errors as of :func:`job_after_event`.

        :param advice: how to go on after a timeout; the limit's by default.
        """
        return job_after_event(
            event,
            hook=hook,
            job_id=job_id,
            limit=limit,
            advice=limit.advice if advice is None else advice,
            inconclusive=self.inconclusive,
        )

    def limit_of(self, task: Any, timeout: float, event: object) -> WaitLimit:
        """
        Return what ends the wait.

        :param task: the operator.
        :param timeout: what its ``timeout`` is, in seconds.
        :param event: what the task was resumed with, which has the deadline where no worker deferred the
            task.
        """
        deadline = self.deadline or deadline_of(event) or datetime.now(UTC).isoformat()
        return resumed_limit(task, timeout, self.limit, deadline)


def resume_arguments(
    next_method: str, next_kwargs: dict[str, Any] | None, *, timeout: float, log: Logger
) -> dict[str, Any]:
    """
    Return the arguments of ``execute_complete`` for whatever Airflow resumes a task with.

    When Airflow itself gave up on the trigger, for instance on its own timeout, its base classes would end
    the task without asking for the job, which may well have its video. So this counts as an inconclusive
    event.

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
        "inconclusive": MOST_INCONCLUSIVE,
    }
