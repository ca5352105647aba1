"""One synchronous request, and as much of its response as its caller allows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_provider_pictory.api import Response

if TYPE_CHECKING:
    import requests

    from airflow_provider_pictory.client.settings import ConnectionSettings
    from airflow_provider_pictory.client.tracked_body import TrackedBody

# Small, since a piece that never becomes full is lost when time is up.
_PIECE = 4096


@dataclass
class Arrival:
    """
    What has arrived of a response so far; whoever gave up waiting for the rest still has this part.

    :param status_code: the HTTP status, 0 while there is none.
    :param headers: the headers under lower-case names.
    :param body: the beginning of the body.
    :param is_complete: whether that is all of it.
    """

    status_code: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)
    is_complete: bool = False

    @property
    def response(self) -> Response:
        """What has arrived, in the form that the readers take."""
        return Response(self.status_code, bytes(self.body), self.headers)


def receive(
    arrival: Arrival,
    session: requests.Session,
    settings: ConnectionSettings,
    method: str,
    path: str,
    *,
    body: TrackedBody | None = None,
    timeout: float,
    largest: int,
) -> None:
    """
    Send a request, and note its response piece by piece.

    :param arrival: where to note it.
    :param session: what to send it with.
    :param settings: where to send it.
    :param method: the HTTP method.
    :param path: of the API.
    :param body: what to send along.
    :param timeout: seconds to wait for the connection, and then for each of the response's pieces.
    :param largest: a body of more bytes than these is not received to its end.
    """

    def note_head(response: requests.Response, **_: object) -> None:
        arrival.headers = {name.lower(): value for name, value in response.headers.items()}
        arrival.status_code = response.status_code
        # Even where it isn't to follow a redirect, requests reads all of its body and where it leads to, and
        # raises when that makes no sense.
        response.headers.pop("Location", None)

    with session.request(
        method,
        settings.url(path),
        data=body,
        headers={"Content-Type": "application/json"} if body else None,
        timeout=timeout,
        allow_redirects=False,
        stream=True,
        # Given with the session alone, these lose against the environment's.
        proxies=dict(settings.proxies),
        verify=settings.verify,
        cert=settings.cert,
        hooks={"response": note_head},
    ) as response:
        for piece in response.iter_content(_PIECE):
            arrival.body += piece
            if len(arrival.body) > largest:
                return
        arrival.is_complete = True
