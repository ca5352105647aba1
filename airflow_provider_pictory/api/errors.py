"""Responses that don't hold what was asked for, each as one kind of error, in words fit for a message."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from airflow_provider_pictory.api.headers import read_retry_after
from airflow_provider_pictory.api.jobs import read_text
from airflow_provider_pictory.api.json_text import read_json
from airflow_provider_pictory.api.redaction import LONGEST_TEXT
from airflow_provider_pictory.api.validation_errors import shown

if TYPE_CHECKING:
    from airflow_provider_pictory.api.responses import Response

_LONGEST_TEXT_SHOWN = 300
# More of a body than is ever shown, so that nothing in it is cut in half before it is recognised.
_MOST_BYTES_READ = 16 * 1024
# With these statuses, a body is quoted only if it is an error as Pictory writes one: servers that refuse
# credentials tend to send them back, in some form.
_REFUSED_CREDENTIALS = (401, 403, 407)
_MOST_FIELDS_SHOWN = 20
# Codes that Pictory's words are compared with, so they are never cleaned.
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


@dataclass(eq=False, repr=False)
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

    kind: ResponseErrorKind
    message: str
    _: KW_ONLY
    status_code: int
    code: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    retry_after: float | None = None
    job_id: str | None = None
    location: str | None = None

    def __post_init__(self) -> None:
        super().__init__(self.message)

    def __reduce__(self) -> tuple[Any, ...]:
        """Support pickling, which would otherwise make the error from its message alone."""
        return partial(type(self), status_code=self.status_code), (self.kind, self.message), vars(self)


_KINDS = {
    400: ResponseErrorKind.INVALID_REQUEST,
    401: ResponseErrorKind.UNAUTHORIZED,
    403: ResponseErrorKind.FORBIDDEN,
    429: ResponseErrorKind.RATE_LIMITED,
}


def raise_error_status(response: Response) -> NoReturn:
    """Raise the error for a response whose HTTP status is an error."""
    status = response.status_code
    document = _document(response)
    raise_reported_error(response, document)
    kind = _kind_of(status)
    code, message = (cleaned(response, text, _LONGEST_TEXT_SHOWN) for text in _complaint(document))
    said = f"Pictory responded with HTTP {status}"
    if words := ": ".join(filter(None, (code, message))):
        said += f" ({words})"
    elif text := _shown(response):
        said += f" with {text}"
    fields = _fields(response, document) if kind is ResponseErrorKind.INVALID_REQUEST else {}
    said += "".join(f"; {name}: {complaint}" for name, complaint in fields.items())
    location = None
    if kind is ResponseErrorKind.REDIRECTED:
        location = response.headers.get("location")
        said += f", a redirect to {shown(location or 'nowhere', response.clean)}, which is not followed"
    may_pass = kind in (ResponseErrorKind.RATE_LIMITED, ResponseErrorKind.SERVER_ERROR)
    raise ResponseError(
        kind,
        said,
        status_code=status,
        code=code,
        fields=fields,
        retry_after=read_retry_after(response) if may_pass else None,
        location=location,
    ) from None


def _kind_of(status: int) -> ResponseErrorKind:
    if status in _KINDS:
        return _KINDS[status]
    if 300 <= status < 400:
        return ResponseErrorKind.REDIRECTED
    if status >= 500:
        return ResponseErrorKind.SERVER_ERROR
    return ResponseErrorKind.REFUSED if status >= 400 else ResponseErrorKind.UNREADABLE


def raise_reported_error(response: Response, document: Mapping[str, Any]) -> None:
    """Raise the errors that Pictory reports in words, under any HTTP status below 500."""
    code, message = _complaint(document)
    if response.status_code >= 500:
        return
    if "JOB_NOT_FOUND" in (code, message):
        kind, said = ResponseErrorKind.JOB_NOT_FOUND, "Pictory knows no such job"
    elif "INSUFFICIENT_CREDITS" in (code, message):
        kind, said = ResponseErrorKind.INSUFFICIENT_CREDITS, "Pictory says the account is out of AI credits"
    else:
        return
    code, message = (cleaned(response, text, _LONGEST_TEXT_SHOWN) for text in (code, message))
    words = ": ".join(filter(None, (code, message)))
    raise ResponseError(kind, f"{said} ({words})", status_code=response.status_code, code=code) from None


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


def cleaned(response: Response, text: str | None, longest: int = LONGEST_TEXT) -> str | None:
    """Return Pictory's words as a message may quote them, and its codes as they are."""
    return text if not text or text in _KNOWN_CODES else response.clean(text, longest=longest)


def _document(response: Response) -> Mapping[str, Any]:
    try:
        document = read_json(response.body)
    except ValueError:
        return {}
    return document if isinstance(document, Mapping) else {}


def _complaint(document: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Find code and message of an error, which stand at the top level or inside ``data``, under two names."""

    def first(*names: str) -> str | None:
        values = (level.get(name) for level in (document, read_data(document)) for name in names)
        return next((text for value in values if (text := read_text(value))), None)

    return first("error_code", "code"), first("error_message", "message")


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
        # The status of an error says more than the form of its page does; a 404 may mean a wrong address.
        if response.status_code < 400 or response.status_code == 404:
            return "a page of HTML, as a proxy, a login page or a wrong base URL would send"
        return "a page of HTML"
    if response.status_code in _REFUSED_CREDENTIALS and text.strip():
        return "a text that is no error of Pictory's, so it isn't shown"
    text = response.clean(text, longest=_LONGEST_TEXT_SHOWN)
    return repr(text) if text else ""
