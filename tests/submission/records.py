"""Submission records as tests need them, without an Airflow and without a Pictory."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_pictory.api import VideoRequest
from airflow_provider_pictory.submission.fingerprint import RequestFingerprint
from airflow_provider_pictory.submission.record import RecordState, SubmissionRecord, TaskPlace

if TYPE_CHECKING:
    from airflow_provider_pictory.api.listings import Baseline

PROMPT = "A paper boat on a rainy street"
PLACE = TaskPlace("videos", "manual__2026-01-01", "generate")
OTHER_PLACE = TaskPlace("videos", "manual__2026-01-01", "another")
POST_SECONDS = 30.0
WINDOW = 180.0


def a_fingerprint(
    prompt: str = PROMPT, *, conn_id: str = "pictory_default", base_url: str = "https://api", **given: Any
) -> RequestFingerprint:
    """Describe a request as it would be submitted."""
    return RequestFingerprint.of(VideoRequest(prompt, **given), conn_id, base_url)


def an_intent(
    fingerprint: RequestFingerprint | None = None,
    newest: Baseline | None = None,
    *,
    place: TaskPlace = PLACE,
    now: datetime | None = None,
    **changes: Any,
) -> SubmissionRecord:
    """Record that a video is about to be submitted, with half a minute for the POST."""
    known: dict[str, Any] = {}
    if newest is not None:
        known = {
            "baseline": newest.kind,
            "newest_job_id": newest.job_id,
            "server_time": newest.server_time,
        }
    given = {
        "state": RecordState.INTENT,
        **place._asdict(),
        "fingerprint": fingerprint or a_fingerprint(),
        "try_number": 1,
        "max_tries": 0,
        "intended_at": now or datetime.now(UTC),
        "time_limit": POST_SECONDS,
        "window": WINDOW,
        **known,
        **changes,
    }
    return SubmissionRecord(**given)
