"""
One task at a time, without a database: what a worker and a triggerer would do with it, step by step.

Where ``dag.test()`` drops the arguments of a deferral and has one process do all, this keeps to what a real
Airflow does: each step has a new operator object, and what passes from step to step passes as JSON.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import TaskDeferred

from tests.support.airflow_versions import HAS_TASK_STATE
from tests.support.task_tries import TaskInstance, Variables, kept_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_pictory.triggers.pictory import VideoJobTrigger


class BareTaskInstance(TaskInstance):
    """The little of Airflow's task instance that a task uses: what it is called, its tries and its XComs."""

    def __init__(self, retries: int = 0, **arguments: Any) -> None:
        super().__init__(retries=retries, has_id=HAS_TASK_STATE, **arguments)
        self.xcoms: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[key] = json.loads(json.dumps(value))

    def xcom_pull(self, task_ids: str, key: str, map_indexes: int) -> Any:
        return self.xcoms.get(key)


class TaskState:
    """Airflow's store of one task's state: JSON that outlives the tries."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}

    def get(self, key: str) -> Any:
        text = self.texts.get(key)
        return None if text is None else json.loads(text)

    def set(self, key: str, value: Any, retention: Any = None) -> None:
        self.texts[key] = json.dumps(value)

    def delete(self, key: str) -> None:
        self.texts.pop(key, None)


class BareTask:
    """
    A task under way.

    :param make: makes the operator, anew for each step.
    :param retries: of the task.
    """

    def __init__(self, make: Callable[[], Any], *, retries: int = 0) -> None:
        self._make = make
        self.instance = BareTaskInstance(retries)
        self.state = TaskState()
        self.variables = Variables()
        self.operator: Any = None
        self.deferral: TaskDeferred | None = None

    def retry(self) -> None:
        """Begin the next try, as after a failure with a retry left; XComs are those of one try."""
        assert self.instance.has_retry_left
        self.instance.retry()
        self.instance.xcoms.clear()

    def clear(self) -> None:
        """Begin the next try as after a person's clear."""
        self.instance.clear()
        self.instance.xcoms.clear()

    @property
    def xcoms(self) -> dict[str, Any]:
        """What the task has pushed so far."""
        return self.instance.xcoms

    @property
    def trigger(self) -> VideoJobTrigger:
        """The trigger that the task waits for, made again as a triggerer would."""
        assert self.deferral, "the task isn't deferred"
        path, arguments = self.deferral.trigger.serialize()
        assert path == "airflow_provider_pictory.triggers.pictory.VideoJobTrigger"
        return type(self.deferral.trigger)(**json.loads(json.dumps(arguments)))

    def execute(self) -> Any:
        """Start on a worker: give the result, or ``None`` when the task has deferred."""
        return self._step(lambda operator, context: operator.execute(context))

    def resume(self, event: Any) -> Any:
        """Go on with a trigger's event on a worker, as Airflow does."""
        assert self.deferral, "the task isn't deferred"
        arguments = {**(self.deferral.kwargs or {}), "event": event}
        return self._resume(self.deferral.method_name, arguments)

    def resume_after_failure(self, error: str = "Trigger timeout") -> Any:
        """Go on without an event on a worker, as Airflow does when the deferral failed."""
        return self._resume("__fail__", {"error": error, "traceback": None})

    def run_trigger(self) -> Any:
        """Return what the trigger's first event says."""
        return asyncio.run(first_event(self.trigger))

    def run(self) -> Any:
        """Go all the way: deferring, waiting and resuming until there is a result."""
        result = self.execute()
        while self.deferral:
            result = self.resume(self.run_trigger())
        return result

    def _resume(self, method_name: str, arguments: dict[str, Any]) -> Any:
        arguments = json.loads(json.dumps(arguments))
        return self._step(
            lambda operator, context: operator.resume_execution(method_name, arguments, context)
        )

    def _step(self, step: Callable[[Any, dict[str, Any]], Any]) -> Any:
        self.deferral = None
        self.operator = self._make()
        context: dict[str, Any] = {"ti": self.instance}
        if HAS_TASK_STATE:
            context["task_state_store"] = self.state
        try:
            with kept_in(self.variables):
                return step(self.operator, context)
        except TaskDeferred as deferral:
            self.deferral = deferral
            return None


def until(trigger: VideoJobTrigger) -> dict[str, Any]:
    """Return all that a trigger waits by, but for its next poll."""
    return {**trigger.serialize()[1], "first_poll": None}


async def first_event(trigger: VideoJobTrigger) -> Any:
    """Run a trigger until it fires, and give the payload as it comes out of the database."""
    events = trigger.run()
    try:
        async for event in events:
            return json.loads(json.dumps(event.payload))
    finally:
        await events.aclose()
    return None
