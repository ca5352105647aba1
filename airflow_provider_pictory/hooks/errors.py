"""What went wrong with a call, in the words and the errors that a user of Airflow meets."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn, TypeVar

from airflow_provider_pictory.api import Answer, AnswerError, AnswerErrorKind, VideoJob
from airflow_provider_pictory.api.checks import is_usual_job_id
from airflow_provider_pictory.api.lists import JobListPage, VideoListPage
from airflow_provider_pictory.exceptions import (
    PictoryAPIError,
    PictoryAuthenticationError,
    PictoryConfigurationError,
    PictoryInsufficientCreditsError,
    PictoryInvalidRequestError,
    PictoryJobNotFoundError,
    PictoryRateLimitedError,
    PictorySubmissionUnknownError,
)
from airflow_provider_pictory.hooks.connection import DEFAULT_BASE_URL

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_pictory.hooks.connection import ConnectionSettings

Reading = TypeVar("Reading")


_ERRORS: dict[AnswerErrorKind, type[PictoryAPIError]] = {
    AnswerErrorKind.UNAUTHORIZED: PictoryAuthenticationError,
    AnswerErrorKind.INSUFFICIENT_CREDITS: PictoryInsufficientCreditsError,
    AnswerErrorKind.JOB_NOT_FOUND: PictoryJobNotFoundError,
    AnswerErrorKind.RATE_LIMITED: PictoryRateLimitedError,
}


def words(error: BaseException) -> str:
    """Give an exception in words, its class included, since many have no text of their own."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def no_connection(connection_id: str) -> PictoryConfigurationError:
    """Make the error for an Airflow connection that doesn't exist."""
    return PictoryConfigurationError(
        f"There is no Airflow connection {connection_id!r}. Create one of type 'pictory' with the API key as "
        f"its password, for instance with: airflow connections add {connection_id} --conn-type pictory "
        "--conn-password <key>. (If there is one in the environment, its URI or JSON can't be read.)"
    )


def no_answer(
    settings: ConnectionSettings, error: BaseException, consequence: str | None = None
) -> PictoryAPIError:
    """
    Make the error for a call without an answer.

    :param settings: whose key must not be shown.
    :param error: what the HTTP client raised.
    :param consequence: what follows from it, where anything is certain.
    """
    message = f"No answer from Pictory at {settings.base_url} ({words(error)})"
    if "[SSL: " in message and "CERTIFICATE" not in message and settings.base_url != DEFAULT_BASE_URL:
        message += "; if plain HTTP is spoken there, put http:// in front of the connection's host"
    return PictoryAPIError(settings.without_key(f"{message}; {consequence}" if consequence else message))


def submission_unknown(
    settings: ConnectionSettings, why: str, interruption: BaseException | None = None
) -> PictorySubmissionUnknownError:
    """
    Make the error for a submission of which nobody can say whether it arrived.

    :param settings: whose key must not be shown.
    :param why: what is known, as a sentence fragment.
    :param interruption: what ended the call from outside.
    """
    return PictorySubmissionUnknownError(
        settings.without_key(
            f"It is not known whether Pictory at {settings.base_url} accepted the video: {why}. It may be in "
            "the making and paid for."
        ),
        interruption=interruption,
    )


def read_without_key(
    settings: ConnectionSettings, answer: Answer, read: Callable[..., Reading], *context: object
) -> Reading:
    """
    Read an answer so that nothing in it quotes the key, which a server may send back.

    Only errors, lists, and jobs that come with words quote anything, so all else is spared the search.
    Blotting the key out of the finished message would come too late: quotes are cut short, and half a key is
    not recognised.

    :param settings: whose key must not be shown.
    :param answer: what came.
    :param read: one of the readers of :mod:`airflow_provider_pictory.api.answers` or
        :mod:`airflow_provider_pictory.api.lists`.
    :param context: what the reader takes besides the answer.
    :raises AnswerError: as the reader does.
    """
    try:
        reading = read(answer, *context)
    except AnswerError:
        pass
    else:
        if not _quotes(reading):
            return reading
    body = settings.without_key(answer.body.decode("latin-1")).encode("latin-1")
    headers = {name: settings.without_key(value) for name, value in answer.headers.items()}
    return read(Answer(answer.status_code, body, headers), *context)


def _quotes(reading: object) -> bool:
    if isinstance(reading, VideoJob):
        return bool(reading.error_code or reading.error_message or reading.has_unknown_status)
    return isinstance(reading, (JobListPage, VideoListPage))


def raise_airflow_error(
    settings: ConnectionSettings,
    error: AnswerError,
    job_id: str | None = None,
    consequence: str | None = None,
) -> NoReturn:
    """
    Raise what Airflow and its users know how to handle for what the API's description found.

    :param settings: whose key must not be shown.
    :param error: what was found.
    :param job_id: of the job that was asked for.
    :param consequence: what follows from it, where anything is certain.
    """
    message = f"{error.message} (asked: {settings.base_url})"
    if error.kind is AnswerErrorKind.UNAUTHORIZED:
        message += ": the API key is wrong or was revoked; put the right one into the connection's password"
    elif error.kind is AnswerErrorKind.FORBIDDEN:
        message += ": something in front of Pictory, such as its CDN or a proxy, may refuse this client"
    elif error.kind is AnswerErrorKind.JOB_NOT_FOUND and job_id:
        message += f": is job {job_id!r} one of this connection's account, and is this the host it ran on?"
        if not is_usual_job_id(job_id):
            message += " Pictory's job ids are UUIDs, this is none."
    if consequence:
        message += f"; {consequence}"
    if error.kind is AnswerErrorKind.INVALID_REQUEST:
        raise PictoryInvalidRequestError(settings.without_key(message)) from None
    raise _ERRORS.get(error.kind, PictoryAPIError)(
        settings.without_key(message),
        status_code=error.status_code,
        code=error.code and settings.without_key(error.code),
        retry_after=error.retry_after,
    ) from None
