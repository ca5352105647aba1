"""
The sensor that waits for a video job, without holding a worker unless told otherwise.

Loaded whenever a DAG file is parsed, so whatever only a running task needs is imported where it runs.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    PokeReturnValue,
)
from airflow.triggers.base import BaseTrigger, StartTriggerArgs

from airflow_provider_pictory.links.pictory import OPERATOR_EXTRA_LINKS
from airflow_provider_pictory.schedule import STEADY_PAUSE
from airflow_provider_pictory.starting import (
    TASK_TRIGGER,
    backstop_after,
    is_missed_without_worker,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_pictory.api import VideoJob
    from airflow_provider_pictory.exceptions import PictoryError
    from airflow_provider_pictory.hooks.pictory import PictoryHook
    from airflow_provider_pictory.polling import JobWatch

ADVICE = "Clear this task to go on waiting for it, with a longer timeout if it needs one."


class VideoJobSensor(BaseSensorOperator):
    """
    Wait until Pictory has finished a video.

    It defers unless told otherwise. On Airflow 3.3 and later it starts in the triggerer and, once there is a
    video, ends there, so no task process runs at all; whatever else happens goes on on a worker. It defers
    from a worker, after a first look, where something would be missed otherwise: outlets, callbacks for
    success, execution or skipping, listeners such as OpenLineage, ``multiple_outputs``, mapped tasks and
    those that others are mapped over, a result that is its DAG's, a job id that is neither text nor a task's
    output; and on older versions.

    A failed look at the job, such as a network error, a 429 or a 5xx, is ridden out until the
    timeout; a failed job ends the sensor at once and without retries. Before it declares a timeout it takes
    one last look.

    ``return_value`` is the result, a flat dict of JSON types: ``job_id``, ``status``, ``url``,
    ``duration_seconds``, ``width``, ``height``, ``thumbnail_url``, ``preview_url``, ``last_frame_image_url``
    and ``ai_credits_used``. The URLs need no key and can expire. The id alone is in XCom ``job_id``, too, so
    that ``wait.output["job_id"]`` works. The events of assets in ``outlets`` have
    ``job_id``, ``seconds`` and ``credits`` in their ``extra``.

    :param job_id: of the job, usually ``generate.output`` of a :class:`GenerateVideoOperator`. (templated)
    :param pictory_conn_id: id of the Airflow connection. (templated)
    :param deferrable: wait in the triggerer; otherwise on a worker, in the ``mode`` that Airflow's sensors
        have (``poke`` or ``reschedule``).
    :param poke_interval: seconds, or a ``timedelta``, between looks. By default our own schedule, 10 to 30
        seconds as Pictory asks for.
    :param timeout: seconds, or a ``timedelta``, to wait; 1 hour by default.
    :param start_from_trigger: start in the triggerer where Airflow can; ``False`` always starts on a worker.
    :param kwargs: as for any sensor. ``soft_fail`` skips the task whenever there is no video in the end,
        deferred and poking alike.

    :raises PictoryInvalidRequestError: the job id can't be one, often a missing XCom.
    :raises PictoryConfigurationError: the connection is missing or can't be used.
    :raises PictoryAuthenticationError: Pictory refuses the key.
    :raises PictoryJobNotFoundError: Pictory knows no such job, two minutes after the wait began.
    :raises PictoryJobFailedError: the job failed.
    :raises PictoryInsufficientCreditsError: the job failed for want of credits.
    :raises PictoryJobExpiredError: the job's video was deleted at Pictory.
    :raises PictoryJobTimedOutError: time is up; the job goes on and is paid for.
    """

    template_fields: Sequence[str] = ("job_id", "pictory_conn_id")
    operator_extra_links = OPERATOR_EXTRA_LINKS
    ui_color = "#e8e2fb"
    _returns_dag_result = False

    def __init__(
        self,
        *,
        job_id: str,
        pictory_conn_id: str = "pictory_default",
        deferrable: bool = True,
        poke_interval: timedelta | float | None = None,
        timeout: timedelta | float = 60 * 60,
        start_from_trigger: bool = True,
        **kwargs: Any,
    ) -> None:
        # The base class refuses None.
        super().__init__(
            poke_interval=STEADY_PAUSE if poke_interval is None else poke_interval, timeout=timeout, **kwargs
        )
        self.job_id = job_id
        self.pictory_conn_id = pictory_conn_id
        self.deferrable = deferrable
        self.poll_interval = None if poke_interval is None else self.poke_interval
        self.video_url: str | None = None
        self._seen: VideoJob | PictoryError | None = None
        self._watch: JobWatch | None = None
        if deferrable and start_from_trigger:
            # On the instance, since as class attributes they would apply to mapped tasks too, as they stand.
            self.start_trigger_args = start_trigger_args(self)
            self.start_from_trigger = self.start_trigger_args is not None

    @property
    def returns_dag_result(self) -> bool:
        """Whether the result is that of the whole DAG, too (Airflow 3.3 and later)."""
        return self._returns_dag_result

    @returns_dag_result.setter
    def returns_dag_result(self, value: bool) -> None:
        # Airflow sets it once the sensor is made, and marks the result with it on a worker only.
        self._returns_dag_result = value
        if value:
            self.start_from_trigger, self.start_trigger_args = False, None

    @cached_property
    def hook(self) -> PictoryHook:
        """The hook of this sensor's connection."""
        from airflow_provider_pictory.hooks.pictory import PictoryHook

        return PictoryHook(self.pictory_conn_id)

    def execute(self, context: Context) -> dict[str, Any]:
        """Wait for the job, in the triggerer or here."""
        from airflow_provider_pictory.exceptions import PictoryError
        from airflow_provider_pictory.polling import deadline_after, seconds

        try:
            self.job_id = self._checked_job_id()
            seconds(self.poll_interval, "poke_interval")
            if self.deferrable:
                return self._look_and_defer(context, deadline_after(self.timeout))
            return super().execute(context)  # type: ignore[no-any-return]
        except AirflowSensorTimeout:
            self._end(self._timed_out())
        except AirflowSkipException as skip:
            # The base class skips under soft_fail by itself, but with words that say nothing.
            self._end(skip.__cause__ if isinstance(skip.__cause__, PictoryError) else self._timed_out())
        except PictoryError as error:
            self._end(error)

    def poke(self, context: Context) -> PokeReturnValue:
        """Look at the job once; what a failed look means is decided when the next one is planned."""
        from airflow_provider_pictory.exceptions import PictoryError
        from airflow_provider_pictory.polling import look

        self._seen = look(self.hook, self.job_id)
        if isinstance(self._seen, PictoryError) or not self._seen.has_ended:
            return PokeReturnValue(is_done=False)
        if self._watch is not None:
            # For its line that trouble is over, since no further look is planned.
            self._watch.pause_after(self._seen)
        return PokeReturnValue(is_done=True, xcom_value=self._result(context, self._seen))

    def execute_complete(
        self,
        context: Context,
        event: dict[str, Any] | None = None,
        deadline: str | None = None,
        doubts: int = 0,
    ) -> dict[str, Any]:
        """
        Go on after the trigger.

        :param event: the trigger's; checked before it is believed.
        :param deadline: the moment when the wait ends, handed through by the deferral.
        :param doubts: how often an event left things in doubt before, handed through likewise.
        """
        from airflow_provider_pictory.exceptions import PictoryError
        from airflow_provider_pictory.triggers.pictory import deadline_of, job_after_event

        try:
            self.job_id = self._checked_job_id()
            deadline = deadline or deadline_of(event) or datetime.now(UTC).isoformat()
            job = job_after_event(
                event, hook=self.hook, job_id=self.job_id, deadline=deadline, advice=ADVICE, doubts=doubts
            )
            if job is None:
                self._defer(deadline, doubts + 1)
            return self._result(context, job)
        except PictoryError as error:
            self._end(error)

    def resume_execution(
        self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context
    ) -> dict[str, Any]:
        """Take a last look at the job also when Airflow itself gave up on the trigger."""
        from airflow_provider_pictory.triggers.pictory import resume_arguments

        arguments = resume_arguments(next_method, next_kwargs, timeout=self.timeout, log=self.log)
        return self.execute_complete(context, **arguments)

    def _get_next_poke_interval(
        self, started_at: datetime | float, run_duration: Callable[[], float], poke_count: int
    ) -> float:
        from airflow_provider_pictory.polling import JobWatch, deadline_after

        waited = run_duration()
        if self._watch is None:
            self._watch = JobWatch(
                self.job_id,
                deadline=deadline_after(self.timeout - waited),
                poll_interval=self.poll_interval,
                log=self.log,
                advice=ADVICE,
                waited=waited,
            )
        assert self._seen is not None  # noqa: S101  (the base class pokes before it plans the next poke)
        pause = self._watch.pause_after(self._seen)
        if self.exponential_backoff:
            return float(super()._get_next_poke_interval(started_at, run_duration, poke_count))
        return pause or 0.0

    def _look_and_defer(self, context: Context, deadline: datetime) -> dict[str, Any]:
        """Wait in the triggerer, unless one look here shows that there is nothing to wait for."""
        from airflow_provider_pictory.exceptions import PictoryError
        from airflow_provider_pictory.polling import JobWatch, look

        watch = JobWatch(
            self.job_id, deadline=deadline, poll_interval=self.poll_interval, log=self.log, advice=ADVICE
        )
        seen = look(self.hook, self.job_id)
        if isinstance(seen, PictoryError):
            # The trigger meets the same trouble and tells of it, when it starts and when it is over.
            if not watch.tolerates(seen):
                raise seen
        elif seen.has_ended:
            return self._result(context, seen)
        self._defer(deadline.isoformat())

    def _defer(self, deadline: str, doubts: int = 0) -> NoReturn:
        from airflow_provider_pictory.triggers.pictory import deferral

        self.defer(
            **deferral(
                job_id=self.job_id,
                pictory_conn_id=self.pictory_conn_id,
                deadline=deadline,
                poll_interval=self.poll_interval,
                doubts=doubts,
            )
        )

    def _result(self, context: Context, job: VideoJob) -> dict[str, Any]:
        from airflow_provider_pictory.asset_events import describe_video
        from airflow_provider_pictory.polling import describe, require_completed

        require_completed(job)
        self.log.info("Pictory job %s is completed: %s", job.job_id, describe(job))
        if self.do_xcom_push:
            # Otherwise nobody shall find the URL in Airflow, not even behind a button.
            self.video_url = job.url
            context["ti"].xcom_push(key="job_id", value=job.job_id)
        describe_video(
            self.outlets,
            context,
            job_id=job.job_id,
            seconds=job.duration_seconds,
            ai_credits=job.ai_credits_used,
        )
        return job.result

    def _checked_job_id(self) -> str:
        from airflow_provider_pictory.api import InvalidRequestError
        from airflow_provider_pictory.api.checks import job_id as checked_job_id
        from airflow_provider_pictory.exceptions import PictoryInvalidRequestError

        try:
            return checked_job_id(self.job_id)
        except InvalidRequestError as error:
            raise PictoryInvalidRequestError(str(error)) from error

    def _timed_out(self) -> PictoryError:
        from airflow_provider_pictory.exceptions import PictoryError
        from airflow_provider_pictory.polling import timed_out

        if isinstance(self._seen, PictoryError) and isinstance(self._seen, AirflowFailException):
            return self._seen
        return timed_out(self.job_id, self._seen, ADVICE)

    def _end(self, error: PictoryError) -> NoReturn:
        if self.soft_fail or self.never_fail:
            raise AirflowSkipException(str(error)) from error
        raise error


