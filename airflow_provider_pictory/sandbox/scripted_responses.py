"""Responses that a test dictates, in place of the service's own: the simplest of the interventions."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aiohttp import web

from airflow_provider_pictory.sandbox.addresses import API_PREFIX, CONTROL_PREFIX

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp.typedefs import Handler

MOST_TIMES = 1_000_000
MOST_RESPONSES = 1000
MOST_BYTES_OF_RESPONSES = 64 * 1024 * 1024


@dataclass(frozen=True)
class ScriptedResponse:
    """
    What one request gets instead of the truth.

    :param path: which requests: those whose path begins so, with or without ``/pictoryapis`` in front.
    :param method: which requests: those of this method, or of any without it.
    :param status: the HTTP status.
    :param headers: the headers; ``Content-Type`` is JSON's unless they say otherwise.
    :param body: the body as it goes over the wire; what isn't text or bytes is sent as JSON.
    :param is_processed: whether the service acts on the request all the same, so that only its response is
        lost.
    """

    path: str = "/"
    method: str | None = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: object = ""
    is_processed: bool = False

    def is_for(self, method: str, path: str) -> bool:
        """Tell whether a request gets this response."""
        return (self.method is None or self.method.upper() == method) and (
            path.startswith(self.path) or path.removeprefix(API_PREFIX).startswith(self.path)
        )

    def content(self) -> bytes:
        """Return the body as it is sent."""
        if isinstance(self.body, bytes):
            return self.body
        return (self.body if isinstance(self.body, str) else json.dumps(self.body)).encode()

    def response(self) -> web.Response:
        """Return the response as it is sent."""
        headers = {"Content-Type": "application/json"}
        headers.update((name, str(value)) for name, value in self.headers.items())
        return web.Response(status=self.status, headers=headers, body=self.content())


@dataclass
class _Waiting:
    """A response, how often it is still to be given, and how many bytes it has."""

    response: ScriptedResponse
    times: int
    size: int


class TooManyResponsesError(ValueError):
    """More responses are to wait than a sandbox keeps; the message is a sentence."""


class ScriptedResponses:
    """Hands out scripted responses, each as often as asked, the oldest that fits first."""

    def __init__(self) -> None:
        self._waiting: list[_Waiting] = []

    def add(self, response: ScriptedResponse, times: int = 1) -> None:
        """
        Queue a response.

        :param response: the response.
        :param times: how many requests get it.
        :raises TooManyResponsesError: when there is no room for it.
        """
        if not 1 <= times <= MOST_TIMES:
            raise TooManyResponsesError(f"times must be a whole number from 1 to {MOST_TIMES}, not {times}")
        size = len(response.content())
        if (
            len(self._waiting) >= MOST_RESPONSES
            or size + sum(waiting.size for waiting in self._waiting) > MOST_BYTES_OF_RESPONSES
        ):
            raise TooManyResponsesError(
                f"at most {MOST_RESPONSES} responses of {MOST_BYTES_OF_RESPONSES // 2**20} MB in all can wait"
            )
        self._waiting.append(_Waiting(response, times, size))

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Respond in place of the service where a response is waiting for such a request."""
        scripted = self._next_for(request)
        if scripted is None:
            return await handler(request)
        if scripted.is_processed:
            await handler(request)
        return scripted.response()

    def _next_for(self, request: web.Request) -> ScriptedResponse | None:
        if not request.path.startswith(CONTROL_PREFIX):
            for position, waiting in enumerate(self._waiting):
                if waiting.response.is_for(request.method, request.path):
                    waiting.times -= 1
                    if not waiting.times:
                        del self._waiting[position]
                    return waiting.response
        return None
