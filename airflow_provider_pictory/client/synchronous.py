"""Synchronous calls over one connection, with requests."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_pictory.client.calls import LARGEST_LIST
from airflow_provider_pictory.client.deadline import call_within
from airflow_provider_pictory.client.errors import NO_RESPONSE, no_response
from airflow_provider_pictory.client.exchange import Arrival, receive
from airflow_provider_pictory.client.session import synchronous_session

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import requests
    from requests.adapters import HTTPAdapter

    from airflow_provider_pictory.api import Response
    from airflow_provider_pictory.client.calls import Call
    from airflow_provider_pictory.client.settings import ConnectionSettings
    from airflow_provider_pictory.client.tracked_body import TrackedBody

Reading = TypeVar("Reading")


class Client:
    """
    Call Pictory, and wait for each response.

    :param read_settings: reads the connection; asked once, and once more whenever Pictory refuses the key.
    :param headers: of each request, besides the key.
    :param adapter: makes the connections that are kept open.
    """

    def __init__(
        self,
        read_settings: Callable[[], ConnectionSettings],
        headers: Mapping[str, str],
        adapter: HTTPAdapter | None = None,
    ) -> None:
        self._read_settings = read_settings
        self.headers = headers
        self._adapter = adapter
        self._settings: ConnectionSettings | None = None
        self._session: requests.Session | None = None

    @property
    def settings(self) -> ConnectionSettings:
        """
        What the connection says.

        :raises PictoryConfigurationError: it is missing or can't be used.
        """
        if self._settings is None:
            self._settings = self._read_settings()
        return self._settings

    def get(self, call: Call[Reading]) -> Reading:
        """
        Make a call that only reads, and once more if it was refused and the connection changed meanwhile.

        :raises PictoryError: there is no response, or none that says what it should.
        """
        response = self._get_once(call)
        if response.status_code == 401:
            refused = self.settings
            self.close()
            if self.settings != refused:
                response = self._get_once(call)
        return call.finish(self.settings, response)

    def post(self, path: str, body: TrackedBody) -> Response:
        """
        Send a body once.

        A connection that was kept open may be closed by the server in the moment of the POST, which would
        leave it unknown whether that arrived, so this one is made anew.

        :param path: of the API.
        :param body: what to send.
        :return: whatever came back, as much as is read of any call, since a response to a POST must not be
            lost to a small limit.
        """
        session = self._session = synchronous_session(self.settings, self.headers)
        return self._send(session, "POST", path, body, LARGEST_LIST)

    def close(self) -> None:
        """Close the session and forget the connection; the next call reads it again."""
        if self._session is not None:
            self._session.close()
        self._session = self._settings = None

    def _get_once(self, call: Call[Reading]) -> Response:
        settings = self.settings
        session = self._session or synchronous_session(settings, self.headers, self._adapter)
        self._session = session
        try:
            return self._send(session, "GET", call.path, None, call.largest)
        except NO_RESPONSE as error:
            raise no_response(settings, error) from None

    def _send(
        self, session: requests.Session, method: str, path: str, body: TrackedBody | None, largest: int
    ) -> Response:
        settings, arrival = self.settings, Arrival()
        limits: dict[str, Any] = {"timeout": settings.timeout, "largest": largest}
        call = partial(receive, arrival, session, settings, method, path, body=body, **limits)
        try:
            call_within(settings.timeout, call)
        except BaseException:
            # Its thread may still be busy with it.
            self._session = None
            raise
        if not arrival.is_complete:
            raise ValueError(f"the response is larger than {largest:,} bytes")
        return arrival.response
