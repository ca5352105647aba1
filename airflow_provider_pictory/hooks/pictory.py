"""An Airflow connection becomes calls to Pictory, synchronous with requests and asynchronous with aiohttp."""

from __future__ import annotations

import asyncio
import json
import random
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from http.client import HTTPException
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

import aiohttp
import requests
import urllib3
from airflow.providers.common.compat.connection import get_async_connection
from airflow.providers.common.compat.sdk import AirflowException, AirflowNotFoundException
from airflow.providers.http.hooks.http import HttpHook
from tenacity import Retrying, retry_if_exception, stop_after_attempt

from airflow_provider_pictory import __version__
from airflow_provider_pictory.api import InvalidRequestError, Response, ResponseError, ResponseErrorKind
from airflow_provider_pictory.api.checks import job_id as checked_job_id
from airflow_provider_pictory.api.listings import read_job_list, read_video_list
from airflow_provider_pictory.api.responses import read_job, read_quota, read_submission
from airflow_provider_pictory.client.baseline import JOB_LIST_PATH, NOTHING_IS_PAID, read_baseline
from airflow_provider_pictory.client.deadline import DeadlineExceededError, call_within
from airflow_provider_pictory.client.errors import (
    no_connection,
    no_response,
    raise_airflow_error,
    read_without_key,
    submission_unknown,
    words,
)
from airflow_provider_pictory.client.exchange import Arrival, receive
from airflow_provider_pictory.client.session import (
    FileSession,
    asynchronous_transport,
    parsed_url,
    synchronous_session,
)
from airflow_provider_pictory.client.settings import DEFAULT_BASE_URL, ConnectionSettings
from airflow_provider_pictory.client.tracked_body import TrackedBody
from airflow_provider_pictory.exceptions import (
    PictoryAPIError,
    PictoryError,
    PictoryInvalidRequestError,
    PictoryRateLimitedError,
    PictorySubmissionIndeterminateError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from airflow.providers.common.compat.sdk import Connection
    from tenacity import RetryCallState

    from airflow_provider_pictory.api import Quota, VideoJob, VideoRequest
    from airflow_provider_pictory.api.listings import JobListPage, NewestJob, VideoListPage
    from airflow_provider_pictory.client.session import AsynchronousTransport

USER_AGENT = f"airflow-provider-pictory/{__version__}"
# A refused submission is tried again at once only so often, and after a pause of so many seconds; beyond
# that, Airflow's retries are the better place to wait.
SUBMIT_ATTEMPTS = 3
SHORTEST_PAUSE_BEFORE_SUBMITTING = 1.0
LONGEST_PAUSE_BEFORE_SUBMITTING = 60.0
# A key that Pictory refuses is looked up again, but for many refusals in so many seconds only once.
SHORTEST_TIME_TO_READ_AGAIN = 5.0

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

GAVE_UP_WAITING = (408, 425, 499)

# Far more than any response about one job. Reading a page of megabytes would block a triggerer's loop.
LARGEST_RESPONSE = 1024 * 1024
# In the list of jobs, those of other kinds can be megabytes long.
LARGEST_LIST = 32 * 1024 * 1024

SUBMIT_PATH = "/v1/aistudio/videos"
VIDEO_LIST_PATH = SUBMIT_PATH
QUOTA_PATH = "/v1/quota"

Page = TypeVar("Page")


@dataclass
class _LoopSessions:
    """
    What belongs to one event loop, since no other can use it.

    :param transport: the open session, if there is one.
    :param replaced: sessions with an outdated key, which calls under way may still use.
    :param lock: whoever opens a session holds it.
    :param read_again_at: when the connection was read again last, by ``time.monotonic``.
    """

    transport: AsynchronousTransport | None = None
    replaced: list[AsynchronousTransport] = field(default_factory=list)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    read_again_at: float = float("-inf")

    async def aclose(self) -> None:
        """Close all sessions, also those of a loop that has ended by now."""
        transports = [*self.replaced, *filter(None, [self.transport])]
        self.transport = None
        self.replaced.clear()
        for transport in transports:
            await transport.aclose()


class PictoryHook(HttpHook):
    """
    Talk to Pictory with the key and the base URL of an Airflow connection.

    The connection's password is the raw API key. Its host moves to another base URL, such as the sandbox's.
    Its extra may hold ``timeout`` (seconds per call, default 30), ``verify``, ``proxies`` and ``cert``, which
    mean what they mean in requests, ``submission_window`` (see :meth:`get_submission_window`) and
    ``allow_private_hosts`` (see :meth:`open_file`); nothing else in it is used. The connection is fetched
    once for each hook, and once more when Pictory refuses the key, since keys are rotated.

    No call follows redirects. A submission is repeated only when it was certainly refused or never sent.

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
        self._file_session: FileSession | None = None
        self._loops: dict[asyncio.AbstractEventLoop, _LoopSessions] = {}

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

    def submit_video(
        self, request: VideoRequest, *, before_attempt: Callable[[float], None] | None = None
    ) -> str:
        """
        Submit a video, which costs AI credits, and give its job id.

        (source: Pictory's "Generate Video" page, ``POST /v1/aistudio/videos``)

        :param request: what to make.
        :param before_attempt: called before each POST with the seconds after which that POST will be over
            however it goes, to record that it is about to be sent; what it raises ends the submission.
        :return: the id of the job that makes it.
        :raises PictoryInvalidRequestError: Pictory refused a field; nothing was paid.
        :raises PictoryAuthenticationError: Pictory refused the key; nothing was paid.
        :raises PictoryInsufficientCreditsError: the account is out of AI credits; nothing was paid.
        :raises PictoryRateLimitedError: too many requests; nothing was paid.
        :raises PictoryAPIError: another 4xx, or no connection came about; nothing was paid.
        :raises PictorySubmissionIndeterminateError: anything else, so a video may be in the making, and paid.
        """
        accepted: list[str] = []
        try:
            for attempt in Retrying(
                retry=retry_if_exception(_was_refused_for_now),
                stop=stop_after_attempt(SUBMIT_ATTEMPTS),
                wait=_pause_before_submitting_again,
                before_sleep=self._report_refusal,
                reraise=True,
            ):
                with attempt:
                    self._submit_once(request, accepted, before_attempt)
        except BaseException as error:
            # A signal may strike at any moment, also when the id is there and nobody has it yet.
            if accepted:
                raise PictorySubmissionIndeterminateError(
                    f"Pictory accepted the video as job {accepted[0]}, which goes on and is paid for, but "
                    f"then the submission was interrupted ({words(self._get_settings(), error)})",
                    job_id=accepted[0],
                    interruption=_interruption(error),
                ) from None
            raise
        return accepted[0]

    def _submit_once(
        self,
        request: VideoRequest,
        accepted: list[str],
        before_attempt: Callable[[float], None] | None,
    ) -> None:
        settings = self._get_settings()
        over_at = datetime.now(UTC) + timedelta(seconds=settings.timeout)
        body = TrackedBody(json.dumps(request.payload).encode(), over_at.timestamp())
        if before_attempt is not None:
            before_attempt(settings.timeout)
        try:
            response = self._send(settings, "POST", SUBMIT_PATH, body)
            accepted.append(read_without_key(settings, response, read_submission))
        except ResponseError as error:
            # Only a 4xx, and want of credits under whichever status, say for certain that there is no job;
            # those by which something in between says that it gave up waiting do not.
            is_refusal = 400 <= error.status_code < 500 and error.status_code not in GAVE_UP_WAITING
            if is_refusal or error.kind is ResponseErrorKind.INSUFFICIENT_CREDITS:
                raise_airflow_error(settings, error, consequence=NOTHING_IS_PAID)
            raise submission_unknown(settings, error.message, job_id=error.job_id) from None
        except BaseException as error:
            # Airflow's timeout of a task and its end by a signal are no Exceptions, and both may be retried.
            # Where nothing was sent they pass through, and nothing is tried again here after them.
            if accepted:
                raise
            if body.withhold():
                raise submission_unknown(
                    settings, f"the response was lost ({words(settings, error)})", _interruption(error)
                ) from None
            if isinstance(error, NO_RESPONSE):
                raise no_response(settings, error, NOTHING_IS_PAID) from None
            raise

    def _report_refusal(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        pause = state.next_action.sleep if state.next_action else 0.0
        self.log.warning("Nothing was submitted yet, the next attempt is in %.0f s: %s", pause, error)

    def get_job(self, job_id: str) -> VideoJob:
        """
        Poll a job.

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
        response = self._get(_job_path(job_id))
        settings = self._get_settings()
        try:
            return read_without_key(settings, response, read_job, job_id)
        except ResponseError as error:
            raise_airflow_error(settings, error, job_id)

    async def aget_job(self, job_id: str) -> VideoJob:
        """
        Poll a job without blocking; otherwise as :meth:`get_job`.

        The first call in an event loop opens a session that the next ones there share; end with
        :meth:`aclose` in each loop, or use the hook in an ``async with``.
        """
        job_id = _checked(job_id)
        transport, response = await self._aget(_job_path(job_id))
        try:
            return read_without_key(transport.settings, response, read_job, job_id)
        except ResponseError as error:
            raise_airflow_error(transport.settings, error, job_id)

    def get_quota(self) -> Quota:
        """
        Read what the account's current billing term allows.

        (source: Pictory's documentation, ``GET /v1/quota``)

        :return: AI credits used, and their limit.
        :raises PictoryAuthenticationError: Pictory refuses the key, also after reading the connection again.
        :raises PictoryRateLimitedError: too many requests.
        :raises PictoryAPIError: any other trouble.
        """
        response = self._get(QUOTA_PATH)
        settings = self._get_settings()
        try:
            return read_without_key(settings, response, read_quota)
        except ResponseError as error:
            raise_airflow_error(settings, error)

    def list_jobs(self, page_key: str | None = None) -> JobListPage:
        """
        Read a page of the list of the account's jobs of every kind, newest first.

        (source: Pictory's documentation, ``GET /v1/jobs``)

        :param page_key: the ``next_page_key`` of the page before; the first page without it.
        :raises PictoryInvalidRequestError: Pictory refuses the page key.
        :raises PictoryAuthenticationError: Pictory refuses the key, also after reading the connection again.
        :raises PictoryRateLimitedError: too many requests.
        :raises PictoryAPIError: any other trouble, such as a page of more than 32 MiB.
        """
        return self._get_page(JOB_LIST_PATH, page_key, read_job_list)

    def list_videos(self, page_key: str | None = None) -> VideoListPage:
        """
        Read a page of the list of the account's finished AI Studio videos, newest first.

        (source: Pictory's documentation, ``GET /v1/aistudio/videos``)

        :param page_key: the ``next_page_key`` of the page before; the first page without it.
        :raises PictoryInvalidRequestError: Pictory refuses the page key.
        :raises PictoryAuthenticationError: Pictory refuses the key, also after reading the connection again.
        :raises PictoryRateLimitedError: too many requests.
        :raises PictoryAPIError: any other trouble, such as a page of more than 32 MiB.
        """
        return self._get_page(VIDEO_LIST_PATH, page_key, read_video_list)

    def newest_job(self) -> NewestJob:
        """
        Look at the account's newest job, so that later ones can be told from it, and at Pictory's clock.

        This is for the moment before a submission, so it takes 5 seconds at most and hides all trouble with
        the call: the newest job is then unknown, and the log says why.

        :raises PictoryConfigurationError: the connection is missing or can't be used, or its host redirects
            to another one.
        """
        return read_baseline(self._get_settings(), self.default_headers, self.log.info)

    def get_base_url(self) -> str:
        """
        Return the base URL that the connection leads to.

        :raises PictoryConfigurationError: the connection is missing or can't be used.
        """
        return self._get_settings().base_url

    def get_submission_window(self) -> float:
        """
        Return how long a submission whose response was lost may take to appear in the account's lists.

        :return: seconds after the POST's time limit, the connection's extra ``submission_window``, 180 by
            default; without a job by then, nothing was submitted.
        :raises PictoryConfigurationError: the connection is missing or can't be used.
        """
        return self._get_settings().submission_window

    def open_file(self, url: str, headers: Mapping[str, str]) -> requests.Response:
        """
        Ask for a file of a finished job, through the connection's proxies but without its key.

        Neither the URL nor a redirect may lead to a loopback, link-local or private address, unless the
        connection's own host has one or its extra has ``allow_private_hosts``.

        :param url: from :meth:`get_job`; redirects are followed.
        :param headers: added to the request.
        :return: whatever the host responds, its body still to be read; close it.
        :raises requests.RequestException: there is no response within the connection's ``timeout``.
        :raises ValueError: the URL, or that of a redirect, is none.
        :raises PictoryDownloadError: it leads to a private address.
        """
        settings = self._get_settings()
        session = self._file_session = self._file_session or FileSession(settings)

        def ask() -> requests.Response:
            return session.get(
                url,
                headers={"User-Agent": USER_AGENT, "Accept": "*/*", **headers},
                timeout=settings.timeout,
                stream=True,
                # Given with the session alone, these lose against the environment's.
                proxies=dict(settings.proxies),
                verify=settings.verify,
            )

        try:
            return call_within(settings.timeout, ask)
        except DeadlineExceededError:
            # What the host may still say belongs to nobody.
            self._file_session = None
            raise
        except NO_RESPONSE as error:
            query = url.partition("?")[2]
            failure = requests.RequestException(words(settings, error, *[query] * (len(query) > 8)))
        # Raised out here, the error has no context, which may name a proxy with its password.
        raise failure

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
        Return a requests session for calls that this hook has no method for, as :meth:`HttpHook.run` makes.

        :param headers: added to those of every call.
        :param extra_options: ``timeout`` and ``check_response``, as HttpHook takes them.
        :raises PictoryConfigurationError: the connection is missing or can't be used.
        """
        settings = self._get_settings()
        self.base_url, self._base_url_initialized = settings.base_url, True
        self.merged_extra = {"timeout": settings.timeout, "allow_redirects": False, **(extra_options or {})}
        session = synchronous_session(settings, self.keep_alive_adapter)
        session.headers.update({**self.default_headers, **(headers or {})})
        return session

    def check_response(self, response: requests.Response) -> None:
        """
        Raise on a 4xx and a 5xx, as HttpHook does, but log the server's words without secrets.

        :param response: of a call of :meth:`HttpHook.run`.
        :raises AirflowException: with the status and its reason.
        """
        if response.status_code >= 400:
            settings = self._get_settings()
            reason = settings.clean(response.reason or "")
            said = "not shown" if response.status_code in (401, 403, 407) else settings.clean(response.text)
            self.log.error("HTTP error: %s (%s)", reason, said)
            raise AirflowException(f"{response.status_code}:{reason}")

    def close(self) -> None:
        """Close the synchronous sessions and forget the connection; the next call fetches it again."""
        for session in filter(None, (self._session, self._file_session)):
            session.close()
        self._session = self._file_session = self._settings = None

    async def aclose(self) -> None:
        """Close the running loop's session and forget the connection; the next call fetches it again."""
        await self._close_ended_loops()
        if sessions := self._loops.get(asyncio.get_running_loop()):
            await sessions.aclose()

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
                raise no_connection(self.pictory_conn_id) from error
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

    def _get_page(self, path: str, page_key: str | None, read: Callable[[Response], Page]) -> Page:
        if page_key:
            # Pictory's own keys come back as they were, were they even no proper text.
            path += f"?nextPageKey={quote(page_key, safe='', errors='surrogatepass')}"
        response = self._get(path, LARGEST_LIST)
        settings = self._get_settings()
        try:
            return read_without_key(settings, response, read)
        except ResponseError as error:
            raise_airflow_error(settings, error)

    def _get(self, path: str, largest: int = LARGEST_RESPONSE) -> Response:
        response = self._get_once(path, largest)
        if response.status_code == 401:
            refused = self._get_settings()
            self.close()
            if self._get_settings() != refused:
                response = self._get_once(path, largest)
        return response

    def _get_once(self, path: str, largest: int) -> Response:
        settings = self._get_settings()
        try:
            return self._send(settings, "GET", path, largest=largest)
        except NO_RESPONSE as error:
            raise no_response(settings, error) from None

    def _send(
        self,
        settings: ConnectionSettings,
        method: str,
        path: str,
        body: TrackedBody | None = None,
        # As many as ever, since the response to a submission must not be lost to a limit.
        largest: int = LARGEST_LIST,
    ) -> Response:
        if body is not None:
            # A connection that was kept open may be closed by the server in the moment of the POST, which
            # would leave it unknown whether that arrived.
            self._session = synchronous_session(settings, None)
            self._session.headers.update(self.default_headers)
        session = self._session = self._session or self.get_conn()
        arrival = Arrival()
        timeout = settings.timeout
        call = partial(
            receive, arrival, session, settings, method, path, body=body, timeout=timeout, largest=largest
        )
        try:
            call_within(timeout, call)
        except BaseException:
            # Its thread may still be busy with it.
            self._session = None
            raise
        if not arrival.is_complete:
            raise ValueError(f"the response is larger than {largest:,} bytes")
        return arrival.response

    async def _aget(self, path: str) -> tuple[AsynchronousTransport, Response]:
        # Nobody has to wait for the lock while there is nothing to open, as there isn't for nearly all calls.
        transport = self._transport or await self._get_transport()
        response = await _aget_once(transport, path)
        if response.status_code == 401:
            renewed = await self._get_transport(refused=transport)
            if renewed is not transport:
                return renewed, await _aget_once(renewed, path)
        return transport, response

    async def _get_transport(self, refused: AsynchronousTransport | None = None) -> AsynchronousTransport:
        """
        Return the open session, or one with the connection read anew where Pictory refused this one's key.

        Many calls share a session and may be refused together, so the connection is read once for all of
        them, and a session that was replaced stays open for those still under way.
        """
        loop = asyncio.get_running_loop()
        if loop not in self._loops:
            await self._close_ended_loops()
        own = self._loops.setdefault(loop, _LoopSessions())
        async with own.lock:
            now = time.monotonic()
            if own.transport is None:
                own.transport = await self._open_transport(await self._aget_settings())
            elif own.transport is refused and now - own.read_again_at > SHORTEST_TIME_TO_READ_AGAIN:
                settings = await self._aget_settings()
                own.read_again_at = now
                if settings != refused.settings:
                    own.replaced.append(refused)
                    own.transport = await self._open_transport(settings)
            return own.transport

    @property
    def _transport(self) -> AsynchronousTransport | None:
        sessions = self._loops.get(asyncio.get_running_loop())
        return sessions.transport if sessions else None

    async def _close_ended_loops(self) -> None:
        """Close what loops have left behind that ended without :meth:`aclose`, as in ``asyncio.run``."""
        for loop in tuple(self._loops):
            if loop.is_closed() and (sessions := self._loops.pop(loop, None)):
                await sessions.aclose()

    async def _aget_settings(self) -> ConnectionSettings:
        try:
            connection = await get_async_connection(self.pictory_conn_id)
        except AirflowNotFoundException as error:
            raise no_connection(self.pictory_conn_id) from error
        return self._read_settings(connection)

    async def _open_transport(self, settings: ConnectionSettings) -> AsynchronousTransport:
        return await asynchronous_transport(settings, self.default_headers)


async def _aget_once(transport: AsynchronousTransport, path: str) -> Response:
    try:
        with transport.time_limit.call():
            async with transport.session.get(
                parsed_url(transport.settings.url(path)), allow_redirects=False, **transport.options
            ) as response:
                body = bytearray()
                async for piece in response.content.iter_any():
                    body += piece
                    if len(body) > LARGEST_RESPONSE:
                        raise ValueError(f"the response is larger than {LARGEST_RESPONSE:,} bytes")
    except NO_RESPONSE as error:
        failure = no_response(transport.settings, error)
    else:
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Response(response.status, bytes(body), headers)
    # Raised out here, the error has no context: aiohttp's exceptions hold the headers that were sent.
    raise failure


def _interruption(error: BaseException) -> BaseException | None:
    """Return what ended a call from outside, such as Airflow's timeout of a task, which is no Exception."""
    return None if isinstance(error, Exception) else error


def _was_refused_for_now(error: BaseException) -> bool:
    """Tell a refusal that may pass, a 429 or no connection, from all else, which must not be repeated."""
    if isinstance(error, PictoryRateLimitedError):
        return (error.retry_after or 0.0) <= LONGEST_PAUSE_BEFORE_SUBMITTING
    return isinstance(error, PictoryAPIError) and error.status_code is None


def _pause_before_submitting_again(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked = getattr(error, "retry_after", None)
    pause = 2.0**state.attempt_number if asked is None else max(asked, SHORTEST_PAUSE_BEFORE_SUBMITTING)
    return float(pause * random.uniform(1.0, 1.2))  # noqa: S311  (no secret)


def _checked(job_id: object) -> str:
    try:
        return checked_job_id(job_id)
    except InvalidRequestError as error:
        raise PictoryInvalidRequestError(str(error)) from error


def _job_path(job_id: str) -> str:
    return f"/v1/jobs/{quote(job_id, safe='')}"
