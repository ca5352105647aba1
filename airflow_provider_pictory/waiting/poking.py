"""
The part of a sensor that waits on a worker, in the modes ``poke`` and ``reschedule`` of Airflow's sensors.

Loaded whenever a DAG file is parsed, so whatever only a running task needs is imported where it runs.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException, BaseSensorOperator, PokeReturnValue

from airflow_provider_pictory.waiting.intervals import SHORTEST_ABSENCE

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_pictory.api import VideoJob
    from airflow_provider_pictory.exceptions import PictoryError
    from airflow_provider_pictory.hooks.pictory import PictoryHook
    from airflow_provider_pictory.waiting.job_watch import JobWatch
    from airflow_provider_pictory.waiting.limits import WaitLimit


class _DeadlineNearError(Exception):
    """Too little time is left to leave the worker: Airflow may fail a task that is back so soon."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class PokingSensor(BaseSensorOperator):
    """Poll a job as Airflow's sensors poke, at our own intervals and with our own errors."""

    job_id: str
    pictory_conn_id: str
    poll_interval: float | None
    _seen: VideoJob | PictoryError | None = None
    _watch: JobWatch | None = None
    _limit: WaitLimit | None = None

    @cached_property
    def hook(self) -> PictoryHook:
        """The hook of this sensor's connection."""
        from airflow_provider_pictory.hooks.pictory import PictoryHook

        return PictoryHook(self.pictory_conn_id)

    def _result(self, context: Context, job: VideoJob) -> dict[str, Any]:
        raise NotImplementedError

    def _poke_until_ended(self, context: Context) -> dict[str, Any]:
        try:
            return super().execute(context)  # type: ignore[no-any-return]
        except _DeadlineNearError as rest:
            time.sleep(rest.seconds)
            self.mode, self.timeout = "poke", 0.0
            return super().execute(context)  # type: ignore[no-any-return]

    def poke(self, context: Context) -> PokeReturnValue:
        """Poll the job once; what a failed poll means is decided when the next one is planned."""
        from airflow_provider_pictory.exceptions import PictoryError
        from airflow_provider_pictory.outcome import poll

        self._seen = poll(self.hook, self.job_id)
        if isinstance(self._seen, PictoryError) or not self._seen.has_ended:
            return PokeReturnValue(is_done=False)
        if self._watch is not None:
            # So that it logs the end of trouble, since no further poll is planned.
            self._watch.pause_after(self._seen)
        return PokeReturnValue(is_done=True, xcom_value=self._result(context, self._seen))

    def _get_next_poke_interval(
        self, started_at: datetime | float, run_duration: Callable[[], float], poke_count: int
    ) -> float:
        from airflow_provider_pictory.waiting.job_watch import JobWatch
        from airflow_provider_pictory.waiting.limits import deadline_after

        waited = run_duration()
        is_first = self._watch is None
        if self._watch is None:
            self._watch = JobWatch(
                self.job_id,
                deadline=deadline_after(self.timeout - waited),
                poll_interval=self.poll_interval,
                log=self.log,
                advice=self._limit.advice if self._limit else "",
                waited=waited,
                limit=self._limit,
            )
        assert self._seen is not None  # noqa: S101  (the base class pokes before it plans the next poke)
        pause = self._watch.pause_after(self._seen) or 0.0
        if self.exponential_backoff:
            pause = float(super()._get_next_poke_interval(started_at, run_duration, poke_count))
        if self.reschedule and self._watch.remaining < SHORTEST_ABSENCE:
            raise _DeadlineNearError(self._watch.remaining)
        if is_first:
            self._watch.announce(pause)
        return pause

    def _timed_out(self) -> PictoryError:
        from airflow_provider_pictory.exceptions import PictoryError
        from airflow_provider_pictory.waiting.limits import timed_out

        if isinstance(self._seen, PictoryError) and isinstance(self._seen, AirflowFailException):
            return self._seen
        return timed_out(self.job_id, self._seen, self._limit.advice if self._limit else "", self._limit)

    def _interrupted(self) -> PictoryError:
        """Return the error for a wait on a worker that Airflow's own timeout interrupted."""
        from airflow_provider_pictory.waiting.limits import resumed_limit

        self._limit = resumed_limit(self, self.timeout, "execution_timeout", datetime.now(UTC).isoformat())
        return self._timed_out()
