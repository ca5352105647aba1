"""
A task's tries as Airflow counts them, its Variables in memory, and time that passes when somebody sleeps.

No Airflow runs here: what a submission sees of it are numbers, and a store of texts.
"""

from __future__ import annotations

import uuid
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from unittest.mock import patch

import tenacity.nap

from airflow_provider_pictory import clock as clocks
from airflow_provider_pictory.batch import store as batch_store
from airflow_provider_pictory.submission import variables as record_variables
from airflow_provider_pictory.waiting import job_watch, limits

if TYPE_CHECKING:
    from collections.abc import Iterator


class Clock:
    """
    Time that passes when somebody sleeps.

    :param now: seconds since the epoch.
    """

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now
        self.slept: list[float] = []

    def time(self) -> float:
        return self.now

    monotonic = time

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.slept.append(seconds)
        self.now += seconds


class Variables:
    """Airflow's Variables, as far as submission records need them."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}

    def get(self, key: str, default: str | None) -> str | None:
        return self.texts.get(key, default)

    def set(self, key: str, value: str, description: str | None = None) -> None:
        assert len(key) <= 250
        assert description is None or len(description) <= 1000
        self.texts[key] = value

    def delete(self, key: str) -> None:
        self.texts.pop(key, None)

    def keys(self, prefix: str | None = None) -> list[str]:
        return sorted(key for key in list(self.texts) if key.startswith(prefix or ""))


class VariablesWithoutNames:
    """
    Variables of Airflow 3.0 to 3.2, whose names no task can list.

    ``missed`` are the names that were asked for and weren't there: Airflow logs an error for each.
    """

    def __init__(self) -> None:
        self._variables = Variables()
        self.texts = self._variables.texts
        self.set, self.delete = self._variables.set, self._variables.delete
        self.missed: list[str] = []

    def get(self, key: str, default: str | None) -> str | None:
        if key not in self.texts:
            self.missed.append(key)
        return self._variables.get(key, default)


class TaskInstance:
    """
    What Airflow tells a running task about itself, and how that changes from try to try.

    :param retries: of the task.
    :param has_id: whether this Airflow gives each try an id, as Airflow 3 does.
    """

    dag_id = "films"
    # Of the DAG, deleted ones aside.
    number_of_runs = 2

    def __init__(
        self,
        *,
        retries: int = 0,
        has_id: bool = True,
        task_id: str = "film",
        run_id: str = "today",
        map_index: int = -1,
    ) -> None:
        self.task_id = task_id
        self.run_id = run_id
        self.map_index = map_index
        self._retries = retries
        self._has_id = has_id
        self.own_state = self.state_of_others = "running"
        self._begin()

    def get_task_states(
        self, dag_id: str, task_ids: list[str], run_ids: list[str], map_index: int | None
    ) -> dict[str, dict[str, str]]:
        """Say as Airflow does in which state task instances are."""
        return {
            run_id: {
                task_id: self.own_state
                if (run_id, task_id) == (self.run_id, self.task_id)
                else self.state_of_others
                for task_id in task_ids
            }
            for run_id in run_ids
        }

    def get_dr_count(self, dag_id: str) -> int:
        """Say as Airflow does how many runs a DAG has had."""
        return self.number_of_runs

    @property
    def has_retry_left(self) -> bool:
        return self.try_number <= self.max_tries

    def retry(self) -> None:
        """Go on as after a failure, or after a clear while the task was running."""
        self.try_number += 1
        self._give_id()

    def clear(self) -> None:
        """Go on as after a person's clear of a task that had ended."""
        self.max_tries = self.try_number + self._retries
        self.retry()

    def make_again(self) -> None:
        """Go on as in a DAG run that was deleted and then made again under its old name."""
        self._begin()

    def _begin(self) -> None:
        self.try_number = 1
        self.max_tries = self._retries
        self._give_id()

    def _give_id(self) -> None:
        if self._has_id:
            self.id = str(uuid.uuid4())


@contextmanager
def passing(clock: Clock) -> Iterator[None]:
    """Let all of a submission live by a clock, except what waits for a real response."""

    class Moment(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.fromtimestamp(clock.time(), tz)

    with ExitStack() as patches:
        for module in (job_watch, tenacity.nap):
            patches.enter_context(patch.object(module, "time", clock))
        for module in (job_watch, limits):
            if hasattr(module, "datetime"):
                patches.enter_context(patch.object(module, "datetime", Moment))
        system_clock = clocks.Clock(
            lambda: datetime.fromtimestamp(clock.time(), UTC),
            lambda: clock.monotonic(),
            lambda seconds: clock.sleep(seconds),
        )
        patches.enter_context(patch.object(clocks, "SYSTEM_CLOCK", system_clock))
        yield


@contextmanager
def kept_in(variables: Variables | VariablesWithoutNames) -> Iterator[None]:
    """Let record stores keep records in such Variables, and tasks meet there."""
    with (
        patch.object(record_variables, "Variable", variables),
        patch.object(batch_store, "Variable", variables),
    ):
        yield
