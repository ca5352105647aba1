"""What the author of a DAG decides about submitting, checked before anything is paid."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_pictory.arguments import (
    OnClear,
    OnUnknownSubmission,
    choice,
    credit_limit,
    switch,
    time_span,
)

__all__ = ["OnClear", "OnUnknownSubmission", "SubmissionPolicy"]


@dataclass(frozen=True)
class SubmissionPolicy:
    """
    What the author of a DAG decides about submitting.

    :param on_clear: what a person's clear means.
    :param on_unknown_submission: what to do where nothing tells whether a submission arrived.
    :param resubmit_failed: whether a failed job may be followed by another one.
    :param reconcile_timeout: seconds to wait for jobs that may have come from a lost submission, and for
        other tasks that may have lost the same.
    :param max_credits: the most that a video may cost, in AI credits.
    :param check_quota: whether to ask the account first whether it has enough credits.
    """

    on_clear: OnClear = OnClear.AUTO
    on_unknown_submission: OnUnknownSubmission = OnUnknownSubmission.FAIL
    resubmit_failed: bool = False
    reconcile_timeout: float = 900.0
    max_credits: float | None = None
    check_quota: bool = False

    @classmethod
    def read(
        cls,
        *,
        on_clear: object,
        on_unknown_submission: object,
        resubmit_failed: object,
        reconcile_timeout: object,
        max_credits: object,
        check_quota: object,
        max_credits_was_given: bool = False,
    ) -> SubmissionPolicy:
        """
        Check what an operator was given.

        :raises PictoryInvalidRequestError: for what makes no sense, by the argument's name.
        """
        return cls(
            on_clear=choice(on_clear, "on_clear", OnClear),
            on_unknown_submission=choice(on_unknown_submission, "on_unknown_submission", OnUnknownSubmission),
            resubmit_failed=switch(resubmit_failed, "resubmit_failed"),
            reconcile_timeout=time_span(reconcile_timeout, "reconcile_timeout") or cls.reconcile_timeout,
            max_credits=credit_limit(max_credits, "max_credits", max_credits_was_given),
            check_quota=switch(check_quota, "check_quota"),
        )
