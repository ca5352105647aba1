"""Responses that a test dictates, in place of the service's own."""

from __future__ import annotations

import json
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any

from aiohttp import web
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from airflow_provider_pictory.sandbox.addresses import API_PREFIX, CONTROL_PREFIX

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler

MOST_TIMES = 1_000_000
MOST_RESPONSES = 1000
MOST_BYTES_OF_RESPONSES = 64 * 1024 * 1024
_LONGEST_TEXT = 1000


def _lines(headers: dict[str, Any]) -> dict[str, Any]:
    if any(mark in f"{name}{value}" for name, value in headers.items() for mark in "\r\n\0"):
        raise ValueError("are lines of text")
    return headers


class ScriptedResponse(BaseModel):
    """
    What requests get instead of the truth.

    :param path: which requests: those whose path begins so, with or without ``/pictoryapis`` in front.
    :param method: which requests: those of this method, or of any without it.
    :param status: the HTTP status.
    :param headers: the headers; ``Content-Type`` is JSON's unless they say otherwise.
    :param body: the body as it goes over the wire; what isn't text or bytes is sent as JSON.
    :param is_processed: whether the service acts on the request all the same, so that only its response is
        lost.
    :param times: how many requests get it.
    """

    model_config = ConfigDict(strict=True, extra="forbid")

    path: str = Field(default="/", max_length=_LONGEST_TEXT)
    method: str | None = Field(default=None, max_length=_LONGEST_TEXT)
    status: int = Field(default=200, ge=200, le=599)
    headers: Annotated[dict[str, Any], AfterValidator(_lines)] = {}
    body: Any = ""
    is_processed: bool = False
    times: int = Field(default=1, ge=1, le=MOST_TIMES)

    def is_for(self, method: str, path: str) -> bool:
        """Tell whether a request gets this response."""
        return (self.method is None or self.method.upper() == method) and (
            path.startswith(self.path) or path.removeprefix(API_PREFIX).startswith(self.path)
        )

    @cached_property
    def content(self) -> bytes:
        """The body as it is sent."""
        if isinstance(self.body, bytes):
            return self.body
        return (self.body if isinstance(self.body, str) else json.dumps(self.body)).encode()

    def response(self) -> web.Response:
        """Return the response as it is sent."""
        headers = {"Content-Type": "application/json"}
        headers.update((name, str(value)) for name, value in self.headers.items())
        return web.Response(status=self.status, headers=headers, body=self.content)


class TooManyResponsesError(ValueError):
    """More responses are to wait than a sandbox keeps; the message is a sentence."""


class ScriptedResponses:
    """Hands out scripted responses, each as often as asked, the oldest that fits first."""

    def __init__(self) -> None:
        self._waiting: list[ScriptedResponse] = []

    def add(self, response: ScriptedResponse) -> None:
        """
        Queue a response.

        :raises TooManyResponsesError: when there is no room for it.
        """
        waiting = [*self._waiting, response]
        if len(waiting) > MOST_RESPONSES or sum(len(it.content) for it in waiting) > MOST_BYTES_OF_RESPONSES:
            raise TooManyResponsesError(
                f"at most {MOST_RESPONSES} responses of {MOST_BYTES_OF_RESPONSES // 2**20} MB in all can wait"
            )
        self._waiting = waiting

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Respond in place of the service where a response is waiting for such a request."""
        scripted = next((it for it in self._waiting if it.is_for(request.method, request.path)), None)
        if scripted is None or request.path.startswith(CONTROL_PREFIX):
            return await handler(request)
        scripted.times -= 1
        if not scripted.times:
            self._waiting.remove(scripted)
        if scripted.is_processed:
            await handler(request)
        return scripted.response()
