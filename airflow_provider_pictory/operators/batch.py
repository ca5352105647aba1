"""
The operator that submits many videos in one task, waits for them and says what became of each.

Loaded whenever a DAG file is parsed, so whatever only a running task needs is imported where it runs.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from airflow_provider_pictory.arguments import (
    DEFAULT_RECONCILE_TIMEOUT,
    DEFAULT_TIMEOUT,
    OnItemFailure,
    choice,
    credit_limit,
    job_limit,
    refuse_wrong_rules,
    switch,
    switches,
    time_span,
)
from airflow_provider_pictory.literals import is_of_a_file, is_plain_path, literals
from airflow_provider_pictory.request_arguments import REQUEST_ARGUMENTS, refuse_wrong_requests
from airflow_provider_pictory.submission.operator import CreditLimit, SubmittingOperator

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Literal

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_pictory.api import VideoModel
    from airflow_provider_pictory.batch.task import BatchTask

MAX_ACTIVE_JOBS = 20
SWITCHES = ("deferrable", "check_quota", "resubmit_failed")
RULES = (
    "on_clear",
    "on_unknown_submission",
    "on_item_failure",
    "max_active_jobs",
    "max_credits",
    "max_credits_per_video",
)


class GenerateVideosOperator(SubmittingOperator):
    """
    Generate many videos, and wait for all of them.

    All items are checked before the first is submitted, and faults are reported together, the first 20 in
    words. Each item is then submitted as :class:`GenerateVideoOperator` submits its one video: once, whatever
    crashes. A retry, and a clear of a batch that failed, submit only the items that have neither a job nor a
    video. A new item is submitted; items with a key of their own keep their job when the order changes,
    others are identified by their place in the list. The outcome of one item doesn't affect the others.

    At most ``max_active_jobs`` jobs are in flight. While they run the task is deferred. To submit more, it is
    resumed only when half of them have ended, or as many as there are items to submit.

    :param requests: a list of prompts, or of dicts of a request's fields, as the arguments below are called,
        each with an optional ``key``: a text that names it, such as a product's id. Also the output of a
        task, mapped or not, and a template that renders to such a list. (templated)
    :param prompt: what the videos show, for items without a prompt of their own. This and the next arguments
        are those of :class:`GenerateVideoOperator`, for items without the field. (templated)
    :param model: the model; ``pixverse5.5`` by default. (templated)
    :param aspect_ratio: such as ``"16:9"``; the model's first by default. (templated)
    :param duration: seconds of each video; the model's first by default. (templated)
    :param first_frame_image_url: public URL of an image to start from; not used for an item with a source of
        its own. (templated)
    :param extend_video_url: public URL of a video to continue; the same holds. (templated)
    :param reference_image_urls: 1 to 3 public URLs of images to resemble; the same holds. (templated)
    :param webhook: URL that Pictory notifies when a job ends. (templated)
    :param extra_fields: further fields under the names that Pictory uses, sent as they are. (templated)
    :param pictory_conn_id: id of the Airflow connection. (templated)
    :param max_active_jobs: how many jobs may be in flight; 20 by default, ``None`` for all.
    :param on_item_failure: ``"fail"`` (default) fails the task at the end, when everything else is done and
        recorded, if any item has no video; ``"skip"`` lets it succeed, with those items marked.
    :param manifest_path: also write the manifest as a file of JSON lines, such as
        ``"s3://media@videos/clips.jsonl"``; an existing file is replaced. (templated)
    :param poll_interval: seconds, or a ``timedelta``, between polls of a job. By default our own schedule.
    :param timeout: seconds, or a ``timedelta``, to wait for each video; 1 hour by default.
    :param deferrable: wait in the triggerer (default), or on the worker.
    :param max_credits: the most AI credits that the whole batch may cost by our estimate. (templated)
    :param max_credits_per_video: the most that each of its videos may cost. (templated)
    :param check_quota: ask once whether the account has the AI credits for what is to be submitted (off).
    :param on_clear: what a clear means for items that have a job, as for :class:`GenerateVideoOperator`.
    :param on_unknown_submission: what to do with an item where nothing tells whether its submission arrived:
        ``"fail"`` (default), or ``"resubmit"``, which may pay twice.
    :param resubmit_failed: let a retry submit again the items whose job failed.
    :param reconcile_timeout: seconds, or a ``timedelta``, to wait for running jobs that may have come from a
        submission whose response was lost; 15 minutes by default.

    :xcom return_value: the manifest, a list in the order of the requests. Each item is a flat dict of JSON
        types: ``key``, ``state`` (``completed``, ``failed``, ``running``, ``unknown`` or ``waiting``),
        ``job_id``, the fields of a :class:`VideoJobSensor`'s result except for ``status``; ``error_code``,
        ``error_message`` and ``estimated_credits``. With ``manifest_path`` it is the path of the file that
        has them.
    :xcom summary: a dict of ``total``, ``completed``, ``failed``, ``estimated_credits`` and ``used_credits``.

    :raises PictoryInvalidRequestError: items or arguments are wrong; nothing was paid.
    :raises PictorySpendingLimitError: the batch would cost more than it may; nothing was paid.
    :raises PictoryBatchFailedError: items have no video; the message names the first of them.
    :raises PictoryBatchError: the same with ``resubmit_failed``, so that a retry submits them again.
    :raises PictoryExecutionTimeoutError: the ``execution_timeout`` is over; a retry resumes the wait.
    :raises PictoryError: as :class:`GenerateVideoOperator`, where no more items can be submitted; what is in
        flight has been awaited by then.
    """

    template_fields: Sequence[str] = (
        "requests",
        *REQUEST_ARGUMENTS,
        "pictory_conn_id",
        "manifest_path",
        "max_credits",
        "max_credits_per_video",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"requests": "json", "extra_fields": "json"}
    ui_color = "#cbbcf5"
    max_credits_per_video = CreditLimit()
    _batch: BatchTask | None = None

    def __init__(
        self,
        *,
        requests: Sequence[str | Mapping[str, Any]] | str,
        prompt: str | None = None,
        model: VideoModel | str | None = None,
        aspect_ratio: str | None = None,
        duration: float | str | None = None,
        first_frame_image_url: str | None = None,
        extend_video_url: str | None = None,
        reference_image_urls: Sequence[str] | str | None = None,
        webhook: str | None = None,
        extra_fields: Mapping[str, Any] | None = None,
        pictory_conn_id: str = "pictory_default",
        max_active_jobs: int | None = MAX_ACTIVE_JOBS,
        on_item_failure: Literal["fail", "skip"] = "fail",
        manifest_path: str | None = None,
        poll_interval: timedelta | float | None = None,
        timeout: timedelta | float = DEFAULT_TIMEOUT,
        deferrable: bool = True,
        max_credits: float | str | None = None,
        max_credits_per_video: float | str | None = None,
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
        self.requests = requests
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
        self.max_active_jobs = max_active_jobs
        self.on_item_failure = on_item_failure
        self.manifest_path = manifest_path
        self.poll_interval = poll_interval
        self.timeout = timeout
        self.deferrable = deferrable
        self.max_credits = max_credits
        self.max_credits_per_video = max_credits_per_video
        self.check_quota = check_quota
        self.on_clear = on_clear
        self.on_unknown_submission = on_unknown_submission
        self.resubmit_failed = resubmit_failed
        self.reconcile_timeout = reconcile_timeout
        if is_of_a_file(self, GenerateVideosOperator):
            self._refuse_wrong_literals()

    def execute(self, context: Context) -> Any:
        """Submit the batch's videos, as far as there is room, and wait for them."""
        return self._begin(context, is_resumed=False)

    def execute_complete(
        self, context: Context, event: dict[str, Any] | None = None, **handed_through: Any
    ) -> Any:
        """
        Continue after the trigger's event.

        :param event: the trigger's event; checked before it is used.
        :param handed_through: the fields of a :class:`DeferredBatch`.
        """
        from airflow_provider_pictory.batch.deferred_batch import DeferredBatch

        wait = DeferredBatch.read(handed_through)
        if wait.is_of_another_try(context):
            self.log.info("This try was resumed with an event of try %s, so it starts anew", wait.try_number)
            return self._begin(context, is_resumed=True)
        batch = self._open(context, began=wait.began_at, is_resumed=True)
        batch.take(event, wait)
        return self._go_on(context, batch)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Continue also when Airflow itself gave up on the trigger."""
        if next_method != "__fail__":
            return self.execute_complete(context, **(next_kwargs or {}))
        # Airflow passes nothing on in this case, so the rest is read from the record.
        self.log.warning("Airflow ended the wait in the triggerer: %s", (next_kwargs or {}).get("error"))
        return self._begin(context, is_resumed=True)

    def on_kill(self) -> None:
        """Log what a killed task leaves behind, since there is no way to cancel a job."""
        if self._batch is None:
            self._is_being_killed = True
        else:
            self._batch.stop()

    def _refuse_wrong_literals(self) -> None:
        """
        Refuse, while the DAG file is parsed and with the message of a run, what can never be right.

        :raises PictoryInvalidRequestError: for the first kind of argument that is wrong; of the requests, for
            all at once.
        """
        given = literals(self, (*SWITCHES, *RULES, *REQUEST_ARGUMENTS, "requests", "manifest_path"))
        for name in SWITCHES:
            switch(given[name], name)
        refuse_wrong_rules(given, has_limit=SubmittingOperator.max_credits.was_given(self))
        choice(self.on_item_failure, "on_item_failure", OnItemFailure)
        job_limit(self.max_active_jobs, "max_active_jobs")
        if "max_credits_per_video" in given:
            credit_limit(
                self.max_credits_per_video,
                "max_credits_per_video",
                GenerateVideosOperator.max_credits_per_video.was_given(self),
            )
        if given.get("manifest_path") is not None and not is_plain_path(self.manifest_path):
            from airflow_provider_pictory.saving.path import path_text

            path_text(self.manifest_path, "manifest_path")
        self._refuse_multiple_outputs()
        self._refuse_wrong_requests(given)

    def _refuse_wrong_requests(self, given: dict[str, Any]) -> None:
        refuse_wrong_requests(given)

    def _begin(self, context: Context, *, is_resumed: bool) -> Any:
        batch = self._open(context, began=datetime.now(UTC), is_resumed=is_resumed)
        batch.check_quota()
        return self._go_on(context, batch)

    def _open(self, context: Context, *, began: datetime, is_resumed: bool) -> BatchTask:
        from airflow_provider_pictory.batch.task import open_batch

        switches(self, SWITCHES)
        self._refuse_multiple_outputs()
        self._batch = open_batch(
            self,
            context,
            policy=self._policy(),
            max_credits_per_video_was_given=GenerateVideosOperator.max_credits_per_video.was_given(self),
            began=began,
            is_resumed=is_resumed,
        )
        if self._is_being_killed:
            self._batch.stop()
        return self._batch

    def _go_on(self, context: Context, batch: BatchTask) -> Any:
        while (awaited := batch.advance()) is not None:
            if self.deferrable:
                self._defer(batch.deferral(awaited))
            batch.wait_here(awaited)
        return batch.finish(context)

    def _defer(self, arguments: dict[str, Any]) -> NoReturn:
        from airflow_provider_pictory.triggers.batch import VideoBatchTrigger

        self.defer(
            trigger=VideoBatchTrigger(**arguments.pop("trigger")), method_name="execute_complete", **arguments
        )
