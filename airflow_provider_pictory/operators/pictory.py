"""
The operator that submits a video, which is where the money is spent, and optionally waits for it.

Loaded whenever a DAG file is parsed, so whatever only a running task needs is imported where it runs.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from airflow.providers.common.compat.sdk import conf

from airflow_provider_pictory.arguments import (
    DEFAULT_RECONCILE_TIMEOUT,
    DEFAULT_TIMEOUT,
    refuse_wrong_rules,
    switch,
    switches,
    time_span,
)
from airflow_provider_pictory.links.pictory import OPERATOR_EXTRA_LINKS, push_links
from airflow_provider_pictory.literals import is_of_a_file, literals
from airflow_provider_pictory.request_arguments import (
    REQUEST_ARGUMENTS,
    checked_request,
    known_fields,
    refuse_wrong_request,
)
from airflow_provider_pictory.submission.operator import SubmittingOperator

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Literal

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_pictory.api import VideoJob, VideoModel, VideoRequest
    from airflow_provider_pictory.submission.task_submitter import TaskSubmitter
    from airflow_provider_pictory.waiting.limits import WaitLimit

SWITCHES = ("wait_for_completion", "deferrable", "check_quota", "resubmit_failed")
RULES = ("on_clear", "on_unknown_submission", "max_credits")


class GenerateVideoOperator(SubmittingOperator):
    """
    Generate a video from a prompt.

    All rules of Pictory's are checked before anything is sent, and all faults are reported together; what
    can never be right is refused as soon as its DAG file is parsed, unless it is a template, the output of a
    task, or an argument of a mapped task. The log says what the video will cost before it is submitted.

    A video is submitted once, whatever crashes: what a task is about to submit is recorded before, and the
    job id right after it. A retry reattaches to the recorded job. So does a clear while the job may still be
    running; a clear after its end means a new video (``on_clear``). Where a crash or a lost response leaves
    it open whether Pictory took the video, the next try finds out from the account's lists and submits again
    only if it never arrived.

    The events of assets in ``outlets`` have ``job_id``, ``seconds`` and ``credits`` in their ``extra``, the
    latter two ``None`` where the task doesn't wait.

    :param prompt: what the video shows, 5 to 5,000 characters, some of them visible, and no control
        characters but line breaks and tabs. (templated)
    :param model: ``veo3.1``, ``veo3.1_fast`` or ``pixverse5.5`` (default). (templated)
    :param aspect_ratio: such as ``"16:9"``; the model's first by default. (templated)
    :param duration: seconds, as ``8`` or ``"8s"``; the model's first by default. (templated)
    :param first_frame_image_url: public URL of an image to start from. (templated)
    :param extend_video_url: public URL of a video to continue. (templated)
    :param reference_image_urls: 1 to 3 public URLs of images to resemble; at most one of these three kinds of
        sources may be given. (templated)
    :param webhook: URL that Pictory notifies when the job ends. (templated)
    :param extra_fields: further fields under the names that Pictory uses, sent as they are; they replace the
        arguments above, and are not checked, except for a prompt's characters. (templated)
    :param pictory_conn_id: id of the Airflow connection. (templated)
    :param wait_for_completion: wait for the video as well; otherwise the task ends once it is submitted.
    :param poll_interval: seconds, or a ``timedelta``, between polls while waiting. By default our own
        schedule, 10 to 30 seconds as Pictory asks for.
    :param timeout: seconds, or a ``timedelta``, to wait; 1 hour by default. A shorter ``execution_timeout``
        ends the wait earlier, also in the triggerer.
    :param deferrable: wait in the triggerer instead of on the worker; by default as Airflow's setting
        ``[operators] default_deferrable`` says.
    :param max_credits: the most AI credits that the video may cost by our estimate; one that costs more, or
        whose cost can't be estimated, isn't submitted. No limit where it is left out, or ``None`` in the DAG
        file; one that a template, a task or a mapping leaves empty is refused. (templated)
    :param check_quota: submit only what the account's remaining AI credits cover; off by default.
    :param on_clear: what a clear of this task means. ``"auto"`` (default): reattach to a job that is still
        running and deliver a video that was never delivered, otherwise make a new one; ``"new"``: always a
        new video; ``"reattach"``: never.
    :param on_unknown_submission: what to do where nothing tells whether a submission arrived. ``"fail"``
        (default) or ``"resubmit"``, which may pay twice.
    :param resubmit_failed: let a retry submit another video when the job failed; by default the task fails
        without a retry then.
    :param reconcile_timeout: seconds, or a ``timedelta``, to wait for running jobs that may have come from a
        lost submission, and for other tasks that may have lost the same; 15 minutes by default.

    :xcom return_value: the job id, for a :class:`VideoJobSensor`.
    :xcom job_id: the same, before any waiting.
    :xcom estimated_credits: the estimated cost, before any waiting.
    :xcom video: with ``wait_for_completion``, what the sensor would return.
    :xcom used_credits: likewise, what the video cost, where Pictory says so.
    :raises PictoryInvalidRequestError: a rule is broken; nothing was paid.
    :raises PictorySpendingLimitError: it would cost more than ``max_credits``; nothing was paid.
    :raises PictoryConfigurationError: the connection is missing or can't be used; nothing was paid.
    :raises PictoryAuthenticationError: Pictory refused the key; nothing was paid.
    :raises PictoryInsufficientCreditsError: the account is out of AI credits.
    :raises PictoryRateLimitedError: too many requests; nothing was paid, a retry helps.
    :raises PictoryAPIError: Pictory refused or couldn't be reached; nothing was paid, a retry may help.
    :raises PictoryRecordError: the record can't be read or written; nothing was submitted, a retry may help.
    :raises PictorySubmissionPendingError: no response says whether Pictory took it; the next try finds out.
    :raises PictorySubmissionIndeterminateError: nothing says whether Pictory took it; not retried.
    :raises PictoryJobFailedError: the job failed.
    :raises PictoryJobExpiredError: the job's video was deleted at Pictory.
    :raises PictoryJobNotFoundError: Pictory doesn't know the job that this task submitted.
    :raises PictoryJobTimedOutError: ``timeout`` passed before the job's end; see ``on_clear`` for the job.
    :raises PictoryExecutionTimeoutError: ``execution_timeout`` ended a deferred wait; a retry continues it.
    """

    template_fields: Sequence[str] = (*REQUEST_ARGUMENTS, "pictory_conn_id", "max_credits")
    template_fields_renderers: ClassVar[dict[str, str]] = {"prompt": "md", "extra_fields": "json"}
    operator_extra_links = OPERATOR_EXTRA_LINKS
    ui_color = "#d8cdf9"

    def __init__(
        self,
        *,
        prompt: str,
        model: VideoModel | str | None = None,
        aspect_ratio: str | None = None,
        duration: float | str | None = None,
        first_frame_image_url: str | None = None,
        extend_video_url: str | None = None,
        reference_image_urls: Sequence[str] | str | None = None,
        webhook: str | None = None,
        extra_fields: Mapping[str, Any] | None = None,
        pictory_conn_id: str = "pictory_default",
        wait_for_completion: bool = False,
        poll_interval: timedelta | float | None = None,
        timeout: timedelta | float = DEFAULT_TIMEOUT,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        max_credits: float | str | None = None,
        check_quota: bool = False,
        on_clear: Literal["auto", "new", "reattach"] = "auto",
        on_unknown_submission: Literal["fail", "resubmit"] = "fail",
        resubmit_failed: bool = False,
        reconcile_timeout: timedelta | float = DEFAULT_RECONCILE_TIMEOUT,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        time_span(poll_interval, "poll_interval")
        time_span(timeout, "timeout")
        time_span(reconcile_timeout, "reconcile_timeout")
        time_span(self.execution_timeout, "execution_timeout", may_be_zero=True)
        self.prompt = prompt
        self.model = model
        self.aspect_ratio = aspect_ratio
        self.duration = duration
        self.first_frame_image_url = first_frame_image_url
        self.extend_video_url = extend_video_url
        self.reference_image_urls = reference_image_urls
        self.webhook = webhook
        self.extra_fields = extra_fields
        self.pictory_conn_id = pictory_conn_id
        self.wait_for_completion = wait_for_completion
        self.poll_interval = poll_interval
        self.timeout = timeout
        self.deferrable = deferrable
        self.max_credits = max_credits
        self.check_quota = check_quota
        self.on_clear = on_clear
        self.on_unknown_submission = on_unknown_submission
        self.resubmit_failed = resubmit_failed
        self.reconcile_timeout = reconcile_timeout
        self.video_url: str | None = None
        if is_of_a_file(self, GenerateVideoOperator):
            self._refuse_wrong_literals()

    def execute(self, context: Context) -> str:
        """Submit the video unless there is one already and, if asked to, wait for it."""
        from airflow.providers.common.compat.sdk import AirflowTaskTimeout

        from airflow_provider_pictory.assets import describe_video
        from airflow_provider_pictory.waiting.limits import resumed_limit, timed_out, wait_limit

        began = datetime.now(UTC)
        switches(self, SWITCHES)
        if self.wait_for_completion and self.deferrable:
            # What can't be imported has to show before anything is paid.
            import airflow_provider_pictory.triggers.pictory  # noqa: F401
        self._refuse_multiple_outputs()
        poll_interval = time_span(self.poll_interval, "poll_interval")
        timeout = time_span(self.timeout, "timeout") or DEFAULT_TIMEOUT
        submission = self._open_submission(context, waits=self.wait_for_completion)
        submitted = submission.ensure(self._request_or_error())
        self._use_connection(submitted.pictory_conn_id)
        try:
            context["ti"].xcom_push(key="job_id", value=submitted.job_id)
            if submitted.estimated_credits is not None:
                context["ti"].xcom_push(key="estimated_credits", value=submitted.estimated_credits)
            if not self.wait_for_completion:
                describe_video(self.outlets, context, job_id=submitted.job_id)
                submission.note_delivery()
                return submitted.job_id
            job = submitted.job
            if job is None and self.deferrable:
                limit = wait_limit(self, timeout, began=began, is_deferred=True, task_instance=context["ti"])
                self._defer(context, submitted.job_id, limit)
            if job is None:
                push_links(context["ti"])
                job = submission.conclude(self._wait(submitted.job_id, timeout, poll_interval))
            return self._finish(context, submission, job)
        except AirflowTaskTimeout:
            limit = resumed_limit(self, timeout, "execution_timeout", datetime.now(UTC).isoformat())
            raise AirflowTaskTimeout(
                str(timed_out(submitted.job_id, None, self._advice(limit), limit))
            ) from None
        except Exception as error:
            self._say_what_goes_on(error)
            raise

    def _wait(self, job_id: str, timeout: float, poll_interval: float | None) -> VideoJob:
        """Wait on a worker, where Airflow itself enforces the execution_timeout."""
        from airflow_provider_pictory.waiting.job_watch import JobWatch, wait_for_job
        from airflow_provider_pictory.waiting.limits import WaitLimit, deadline_after

        limit = WaitLimit("timeout", timeout, deadline_after(timeout))
        watch = JobWatch(
            job_id,
            deadline=limit.deadline,
            poll_interval=poll_interval,
            log=self.log,
            advice=self._advice(limit),
            limit=limit,
        )
        return wait_for_job(self.hook, watch)

    def execute_complete(
        self, context: Context, event: dict[str, Any] | None = None, **handed_through: Any
    ) -> str:
        """
        Continue after the trigger's event.

        :param event: the trigger's event; checked before it is used.
        :param handed_through: the fields of a :class:`DeferredWait`.
        """
        from airflow_provider_pictory.waiting.deferred_wait import DeferredWait

        switches(self, SWITCHES)
        wait = DeferredWait.read(handed_through)
        if wait.is_of_another_try(context):
            self.log.info("This try was resumed with an event of try %s, so it starts anew", wait.try_number)
            return self.execute(context)
        self._use_connection(wait.pictory_conn_id or self.pictory_conn_id)
        submission = self._open_submission(context, waits=self.wait_for_completion)
        submission.job_id = job_id = wait.job_id or context["ti"].xcom_pull(
            task_ids=self.task_id, key="job_id", map_indexes=context["ti"].map_index
        )
        limit = wait.limit_of(self, time_span(self.timeout, "timeout") or DEFAULT_TIMEOUT, event)
        try:
            job = wait.job_after(
                event, hook=self.hook, job_id=job_id, limit=limit, advice=self._advice(limit)
            )
            if job is None:
                self._defer(context, job_id, limit, wait.inconclusive + 1)
            return self._finish(context, submission, submission.conclude(job))
        except Exception as error:
            self._say_what_goes_on(error)
            raise

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> str:
        """Poll the job once more, also when Airflow itself gave up on the trigger."""
        from airflow_provider_pictory.submission.store import try_that_submitted
        from airflow_provider_pictory.waiting.deferred_wait import resume_arguments

        arguments = resume_arguments(next_method, next_kwargs, timeout=DEFAULT_TIMEOUT, log=self.log)
        if arguments.get("try_number") is None:
            # Airflow hands nothing through when it gave up. Nor does dag.test() of Airflow 3.0, where a retry
            # begins with the event of the try before.
            arguments["try_number"] = try_that_submitted(context)
        return self.execute_complete(context, **arguments)

    def _request_or_error(self) -> VideoRequest | Exception:
        """Make the request; the error is raised only where a video is to be submitted."""
        try:
            return self._request()
        except Exception as error:  # noqa: BLE001  (also of a function that a DAG's author wrote)
            return error

    def _request(self) -> VideoRequest:
        return checked_request({name: getattr(self, name) for name in REQUEST_ARGUMENTS})

    def _refuse_wrong_literals(self) -> None:
        """
        Refuse, while the DAG file is parsed and with the message of a run, what can never be right.

        :raises PictoryInvalidRequestError: for the first kind of argument that is wrong.
        """
        given = literals(self, (*SWITCHES, *RULES, *REQUEST_ARGUMENTS))
        for name in SWITCHES:
            if name in given:
                switch(given[name], name, templated=name in self.template_fields)
        refuse_wrong_rules(given, has_limit=SubmittingOperator.max_credits.was_given(self))
        self._refuse_multiple_outputs()
        self._refuse_wrong_request(known_fields(given, self.extra_fields))

    def _refuse_wrong_request(self, known: dict[str, Any]) -> None:
        refuse_wrong_request(known)

    def _advice(self, limit: WaitLimit) -> str:
        from airflow_provider_pictory.submission.advice import after_wait

        return after_wait(self.on_clear, limit.argument) or limit.advice

    def _defer(self, context: Context, job_id: str, limit: WaitLimit, inconclusive: int = 0) -> NoReturn:
        from airflow_provider_pictory.triggers.pictory import deferral

        arguments = deferral(
            context=context,
            job_id=job_id,
            pictory_conn_id=self.pictory_conn_id,
            limit=limit,
            poll_interval=time_span(self.poll_interval, "poll_interval"),
            log=self.log,
            inconclusive=inconclusive,
        )
        arguments["kwargs"].update(pictory_conn_id=self.pictory_conn_id, **self._handed_through())
        self.defer(**arguments)

    def _handed_through(self) -> dict[str, Any]:
        """Return further arguments for a subclass's ``execute_complete``."""
        return {}

    def _finish(self, context: Context, submission: TaskSubmitter, job: VideoJob) -> str:
        from airflow_provider_pictory.assets import describe_video
        from airflow_provider_pictory.outcome import describe

        context["ti"].xcom_push(key="video", value=job.result)
        self.video_url = job.url
        if job.ai_credits_used is not None:
            context["ti"].xcom_push(key="used_credits", value=job.ai_credits_used)
        self.log.info("Pictory job %s is completed: %s", job.job_id, describe(job))
        describe_video(
            self.outlets,
            context,
            job_id=job.job_id,
            seconds=job.duration_seconds,
            ai_credits=job.ai_credits_used,
        )
        submission.note_delivery(has_ended=True)
        return job.job_id
