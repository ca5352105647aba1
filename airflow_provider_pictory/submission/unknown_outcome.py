"""What a try does about a POST whose outcome isn't known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_pictory.exceptions import (
    PictorySubmissionIndeterminateError,
    PictorySubmissionPendingError,
)
from airflow_provider_pictory.submission.policy import OnUnknownSubmission
from airflow_provider_pictory.submission.reconcile import Reconciler, ways_out
from airflow_provider_pictory.submission.record import CloseReason

if TYPE_CHECKING:
    from airflow_provider_pictory.clock import Clock
    from airflow_provider_pictory.hooks.pictory import PictoryHook
    from airflow_provider_pictory.submission.account_pages import AccountPages
    from airflow_provider_pictory.submission.policy import SubmissionPolicy
    from airflow_provider_pictory.submission.record import SubmissionRecord
    from airflow_provider_pictory.submission.store import RecordStore
    from airflow_provider_pictory.task_log import Logger


def find_outcome(
    intent: SubmissionRecord,
    *,
    hook: PictoryHook,
    store: RecordStore,
    policy: SubmissionPolicy,
    clock: Clock,
    log: Logger,
    is_new_wanted: bool = False,
    is_own_intent: bool = False,
    pages: AccountPages | None = None,
) -> SubmissionRecord:
    """
    Find out what became of an intent.

    :param intent: what was about to be submitted.
    :param hook: of the connection that it went over.
    :param store: of the task's record.
    :param policy: what the author of the DAG decided, about outcomes that can't be found out among others.
    :param clock: to wait by.
    :param log: of the task.
    :param is_new_wanted: whether another video is wanted whatever became of it.
    :param is_own_intent: whether this very try sent it.
    :param pages: what was read of the account's lists, where nothing is to be waited for.
    :return: the record, with a job or closed.
    :raises PictorySubmissionPendingError: it isn't known yet; a later try may find out.
    :raises PictorySubmissionIndeterminateError: it can't be found out.
    """
    base_url, recorded = hook.get_base_url(), intent.fingerprint.base_url
    if base_url != recorded:
        error = PictorySubmissionIndeterminateError(
            f"This task submitted a video to {recorded}, and what became of it isn't known; connection "
            f"{intent.fingerprint.pictory_conn_id!r} now leads to {base_url}, where that can't be found "
            f"out. Change its host back and clear this task. Or: {ways_out(())}"
        )
        return _resubmit_or_raise(error, intent, policy, log, is_new_wanted=is_new_wanted)
    reconciler = Reconciler(
        intent,
        hook=hook,
        store=store,
        is_own_intent=is_own_intent,
        timeout=policy.reconcile_timeout,
        clock=clock,
        log=log,
        pages=pages,
    )
    try:
        return reconciler.resolve() or intent.closed(CloseReason.NOT_SUBMITTED)
    except (PictorySubmissionIndeterminateError, PictorySubmissionPendingError) as error:
        return _resubmit_or_raise(error, intent, policy, log, is_new_wanted=is_new_wanted)


def _resubmit_or_raise(
    error: PictorySubmissionIndeterminateError | PictorySubmissionPendingError,
    intent: SubmissionRecord,
    policy: SubmissionPolicy,
    log: Logger,
    *,
    is_new_wanted: bool,
) -> SubmissionRecord:
    if not is_new_wanted and policy.on_unknown_submission is not OnUnknownSubmission.RESUBMIT:
        raise error
    if isinstance(error, PictorySubmissionPendingError) and not error.candidates:
        # Nobody has looked yet.
        raise error
    log.warning("Submitting again, which may pay twice: %s", error)
    return intent.closed(CloseReason.NOT_SUBMITTED)
