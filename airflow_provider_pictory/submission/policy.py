"""What the author of a DAG decides about submitting, checked before anything is paid."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from airflow_provider_pictory.api.checks import is_absent
from airflow_provider_pictory.api.faults import listed, shown
from airflow_provider_pictory.api.jobs import read_number
from airflow_provider_pictory.exceptions import PictoryInvalidRequestError
from airflow_provider_pictory.polling import seconds

Choice = TypeVar("Choice", bound=StrEnum)


class OnClear(StrEnum):
    """What a person's clear of the task means."""

    AUTO = "auto"
    NEW = "new"
    REATTACH = "reattach"


class OnUnknownSubmission(StrEnum):
    """What to do where nothing tells whether a submission arrived."""

    FAIL = "fail"
    RESUBMIT = "resubmit"


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
    ) -> SubmissionPolicy:
        """
        Check what an operator was given.

        :raises PictoryInvalidRequestError: for what makes no sense, by the argument's name.
        """
        return cls(
            on_clear=_choice(OnClear, on_clear, "on_clear"),
            on_unknown_submission=_choice(
                OnUnknownSubmission, on_unknown_submission, "on_unknown_submission"
            ),
            resubmit_failed=_switch(resubmit_failed, "resubmit_failed"),
            reconcile_timeout=seconds(reconcile_timeout, "reconcile_timeout") or cls.reconcile_timeout,
            max_credits=_credits(max_credits, "max_credits"),
            check_quota=_switch(check_quota, "check_quota"),
        )


def _choice(choices: type[Choice], given: object, field: str) -> Choice:
    try:
        return choices(str(given))
    except ValueError:
        raise PictoryInvalidRequestError(
            f"Nothing was submitted: {field}: got {shown(given)}, but it must be one of {listed(choices)}"
        ) from None


def _switch(given: object, field: str) -> bool:
    if isinstance(given, bool):
        return given
    raise PictoryInvalidRequestError(
        f"Nothing was submitted: {field}: got {shown(given)}, but it must be True or False"
    )


def _credits(given: object, field: str) -> float | None:
    if is_absent(given):
        return None
    number = None if isinstance(given, bool) else read_number(given)
    if number is None:
        raise PictoryInvalidRequestError(
            f"Nothing was submitted: {field}: got {shown(given)}, but a number of AI credits is needed, such "
            "as 20"
        )
    return number
