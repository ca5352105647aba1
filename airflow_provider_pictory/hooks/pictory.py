"""An Airflow connection becomes calls to Pictory, synchronous with requests and asynchronous with aiohttp."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.connection import get_async_connection
from airflow.providers.common.compat.sdk import AirflowException, AirflowNotFoundException
from airflow.providers.http.hooks.http import HttpHook

from airflow_provider_pictory.client import calls
from airflow_provider_pictory.client.asynchronous import AsyncClient
from airflow_provider_pictory.client.baseline import read_baseline
from airflow_provider_pictory.client.deadline import DeadlineExceededError
from airflow_provider_pictory.client.errors import no_connection
from airflow_provider_pictory.client.files import FileSession
from airflow_provider_pictory.client.session import USER_AGENT, synchronous_session
from airflow_provider_pictory.client.settings import DEFAULT_BASE_URL, ConnectionSettings
from airflow_provider_pictory.client.submitting import submit
from airflow_provider_pictory.client.synchronous import Client
from airflow_provider_pictory.exceptions import PictoryError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    import requests
    from airflow.providers.common.compat.sdk import Connection

    from airflow_provider_pictory.api import Quota, VideoJob, VideoRequest
    from airflow_provider_pictory.api.listings import Baseline, JobListPage, VideoListPage


class PictoryHook(HttpHook):
    """
    Talk to Pictory with the key and the base URL of an Airflow connection.

    The connection's password is the raw API key. Its host moves to another base URL, such as the sandbox's.
    Its extra may hold ``timeout`` (seconds per call, default 30), ``verify``, ``proxies`` and ``cert``, which
    mean what they mean in requests, ``submission_window`` (see :meth:`get_submission_window`),
    ``allow_private_hosts`` (see :meth:`open_file`) and ``job_list_polling`` (see
    :meth:`ais_job_list_polled`); nothing else in it is used. The connection is fetched once for each hook
    and event loop, and once more when Pictory refuses the key, since keys are rotated. Where it is missing or
    can't be used, each call raises :class:`PictoryConfigurationError`.

    No call to Pictory follows redirects. A submission is repeated only when it was certainly refused or never
    sent.

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
        self._client = Client(self._read_settings, self.default_headers, self.keep_alive_adapter)
        self._async_client = AsyncClient(self._aread_settings, self.default_headers)
        self._file_session: FileSession | None = None

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Return the connection form's own fields, where Airflow reads them from the hook (2.11 to 3.1)."""
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
        """Return the connection form's words that fit Pictory, where Airflow reads them from the hook."""
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
        Submit a video, which costs AI credits, and return its job id.

        (source: Pictory's "Generate Video" page, ``POST /v1/aistudio/videos``)

        :param request: what to make.
        :param before_attempt: called before each POST with the seconds after which that POST will be over
            however it goes, to record that it is about to be sent; what it raises ends the submission.
        :return: the id of the job that makes it.
        :raises PictoryInvalidRequestError: Pictory refused a field; nothing was paid.
        :raises PictoryAuthenticationError: Pictory refused the key; nothing was paid.
        :raises PictoryInsufficientCreditsError: the account is out of AI credits; nothing was paid.
        :raises PictoryRateLimitedError: too many requests; nothing was paid.
        :raises PictoryAPIError: another 4xx but 408, 425 and 499, or no connection; nothing was paid.
        :raises PictorySubmissionIndeterminateError: anything else, so a video may be in the making, and paid.
        """
        return submit(self._client, request, before_attempt=before_attempt, report=self.log.warning)

    def get_job(self, job_id: str) -> VideoJob:
        """
        Poll a job.

        (source: Pictory's "Get Video Generation Job by ID" page, ``GET /v1/jobs/{jobid}``)

        :param job_id: what :meth:`submit_video` returned.
        :return: the job; a failed one is returned, not raised.
        :raises PictoryInvalidRequestError: this can't be a job id.
        :raises PictoryAuthenticationError: Pictory refuses the key, also after reading the connection again.
        :raises PictoryJobNotFoundError: Pictory knows no such job.
        :raises PictoryRateLimitedError: too many requests.
        :raises PictoryAPIError: any other trouble, none of which says anything about the job.
        """
        return self._client.get(calls.job(job_id))

    async def aget_job(self, job_id: str) -> VideoJob:
        """
        Poll a job without blocking; otherwise as :meth:`get_job`.

        The first call in an event loop opens a session that the next ones there share; end with
        :meth:`aclose` in each loop, or use the hook in an ``async with``.
        """
        return await self._async_client.get(calls.job(job_id))

    def get_quota(self) -> Quota:
        """
        Read what the account's current billing term allows.

        (source: Pictory's documentation, ``GET /v1/quota``)

        :return: AI credits used, and their limit.
        :raises PictoryAuthenticationError: Pictory refuses the key, also after reading the connection again.
        :raises PictoryRateLimitedError: too many requests.
        :raises PictoryAPIError: any other trouble.
        """
        return self._client.get(calls.QUOTA)

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
        return self._client.get(calls.job_list(page_key))

    async def alist_jobs(self, page_key: str | None = None) -> JobListPage:
        """Read a page of the list of jobs without blocking; otherwise as :meth:`list_jobs`."""
        return await self._async_client.get(calls.job_list(page_key))

    async def ais_job_list_polled(self) -> bool:
        """
        Return whether the connection lets waits for many jobs learn from the account's list of jobs.

        :raises PictoryConfigurationError: the connection is missing or can't be used.
        """
        return (await self._async_client.settings()).job_list_polling

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
        return self._client.get(calls.video_list(page_key))

    def get_baseline(self) -> Baseline:
        """
        Read the account's newest job, so that later ones can be told from it, and Pictory's clock.

        This is for the moment before a submission, so it takes 5 seconds at most and hides all trouble with
        the call: the newest job is then unknown, and the log says why.

        :raises PictoryConfigurationError: the connection is missing or can't be used, or its host redirects
            to another one.
        """
        return read_baseline(self._client.settings, self.default_headers, report=self.log.info)

    def get_base_url(self) -> str:
        """
        Return the base URL that the connection leads to.

        :raises PictoryConfigurationError: the connection is missing or can't be used.
        """
        return self._client.settings.base_url

    def get_submission_window(self) -> float:
        """
        Return how long a submission whose response was lost may take to appear in the account's lists.

        :return: seconds after the POST's time limit, the connection's extra ``submission_window``, 180 by
            default; without a job by then, nothing was submitted.
        :raises PictoryConfigurationError: the connection is missing or can't be used.
        """
        return self._client.settings.submission_window

    def open_file(self, url: str, headers: Mapping[str, str]) -> requests.Response:
        """
        Ask for a file of a finished job, through the connection's proxies but without its key.

        Neither the URL nor a redirect may lead to a loopback, link-local or private address, unless the
        connection's own host has one or its extra has ``allow_private_hosts``.

        :param url: from :meth:`get_job`; redirects are followed.
        :param headers: added to the request.
        :return: the host's response, whatever it is, with its body still to be read; close it.
        :raises requests.RequestException: there is no response within the connection's ``timeout``.
        :raises ValueError: the URL, or that of a redirect, is no URL.
        :raises PictoryDownloadError: the URL leads to a private address.
        """
        session = self._file_session = self._file_session or FileSession(self._client.settings)
        try:
            return session.ask(url, headers)
        except DeadlineExceededError:
            # What the host may still say belongs to nobody.
            self._file_session = None
            raise

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
        settings = self._client.settings
        self.base_url, self._base_url_initialized = settings.base_url, True
        self.merged_extra = {"timeout": settings.timeout, "allow_redirects": False, **(extra_options or {})}
        sent = {**self.default_headers, **(headers or {})}
        return synchronous_session(settings, sent, self.keep_alive_adapter)

    def check_response(self, response: requests.Response) -> None:
        """
        Raise on a 4xx and a 5xx, as HttpHook does, but log the server's words without secrets.

        :param response: of a call of :meth:`HttpHook.run`.
        :raises AirflowException: with the status and its reason.
        """
        if response.status_code >= 400:
            settings = self._client.settings
            reason = settings.clean(response.reason or "")
            said = "not shown" if response.status_code in (401, 403, 407) else settings.clean(response.text)
            self.log.error("HTTP error: %s (%s)", reason, said)
            raise AirflowException(f"{response.status_code}:{reason}")

    def close(self) -> None:
        """Close the synchronous sessions and forget the connection; the next call fetches it again."""
        self._client.close()
        if self._file_session is not None:
            self._file_session.close()
            self._file_session = None

    async def aclose(self) -> None:
        """Close the running loop's session and forget the connection; the next call fetches it again."""
        await self._async_client.aclose()

    async def __aenter__(self) -> PictoryHook:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def _read_settings(self) -> ConnectionSettings:
        try:
            return self._settings_of(self.get_connection(self.pictory_conn_id))
        except AirflowNotFoundException as error:
            raise no_connection(self.pictory_conn_id) from error

    async def _aread_settings(self) -> ConnectionSettings:
        try:
            return self._settings_of(await get_async_connection(self.pictory_conn_id))
        except AirflowNotFoundException as error:
            raise no_connection(self.pictory_conn_id) from error

    def _settings_of(self, connection: Connection) -> ConnectionSettings:
        settings = ConnectionSettings.from_connection(connection)
        if settings.unknown_extras:
            self.log.warning(
                "Connection %r has extras that mean nothing to Pictory's hook and are ignored: %s",
                self.pictory_conn_id,
                ", ".join(settings.unknown_extras),
            )
        return settings
