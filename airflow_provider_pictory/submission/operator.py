"""
What operators that submit videos have in common: their limits, their policy, and what a kill leaves behind.

Loaded whenever a DAG file is parsed, so whatever only a running task needs is imported where it runs.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_pictory.literals import is_mapped_over

if TYPE_CHECKING:
    from datetime import timedelta

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_pictory.hooks.pictory import PictoryHook
    from airflow_provider_pictory.submission.submitter import Submitter


class SubmittingOperator(BaseOperator):
    """Submit by the arguments that an operator has for it, and say what outlives the task."""

    pictory_conn_id: str
    on_clear: str
    on_unknown_submission: str
    resubmit_failed: bool
    reconcile_timeout: timedelta | float
    check_quota: bool
    _max_credits: float | str | None = None
    _has_limit = False
    _submission: Submitter | None = None
    _is_being_killed = False

    @property
    def max_credits(self) -> float | str | None:
        """The most AI credits that the video may cost."""
        return self._max_credits

    @max_credits.setter
    def max_credits(self, value: float | str | None) -> None:
        self._max_credits = value
        # Kept, since a template or the output of a task can be None once it is rendered.
        self._has_limit = self._has_limit or value is not None

    @cached_property
    def hook(self) -> PictoryHook:
        """The hook of this operator's connection."""
        from airflow_provider_pictory.hooks.pictory import PictoryHook

        return PictoryHook(self.pictory_conn_id)

    def _open_submission(self, context: Context, *, waits: bool) -> Submitter:
        from airflow_provider_pictory.submission.policy import SubmissionPolicy
        from airflow_provider_pictory.submission.submitter import Submitter

        policy = SubmissionPolicy.read(
            on_clear=self.on_clear,
            on_unknown_submission=self.on_unknown_submission,
            resubmit_failed=self.resubmit_failed,
            reconcile_timeout=self.reconcile_timeout,
            max_credits=self.max_credits,
            max_credits_was_given=self._has_limit or is_mapped_over(self, "max_credits"),
            check_quota=self.check_quota,
        )
        self._submission = Submitter(
            context=context,
            hook=self.hook,
            policy=policy,
            log=self.log,
            pushes_result=self.do_xcom_push,
            waits=waits,
        )
        # In this order, since the signal may strike in between.
        if self._is_being_killed:
            self._submission.stop()
        return self._submission

    def on_kill(self) -> None:
        """Say what a killed task leaves behind, since there is no way to cancel it."""
        from airflow_provider_pictory.submission.advice import after_kill

        submission = self._submission
        if submission is None:
            # Airflow 3 lets the task run on for seconds after the signal, through the imports for instance.
            self._is_being_killed = True
            return
        submission.stop()
        after_kill(submission, self.log)

    def _use_connection(self, pictory_conn_id: str) -> None:
        """Go on over the connection that the job was submitted over, were another one set since."""
        if pictory_conn_id != self.pictory_conn_id:
            self.pictory_conn_id = pictory_conn_id
            self.__dict__.pop("hook", None)

    def _refuse_multiple_outputs(self) -> None:
        if self.multiple_outputs and self.do_xcom_push:
            from airflow_provider_pictory.exceptions import PictoryInvalidRequestError

            raise PictoryInvalidRequestError(
                "Nothing was submitted: multiple_outputs: got True, but this task returns a job id, which "
                "can't be split; leave it out, also of the DAG's default_args"
            )

    def _say_what_goes_on(self, error: Exception) -> None:
        from airflow_provider_pictory.submission.advice import after_error

        after_error(error, self._submission.job_id if self._submission else None, self.on_clear, self.log)
