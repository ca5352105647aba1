"""The trigger that does the whole of a sensor's work, so that no task process starts at all (Airflow 3.3)."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from concurrent.futures import Future
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

from airflow.triggers.base import BaseTrigger, TaskSuccessEvent, TriggerEvent

from airflow_provider_pictory.api import InvalidRequestError, JobStatus
from airflow_provider_pictory.api.checks import job_id as checked_job_id
from airflow_provider_pictory.api.redaction import clean
from airflow_provider_pictory.links.pictory import link_xcoms
from airflow_provider_pictory.outcome import describe
from airflow_provider_pictory.waiting.events import (
    ended_event,
    inconclusive_event,
    say_what_goes_on,
    wait_for_event,
)
from airflow_provider_pictory.waiting.intervals import first_poll_at
from airflow_provider_pictory.waiting.limits import deadline_after
from airflow_provider_pictory.waiting.starting import is_missed_without_worker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from datetime import datetime

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_pictory.api import VideoJob

Outcome = TypeVar("Outcome")

# Seconds for rendering the templates and for pushing the result, each a few calls to Airflow's API.
LONGEST_EXCHANGE = 60.0


class WorkerNeededError(Exception):
    """Something about this task can only be done on a worker."""


class VideoJobTaskTrigger(BaseTrigger):
    """
    Do a :class:`VideoJobSensor`'s work without a worker.

    Airflow starts it in place of a task. It renders the sensor's templates, waits for the job, pushes the
    result and ends the task. In all other cases it hands over to a worker, with an event that says what it
    knows: callbacks, listeners, retries and people then see a real task and a real error.

    :param job_id: of the job, or a template that gives it.
    :param pictory_conn_id: id of the Airflow connection, or a template that gives it.
    :param timeout: seconds that the wait may take.
    :param backstop: seconds after which Airflow ends the trigger; only that moment tells when the wait began.
    :param poll_interval: seconds between polls; ``None`` for our own schedule.
    """

    # Set by Airflow before it runs a trigger.
    timeout_after: datetime | None = None

    def __init__(
        self,
        job_id: str,
        pictory_conn_id: str,
        timeout: float,
        backstop: float,
        poll_interval: float | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.job_id = job_id
        self.pictory_conn_id = pictory_conn_id
        self.timeout = timeout
        self.backstop = backstop
        self.poll_interval = poll_interval
        self._context: Mapping[str, Any] | None = None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what is stored in Airflow's database to make this trigger again."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "job_id": self.job_id,
                "pictory_conn_id": self.pictory_conn_id,
                "timeout": self.timeout,
                "backstop": self.backstop,
                "poll_interval": self.poll_interval,
            },
        )

    def render_template_fields(self, context: Any, jinja_env: Any = None) -> None:
        """
        Keep the context, to render in :meth:`run`.

        Airflow calls this in the loop that all triggers share, where a template that pulls an XCom could
        block them all.
        """
        self._context = context

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait for the job and end the task, or hand over to a worker."""
        deadline = self._deadline().isoformat()
        try:
            await self._prepare()
        except Exception as error:  # noqa: BLE001  (the worker meets it too, and fails the task with it)
            yield TriggerEvent(inconclusive_event(str(self.job_id), error, deadline))
            return
        await self._push_buttons()
        outcome = await wait_for_event(
            job_id=self.job_id,
            pictory_conn_id=self.pictory_conn_id,
            deadline=deadline,
            poll_interval=self.poll_interval,
            first_poll=self._first_poll(),
            log=self.log,
        )
        if isinstance(outcome, Exception):
            yield TriggerEvent(inconclusive_event(self.job_id, outcome, deadline))
        elif outcome.status == JobStatus.COMPLETED and await self._is_handed_over(outcome):
            self.log.info("Pictory job %s is completed: %s", outcome.job_id, describe(outcome))
            await self._forget(outcome.job_id)
            yield TaskSuccessEvent()
        else:
            yield TriggerEvent(ended_event(outcome))

    async def _forget(self, job_id: str) -> None:
        """Delete what the task that submitted the job has recorded, which nobody asks about any more."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LONGEST_EXCHANGE):
                await _in_thread(partial(_forget_job, job_id, self.log))

    async def on_kill(self) -> None:
        """Log what is left behind by a task that a person ended while it waited."""
        say_what_goes_on(self.job_id, self.log)

    def _deadline(self) -> datetime:
        if self.timeout_after is None:
            return deadline_after(self.timeout)
        return self.timeout_after + timedelta(seconds=self.timeout - self.backstop)

    def _first_poll(self) -> str | None:
        """
        Return the moment of the first poll of a job that was probably submitted just before.

        A retry or a clear polls at once. A restart of the triggerer doesn't move the moment, but for jitter.
        """
        if self.task_instance is None or self.task_instance.try_number > 1:
            return None
        began = self._deadline() - timedelta(seconds=self.timeout)
        return first_poll_at(began, self.poll_interval).isoformat()

    async def _prepare(self) -> None:
        """
        Render the templates, unless a worker is needed.

        :raises WorkerNeededError: something would be missed if this task ended here.
        """
        if self._context is None:
            raise WorkerNeededError("Airflow gave no context to render templates with")
        task = self._context["task"]
        if is_missed_without_worker(task) or await _in_thread(_has_listeners):
            raise WorkerNeededError("callbacks, outlets, listeners or multiple outputs need a worker")
        if next(task.iter_mapped_dependants(), None) is not None:
            raise WorkerNeededError("a task is mapped over the result, which takes a worker to count")
        await _in_thread(self._render_now)
        try:
            self.job_id = checked_job_id(self.job_id)
        except InvalidRequestError as error:
            raise WorkerNeededError(str(error)) from error

    def _render_now(self) -> None:
        context = dict(self._context or {})
        context["ti"] = context["task_instance"] = _PullsFromUnmappedTasks(context["ti"])
        super().render_template_fields(cast("Context", context))

    async def _push_buttons(self) -> None:
        """Give the task its buttons while it waits, as a worker does; the wait doesn't depend on them."""
        try:
            async with asyncio.timeout(LONGEST_EXCHANGE):
                await self._push_links(None)
        except Exception as error:  # noqa: BLE001  (see above)
            self.log.warning("This task has no buttons while it waits: %s", clean(repr(error)))

    async def _push_links(self, video_url: str | None) -> None:
        from airflow.sdk.bases.xcom import BaseXCom

        for key, value in link_xcoms(video_url).items():
            # Bypasses custom XCom backends, as Airflow does after a task: its UI reads what is stored.
            await BaseXCom.aset(key, value, **self._own_xcoms())

    def _own_xcoms(self) -> dict[str, Any]:
        task_instance = (self._context or {})["ti"]
        return {
            "dag_id": task_instance.dag_id,
            "task_id": task_instance.task_id,
            "run_id": task_instance.run_id,
            "map_index": -1 if task_instance.map_index is None else task_instance.map_index,
        }

    async def _is_handed_over(self, job: VideoJob) -> bool:
        """Push the result as a worker would; a worker does it if this fails."""
        if not (self._context or {})["ti"].task.do_xcom_push:
            return True
        try:
            await _in_thread(partial(self._push_result, job))
            async with asyncio.timeout(LONGEST_EXCHANGE):
                await self._push_links(job.url)
        except Exception as error:  # noqa: BLE001  (also of somebody's XCom backend)
            self.log.warning(
                "The result can't be pushed from the triggerer, a worker does it: %s", clean(repr(error))
            )
            return False
        return True

    def _push_result(self, job: VideoJob) -> None:
        """Push the result, not in the loop: a custom XCom backend may block while it writes."""
        from airflow.sdk.execution_time.xcom import XCom

        XCom.set(XCom.XCOM_RETURN_KEY, job.result, **self._own_xcoms())
        XCom.set("job_id", job.job_id, **self._own_xcoms())


