"""
What faults make of a job and of its notification, drawn when it is submitted and true from then on.

Guesses: a job that fails for want of credits says so in its error code, and gets its credits back as any
failed one does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_pictory.api.jobs import JobStatus
from airflow_provider_pictory.sandbox.faults.kinds import (
    JobAppearsLate,
    JobCleaned,
    JobFails,
    JobOutOfCredits,
    JobUndocumentedStatus,
    JobUnknownAtFirst,
    WebhookLate,
    WebhookNever,
    WebhookTwice,
)
from airflow_provider_pictory.sandbox.jobs import Fate

if TYPE_CHECKING:
    from airflow_provider_pictory.sandbox.faults.injector import FaultInjector


def draw_fate(injector: FaultInjector) -> Fate:
    """Decide what becomes of the next job."""
    failure = injector.draw(JobFails) or injector.draw(JobOutOfCredits)
    cleaned = None if failure else injector.draw(JobCleaned)
    late = injector.draw(JobAppearsLate)
    unknown = injector.draw(JobUnknownAtFirst)
    odd = injector.draw(JobUndocumentedStatus)
    return Fate(
        outcome=JobStatus.FAILED if failure else JobStatus.COMPLETED,
        error_code=failure.error_code if failure else None,
        error_message=failure.error_message if failure else None,
        appears_after=late.seconds if late else 0.0,
        unknown_for=unknown.seconds if unknown else 0.0,
        cleaned_after=cleaned.seconds if cleaned else None,
        first_status=odd.job_status if odd else JobStatus.IN_PROGRESS,
        first_status_for=odd.seconds if odd else 0.0,
    )


def draw_notifications(injector: FaultInjector) -> tuple[float, ...]:
    """Decide when the next job's webhook comes, each time in seconds after its end."""
    if injector.draw(WebhookNever):
        return ()
    late = injector.draw(WebhookLate)
    first = late.seconds if late else 0.0
    again = injector.draw(WebhookTwice)
    return (first, first + again.seconds) if again else (first,)
