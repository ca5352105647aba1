"""What an answer of Pictory's means: a job id, a job, a quota, or one kind of error."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from functools import partial
from typing import Any, NoReturn

from airflow_provider_pictory.api.faults import shown
from airflow_provider_pictory.api.jobs import UnreadableJobError, VideoJob, read_number, read_text

# A day in seconds: longer ones are of no use to anybody, and more likely a mistake than meant.
LONGEST_RETRY_AFTER = 24 * 60 * 60.0

_LONGEST_TEXT_SHOWN = 300
_MOST_FIELDS_SHOWN = 20
# One of a header's values, which several headers of that name are joined from; a date has a comma of its own.
_HEADER_VALUE = re.compile(r"\s*(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,[^,]+|[^,]+", re.IGNORECASE)
_SECONDS = re.compile(r"\d+(\.\d*)?|\.\d+", re.ASCII)
# Whoever sends so many seconds means a moment, in seconds or milliseconds since 1970.
_FIRST_EPOCH = 1e9
_FIRST_EPOCH_IN_MILLISECONDS = 1e12


class AnswerErrorKind(StrEnum):
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


class AnswerError(Exception):
    """
    An answer that doesn't hold what was asked for.

    :param kind: what kind of error it is.
    :param message: a sentence that a person understands, with Pictory's own words where it gave any.
    :param status_code: the HTTP status.
    :param code: Pictory's code of the error, where it gave one.
    :param fields: Pictory's complaints by field, of a refused request.
    :param retry_after: seconds that Pictory asks to wait before the next request, where it said so.
    """

    def __init__(
        self,
        kind: AnswerErrorKind,
        message: str,
        *,
        status_code: int,
        code: str | None = None,
        fields: Mapping[str, str] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.status_code = status_code
        self.code = code
        self.fields = dict(fields or {})
        self.retry_after = retry_after

    def __reduce__(self) -> tuple[Any, ...]:
        """Survive being sent between processes, which would otherwise make it from its message alone."""
        return partial(type(self), status_code=self.status_code), (self.kind, self.message), vars(self)


@dataclass(frozen=True)
class Answer:
    """
    What came over the wire, from whichever client.

    :param status_code: the HTTP status.
    :param body: the body as it came.
    :param headers: the headers under lower-case names.
    """

    status_code: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


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


def read_submission(answer: Answer) -> str:
    """
    Read the job id out of the answer to a submitted video.

    :raises AnswerError: for anything but a job id.
    """
    # 200 is documented, but an id that was paid for must not be lost to a more fitting status.
    document = read_success(answer, (200, 201, 202))
    if job_id := read_job_id(document):
        return job_id
    _raise_reported_error(answer, document)
    raise_unreadable(answer, "there is no job id in it")


def read_job(answer: Answer, job_id: str) -> VideoJob:
    """
    Read a job out of the answer to the question for it.

    :raises AnswerError: for anything but a job of this id.
    """
    document = read_success(answer)
    data = read_data(document)
    if data.get("status") is None:
        _raise_reported_error(answer, document)
    for value in (document.get("job_id"), document.get("jobId"), data.get("job_id"), data.get("jobId")):
        if value is not None and value != job_id:
            raise_unreadable(answer, f"it is about job {shown(value)}, asked was job {job_id!r}")
    try:
        return VideoJob.from_data(job_id, data)
    except UnreadableJobError as error:
        raise_unreadable(answer, str(error))


def read_quota(answer: Answer) -> Quota:
    """
    Read the account's quota.

    :raises AnswerError: for anything but a quota with AI credits.
    """
    ai_credits = read_success(answer).get("aiCredits")
    if isinstance(ai_credits, Mapping):
        used, limit = read_number(ai_credits.get("used")), read_number(ai_credits.get("limit"))
        if used is not None and limit is not None:
            return Quota(ai_credits_used=used, ai_credits_limit=limit)
    raise_unreadable(answer, "there are no AI credits in it")


def read_retry_after(answer: Answer, *, now: datetime | None = None) -> float | None:
    """
    Read how long to wait from a ``Retry-After`` header.

    Besides its two lawful forms, whole seconds and a date, this takes what services send in their place:
    fractions, seconds since 1970, and the header twice, of which the longest wait counts.

    :param answer: what came. Moments count from its ``Date``, if there is one: the clocks may differ.
    :param now: what moments count from instead.
    :return: seconds from now, not negative and at most a day; ``None`` where the header is absent or makes
        no sense.
    """
    if now is None:
        now = read_http_date(answer.headers.get("date", "")) or datetime.now(UTC)
    values = _HEADER_VALUE.findall(answer.headers.get("retry-after", ""))
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


def read_success(answer: Answer, statuses: tuple[int, ...] = (200,)) -> Mapping[str, Any]:
    """
    Read the JSON object of an answer that isn't an error.

    :param answer: what came.
    :param statuses: the HTTP statuses that aren't errors.
    :raises AnswerError: for any other status, and for anything but a JSON object.
    """
    if answer.status_code in statuses:
        try:
            document = json.loads(answer.body)
        except (ValueError, RecursionError):
            raise_unreadable(answer, "it is not JSON")
        if not isinstance(document, Mapping):
            raise_unreadable(answer, "it is not a JSON object")
        return document
    _raise_error_status(answer)


def raise_unreadable(answer: Answer, why: str) -> NoReturn:
    """
    Raise the error for an answer that says something else than it should.

    :param answer: what came.
    :param why: what is wrong with it, as a sentence fragment.
    """
    raise AnswerError(
        AnswerErrorKind.UNREADABLE,
        f"Pictory's answer (HTTP {answer.status_code}) can't be read, {why}: "
        f"{_shown(answer) or 'it is empty'}",
        status_code=answer.status_code,
    ) from None


def read_data(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give the object inside the envelope that most of Pictory's answers have; an empty one without it."""
    data = document.get("data")
    return data if isinstance(data, Mapping) else {}


