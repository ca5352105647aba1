"""
What faults make of a job and of its notification, drawn when it is submitted and true from then on.

Guesses: a job that fails for want of credits says so in its error code, and gets its credits back as any
failed one does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_pictory.api.jobs import JobStatus
from airflow_provider_pictory.sandbox.faults.kinds import FaultKind
from airflow_provider_pictory.sandbox.jobs import Fate

if TYPE_CHECKING:
    from airflow_provider_pictory.sandbox.faults.fault import Fault
    from airflow_provider_pictory.sandbox.faults.injector import FaultInjector


def draw_fate(injector: FaultInjector) -> Fate:
    """Decide what becomes of the next job."""
    failure = injector.draw(FaultKind.JOB_FAILS) or injector.draw(FaultKind.JOB_OUT_OF_CREDITS)
    cleaned = None if failure else injector.draw(FaultKind.JOB_CLEANED)
    late = injector.draw(FaultKind.JOB_APPEARS_LATE)
    unknown = injector.draw(FaultKind.JOB_UNKNOWN_AT_FIRST)
    odd = injector.draw(FaultKind.JOB_UNDOCUMENTED_STATUS)
    return Fate(
        outcome=JobStatus.FAILED if failure else JobStatus.COMPLETED,
        error_code=failure.error_code if failure else None,
        error_message=failure.error_message if failure else None,
        appears_after=_seconds(late),
        unknown_for=_seconds(unknown),
        cleaned_after=_seconds(cleaned) if cleaned else None,
        first_status=(odd and odd.job_status) or JobStatus.IN_PROGRESS,
        first_status_for=_seconds(odd),
    )


def draw_notifications(injector: FaultInjector) -> tuple[float, ...]:
    """Decide when the next job's webhook comes, each time in seconds after its end."""
    if injector.draw(FaultKind.WEBHOOK_NEVER):
        return ()
    first = _seconds(injector.draw(FaultKind.WEBHOOK_LATE))
    again = injector.draw(FaultKind.WEBHOOK_TWICE)
    return (first, first + _seconds(again)) if again else (first,)


def _seconds(fault: Fault | None) -> float:
    return (fault.seconds if fault else None) or 0.0
