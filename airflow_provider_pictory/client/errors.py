"""What went wrong with a call, in the words and the errors that a user of Airflow meets."""

from __future__ import annotations

from dataclasses import replace
from http.client import HTTPException
from typing import TYPE_CHECKING, NoReturn, TypeVar
from urllib.parse import urljoin, urlsplit

import aiohttp
import requests
import urllib3

from airflow_provider_pictory.api import Response, ResponseError, ResponseErrorKind
from airflow_provider_pictory.api.checks import is_usual_job_id
from airflow_provider_pictory.api.listings import JobListPage, VideoListPage
from airflow_provider_pictory.api.validation_errors import shown
from airflow_provider_pictory.client.settings import API_PATH, DEFAULT_BASE_URL
from airflow_provider_pictory.exceptions import (
    PictoryAPIError,
    PictoryAuthenticationError,
    PictoryConfigurationError,
    PictoryInsufficientCreditsError,
    PictoryInvalidRequestError,
    PictoryJobNotFoundError,
    PictoryRateLimitedError,
    PictoryRedirectedError,
    PictorySubmissionIndeterminateError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_pictory.client.settings import ConnectionSettings

Reading = TypeVar("Reading")

# What the two clients raise where no response comes. Neither that nor a ResponseError is made the cause of an
# error of ours: aiohttp's exceptions show the headers that were sent, and a response may quote the key.
NO_RESPONSE = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    HTTPException,
    aiohttp.ClientError,
    OSError,
    ValueError,
)
NOTHING_IS_PAID = "nothing was submitted, nothing is paid"
REDIRECTS = (301, 302, 303, 307, 308)
_LONGEST_HOST_SHOWN = 300

_ERRORS: dict[ResponseErrorKind, type[PictoryAPIError]] = {
    ResponseErrorKind.UNAUTHORIZED: PictoryAuthenticationError,
    ResponseErrorKind.INSUFFICIENT_CREDITS: PictoryInsufficientCreditsError,
    ResponseErrorKind.JOB_NOT_FOUND: PictoryJobNotFoundError,
    ResponseErrorKind.RATE_LIMITED: PictoryRateLimitedError,
}


def words(settings: ConnectionSettings, error: BaseException, *also: str) -> str:
    """
    Return an exception in words, its class included, since many have no text of their own.

    :param settings: whose secrets must not be shown; the texts of HTTP clients name proxies with passwords.
    :param error: of anybody's class.
    :param also: what else must not be shown.
    """
    try:
        text = str(error)
    except Exception:  # noqa: BLE001  (of anybody's class)
        text = ""
    name = type(error).__name__
    return f"{name}: {settings.clean(text, also=also)}" if text else name


def no_connection(connection_id: str) -> PictoryConfigurationError:
    """Make the error for an Airflow connection that doesn't exist."""
    return PictoryConfigurationError(
        f"There is no Airflow connection {connection_id!r}. Create one of type 'pictory' with the API key as "
        f"its password, for instance with: airflow connections add {connection_id} --conn-type pictory "
        "--conn-password <key>. (If there is one in the environment, its URI or JSON can't be read.)"
    )


def no_response(
    settings: ConnectionSettings, error: BaseException, consequence: str | None = None
) -> PictoryAPIError:
    """
    Make the error for a call without a response.

    :param settings: whose key must not be shown.
    :param error: what the HTTP client raised.
    :param consequence: what follows from it, where anything is certain.
    """
    message = f"No response from Pictory at {settings.base_url} ({words(settings, error)})"
    if "[SSL: " in message and "CERTIFICATE" not in message and settings.base_url != DEFAULT_BASE_URL:
        message += "; if plain HTTP is spoken there, put http:// in front of the connection's host"
    return PictoryAPIError(settings.without_key(f"{message}; {consequence}" if consequence else message))


