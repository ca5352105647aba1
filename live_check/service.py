"""Requests to the service, each response kept as it came."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from airflow_provider_pictory.api.json_text import read_json
from airflow_provider_pictory.client.calls import LARGEST_LIST
from airflow_provider_pictory.client.deadline import call_within
from airflow_provider_pictory.client.errors import NO_RESPONSE, words
from airflow_provider_pictory.client.exchange import Arrival, receive
from airflow_provider_pictory.client.session import USER_AGENT, synchronous_session
from airflow_provider_pictory.client.settings import DEFAULT_TIMEOUT, ConnectionSettings
from airflow_provider_pictory.client.tracked_body import TrackedBody

if TYPE_CHECKING:
    import requests

    from airflow_provider_pictory.api import Response

# Seconds that a call may take, as in a connection without an extra.
TIMEOUT = DEFAULT_TIMEOUT
HEADERS = {"User-Agent": USER_AGENT, "Accept": "application/json"}


class NoResponseError(Exception):
    """A request got no response; the message is fit to be shown."""


@dataclass(frozen=True)
class Exchange:
    """
    A request and its response.

    :param response: as it came.
    :param seconds: from the request to the response's end.
    """

    response: Response
    seconds: float

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.response.status_code

    @property
    def json(self) -> Any:
        """The body as JSON; ``None`` where it is none."""
        try:
            return read_json(self.response.body)
        except ValueError:
            return None

    @property
    def document(self) -> dict[str, Any]:
        """The body as a JSON object; an empty one where it is none."""
        return self.json if isinstance(self.json, dict) else {}

    @property
    def data(self) -> dict[str, Any]:
        """The object in the body's envelope; an empty one where there is none."""
        return of_data(self.document)


def of_data(item: object) -> dict[str, Any]:
    """Return the object under ``data``; an empty one where there is none."""
    data = item.get("data") if isinstance(item, dict) else None
    return data if isinstance(data, dict) else {}


def settings_of(base_url: str, api_key: str) -> ConnectionSettings:
    """
    Read base URL and key as those of an Airflow connection are.

    :raises PictoryConfigurationError: one of them can't be used.
    """
    connection = SimpleNamespace(
        conn_id="live_check", password=api_key, host=base_url, schema=None, port=None, extra=None
    )
    return replace(ConnectionSettings.from_connection(cast("Any", connection)), timeout=TIMEOUT)


class Service:
    """
    Asks the service.

    :param settings: where it is, and with which key.
    :param pause: seconds between two requests.
    """

    def __init__(self, settings: ConnectionSettings, pause: float) -> None:
        self.settings = settings
        self.exchanges: list[Exchange] = []
        self._pause = pause
        self._session = synchronous_session(settings, HEADERS)

    def get(self, path: str) -> Exchange:
        """Ask with the key, as the package does."""
        return self._send(self._session, "GET", path)

    def get_with(self, path: str, api_key: str | None, user_agent: str = USER_AGENT) -> Exchange:
        """Ask with another key or none, and another User-Agent."""
        settings = replace(self.settings, api_key=api_key or "")
        session = synchronous_session(settings, {**HEADERS, "User-Agent": user_agent})
        if api_key is None:
            # What is there keeps requests from looking into ~/.netrc.
            session.auth = cast("Any", lambda request: request)
        with session:
            return self._send(session, "GET", path)

    def post(self, path: str, body: dict[str, Any]) -> Exchange:
        """Send a body that can only be refused."""
        content = TrackedBody(json.dumps(body).encode(), time.time() + self.settings.timeout)
        return self._send(self._session, "POST", path, content)

    def keep(self, exchange: Exchange) -> Exchange:
        """Count a request that somebody else has made."""
        self.exchanges.append(exchange)
        return exchange

    def _send(
        self, session: requests.Session, method: str, path: str, body: TrackedBody | None = None
    ) -> Exchange:
        time.sleep(self._pause)
        arrival, started = Arrival(), time.monotonic()
        limits: dict[str, Any] = {"timeout": self.settings.timeout, "largest": LARGEST_LIST}
        call = partial(receive, arrival, session, self.settings, method, path, body=body, **limits)
        try:
            call_within(self.settings.timeout, call)
        except NO_RESPONSE as error:
            why = words(self.settings, error)
        else:
            return self.keep(Exchange(arrival.response, time.monotonic() - started))
        # Raised out here, the error has no context, which may show the headers that were sent.
        raise NoResponseError(f"no response ({why})")
