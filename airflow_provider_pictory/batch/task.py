"""A batch as its task runs it: checked, submitted, awaited here or in the triggerer, and handed on."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_pictory.arguments import (
    DEFAULT_TIMEOUT,
    OnClear,
    OnItemFailure,
    choice,
    credit_limit,
    job_limit,
    time_span,
)
from airflow_provider_pictory.assets import describe_videos
from airflow_provider_pictory.batch.credits import guard_limits, guard_quota
from airflow_provider_pictory.batch.deferred_batch import DeferredBatch
from airflow_provider_pictory.batch.manifest import (
    failures_in_words,
    manifest_of,
    summary_of,
    what_helps,
    write_manifest,
)
from airflow_provider_pictory.batch.plan import ItemState
from airflow_provider_pictory.batch.run import BatchRun
from airflow_provider_pictory.batch.store import open_batch_store
from airflow_provider_pictory.batch_requests import read_batch
from airflow_provider_pictory.clock import SYSTEM_CLOCK
from airflow_provider_pictory.exceptions import (
    PictoryBatchError,
    PictoryBatchFailedError,
    PictoryError,
    PictoryExecutionTimeoutError,
)
from airflow_provider_pictory.request_arguments import REQUEST_ARGUMENTS
from airflow_provider_pictory.saving.path import find_destination
from airflow_provider_pictory.submission.attempt import Attempt
from airflow_provider_pictory.submission.task_states import why_success_is_lost
from airflow_provider_pictory.waiting.batch_events import read_batch_event, wait_for_ends
from airflow_provider_pictory.waiting.events import MOST_INCONCLUSIVE
from airflow_provider_pictory.waiting.intervals import first_poll_at
from airflow_provider_pictory.waiting.limits import WaitLimit, wait_limit
from airflow_provider_pictory.waiting.starting import backstop_after

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_pictory.batch.plan import Awaited
    from airflow_provider_pictory.batch_requests import BatchItem
    from airflow_provider_pictory.saving.destination import Destination
    from airflow_provider_pictory.submission.policy import SubmissionPolicy

MANIFEST_NAME = "manifest.jsonl"


class BatchTask:
    """
    One process's part of a batch's task.

    :param operator: the task's, with its templates rendered.
    :param context: Airflow's of the running task.
    :param policy: what the author of the DAG decided, as for a single video.
    :param max_credits_per_video: the most that each video may cost.
    :param began: when this try of the task began.
    :param is_resumed: whether another process of this try has come before.
    """

    def __init__(
        self,
        operator: Any,
        context: Context,
        *,
        policy: SubmissionPolicy,
        max_credits_per_video: float | None,
        began: datetime,
        is_resumed: bool,
    ) -> None:
        self._operator = operator
        self._task_instance = context["ti"]
        self._policy = policy
        self._max_credits_per_video = max_credits_per_video
        self._began = began
        self._log = operator.log
        self._on_item_failure = choice(operator.on_item_failure, "on_item_failure", OnItemFailure)
        self._timeout = time_span(operator.timeout, "timeout") or DEFAULT_TIMEOUT
        self._poll_interval = time_span(operator.poll_interval, "poll_interval")
        self._destination: Destination | None = None
        if operator.manifest_path is not None:
            self._destination = find_destination(operator.manifest_path, None, MANIFEST_NAME, "manifest_path")
        self._items: tuple[BatchItem, ...] = read_batch(
            operator.requests,
            {
                name: getattr(operator, name)
                for name in REQUEST_ARGUMENTS
                if getattr(operator, name) is not None
            },
        )
        self._limits: dict[str, WaitLimit] = {}
        self._inconclusive = 0
        self._store = open_batch_store(context)
        self._run = BatchRun(
            self._items,
            store=self._store,
            attempt=Attempt.of(self._task_instance, pushes_result=operator.do_xcom_push),
            hook=operator.hook,
            policy=policy,
            max_active_jobs=job_limit(operator.max_active_jobs, "max_active_jobs"),
            clock=SYSTEM_CLOCK,
            log=self._log,
        )
        guard_limits(self._items, max_credits=policy.max_credits, max_credits_per_video=max_credits_per_video)
        self._run.open(is_resumed=is_resumed)

    def check_quota(self) -> None:
        """
        Log what is to be submitted and its cost, once the account can pay for it, where that is wanted.

        :raises PictoryError: it can't pay, or can't be asked; nothing was submitted.
        """
        items = [item for item in self._items if not self._run.has_job_or_may_have(item.key)]
        if self._policy.check_quota:
            guard_quota(items, self._operator.hook)
        if items:
            cost = sum(item.request.estimated_credits or 0.0 for item in items)
            self._log.info("Submitting %d videos to Pictory: about %g AI credits", len(items), round(cost, 2))

    def stop(self) -> None:
        """Submit nothing from now on, and log what the task leaves behind."""
        self._run.stop()
        self._log.warning(
            "This task is being killed. Pictory has no way to cancel a job: the %d that are in flight go on "
            "and are paid for. Clearing this task goes on with them",
            len(self._run.state.in_flight()),
        )

    def take(self, event: object, wait: DeferredBatch) -> None:
        """
        Take up the wait that the task was resumed from; too many events that tell nothing end it.

        :param event: the trigger's event; checked before it is used.
        :param wait: what the deferral has handed through.
        :raises PictoryRecordError: what is known can't be recorded.
        """
        self._limits = wait.wait_limits
        self._inconclusive = wait.inconclusive
        self._take_event(event)

    def advance(self) -> Awaited | None:
        """
        Submit what there is room for.

        :return: what to wait for, ``None`` where the batch is over, or this try is.
        :raises PictoryRecordError: what is known can't be recorded, or another try has taken over.
        """
        awaited = self._run.advance()
        if awaited is None or isinstance(self._run.trouble, PictoryExecutionTimeoutError):
            return None
        self._limits = {key: self._limits.get(key) or self._new_limit() for key in awaited.jobs}
        self._log.info("Batch: %s", self._run.state.progress)
        return awaited

    def deferral(self, awaited: Awaited) -> dict[str, Any]:
        """Return the arguments of ``defer``, and those of the trigger among them."""
        now = datetime.now(UTC)
        latest = max(limit.deadline for limit in self._limits.values())
        return {
            "trigger": {
                **self._wait_arguments(awaited),
                "progress": asdict(self._run.state.progress),
                "first_poll": first_poll_at(now, self._poll_interval).isoformat(),
            },
            "kwargs": asdict(
                DeferredBatch(
                    try_number=getattr(self._task_instance, "try_number", None),
                    began=self._began.isoformat(),
                    limits={
                        key: (limit.argument, limit.seconds, limit.deadline.isoformat())
                        for key, limit in self._limits.items()
                    },
                    inconclusive=self._inconclusive,
                )
            ),
            "timeout": backstop_after(max(0.0, (latest - now).total_seconds())),
        }

    def wait_here(self, awaited: Awaited) -> None:
        """Wait on the worker, as a trigger would."""
        self._take_event(
            asyncio.run(
                wait_for_ends(
                    **self._wait_arguments(awaited),
                    first_poll=None,
                    progress=lambda ended: f"Batch: {self._run.state.progress}; {ended} more have ended",
                    log=self._log,
                )
            )
        )

    def finish(self, context: Context) -> Any:
        """
        Hand on what became of the batch.

        :return: the manifest, or the path of its file.
        :raises PictoryBatchError: items have no video, and that fails the task.
        :raises PictoryError: what has kept items from being submitted.
        """
        manifest = manifest_of(self._run.state)
        summary = summary_of(manifest)
        self._log.info(
            "Batch: %d of %d videos are completed, %d are missing; about %g AI credits by our estimate, %g "
            "used as far as Pictory says",
            summary["completed"],
            summary["total"],
            summary["failed"],
            summary["estimated_credits"],
            summary["used_credits"],
        )
        context["ti"].xcom_push(key="summary", value=summary)
        path = None
        if self._destination is not None:
            write_manifest(manifest, self._destination)
            path = self._destination.name
            self._log.info("The manifest is at %s", path)
        self._run.tidy_up()
        if self._run.trouble is not None:
            raise self._run.trouble
        if summary["failed"] and self._on_item_failure is OnItemFailure.FAIL:
            raise self._failure(manifest)
        if why := why_success_is_lost(context, self._store.place, self._log):
            raise PictoryError(
                f"This task has to end, since {why}; a retry or a clear of it goes on with its videos"
            )
        completed = [line for line in manifest if line["state"] == ItemState.COMPLETED]
        describe_videos(self._operator.outlets, context, completed, path)
        self._run.deliver()
        return path or manifest

    def _failure(self, manifest: Sequence[Mapping[str, Any]]) -> PictoryBatchError:
        resubmits = self._policy.resubmit_failed
        is_always_new = self._policy.on_clear is OnClear.NEW
        advice = what_helps(manifest, resubmits=resubmits, is_always_new=is_always_new)
        words = f"{failures_in_words(manifest)}. {advice}"
        return PictoryBatchError(words) if resubmits else PictoryBatchFailedError(words)

    def _take_event(self, event: object) -> None:
        jobs = self._run.state.in_flight()
        keys = {job_id: key for key, job_id in jobs.items()}
        read = read_batch_event(event, set(keys))
        if read is not None:
            self._inconclusive = 0
            self._run.note_ends(read.ended)
            still_open = [keys[job_id] for job_id in read.open_job_ids if job_id in keys]
        else:
            self._inconclusive += 1
            still_open = list(jobs)
            if self._inconclusive > MOST_INCONCLUSIVE:
                words = event.get("message") if isinstance(event, dict) else None
                self._run.trouble = PictoryError(
                    f"Waiting for {len(jobs)} Pictory jobs in the triggerer keeps failing: "
                    f"{words or 'its events make no sense'}. They go on and are paid for; a retry or a clear "
                    "of this task goes on with them"
                )
        self._run.poll_open(self._limits, still_open)
        over = [limit for key, limit in self._limits.items() if limit.argument == "execution_timeout"]
        if over and min(limit.deadline for limit in over) <= datetime.now(UTC):
            left = self._run.state.in_flight()
            self._run.trouble = PictoryExecutionTimeoutError(
                f"The execution_timeout of {over[0].seconds:g} s is over, and {len(left)} jobs of this batch "
                "are not: they go on and are paid for. A retry or a clear of this task goes on with them",
                job_id=next(iter(left.values()), ""),
            )
            return
        self._run.look_for_unknown()

    def _new_limit(self) -> WaitLimit:
        return wait_limit(
            self._operator,
            self._timeout,
            began=self._began,
            is_deferred=self._operator.deferrable,
            task_instance=self._task_instance,
        )

    def _wait_arguments(self, awaited: Awaited) -> dict[str, Any]:
        return {
            "jobs": [
                (job_id, self._limits[key].deadline.isoformat()) for key, job_id in awaited.jobs.items()
            ],
            "ends": awaited.ends,
            "pictory_conn_id": self._operator.pictory_conn_id,
            "poll_interval": self._poll_interval,
            "until": awaited.until.isoformat() if awaited.until is not None else None,
        }


def open_batch(
    operator: Any,
    context: Context,
    *,
    policy: SubmissionPolicy,
    max_credits_per_video_was_given: bool,
    began: datetime,
    is_resumed: bool,
) -> BatchTask:
    """
    Check a batch's arguments, and take over what the processes before this one have submitted.

    :param operator: the task's, with its templates rendered.
    :param context: Airflow's of the running task.
    :param policy: what the author of the DAG decided, as for a single video.
    :param max_credits_per_video_was_given: whether that limit was given, even if it is ``None`` by now.
    :param began: when this try of the task began.
    :param is_resumed: whether another process of this try has come before.
    :raises PictoryInvalidRequestError: arguments or items are wrong.
    :raises PictorySpendingLimitError: the batch would cost more than it may.
    :raises PictoryRecordError: what was submitted before can't be read.
    """
    return BatchTask(
        operator,
        context,
        policy=policy,
        max_credits_per_video=credit_limit(
            operator.max_credits_per_video, "max_credits_per_video", max_credits_per_video_was_given
        ),
        began=began,
        is_resumed=is_resumed,
    )
