"""The operator that submits a video, which is where the money is spent, and optionally waits for it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from airflow.providers.common.compat.sdk import (
    AirflowTaskTimeout,
    BaseOperator,
    TaskDeferred,
    conf,
)

from airflow_provider_pictory.api import InvalidRequestError, VideoRequest
from airflow_provider_pictory.exceptions import (
    PictoryInsufficientCreditsError,
    PictoryInvalidRequestError,
    PictoryJobError,
    PictoryJobNotFoundError,
)
from airflow_provider_pictory.polling import (
    JobWatch,
    deadline_after,
    describe,
    require_completed,
    seconds,
    wait_for_job,
)
from airflow_provider_pictory.triggers.pictory import deferral, job_after_event, resume_arguments

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_pictory.api import VideoJob, VideoModel
    from airflow_provider_pictory.hooks.pictory import PictoryHook

DEFAULT_TIMEOUT = 60 * 60.0


class GenerateVideoOperator(BaseOperator):
    """
    Generate a video from a prompt.

    All rules of Pictory's are checked before anything is sent, and all faults are reported together. The log
    says what the video will cost before it is submitted.

    ``return_value`` is the job id, for a :class:`VideoJobSensor`. The same is in XCom ``job_id``, which is
    pushed before any waiting. With ``wait_for_completion`` XCom ``video`` holds what the sensor would return.

    :param prompt: what the video shows, 5 to 5,000 characters. (templated)
    :param model: ``veo3.1``, ``veo3.1_fast`` or ``pixverse5.5`` (default). (templated)
    :param aspect_ratio: such as ``"16:9"``; the model's first by default. (templated)
    :param duration: seconds, as ``8`` or ``"8s"``; the model's first by default. (templated)
    :param first_frame_image_url: public URL of an image to start from. (templated)
    :param extend_video_url: public URL of a video to go on from. (templated)
    :param reference_image_urls: 1 to 3 public URLs of images to resemble; at most one of these three kinds of
        sources may be given. (templated)
    :param webhook: URL that Pictory notifies when the job ends. (templated)
    :param extra_fields: further fields under the names that Pictory uses, sent as they are; they replace the
        arguments above and switch the checks of the fields they name off. (templated)
    :param pictory_conn_id: id of the Airflow connection. (templated)
    :param wait_for_completion: wait for the video as well; otherwise the task ends when Pictory has accepted
        it.
    :param poll_interval: seconds, or a ``timedelta``, between looks while waiting. By default our own
        schedule, 10 to 30 seconds as Pictory asks for.
    :param timeout: seconds, or a ``timedelta``, to wait; 1 hour by default.
    :param deferrable: wait in the triggerer instead of on the worker; by default as Airflow's setting
        ``[operators] default_deferrable`` says.

    :raises PictoryInvalidRequestError: a rule is broken; nothing was paid.
    :raises PictoryConfigurationError: the connection is missing or can't be used; nothing was paid.
    :raises PictoryAuthenticationError: Pictory refused the key; nothing was paid.
    :raises PictoryInsufficientCreditsError: the account is out of AI credits.
    :raises PictoryRateLimitedError: too many requests; nothing was paid, a retry helps.
    :raises PictoryAPIError: Pictory refused or couldn't be reached; nothing was paid, a retry may help.
    :raises PictorySubmissionUnknownError: no answer says whether Pictory took it; not retried.
    :raises PictoryJobError: the video was accepted, but then something failed, the job or the wait for it.
        Not retried, since a retry would submit another video.
    """

    template_fields: Sequence[str] = (
        "prompt",
        "model",
        "aspect_ratio",
        "duration",
        "first_frame_image_url",
        "extend_video_url",
        "reference_image_urls",
        "webhook",
        "extra_fields",
        "pictory_conn_id",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"prompt": "md", "extra_fields": "json"}
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
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
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

    @cached_property
    def hook(self) -> PictoryHook:
        """The hook of this operator's connection, imported only where it runs."""
        from airflow_provider_pictory.hooks.pictory import PictoryHook

        return PictoryHook(self.pictory_conn_id)

    def execute(self, context: Context) -> str:
        """Submit the video and, if asked to, wait for it."""
        request = self._request()
        poll_interval = seconds(self.poll_interval, "poll_interval")
        timeout = seconds(self.timeout, "timeout") or DEFAULT_TIMEOUT
        for warning in request.warnings:
            self.log.warning(warning)
        self.log.info("Submitting a video to Pictory: %s", request)
        job_id: str | None = None
        try:
            job_id = self.hook.submit_video(request)
            # Logged before anything else can fail, so that the id of what is paid for can always be found.
            self.log.info("Pictory accepted the video as job %s", job_id)
            context["ti"].xcom_push(key="job_id", value=job_id)
            if not self.wait_for_completion:
                return job_id
            deadline = deadline_after(timeout)
            if self.deferrable:
                self._defer(job_id, deadline.isoformat(), poll_interval)
            watch = JobWatch(
                job_id, deadline=deadline, poll_interval=poll_interval, log=self.log, advice=_advice(job_id)
            )
            return self._finish(context, wait_for_job(self.hook, watch))
        except TaskDeferred:
            raise
        except BaseException as error:
            if job_id is None:
                raise
            self._end(job_id, error)

    def execute_complete(
        self,
        context: Context,
        event: dict[str, Any] | None = None,
        deadline: str | None = None,
        doubts: int = 0,
        job_id: str | None = None,
    ) -> str:
        """
        Go on after the trigger.

        :param event: the trigger's; checked before it is believed.
        :param deadline: the moment when the wait ends, handed through by the deferral.
        :param doubts: how often an event left things in doubt before, handed through likewise.
        :param job_id: of the submitted video, handed through likewise.
        """
        try:
            job_id = job_id or context["ti"].xcom_pull(
                task_ids=self.task_id, key="job_id", map_indexes=context["ti"].map_index
            )
            deadline = deadline or datetime.now(UTC).isoformat()
            job = job_after_event(
                event,
                hook=self.hook,
                job_id=job_id,
                deadline=deadline,
                advice=_advice(job_id),
                doubts=doubts,
            )
            if job is None:
                self._defer(job_id, deadline, seconds(self.poll_interval, "poll_interval"), doubts + 1)
            return self._finish(context, job)
        except TaskDeferred:
            raise
        except BaseException as error:  # noqa: BLE001  (whatever it is, Airflow must not submit again)
            self._end(job_id or "(see the log of its submission)", error)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> str:
        """Take a last look at the job also when Airflow itself gave up on the trigger."""
        arguments = resume_arguments(next_method, next_kwargs, timeout=DEFAULT_TIMEOUT, log=self.log)
        return self.execute_complete(context, **arguments)

    def _request(self) -> VideoRequest:
        try:
            return VideoRequest(
                prompt=self.prompt,
                model=self.model,
                aspect_ratio=self.aspect_ratio,
                duration=self.duration,
                first_frame_image_url=self.first_frame_image_url,
                extend_video_url=self.extend_video_url,
                reference_image_urls=self.reference_image_urls,
                webhook=self.webhook,
                extra_fields=self.extra_fields,
            )
        except InvalidRequestError as error:
            raise PictoryInvalidRequestError(f"Nothing was submitted: {error}") from error

    def _defer(self, job_id: str, deadline: str, poll_interval: float | None, doubts: int = 0) -> NoReturn:
        arguments = deferral(
            job_id=job_id,
            pictory_conn_id=self.pictory_conn_id,
            deadline=deadline,
            poll_interval=poll_interval,
            doubts=doubts,
        )
        arguments["kwargs"]["job_id"] = job_id
        self.defer(**arguments)

    def _finish(self, context: Context, job: VideoJob) -> str:
        require_completed(job)
        context["ti"].xcom_push(key="video", value=job.result)
        self.log.info("Pictory job %s is completed: %s", job.job_id, describe(job))
        return job.job_id

    def _end(self, job_id: str, error: BaseException) -> NoReturn:
        """End without a retry whatever went wrong, since a retry would submit, and pay for, another video."""
        if isinstance(error, (PictoryJobError, PictoryJobNotFoundError, PictoryInsufficientCreditsError)):
            raise error
        if not isinstance(error, (Exception, AirflowTaskTimeout)):
            # The task is being killed. Airflow 2 decides by this attribute whether another try follows, and
            # an error in place of this one would undo a user's "mark as success".
            self.retries = 0
            self.log.warning("Pictory job %s goes on and is paid for. %s", job_id, _advice(job_id))
            raise error
        raise PictoryJobError(
            f"Pictory accepted job {job_id}, which goes on and is paid for, but then this task failed "
            f"({type(error).__name__}: {error}). It is not retried, since that would submit another video. "
            f"{_advice(job_id)}",
            job_id=job_id,
        ) from error


def _advice(job_id: str) -> str:
    return (
        f"Wait for it with VideoJobSensor(job_id={job_id!r}); clearing this task would submit, and pay for, "
        "another video."
    )