def read_job_id(document: Mapping[str, Any]) -> str | None:
    """Find the job id in whichever of Pictory's envelopes; ``None`` where none has a readable one."""
    data = read_data(document)
    for value in (data.get("jobId"), data.get("job_id"), document.get("jobId"), document.get("job_id")):
        if isinstance(value, str) and value.strip() and value.isprintable():
            return value.strip()
    return None


def _raise_error_status(answer: Answer) -> NoReturn:
    status = answer.status_code
    document = _document(answer)
    _raise_reported_error(answer, document)
    code, message = _complaint(document)
    said = f"Pictory answered HTTP {status}"
    if words := ": ".join(filter(None, (code, message))):
        said += f" ({words})"
    elif text := _shown(answer):
        said += f" with {text}"
    kind = AnswerErrorKind.REFUSED
    fields: dict[str, str] = {}
    retry_after = None
    if status == 400:
        kind = AnswerErrorKind.INVALID_REQUEST
        fields = _fields(document)
        said += "".join(f"; {name}: {complaint}" for name, complaint in fields.items())
    elif status == 401:
        kind = AnswerErrorKind.UNAUTHORIZED
    elif status == 403:
        kind = AnswerErrorKind.FORBIDDEN
    elif status == 429:
        kind = AnswerErrorKind.RATE_LIMITED
        retry_after = read_retry_after(answer)
    elif 300 <= status < 400:
        kind = AnswerErrorKind.REDIRECTED
        said += f", a redirect to {shown(answer.headers.get('location', 'nowhere'))}, which is not followed"
    elif status >= 500:
        kind = AnswerErrorKind.SERVER_ERROR
        retry_after = read_retry_after(answer)
    elif not 400 <= status < 500:
        kind = AnswerErrorKind.UNREADABLE
    raise AnswerError(
        kind, said, status_code=status, code=code, fields=fields, retry_after=retry_after
    ) from None


def _raise_reported_error(answer: Answer, document: Mapping[str, Any]) -> None:
    """Raise the errors that Pictory reports in words, under whichever HTTP status."""
    code, message = _complaint(document)
    if answer.status_code >= 500:
        return
    if "JOB_NOT_FOUND" in (code, message):
        kind, said = AnswerErrorKind.JOB_NOT_FOUND, "Pictory knows no such job"
    elif "INSUFFICIENT_CREDITS" in (code, message):
        kind, said = AnswerErrorKind.INSUFFICIENT_CREDITS, "Pictory says the account is out of AI credits"
    else:
        return
    words = ": ".join(filter(None, (code, message)))
    raise AnswerError(kind, f"{said} ({words})", status_code=answer.status_code, code=code) from None


def _document(answer: Answer) -> Mapping[str, Any]:
    try:
        document = json.loads(answer.body)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, Mapping) else {}


def _complaint(document: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Find code and message of an error, which stand at the top level or inside ``data``, under two names."""
    levels = (document, read_data(document))
    code = next(
        (text for level in levels for name in ("error_code", "code") if (text := _text(level, name))), None
    )
    message = next(
        (text for level in levels for name in ("error_message", "message") if (text := _text(level, name))),
        None,
    )
    return code, message


def _text(level: Mapping[str, Any], name: str) -> str | None:
    text = read_text(level.get(name))
    return text[:_LONGEST_TEXT_SHOWN] if text else None


def _fields(document: Mapping[str, Any]) -> dict[str, str]:
    found = {}
    fields = document.get("fields")
    for item in fields[:_MOST_FIELDS_SHOWN] if isinstance(fields, list) else ():
        if isinstance(item, Mapping) and (name := _text(item, "name")):
            found[name] = _text(item, "errors") or shown(item.get("errors"))
    return found


def _shown(answer: Answer) -> str:
    """Give the beginning of a body that isn't what was expected; a page of HTML is named, not shown."""
    text = " ".join(answer.body[: 4 * _LONGEST_TEXT_SHOWN].decode("utf-8", "replace").split())
    if not text:
        return ""
    if text.lower().startswith(("<!doctype html", "<html")):
        return "a page of HTML, as a proxy, a login page or a wrong base URL would send"
    return repr(text if len(text) <= _LONGEST_TEXT_SHOWN else f"{text[:_LONGEST_TEXT_SHOWN]}...")
