"""What a batch may cost, checked before its first video is paid for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_pictory.exceptions import PictoryInsufficientCreditsError, PictorySpendingLimitError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_pictory.batch_requests import BatchItem
    from airflow_provider_pictory.hooks.pictory import PictoryHook

MOST_NAMED = 5


def guard_limits(
    items: Sequence[BatchItem], *, max_credits: float | None, max_credits_per_video: float | None
) -> None:
    """
    Refuse a batch that costs too much.

    :param items: all of them, also those that were submitted before.
    :param max_credits: the most that they may cost together.
    :param max_credits_per_video: the most that each may cost.
    :raises PictorySpendingLimitError: they would cost more, or what they cost can't be estimated.
    """
    if (most := max_credits_per_video) is not None:
        dear = [item for item in items if not _is_within(item.request.estimated_credits, most)]
        if dear:
            named = ", ".join(f"{item} ({item.request})" for item in dear[:MOST_NAMED])
            more = f" and {len(dear) - MOST_NAMED} more" if len(dear) > MOST_NAMED else ""
            raise PictorySpendingLimitError(
                f"max_credits_per_video: {named}{more} would cost more than {most:g} AI credits, or an "
                "amount that can't be estimated. Nothing was submitted; choose a shorter duration or a "
                "cheaper model, or raise max_credits_per_video"
            )
    if max_credits is None:
        return
    unknown = [item for item in items if item.request.estimated_credits is None]
    total = _sum(items)
    if unknown or total > max_credits:
        cost = f"about {total:g} AI credits"
        if unknown:
            cost = f"an unknown amount, since what {unknown[0]} costs can't be estimated"
        raise PictorySpendingLimitError(
            f"max_credits: these {len(items)} videos would cost {cost}, and at most {max_credits:g} AI "
            "credits may be spent on the batch. Nothing was submitted; make fewer or cheaper videos, or "
            "raise max_credits"
        )


def guard_quota(items: Sequence[BatchItem], hook: PictoryHook) -> None:
    """
    Refuse what the account can't pay.

    :param items: those that are to be submitted.
    :param hook: to ask the account.
    :raises PictoryInsufficientCreditsError: the account has too few credits left.
    :raises PictoryError: the quota can't be read.
    """
    if not items:
        return
    quota, needed = hook.get_quota(), _sum(items)
    if quota.ai_credits_left < needed or not quota.ai_credits_left:
        raise PictoryInsufficientCreditsError(
            f"Nothing was submitted: {quota.ai_credits_used:,.12g} of {quota.ai_credits_limit:,.12g} AI "
            f"credits are used, so {quota.ai_credits_left:,.12g} are left, and these {len(items)} videos "
            f"need about {needed:g}"
        )


def _is_within(cost: float | None, most: float) -> bool:
    return cost is not None and cost <= most


def _sum(items: Sequence[BatchItem]) -> float:
    return round(sum(item.request.estimated_credits or 0.0 for item in items), 2)