class _PullsFromUnmappedTasks:
    """
    The task instance as templates see it here.

    A pull that doesn't name a map index makes Airflow ask for all of them, a request that gets no response in
    a triggerer.
    """

    def __init__(self, task_instance: Any) -> None:
        self._task_instance = task_instance

    def __getattr__(self, name: str) -> Any:
        return getattr(self._task_instance, name)

    def xcom_pull(self, *arguments: Any, map_indexes: Any = -1, **named: Any) -> Any:
        if not isinstance(map_indexes, int) or named.get("include_prior_dates"):
            raise WorkerNeededError("this way of pulling an XCom works on a worker only")
        return self._task_instance.xcom_pull(*arguments, map_indexes=map_indexes, **named)


def _has_listeners() -> bool:
    # This loads the plugins, so it isn't done while DAGs are parsed.
    from airflow.sdk.listener import get_listener_manager

    return bool(get_listener_manager().has_listeners)


def _forget_job(job_id: str, log: Any) -> None:
    # Imported in the thread, since the loop would have to wait for it.
    from airflow_provider_pictory.submission.forgetting import forget_job

    forget_job(job_id, None, log)


async def _in_thread(call: Callable[[], Outcome]) -> Outcome:
    """
    Make a blocking call beside the loop, in bounded time.

    Not in the loop's own threads, one of which a call that hangs would occupy for ever.
    """
    future: Future[Outcome] = Future()
    context = contextvars.copy_context()

    def run() -> None:
        try:
            outcome = context.run(call)
        except BaseException as error:  # noqa: BLE001  (handed to whoever waits)
            if not future.cancelled():
                future.set_exception(error)
        else:
            if not future.cancelled():
                future.set_result(outcome)

    threading.Thread(target=run, name="pictory-exchange", daemon=True).start()
    async with asyncio.timeout(LONGEST_EXCHANGE):
        return await asyncio.wrap_future(future)