def start_trigger_args(sensor: VideoJobSensor) -> StartTriggerArgs | None:
    """
    Say how Airflow starts a sensor in the triggerer, ``None`` where it can't or something would be missed.

    :param sensor: one that defers.
    """
    # Came with Airflow 3.3, where starting there began to work with templates.
    if not hasattr(BaseTrigger, "render_template_fields"):
        return None
    templates = {name: _as_template(getattr(sensor, name)) for name in sensor.template_fields}
    if (
        # A subclass has an execute or something of its own.
        type(sensor) is not VideoJobSensor
        or None in templates.values()
        or sensor.get_needs_expansion()
        or sensor._pre_execute_hook is not None
        or sensor._post_execute_hook is not None
        or is_missed_without_worker(sensor)
    ):
        return None
    timeout = backstop_after(sensor.timeout)
    backstop = min(timeout, sensor.execution_timeout) if sensor.execution_timeout else timeout
    return StartTriggerArgs(
        trigger_cls=TASK_TRIGGER,
        trigger_kwargs={
            **templates,
            "timeout": sensor.timeout,
            "backstop": backstop.total_seconds(),
            "poll_interval": sensor.poll_interval,
        },
        next_method="execute_complete",
        timeout=timeout,
    )


def _as_template(value: object) -> str | None:
    """Give a value as a template that a triggerer can render, ``None`` where it can't be one."""
    if isinstance(value, str):
        return value
    from airflow.sdk.definitions.xcom_arg import PlainXComArg

    if not isinstance(value, PlainXComArg) or value.operator.get_needs_expansion():
        return None
    task_id, key = json.dumps(value.operator.task_id), json.dumps(value.key)
    return f"{{{{ ti.xcom_pull(task_ids={task_id}, key={key}, map_indexes=-1) }}}}"