def submission_unknown(
    settings: ConnectionSettings,
    why: str,
    interruption: BaseException | None = None,
    job_id: str | None = None,
) -> PictorySubmissionIndeterminateError:
    """
    Make the error for a submission of which nobody can say whether it arrived.

    :param settings: whose key must not be shown.
    :param why: what is known, as a sentence fragment.
    :param interruption: what ended the call from outside.
    :param job_id: of a job that was accepted under an id that can't be asked for.
    """
    if job_id is not None:
        return PictorySubmissionIndeterminateError(
            settings.without_key(
                f"Pictory at {settings.base_url} accepted the video, so it is paid for, but {why}. Wait for "
                "the video at Pictory's own site. To pay for another one, set on_clear='new' and clear this "
                "task"
            ),
            job_id=settings.without_key(job_id),
        )
    return PictorySubmissionIndeterminateError(
        settings.without_key(
            f"It is not known whether Pictory at {settings.base_url} accepted the video: {why}. It may be in "
            "the making and paid for."
        ),
        interruption=interruption,
    )


def read_without_key(
    settings: ConnectionSettings, response: Response, read: Callable[[Response], Reading]
) -> Reading:
    """
    Read a response so that nothing in it quotes a secret, which a server or a proxy may send back.

    What errors and the words of a job quote is cleaned where it is quoted. Lists are compared with what was
    submitted, so nothing but the key goes from them.

    :param settings: whose key must not be shown.
    :param response: what came.
    :param read: one of the readers of :mod:`airflow_provider_pictory.api.responses` or
        :mod:`airflow_provider_pictory.api.listings`.
    :raises ResponseError: as the reader does.
    """
    response = replace(response, clean=settings.clean)
    reading = read(response)
    if isinstance(reading, (JobListPage, VideoListPage)):
        body = response.body.decode("latin-1")
        without_key = settings.without_key(body)
        if without_key != body:
            return read(replace(response, body=without_key.encode("latin-1")))
    return reading


def raise_airflow_error(
    settings: ConnectionSettings,
    error: ResponseError,
    job_id: str | None = None,
    consequence: str | None = None,
) -> NoReturn:
    """
    Raise the error of this provider that fits an error in a response.

    :param settings: whose key must not be shown.
    :param error: what was found.
    :param job_id: of the job that was asked for.
    :param consequence: what follows from it, where anything is certain.
    """
    message = f"{error.message} (asked: {settings.base_url})"
    if error.kind is ResponseErrorKind.UNAUTHORIZED:
        message += ": the API key is wrong or was revoked; put the right one into the connection's password"
    elif error.kind is ResponseErrorKind.FORBIDDEN:
        message += ": something in front of Pictory, such as its CDN or a proxy, may refuse this client"
    elif error.status_code in REDIRECTS:
        message += f": {_way_to_the_right_host(settings, error.location)}"
    elif error.kind is ResponseErrorKind.JOB_NOT_FOUND and job_id:
        message += f": is job {job_id!r} one of this connection's account, and is this the host it ran on?"
        if not is_usual_job_id(job_id):
            message += " Pictory's job ids are UUIDs, this is none."
    if consequence:
        message += f"; {consequence}"
    if error.kind is ResponseErrorKind.INVALID_REQUEST:
        raise PictoryInvalidRequestError(settings.without_key(message)) from None
    is_redirect = error.status_code in REDIRECTS
    raise (PictoryRedirectedError if is_redirect else _ERRORS.get(error.kind, PictoryAPIError))(
        settings.without_key(message),
        status_code=error.status_code,
        code=error.code and settings.without_key(error.code),
        retry_after=error.retry_after,
    ) from None


def _way_to_the_right_host(settings: ConnectionSettings, location: str | None) -> str:
    """Return what to put into the connection's host, where a redirect tells."""
    try:
        parts = urlsplit(urljoin(settings.url("/"), location or ""))
        # Without a user, so that none is sent to where a redirect leads.
        origin = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        path, is_api, _ = parts.path.partition(API_PATH)
    except ValueError:
        origin = path = is_api = ""
    base_url = settings.clean(f"{origin}{path}".rstrip("/"), longest=_LONGEST_HOST_SHOWN)
    if is_api and parts.scheme in ("http", "https") and base_url != settings.base_url:
        return f"if that is where Pictory's API is, put {shown(base_url)} into the connection's host"
    return (
        "something else than Pictory's API is there; the connection's host must be the address of that, such "
        f"as {DEFAULT_BASE_URL}"
    )
