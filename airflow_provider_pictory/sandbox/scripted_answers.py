"""Answers that a test dictates, in place of the service's own: the simplest of the interventions."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aiohttp import web

from airflow_provider_pictory.sandbox.addresses import API_PREFIX, CONTROL_PREFIX

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp.typedefs import Handler


class DatedResponse(web.Response):
    """A response whose Date is a test's, and not the sandbox's to set."""


@dataclass(frozen=True)
class ScriptedAnswer:
    """
    What one request gets instead of the truth.

    :param path: which requests: those whose path begins so, with or without ``/pictoryapis`` in front.
    :param method: which requests: those of this method, or of any without it.
    :param status: the HTTP status.
    :param headers: the headers; ``Content-Type`` is JSON's unless they say otherwise.
    :param body: the body as it goes over the wire; what isn't text or bytes is sent as JSON.
    :param is_processed: whether the service acts on the request all the same, so that only its answer is
        lost.
    """

    path: str = "/"
    method: str | None = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: object = ""
    is_processed: bool = False

    def is_for(self, method: str, path: str) -> bool:
        """Tell whether a request gets this answer."""
        return (self.method is None or self.method.upper() == method) and (
            path.startswith(self.path) or path.removeprefix(API_PREFIX).startswith(self.path)
        )

    def response(self) -> web.Response:
        """Give the answer as it is sent."""
        if isinstance(self.body, bytes):
            content = self.body
        else:
            content = (self.body if isinstance(self.body, str) else json.dumps(self.body)).encode()
        headers = {"Content-Type": "application/json"}
        headers.update((name, str(value)) for name, value in self.headers.items())
        kind = DatedResponse if any(name.lower() == "date" for name in self.headers) else web.Response
        return kind(status=self.status, headers=headers, body=content)


class ScriptedAnswers:
    """Hands out scripted answers, each once, the oldest that fits first."""

    def __init__(self) -> None:
        self._waiting: deque[ScriptedAnswer] = deque()

    def add(self, answer: ScriptedAnswer, times: int = 1) -> None:
        """
        Queue an answer.

        :param answer: the answer.
        :param times: how many requests get it.
        """
        self._waiting.extend([answer] * times)

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer in place of the service where an answer is waiting for such a request."""
        scripted = self._next_for(request)
        if scripted is None:
            return await handler(request)
        if scripted.is_processed:
            await handler(request)
        return scripted.response()

    def _next_for(self, request: web.Request) -> ScriptedAnswer | None:
        if not request.path.startswith(CONTROL_PREFIX):
            for answer in self._waiting:
                if answer.is_for(request.method, request.path):
                    self._waiting.remove(answer)
                    return answer
        return None
