"""What a response of Pictory's means: a job id, a job, a quota, or one kind of error."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from airflow_provider_pictory.api import checks
from airflow_provider_pictory.api.jobs import UnreadableJobError, VideoJob, read_number, read_text
from airflow_provider_pictory.api.redaction import LONGEST_TEXT, clean
from airflow_provider_pictory.api.validation_errors import shown

if TYPE_CHECKING:
    from collections.abc import Callable

# A day in seconds: longer ones are of no use to anybody, and more likely a mistake than meant.
LONGEST_RETRY_AFTER = 24 * 60 * 60.0

_LONGEST_TEXT_SHOWN = 300
# More of a body than is ever shown, so that nothing in it is cut in half before it is recognised.
_MOST_BYTES_READ = 16 * 1024
# Of these, a body is quoted only if it is an error as Pictory writes one: whoever refuses credentials tends
# to send them back, in whichever form.
_REFUSED_CREDENTIALS = (401, 403, 407)
_MOST_FIELDS_SHOWN = 20
# One of a header's values, which several headers of that name are joined from; a date has a comma of its own.
_HEADER_VALUE = re.compile(r"\s*(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,[^,]+|[^,]+", re.IGNORECASE)
_SECONDS = re.compile(r"\d+(\.\d*)?|\.\d+", re.ASCII)
# Whoever sends so many seconds means a moment, in seconds or milliseconds since 1970.
_FIRST_EPOCH = 1e9
_FIRST_EPOCH_IN_MILLISECONDS = 1e12
_LONGEST_STATUS = 100
# What Pictory's words are compared with, so they have to stay as they are.
_KNOWN_CODES = ("JOB_NOT_FOUND", "INSUFFICIENT_CREDITS")


class ResponseErrorKind(StrEnum):
    """The kinds of errors that a caller would handle differently."""

    INVALID_REQUEST = "invalid-request"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    INSUFFICIENT_CREDITS = "insufficient-credits"
    JOB_NOT_FOUND = "job-not-found"
    RATE_LIMITED = "rate-limited"
    REFUSED = "refused"
    REDIRECTED = "redirected"
    SERVER_ERROR = "server-error"
    UNREADABLE = "unreadable"


class ResponseError(Exception):
    """
    A response that doesn't hold what was asked for.

    :param kind: what kind of error it is.
    :param message: a sentence that a person understands, with Pictory's own words where it gave any.
    :param status_code: the HTTP status.
    :param code: Pictory's code of the error, where it gave one.
    :param fields: Pictory's complaints by field, of a refused request.
    :param retry_after: seconds that Pictory asks to wait before the next request, where it said so.
    :param job_id: what was said to be a job's id, in printable characters, where it can't be used as one.
    :param location: the address that a redirect leads to, as it came.
    """

    def __init__(
        self,
        kind: ResponseErrorKind,
        message: str,
        *,
        status_code: int,
        code: str | None = None,
        fields: Mapping[str, str] | None = None,
        retry_after: float | None = None,
        job_id: str | None = None,
        location: str | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.status_code = status_code
        self.code = code
        self.fields = dict(fields or {})
        self.retry_after = retry_after
        self.job_id = job_id
        self.location = location

    def __reduce__(self) -> tuple[Any, ...]:
        """Survive being sent between processes, which would otherwise make it from its message alone."""
        return partial(type(self), status_code=self.status_code), (self.kind, self.message), vars(self)


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
    Read the job id out of the response to a submitted video.

    :raises ResponseError: for anything but a job id.
    """
    # 200 is documented, but an id that was paid for must not be lost to a more fitting status.
    document = read_success(response, (200, 201, 202))
    if job_id := read_job_id(document):
        return job_id
    _raise_reported_error(response, document)
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
    Read a job out of the response to the question for it.

    :raises ResponseError: for anything but a job of this id.
    """
    document = read_success(response)
    data = read_data(document)
    if data.get("status") is None:
        _raise_reported_error(response, document)
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
        error_code=_cleaned(response, job.error_code),
        error_message=_cleaned(response, job.error_message),
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


def read_retry_after(response: Response, *, now: datetime | None = None) -> float | None:
    """
    Read how long to wait from a ``Retry-After`` header.

    Besides its two lawful forms, whole seconds and a date, this takes what services send in their place:
    fractions, seconds since 1970, and the header twice, of which the longest wait counts.

    :param response: what came. Moments count from its ``Date``, if there is one: the clocks may differ.
    :param now: what moments count from instead.
    :return: seconds from now, not negative and at most a day; ``None`` where the header is absent or makes
        no sense.
    """
    if now is None:
        now = read_http_date(response.headers.get("date", "")) or datetime.now(UTC)
    values = _HEADER_VALUE.findall(response.headers.get("retry-after", ""))
    waits = [wait for value in values if (wait := _read_wait(value.strip(), now)) is not None]
    return min(max(waits), LONGEST_RETRY_AFTER) if waits else None


def _read_wait(value: str, now: datetime) -> float | None:
    if _SECONDS.fullmatch(value):
        seconds = float(value)
        if seconds < _FIRST_EPOCH:
            return seconds
        if seconds >= _FIRST_EPOCH_IN_MILLISECONDS:
            seconds /= 1000
        return max(0.0, seconds - now.timestamp())
    moment = read_http_date(value)
    return None if moment is None else max(0.0, (moment - now).total_seconds())


def read_http_date(text: str) -> datetime | None:
    """Read a moment as HTTP's headers write it, aware and in UTC; else give ``None``."""
    try:
        moment = parsedate_to_datetime(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def read_success(response: Response, statuses: tuple[int, ...] = (200,)) -> Mapping[str, Any]:
    """
    Read the JSON object of a response that isn't an error.

    :param response: what came.
    :param statuses: the HTTP statuses that aren't errors.
    :raises ResponseError: for any other status, and for anything but a JSON object.
    """
    if response.status_code in statuses:
        try:
            document = json.loads(response.body)
        except (ValueError, RecursionError):
            raise_unreadable(response, "it is not JSON")
        if not isinstance(document, Mapping):
            raise_unreadable(response, "it is not a JSON object")
        return document
    _raise_error_status(response)


def raise_unreadable(response: Response, why: str) -> NoReturn:
    """
    Raise the error for a response that says something else than it should.

    :param response: what came.
    :param why: what is wrong with it, as a sentence fragment.
    """
    raise ResponseError(
        ResponseErrorKind.UNREADABLE,
        f"Pictory's response (HTTP {response.status_code}) can't be read, {why}: "
        f"{_shown(response) or 'it is empty'}",
        status_code=response.status_code,
    ) from None


def read_data(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the object in the envelope that most of Pictory's responses have; an empty one without it."""
    data = document.get("data")
    return data if isinstance(data, Mapping) else {}


def read_job_id(document: Mapping[str, Any]) -> str | None:
    """Find the job id in whichever of Pictory's envelopes; ``None`` where none has a readable one."""
    return next((job_id for value in _job_ids(document) if (job_id := checks.read_job_id(value))), None)


def _job_ids(document: Mapping[str, Any]) -> list[str]:
    data = read_data(document)
    values = [data.get("jobId"), data.get("job_id"), document.get("jobId"), document.get("job_id")]
    values.sort(key=lambda value: not isinstance(value, str))
    return [text for value in values if (text := _as_text(value)) is not None]


def _as_text(value: object) -> str | None:
    """Return an id as the text that it is asked for with, which numbers may be as well."""
    if isinstance(value, str):
        return value.strip()
    try:
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else None
    except ValueError:  # a whole number of thousands of digits
        return None


def _raise_error_status(response: Response) -> NoReturn:
    status = response.status_code
    document = _document(response)
    _raise_reported_error(response, document)
    code, message = (_cleaned(response, text, _LONGEST_TEXT_SHOWN) for text in _complaint(document))
    said = f"Pictory responded with HTTP {status}"
    if words := ": ".join(filter(None, (code, message))):
        said += f" ({words})"
    elif text := _shown(response):
        said += f" with {text}"
    location = None
    kind = ResponseErrorKind.REFUSED
    fields: dict[str, str] = {}
    retry_after = None
    if status == 400:
        kind = ResponseErrorKind.INVALID_REQUEST
        fields = _fields(response, document)
        said += "".join(f"; {name}: {complaint}" for name, complaint in fields.items())
    elif status == 401:
        kind = ResponseErrorKind.UNAUTHORIZED
    elif status == 403:
        kind = ResponseErrorKind.FORBIDDEN
    elif status == 429:
        kind = ResponseErrorKind.RATE_LIMITED
        retry_after = read_retry_after(response)
    elif 300 <= status < 400:
        kind = ResponseErrorKind.REDIRECTED
        location = response.headers.get("location")
        said += f", a redirect to {shown(location or 'nowhere', response.clean)}, which is not followed"
    elif status >= 500:
        kind = ResponseErrorKind.SERVER_ERROR
        retry_after = read_retry_after(response)
    elif not 400 <= status < 500:
        kind = ResponseErrorKind.UNREADABLE
    raise ResponseError(
        kind,
        said,
        status_code=status,
        code=code,
        fields=fields,
        retry_after=retry_after,
        location=location,
    ) from None


def _raise_reported_error(response: Response, document: Mapping[str, Any]) -> None:
    """Raise the errors that Pictory reports in words, under whichever HTTP status."""
    code, message = _complaint(document)
    if response.status_code >= 500:
        return
    if "JOB_NOT_FOUND" in (code, message):
        kind, said = ResponseErrorKind.JOB_NOT_FOUND, "Pictory knows no such job"
    elif "INSUFFICIENT_CREDITS" in (code, message):
        kind, said = ResponseErrorKind.INSUFFICIENT_CREDITS, "Pictory says the account is out of AI credits"
    else:
        return
    code, message = (_cleaned(response, text, _LONGEST_TEXT_SHOWN) for text in (code, message))
    words = ": ".join(filter(None, (code, message)))
    raise ResponseError(kind, f"{said} ({words})", status_code=response.status_code, code=code) from None


def _document(response: Response) -> Mapping[str, Any]:
    try:
        document = json.loads(response.body)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, Mapping) else {}


def _complaint(document: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Find code and message of an error, which stand at the top level or inside ``data``, under two names."""
    levels = (document, read_data(document))
    code = next(
        (text for level in levels for name in ("error_code", "code") if (text := read_text(level.get(name)))),
        None,
    )
    message = next(
        (
            text
            for level in levels
            for name in ("error_message", "message")
            if (text := read_text(level.get(name)))
        ),
        None,
    )
    return code, message


def _cleaned(response: Response, text: str | None, longest: int = LONGEST_TEXT) -> str | None:
    return text if not text or text in _KNOWN_CODES else response.clean(text, longest=longest)


def _fields(response: Response, document: Mapping[str, Any]) -> dict[str, str]:
    found = {}
    fields = document.get("fields")
    for item in fields[:_MOST_FIELDS_SHOWN] if isinstance(fields, list) else ():
        if isinstance(item, Mapping) and (name := read_text(item.get("name"))):
            errors = read_text(item.get("errors"))
            found[response.clean(name, longest=_LONGEST_TEXT_SHOWN)] = (
                response.clean(errors, longest=_LONGEST_TEXT_SHOWN)
                if errors
                else shown(item.get("errors"), response.clean)
            )
    return found


def _shown(response: Response) -> str:
    """Return the beginning of a body that isn't what was expected; a page of HTML is named, not shown."""
    text = response.body[:_MOST_BYTES_READ].decode("utf-8", "replace")
    if text.lstrip().lower().startswith(("<!doctype html", "<html")):
        # The status of an error says more than the form of its page does; a 404 may mean the address.
        if response.status_code < 400 or response.status_code == 404:
            return "a page of HTML, as a proxy, a login page or a wrong base URL would send"
        return "a page of HTML"
    if response.status_code in _REFUSED_CREDENTIALS and text.strip():
        return "a text that is no error of Pictory's, so it isn't shown"
    text = response.clean(text, longest=_LONGEST_TEXT_SHOWN)
    return repr(text) if text else ""
