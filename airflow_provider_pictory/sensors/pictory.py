"""
The sensor that waits for a video job, without holding a worker unless told otherwise.

Loaded whenever a DAG file is parsed, so whatever only a running task needs is imported where it runs.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.common.compat.sdk import (
    AirflowSensorTimeout,
    AirflowSkipException,
)

from airflow_provider_pictory.arguments import DEFAULT_TIMEOUT, checked_job_id, switch, switches, time_span
from airflow_provider_pictory.links.pictory import OPERATOR_EXTRA_LINKS, push_links
from airflow_provider_pictory.literals import is_of_a_file, is_plain_job_id, literals, splits_result
from airflow_provider_pictory.waiting.intervals import STEADY_PAUSE
from airflow_provider_pictory.waiting.poking import PokingSensor
from airflow_provider_pictory.waiting.starting import start_trigger_args

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_pictory.api import VideoJob
    from airflow_provider_pictory.exceptions import PictoryError
    from airflow_provider_pictory.waiting.limits import WaitLimit

SWITCHES = ("deferrable", "soft_fail", "never_fail", "silent_fail", "exponential_backoff")


class VideoJobSensor(PokingSensor):
    """
    Wait until Pictory has finished a video.

    It defers unless told otherwise. On Airflow 3.3 and later it starts in the triggerer and, once there is a
    video, ends there, so no task process runs at all; anything else continues on a worker. It defers
    from a worker, after a first poll, where something would be missed otherwise: outlets, callbacks for
    success, execution or skipping, ``pre_execute`` or ``post_execute``, listeners such as OpenLineage,
    ``multiple_outputs``, mapped tasks and those that others are mapped over, a result that is its DAG's, a
    job id that is neither text nor a task's output, subclasses; and on older versions.

    A failed poll of the job, such as a network error, a 429 or a 5xx, is tolerated until the
    timeout; a failed job ends the sensor at once and without retries. Before it declares a timeout it takes
    one last poll. What can never be right is refused as soon as the DAG file is parsed.

    The events of assets in ``outlets`` have ``job_id``, ``seconds`` and ``credits`` in their ``extra``.

    :param job_id: of the job, usually ``generate.output`` of a :class:`GenerateVideoOperator`. (templated)
    :param pictory_conn_id: id of the Airflow connection. (templated)
    :param deferrable: wait in the triggerer; otherwise on a worker, in the ``mode`` that Airflow's sensors
        have (``poke`` or ``reschedule``).
    :param poke_interval: seconds, or a ``timedelta``, between polls. By default our own schedule, 10 to 30
        seconds as Pictory asks for.
    :param timeout: seconds, or a ``timedelta``, to wait; 1 hour by default. A shorter ``execution_timeout``
        ends the wait earlier, however it waits.
    :param start_from_trigger: start in the triggerer where Airflow can; ``False`` always starts on a worker.
    :param kwargs: as for any sensor. ``soft_fail`` skips the task when there is no video in the end: the job
        failed, its video was deleted, or time was up. Where something is set up wrongly, such as the key, the
        connection or the job id, it fails all the same; ``never_fail`` skips then, too. Both mean the same
        deferred and poking.

    :xcom return_value: the result, a flat dict of JSON types: ``job_id``, ``status``, ``url``,
        ``duration_seconds``, ``width``, ``height``, ``thumbnail_url``, ``preview_url``,
        ``last_frame_image_url`` and ``ai_credits_used``. The URLs need no key and can expire.
    :xcom job_id: the id alone, so that ``wait.output["job_id"]`` works.

    :raises PictoryInvalidRequestError: the job id can't be one, often a missing XCom.
    :raises PictoryConfigurationError: the connection is missing or can't be used.
    :raises PictoryAuthenticationError: Pictory refuses the key.
    :raises PictoryJobNotFoundError: Pictory knows no such job, two minutes after the wait began; at once
        where the job id is no UUID.
    :raises PictoryJobFailedError: the job failed.
    :raises PictoryInsufficientCreditsError: the job failed for lack of credits.
    :raises PictoryJobExpiredError: the job's video was deleted at Pictory.
    :raises PictoryJobTimedOutError: the ``timeout`` passed before the job's end.
    :raises PictoryExecutionTimeoutError: the ``execution_timeout`` passed first; a retry waits for the same
        job.
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
        timeout: timedelta | float = DEFAULT_TIMEOUT,
        start_from_trigger: bool = True,
        **kwargs: Any,
    ) -> None:
        # The base class refuses None, and its errors about other values don't name the argument.
        interval = time_span(poke_interval, "poke_interval")
        span = time_span(timeout, "timeout", may_be_zero=True)
        time_span(kwargs.get("max_wait"), "max_wait", may_be_zero=True)
        super().__init__(
            poke_interval=STEADY_PAUSE if interval is None else interval,
            timeout=DEFAULT_TIMEOUT if span is None else span,
            **kwargs,
        )
        # Airflow's scheduler adds the execution_timeout to a date.
        time_span(self.execution_timeout, "execution_timeout", may_be_zero=True)
        self.job_id = job_id
        self.pictory_conn_id = pictory_conn_id
        self.deferrable = deferrable
        self.poll_interval = None if poke_interval is None else self.poke_interval
        self.video_url: str | None = None
        self._may_start_from_trigger = start_from_trigger
        if is_of_a_file(self, VideoJobSensor):
            self._refuse_wrong_literals()
        if deferrable and start_from_trigger:
            # On the instance, since as class attributes they would apply to mapped tasks, too. A subclass may
            # have an execute of its own.
            is_whole = type(self) is VideoJobSensor
            self.start_trigger_args = start_trigger_args(self) if is_whole else None
            self.start_from_trigger = self.start_trigger_args is not None

    @property
    def returns_dag_result(self) -> bool:
        """Whether the result is that of the whole DAG, too (Airflow 3.3 and later)."""
        return self._returns_dag_result

    @returns_dag_result.setter
    def returns_dag_result(self, value: bool) -> None:
        # Airflow sets this after the sensor is made, and marks the result as the DAG's on a worker only.
        self._returns_dag_result = value
        if value:
            self.start_from_trigger, self.start_trigger_args = False, None

    def execute(self, context: Context) -> dict[str, Any]:
        """Wait for the job, in the triggerer or here."""
        from airflow.providers.common.compat.sdk import AirflowTaskTimeout

        from airflow_provider_pictory.exceptions import PictoryError
        from airflow_provider_pictory.waiting.limits import wait_limit

        began = datetime.now(UTC)
        # Outside the try, since a wrong switch is no reason to skip, and soft_fail is a switch itself.
        self._check_switches()
        try:
            self.job_id = checked_job_id(self.job_id)
            time_span(self.poll_interval, "poke_interval")
            self._limit = wait_limit(
                self,
                self.timeout,
                began=began,
                is_deferred=self.deferrable,
                task_instance=context.get("ti"),
            )
            if self.deferrable:
                return self._poll_and_defer(context, self._limit)
            if not self.reschedule:
                push_links(context.get("ti"))
            # For the base class, which knows no limit but its timeout.
            self.timeout = min(self.timeout, max(0.0, (self._limit.deadline - began).total_seconds()))
            return self._poke_until_ended(context)
        except PictoryError as error:
            self._end(error)
        except AirflowSensorTimeout:
            self._end(self._timed_out())
        except AirflowTaskTimeout:
            self._end(self._interrupted())
        except AirflowSkipException as skip:
            # The base class skips under soft_fail by itself, but with a message that says nothing.
            if isinstance(skip.__cause__, PictoryError):
                self._end(skip.__cause__)
            is_alarm = isinstance(skip.__cause__, AirflowTaskTimeout)
            self._end(self._interrupted() if is_alarm else self._timed_out())

    def execute_complete(
        self, context: Context, event: dict[str, Any] | None = None, **handed_through: Any
    ) -> dict[str, Any]:
        """
        Continue after the trigger's event.

        :param event: the trigger's event; checked before it is used.
        :param handed_through: the fields of a :class:`DeferredWait`.
        """
        from airflow_provider_pictory.exceptions import PictoryError
        from airflow_provider_pictory.waiting.deferred_wait import DeferredWait

        self._check_switches()
        wait = DeferredWait.read(handed_through)
        if wait.is_of_another_try(context):
            self.log.info("This try was resumed with an event of try %s, so it starts anew", wait.try_number)
            return self.execute(context)
        try:
            self.job_id = checked_job_id(self.job_id)
            if wait.job_id not in (None, self.job_id):
                self.log.info("This task now waits for job %s, no longer for %s", self.job_id, wait.job_id)
            limit = wait.limit_of(self, self.timeout, event)
            job = wait.job_after(event, hook=self.hook, job_id=self.job_id, limit=limit)
            if job is None:
                self._defer(context, limit, wait.inconclusive + 1)
            return self._result(context, job)
        except PictoryError as error:
            self._end(error)

    def resume_execution(
        self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context
    ) -> dict[str, Any]:
        """Poll the job once more, also when Airflow itself gave up on the trigger."""
        from airflow_provider_pictory.waiting.deferred_wait import resume_arguments

        arguments = resume_arguments(next_method, next_kwargs, timeout=self.timeout, log=self.log)
        return self.execute_complete(context, **arguments)

    def on_kill(self) -> None:
        """Log which job outlives this wait, also where Airflow itself ends it."""
        from airflow_provider_pictory.waiting.events import say_what_goes_on

        say_what_goes_on(self.job_id, self.log)

    def _poll_and_defer(self, context: Context, limit: WaitLimit) -> dict[str, Any]:
        """Wait in the triggerer, unless one poll here shows that there is nothing to wait for."""
        from airflow_provider_pictory.exceptions import PictoryError
        from airflow_provider_pictory.outcome import poll
        from airflow_provider_pictory.waiting.job_watch import JobWatch

        watch = JobWatch(self.job_id, deadline=limit.deadline, poll_interval=self.poll_interval, log=self.log)
        seen = self._seen = poll(self.hook, self.job_id)
        if isinstance(seen, PictoryError):
            # The trigger meets the same trouble, and logs when it starts and when it is over.
            if not watch.tolerates(seen):
                raise seen
        elif seen.has_ended:
            return self._result(context, seen)
        self._defer(context, limit)

    def _defer(self, context: Context, limit: WaitLimit, inconclusive: int = 0) -> NoReturn:
        from airflow_provider_pictory.triggers.pictory import deferral

        self.defer(
            **deferral(
                context=context,
                job_id=self.job_id,
                pictory_conn_id=self.pictory_conn_id,
                limit=limit,
                poll_interval=self.poll_interval,
                log=self.log,
                inconclusive=inconclusive,
            )
        )

    def _result(self, context: Context, job: VideoJob) -> dict[str, Any]:
        from airflow_provider_pictory.assets import describe_video
        from airflow_provider_pictory.outcome import describe, require_completed
        from airflow_provider_pictory.submission.forgetting import forget_job
        from airflow_provider_pictory.submission.late import report_late_jobs_of_another
        from airflow_provider_pictory.xcoms import without_unknown_fields

        forget_job(job.job_id, context, self.log, report_late=report_late_jobs_of_another)
        require_completed(job)
        self.log.info("Pictory job %s is completed: %s", job.job_id, describe(job))
        if self.do_xcom_push:
            # Without XComs, the URL must not be anywhere in Airflow, not even behind a button.
            self.video_url = job.url
            context["ti"].xcom_push(key="job_id", value=job.job_id)
        describe_video(
            self.outlets,
            context,
            job_id=job.job_id,
            seconds=job.duration_seconds,
            ai_credits=job.ai_credits_used,
        )
        return without_unknown_fields(job.result, is_split=splits_result(self))

    def _refuse_wrong_literals(self) -> None:
        """
        Refuse, while the DAG file is parsed and with the message of a run, what can never be right.

        :raises PictoryInvalidRequestError: for the first argument that is wrong.
        """
        given = literals(self, (*SWITCHES, "job_id"))
        for name in SWITCHES:
            if name in given:
                switch(given[name], name, templated=name in self.template_fields)
        switch(self._may_start_from_trigger, "start_from_trigger")
        if "job_id" in given and not is_plain_job_id(given["job_id"]):
            checked_job_id(self.job_id)

    def _check_switches(self) -> None:
        switches(self, SWITCHES)
        switch(self._may_start_from_trigger, "start_from_trigger")

    def _end(self, error: PictoryError) -> NoReturn:
        if self.never_fail:
            # This may be a wrong key, and nobody would see it otherwise.
            self.log.error("Skipping, since never_fail is set: %s", error)
            raise AirflowSkipException(str(error)) from error
        from airflow_provider_pictory.outcome import means_no_video

        if self.soft_fail and means_no_video(error):
            raise AirflowSkipException(str(error)) from error
        raise error
