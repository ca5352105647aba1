"""
What operators that submit videos have in common: their limits, their policy, and what a kill leaves behind.

Loaded whenever a DAG file is parsed, so whatever only a running task needs is imported where it runs.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, overload

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_pictory.literals import is_mapped_over, splits_result

if TYPE_CHECKING:
    from datetime import timedelta

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_pictory.hooks.pictory import PictoryHook
    from airflow_provider_pictory.submission.policy import SubmissionPolicy
    from airflow_provider_pictory.submission.task_submitter import TaskSubmitter


class CreditLimit:
    """
    An argument that limits what may be spent, as a descriptor that remembers whether it was given.

    A template or the output of a task can be ``None`` once it is rendered, which must not count as no limit.
    """

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, operator: None, owner: type) -> CreditLimit: ...

    @overload
    def __get__(self, operator: BaseOperator, owner: type) -> float | str | None: ...

    def __get__(self, operator: BaseOperator | None, owner: type) -> CreditLimit | float | str | None:
        return self if operator is None else vars(operator).get(f"_{self._name}")

    def __set__(self, operator: BaseOperator, value: float | str | None) -> None:
        vars(operator)[f"_{self._name}"] = value
        vars(operator)[f"_has_{self._name}"] = self.was_given(operator) or value is not None

    def was_given(self, operator: BaseOperator) -> bool:
        """Return whether the limit was given, by the DAG file or by what the task is mapped over."""
        return bool(vars(operator).get(f"_has_{self._name}")) or is_mapped_over(operator, self._name)


class SubmittingOperator(BaseOperator):
    """Submit by the arguments that an operator has for it, and say what outlives the task."""

    pictory_conn_id: str
    on_clear: str
    on_unknown_submission: str
    resubmit_failed: bool
    reconcile_timeout: timedelta | float
    check_quota: bool
    max_credits = CreditLimit()
    _submission: TaskSubmitter | None = None
    _is_being_killed = False

    @cached_property
    def hook(self) -> PictoryHook:
        """The hook of this operator's connection."""
        from airflow_provider_pictory.hooks.pictory import PictoryHook

        return PictoryHook(self.pictory_conn_id)

    def _policy(self) -> SubmissionPolicy:
        """
        Read what the author of the DAG decided.

        :raises PictoryInvalidRequestError: for what makes no sense.
        """
        from airflow_provider_pictory.submission.policy import SubmissionPolicy

        return SubmissionPolicy.read(
            on_clear=self.on_clear,
            on_unknown_submission=self.on_unknown_submission,
            resubmit_failed=self.resubmit_failed,
            reconcile_timeout=self.reconcile_timeout,
            max_credits=self.max_credits,
            max_credits_was_given=SubmittingOperator.max_credits.was_given(self),
            check_quota=self.check_quota,
        )

    def _open_submission(self, context: Context, *, waits: bool) -> TaskSubmitter:
        from airflow_provider_pictory.submission.task_submitter import TaskSubmitter

        self._submission = TaskSubmitter(
            context=context,
            hook=self.hook,
            policy=self._policy(),
            log=self.log,
            pushes_result=self.do_xcom_push,
            waits=waits,
        )
        # In this order, since the signal may arrive in between.
        if self._is_being_killed:
            self._submission.stop()
        return self._submission

    def on_kill(self) -> None:
        """Log what a killed task leaves behind, since there is no way to cancel a job."""
        from airflow_provider_pictory.submission.advice import after_kill

        submission = self._submission
        if submission is None:
            # Airflow 3 lets the task run on for seconds after the signal, through the imports for instance.
            self._is_being_killed = True
            return
        submission.stop()
        after_kill(submission, self.log)

    def _use_connection(self, pictory_conn_id: str) -> None:
        """Go on over the connection that the job was submitted over, even if another one was set since."""
        if pictory_conn_id != self.pictory_conn_id:
            self.pictory_conn_id = pictory_conn_id
            self.__dict__.pop("hook", None)

    def _refuse_multiple_outputs(self) -> None:
        if splits_result(self):
            from airflow_provider_pictory.exceptions import PictoryInvalidRequestError

            raise PictoryInvalidRequestError(
                "Nothing was submitted: multiple_outputs: got True, but what this task returns is no dict, "
                "so it can't be split; leave it out, also of the DAG's default_args"
            )

    def _say_what_goes_on(self, error: Exception) -> None:
        from airflow_provider_pictory.submission.advice import after_error

        after_error(error, self._submission.job_id if self._submission else None, self.on_clear, self.log)
