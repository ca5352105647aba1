"""What a response of Pictory's means: a job id, a job, a quota, or one kind of error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from airflow_provider_pictory.api import checks
from airflow_provider_pictory.api.errors import (
    ResponseError,
    ResponseErrorKind,
    cleaned,
    raise_error_status,
    raise_reported_error,
    raise_unreadable,
    read_data,
)
from airflow_provider_pictory.api.jobs import UnreadableJobError, VideoJob, read_number
from airflow_provider_pictory.api.json_text import read_json
from airflow_provider_pictory.api.redaction import clean
from airflow_provider_pictory.api.validation_errors import shown

if TYPE_CHECKING:
    from collections.abc import Callable

_LONGEST_STATUS = 100


@dataclass(frozen=True)
class Response:
    """
    What came over the wire, from whichever client.

    :param status_code: the HTTP status.
    :param body: the body as it came.
    :param headers: the headers under lower-case names.
    :param clean: makes what is quoted of it fit for a message; takes the text and ``longest``.
    """

    status_code: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    clean: Callable[..., str] = field(default=clean, repr=False, compare=False)


@dataclass(frozen=True)
class Quota:
    """
    What the account's current billing term allows.

    :param ai_credits_used: AI credits used so far.
    :param ai_credits_limit: AI credits that the plan includes.
    """

    ai_credits_used: float
    ai_credits_limit: float

    @property
    def ai_credits_left(self) -> float:
        """AI credits that can still be spent."""
        return max(0.0, self.ai_credits_limit - self.ai_credits_used)


def read_submission(response: Response) -> str:
    """
    Read the job id from the response to a submission.

    :raises ResponseError: for anything but a job id.
    """
    # 200 is documented, but an id that was paid for must not be lost to a more fitting status.
    document = read_success(response, (200, 201, 202))
    if job_id := read_job_id(document):
        return job_id
    raise_reported_error(response, document)
    unusable = next(filter(None, _job_ids(document)), None)
    if unusable is not None:
        # The job is paid for, so whatever it is called is kept.
        text = unusable[: checks.LONGEST_JOB_ID]
        raise ResponseError(
            ResponseErrorKind.UNREADABLE,
            f"its job id, {shown(unusable, response.clean)}, can't be one: {checks.WHAT_A_JOB_ID_IS}",
            status_code=response.status_code,
            job_id="".join(mark if mark.isprintable() else ascii(mark)[1:-1] for mark in text)[
                : checks.LONGEST_JOB_ID
            ],
        ) from None
    raise_unreadable(response, "there is no job id in it")


def read_job(response: Response, job_id: str) -> VideoJob:
    """
    Read a job from the response to a poll.

    :raises ResponseError: for anything but a job of this id.
    """
    document = read_success(response)
    data = read_data(document)
    if data.get("status") is None:
        raise_reported_error(response, document)
    for value in (document.get("job_id"), document.get("jobId"), data.get("job_id"), data.get("jobId")):
        if value is not None and _as_text(value) != job_id:
            raise_unreadable(
                response, f"it is about job {shown(value, response.clean)}, asked was job {shown(job_id)}"
            )
    try:
        job = VideoJob.from_data(job_id, data)
    except UnreadableJobError as error:
        raise_unreadable(response, str(error))
    if not (job.error_code or job.error_message or job.has_unknown_status):
        return job
    return replace(
        job,
        status=response.clean(job.status, longest=_LONGEST_STATUS) if job.has_unknown_status else job.status,
        error_code=cleaned(response, job.error_code),
        error_message=cleaned(response, job.error_message),
    )


def read_quota(response: Response) -> Quota:
    """
    Read the account's quota.

    :raises ResponseError: for anything but a quota with AI credits.
    """
    ai_credits = read_success(response).get("aiCredits")
    if isinstance(ai_credits, Mapping):
        used, limit = read_number(ai_credits.get("used")), read_number(ai_credits.get("limit"))
        if used is not None and limit is not None:
            return Quota(ai_credits_used=used, ai_credits_limit=limit)
    raise_unreadable(response, "there are no AI credits in it")


def read_success(response: Response, statuses: tuple[int, ...] = (200,)) -> Mapping[str, Any]:
    """
    Read the JSON object of a response that isn't an error.

    :param response: what came.
    :param statuses: the HTTP statuses that aren't errors.
    :raises ResponseError: for any other status, and for anything but a JSON object.
    """
    if response.status_code in statuses:
        try:
            document = read_json(response.body)
        except ValueError:
            raise_unreadable(response, "it is not JSON")
        if not isinstance(document, Mapping):
            raise_unreadable(response, "it is not a JSON object")
        return document
    raise_error_status(response)


def read_job_id(document: Mapping[str, Any]) -> str | None:
    """Find the job id in whichever of Pictory's envelopes; ``None`` where none has a readable one."""
    return next((job_id for value in _job_ids(document) if (job_id := checks.read_job_id(value))), None)


def _job_ids(document: Mapping[str, Any]) -> list[str]:
    data = read_data(document)
    values = [data.get("jobId"), data.get("job_id"), document.get("jobId"), document.get("job_id")]
    values.sort(key=lambda value: not isinstance(value, str))
    return [text for value in values if (text := _as_text(value)) is not None]


def _as_text(value: object) -> str | None:
    """Return an id, which may be a number, as the text that it is requested by."""
    if isinstance(value, str):
        return value.strip()
    try:
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else None
    except ValueError:  # a whole number of thousands of digits
        return None
