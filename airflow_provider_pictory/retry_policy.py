"""The retry policy (Airflow 3.3 and later) for errors that say when a retry makes sense."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import AirflowOptionalProviderFeatureException

from airflow_provider_pictory.exceptions import PictoryRateLimitedError, PictorySubmissionPendingError

try:
    from airflow.sdk.definitions.retry_policy import RetryDecision, RetryPolicy
except ImportError as error:
    raise AirflowOptionalProviderFeatureException(
        "PictoryRetryPolicy needs Airflow 3.3 or later; without it, use retries and retry_delay"
    ) from error

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

LONGEST_DELAY = 24 * 60 * 60.0


class PictoryRetryPolicy(RetryPolicy):
    """
    Wait before a retry for as long as the error says, and otherwise as Airflow would.

    A rate limit (429) waits what Pictory asked for. A submission whose outcome isn't known waits until
    Pictory's lists can tell. The policy never allows more retries than the task's ``retries``, and errors
    that no retry can resolve end the task as usual: Airflow doesn't ask a policy about them.

    Give it as ``retry_policy=PictoryRetryPolicy()`` along with ``retries``.
    """

    def evaluate(
        self,
        exception: BaseException,
        try_number: int,
        max_tries: int,
        context: Context | None = None,
    ) -> RetryDecision:
        """
        Decide on the pause before the next try.

        :param exception: what the task ended with.
        :param try_number: of the try that ended.
        :param max_tries: how many there may be.
        :param context: Airflow's of the task.
        :return: a retry after what the error asks for; Airflow's default for all other errors.
        """
        if isinstance(exception, (PictoryRateLimitedError, PictorySubmissionPendingError)):
            seconds = exception.retry_after
            if seconds is not None:
                delay = timedelta(seconds=min(max(0.0, seconds), LONGEST_DELAY))
                return RetryDecision.retry(delay, f"{type(exception).__name__} asks for {delay}")
        return RetryDecision.default()
