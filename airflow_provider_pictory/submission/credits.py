"""What a video may cost, checked before anything is paid."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_pictory.exceptions import PictoryInsufficientCreditsError, PictorySpendingLimitError

if TYPE_CHECKING:
    from airflow_provider_pictory.api import VideoRequest
    from airflow_provider_pictory.hooks.pictory import PictoryHook
    from airflow_provider_pictory.submission.policy import SubmissionPolicy


def guard_credits(request: VideoRequest, policy: SubmissionPolicy, hook: PictoryHook) -> None:
    """
    Refuse what costs too much, and what the account can't pay.

    :raises PictorySpendingLimitError: the video would cost more than it may.
    :raises PictoryInsufficientCreditsError: the account has too few credits left.
    :raises PictoryError: the quota can't be read.
    """
    needed, most = request.estimated_credits, policy.max_credits
    if most is not None and (needed is None or needed > most):
        cost = "what this video costs can't be estimated"
        if needed is not None:
            cost = f"this video would cost about {needed:g} AI credits"
        raise PictorySpendingLimitError(
            f"max_credits: {cost} ({request}), and at most {most:g} AI credits may be spent. Nothing was "
            "submitted; choose a shorter duration or a cheaper model, or raise max_credits"
        )
    if not policy.check_quota:
        return
    quota = hook.get_quota()
    if quota.ai_credits_left < (needed or 0) or not quota.ai_credits_left:
        raise PictoryInsufficientCreditsError(
            f"Nothing was submitted: {quota.ai_credits_used:,.12g} of {quota.ai_credits_limit:,.12g} AI "
            f"credits are used, so {quota.ai_credits_left:,.12g} are left, and this video needs "
            f"{'an unknown number' if needed is None else f'about {needed:g}'} ({request})"
        )
