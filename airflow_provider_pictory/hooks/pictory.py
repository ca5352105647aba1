"""An Airflow connection becomes calls to Pictory, synchronous with requests and asynchronous with aiohttp."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import quote, urlsplit

import aiohttp
import requests
from airflow.providers.common.compat.connection import get_async_connection
from airflow.providers.common.compat.sdk import AirflowNotFoundException, AirflowTaskTimeout
from airflow.providers.http.hooks.http import HttpHook
from requests.auth import AuthBase

from airflow_provider_pictory import __version__
from airflow_provider_pictory.api import Answer, AnswerError, AnswerErrorKind, InvalidRequestError
from airflow_provider_pictory.api.answers import read_job, read_quota, read_submission
from airflow_provider_pictory.api.checks import is_usual_job_id
from airflow_provider_pictory.api.checks import job_id as checked_job_id
from airflow_provider_pictory.exceptions import (
    PictoryAPIError,
    PictoryAuthenticationError,
    PictoryConfigurationError,
    PictoryError,
    PictoryInsufficientCreditsError,
    PictoryInvalidRequestError,
    PictoryJobNotFoundError,
    PictoryRateLimitedError,
    PictorySubmissionUnknownError,
)
from airflow_provider_pictory.hooks.connection import DEFAULT_BASE_URL, ConnectionSettings
from airflow_provider_pictory.hooks.transport import asynchronous_transport, synchronous_session

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from airflow.providers.common.compat.sdk import Connection

    from airflow_provider_pictory.api import Quota, VideoJob, VideoRequest
    from airflow_provider_pictory.hooks.transport import AsynchronousTransport

USER_AGENT = f"airflow-provider-pictory/{__version__}"
SUBMIT_PATH = "/v1/aistudio/videos"
QUOTA_PATH = "/v1/quota"

# What the two clients raise where no answer comes. Neither that nor an AnswerError is made the cause of an
# error of ours: aiohttp's exceptions show the headers that were sent, and an answer may quote the key.
_NO_ANSWER = (requests.RequestException, aiohttp.ClientError, OSError, ValueError)


class PictoryHook(HttpHook):
    """
    Talk to Pictory with the key and the base URL of an Airflow connection.

    The connection's password is the raw API key. Its host moves to another base URL, such as the sandbox's.
    Its extra may hold ``timeout`` (seconds per call, default 30), ``verify``, ``proxies`` and ``cert``, which
    mean what they mean in requests; nothing else in it is used. The connection is fetched once for each hook,
    and once more when Pictory refuses the key, since keys are rotated.

    No call follows redirects, and no submission is ever repeated underneath.

    :param pictory_conn_id: id of the Airflow connection of type ``pictory``.
    """

    conn_name_attr = "pictory_conn_id"
    default_conn_name = "pictory_default"
    conn_type = "pictory"
    hook_name = "Pictory"
    default_host = DEFAULT_BASE_URL
    default_headers = {"User-Agent": USER_AGENT, "Accept": "application/json"}  # noqa: RUF012  (HttpHook's)

    def __init__(self, pictory_conn_id: str = default_conn_name) -> None:
        super().__init__(method="GET", http_conn_id=pictory_conn_id)
        self.pictory_conn_id = pictory_conn_id
        self._settings: ConnectionSettings | None = None
        self._session: requests.Session | None = None
        self._transport: AsynchronousTransport | None = None
        self._transport_change = asyncio.Lock()

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Give the connection form its own fields where Airflow reads them from the hook (2.11 to 3.1)."""
        from flask_appbuilder.fieldwidgets import BS3TextFieldWidget
        from flask_babel import lazy_gettext
        from wtforms import StringField

        return {
            "timeout": StringField(
                lazy_gettext("Timeout"),
                widget=BS3TextFieldWidget(),
                description="Seconds that one call to Pictory may take; 30 when empty.",
            )
        }

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Give the connection form the words that fit Pictory where Airflow reads them from the hook."""
        from airflow_provider_pictory.get_provider_info import UI_FIELD_BEHAVIOUR

        return {
            "hidden_fields": UI_FIELD_BEHAVIOUR["hidden-fields"],
            "relabeling": UI_FIELD_BEHAVIOUR["relabeling"],
            "placeholders": UI_FIELD_BEHAVIOUR["placeholders"],
        }

    def submit_video(self, request: VideoRequest) -> str:
        """
        Submit a video, which costs AI credits, and give its job id.

        (source: Pictory's "Generate Video" page, ``POST /v1/aistudio/videos``)

        :param request: what to make.
        :return: the id of the job that makes it.
        :raises PictoryInvalidRequestError: Pictory refused a field; nothing was paid.
        :raises PictoryAuthenticationError: Pictory refused the key; nothing was paid.
        :raises PictoryInsufficientCreditsError: the account is out of AI credits; nothing was paid.
        :raises PictoryRateLimitedError: too many requests; nothing was paid.
        :raises PictoryAPIError: another 4xx, or no connection came about; nothing was paid.
        :raises PictorySubmissionUnknownError: anything else, so a video may be in the making and paid for.
        """
        settings = self._get_settings()
        body = _WatchedBody(json.dumps(request.payload).encode())
        try:
            answer = self._send(settings, "POST", SUBMIT_PATH, body)
        except BaseException as error:
            # Airflow's timeout of a task and its end by a signal are no Exceptions, and both may be retried.
            if body.was_read:
                raise _submission_unknown(settings, f"the answer was lost ({_words(error)})") from None
            if isinstance(error, (*_NO_ANSWER, AirflowTaskTimeout)):
                raise _no_answer(settings, error, "nothing was submitted, nothing is paid") from None
            raise
        try:
            return read_submission(answer)
        except AnswerError as error:
            # A 4xx is the only answer that says for certain that there is no job.
            if 400 <= error.status_code < 500 or error.kind is AnswerErrorKind.INSUFFICIENT_CREDITS:
                _raise_airflow_error(settings, error)
            raise _submission_unknown(settings, error.message) from None

    def get_job(self, job_id: str) -> VideoJob:
        """
        Look at a job.

        (source: Pictory's "Get Video Generation Job by ID" page, ``GET /v1/jobs/{jobid}``)

        :param job_id: what :meth:`submit_video` gave.
        :return: the job; a failed one is returned, not raised.
        :raises PictoryInvalidRequestError: this can't be a job id.
        :raises PictoryAuthenticationError: Pictory refuses the key, also after reading the connection again.
        :raises PictoryJobNotFoundError: Pictory knows no such job.
        :raises PictoryRateLimitedError: too many requests.
        :raises PictoryAPIError: any other trouble, none of which says anything about the job.
        """
        job_id = _checked(job_id)
        answer = self._get(_job_path(job_id))
        try:
            return read_job(answer, job_id)
        except AnswerError as error:
            _raise_airflow_error(self._get_settings(), error, job_id)

    async def aget_job(self, job_id: str) -> VideoJob:
        """
        Look at a job without blocking; otherwise as :meth:`get_job`.

        The first call opens a session that the next ones share; end with :meth:`aclose`, or use the hook in
        an ``async with``.
        """
        job_id = _checked(job_id)
        transport, answer = await self._aget(_job_path(job_id))
        try:
            return read_job(answer, job_id)
        except AnswerError as error:
            _raise_airflow_error(transport.settings, error, job_id)

    def get_quota(self) -> Quota:
        """
        Read what the account's current billing term allows.

        (source: Pictory's documentation, ``GET /v1/quota``)

        :return: AI credits used, and their limit.
        :raises PictoryAuthenticationError: Pictory refuses the key, also after reading the connection again.
        :raises PictoryRateLimitedError: too many requests.
        :raises PictoryAPIError: any other trouble.
        """
        answer = self._get(QUOTA_PATH)
        try:
            return read_quota(answer)
        except AnswerError as error:
            _raise_airflow_error(self._get_settings(), error)

    def test_connection(self) -> tuple[bool, str]:
        """Ask for the account's quota, which needs a valid key and costs nothing, and tell the outcome."""
        try:
            quota = self.get_quota()
        except PictoryError as error:
            return False, str(error)
        return True, (
            f"Pictory accepts the key: {quota.ai_credits_used:,.12g} of {quota.ai_credits_limit:,.12g} AI "
            f"credits are used, {quota.ai_credits_left:,.12g} are left."
        )

    def get_conn(
        self, headers: dict[Any, Any] | None = None, extra_options: dict[str, Any] | None = None
    ) -> requests.Session:
        """
        Give a requests session for calls that this hook has no method for, as :meth:`HttpHook.run` makes.

        :param headers: added to those of every call.
        :param extra_options: ``timeout`` and ``check_response``, as HttpHook takes them.
        :raises PictoryConfigurationError: the connection is missing or can't be used.
        """
        settings = self._get_settings()
        self.base_url, self._base_url_initialized = settings.base_url, True
        self.merged_extra = {"timeout": settings.timeout, "allow_redirects": False, **(extra_options or {})}
        session = synchronous_session(settings, _PictoryAuth(settings), self.keep_alive_adapter)
        session.headers.update({**self.default_headers, **(headers or {})})
        return session

    def close(self) -> None:
        """Close the synchronous session and forget the connection; the next call fetches it again."""
        if self._session is not None:
            self._session.close()
        self._session = self._settings = None

    async def aclose(self) -> None:
        """Close the asynchronous session and forget the connection; the next call fetches it again."""
        transport, self._transport = self._transport, None
        if transport is not None:
            await transport.session.close()

    async def __aenter__(self) -> PictoryHook:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def _get_settings(self) -> ConnectionSettings:
        if self._settings is None:
            try:
                connection = self.get_connection(self.pictory_conn_id)
            except AirflowNotFoundException as error:
                raise _no_connection(self.pictory_conn_id) from error
            self._settings = self._read_settings(connection)
        return self._settings

    def _read_settings(self, connection: Connection) -> ConnectionSettings:
        settings = ConnectionSettings.from_connection(connection)
        if settings.unknown_extras:
            self.log.warning(
                "Connection %r has extras that mean nothing to Pictory's hook and are ignored: %s",
                self.pictory_conn_id,
                ", ".join(settings.unknown_extras),
            )
        return settings

    def _get(self, path: str) -> Answer:
        answer = self._get_once(path)
        if answer.status_code == 401:
            refused = self._get_settings()
            self.close()
            if self._get_settings() != refused:
                answer = self._get_once(path)
        return answer

    def _get_once(self, path: str) -> Answer:
        settings = self._get_settings()
        try:
            return self._send(settings, "GET", path)
        except _NO_ANSWER as error:
            raise _no_answer(settings, error) from None

    def _send(
        self, settings: ConnectionSettings, method: str, path: str, body: _WatchedBody | None = None
    ) -> Answer:
        if self._session is None:
            self._session = self.get_conn()
        response = self._session.request(
            method,
            settings.url(path),
            data=body,
            headers={"Content-Type": "application/json"} if body else None,
            timeout=settings.timeout,
            allow_redirects=False,
            # Given with the session alone, these lose against the environment's.
            proxies=dict(settings.proxies),
            verify=settings.verify,
            cert=settings.cert,
        )
        return _answer(settings, response.status_code, response.content, response.headers)

    async def _aget(self, path: str) -> tuple[AsynchronousTransport, Answer]:
        transport, answer = await self._aget_once(path)
        if answer.status_code == 401:
            fresh = await self._get_transport(refused=transport)
            if fresh.settings != transport.settings:
                transport, answer = await self._aget_once(path)
        return transport, answer

    async def _aget_once(self, path: str) -> tuple[AsynchronousTransport, Answer]:
        transport = await self._get_transport()
        try:
            async with transport.session.get(
                transport.settings.url(path), allow_redirects=False, **transport.options
            ) as response:
                body = await response.read()
        except _NO_ANSWER as error:
            raise _no_answer(transport.settings, error) from None
        return transport, _answer(transport.settings, response.status, body, response.headers)

    async def _get_transport(self, refused: AsynchronousTransport | None = None) -> AsynchronousTransport:
        # Many calls may be under way on one hook; only one of them makes, or replaces, what all share.
        async with self._transport_change:
            if self._transport is not None and self._transport is refused:
                await self.aclose()
            if self._transport is None:
                try:
                    connection = await get_async_connection(self.pictory_conn_id)
                except AirflowNotFoundException as error:
                    raise _no_connection(self.pictory_conn_id) from error
                settings = self._read_settings(connection)
                self._transport = await asynchronous_transport(settings, self.default_headers)
            return self._transport


class _PictoryAuth(AuthBase):
    """
    Set the raw key, in the one place where requests lets nothing replace it.

    A plain ``Authorization`` header would be replaced by whatever ``~/.netrc`` has for the host, and would be
    sent along to other hosts.
    """

    def __init__(self, settings: ConnectionSettings) -> None:
        self._settings = settings

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        own, asked = urlsplit(self._settings.base_url), urlsplit(str(request.url))
        if (own.scheme, own.hostname, own.port) == (asked.scheme, asked.hostname, asked.port):
            request.headers["Authorization"] = self._settings.api_key
        return request


class _WatchedBody:
    """
    The body of a paid POST, which knows whether its first byte was asked for.

    The exceptions of requests don't tell: the same class is raised before a connection exists and after the
    server has read everything. A body that nobody read has not been sent.
    """

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._position = 0
        self.was_read = False

    def __len__(self) -> int:
        return len(self._content)

    def read(self, size: int = -1) -> bytes:
        """Hand over the next bytes, as http.client asks for them while it sends."""
        self.was_read = True
        end = len(self._content) if size is None or size < 0 else self._position + size
        piece = self._content[self._position : end]
        self._position += len(piece)
        return piece


def _checked(job_id: object) -> str:
    try:
        return checked_job_id(job_id)
    except InvalidRequestError as error:
        raise PictoryInvalidRequestError(str(error)) from error


def _job_path(job_id: str) -> str:
    return f"/v1/jobs/{quote(job_id, safe='')}"


def _answer(
    settings: ConnectionSettings, status_code: int, body: bytes, headers: Mapping[str, str]
) -> Answer:
    """Put an answer together without the key, which a server may quote and a message may show half of."""
    return Answer(
        status_code,
        settings.without_key(body.decode("latin-1")).encode("latin-1"),
        {name.lower(): settings.without_key(value) for name, value in headers.items()},
    )


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _no_connection(connection_id: str) -> PictoryConfigurationError:
    return PictoryConfigurationError(
        f"There is no Airflow connection {connection_id!r}. Create one of type 'pictory' with the API key as "
        f"its password, for instance with: airflow connections add {connection_id} --conn-type pictory "
        "--conn-password <key>"
    )


def _no_answer(
    settings: ConnectionSettings, error: BaseException, consequence: str | None = None
) -> PictoryAPIError:
    words = f"No answer from Pictory at {settings.base_url} ({_words(error)})"
    return PictoryAPIError(settings.without_key(f"{words}; {consequence}" if consequence else words))


def _submission_unknown(settings: ConnectionSettings, why: str) -> PictorySubmissionUnknownError:
    return PictorySubmissionUnknownError(
        settings.without_key(
            f"It is not known whether Pictory at {settings.base_url} accepted the video: {why}. It may be in "
            "the making and paid for, so it is not submitted again by itself. Look for it in Pictory's list "
            "of videos first; if it isn't there, clear this task to submit it again."
        )
    )


_ERRORS: dict[AnswerErrorKind, type[PictoryAPIError]] = {
    AnswerErrorKind.UNAUTHORIZED: PictoryAuthenticationError,
    AnswerErrorKind.INSUFFICIENT_CREDITS: PictoryInsufficientCreditsError,
    AnswerErrorKind.JOB_NOT_FOUND: PictoryJobNotFoundError,
    AnswerErrorKind.RATE_LIMITED: PictoryRateLimitedError,
}


def _raise_airflow_error(
    settings: ConnectionSettings, error: AnswerError, job_id: str | None = None
) -> NoReturn:
    message = f"{error.message} [{settings.base_url}]"
    if error.kind is AnswerErrorKind.INVALID_REQUEST:
        raise PictoryInvalidRequestError(settings.without_key(message)) from None
    if error.kind is AnswerErrorKind.UNAUTHORIZED:
        message += ": the API key is wrong or was revoked; put the right one into the connection's password"
    elif error.kind is AnswerErrorKind.FORBIDDEN:
        message += ": something in front of Pictory, such as its CDN or a proxy, may refuse this client"
    elif error.kind is AnswerErrorKind.JOB_NOT_FOUND and job_id:
        message += f": is job {job_id!r} one of this connection's account, and is this the host it ran on?"
        if not is_usual_job_id(job_id):
            message += " Pictory's job ids are UUIDs, this is none."
    raise _ERRORS.get(error.kind, PictoryAPIError)(
        settings.without_key(message),
        status_code=error.status_code,
        code=error.code and settings.without_key(error.code),
        retry_after=error.retry_after,
    ) from None
