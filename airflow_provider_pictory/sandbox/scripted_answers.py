"""Answers that a test dictates, in place of the service's own: the simplest of the interventions."""

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
MOST_ANSWERS = 1000
MOST_BYTES_OF_ANSWERS = 64 * 1024 * 1024


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

    def content(self) -> bytes:
        """Give the body as it is sent."""
        if isinstance(self.body, bytes):
            return self.body
        return (self.body if isinstance(self.body, str) else json.dumps(self.body)).encode()

    def response(self) -> web.Response:
        """Give the answer as it is sent."""
        headers = {"Content-Type": "application/json"}
        headers.update((name, str(value)) for name, value in self.headers.items())
        return web.Response(status=self.status, headers=headers, body=self.content())


@dataclass
class _Waiting:
    """An answer, how often it is still to be given, and how many bytes it has."""

    answer: ScriptedAnswer
    times: int
    size: int


class TooManyAnswersError(ValueError):
    """More is to be answered than a sandbox keeps; the message is a sentence."""


class ScriptedAnswers:
    """Hands out scripted answers, each as often as asked, the oldest that fits first."""

    def __init__(self) -> None:
        self._waiting: list[_Waiting] = []

    def add(self, answer: ScriptedAnswer, times: int = 1) -> None:
        """
        Queue an answer.

        :param answer: the answer.
        :param times: how many requests get it.
        :raises TooManyAnswersError: when there is no room for it.
        """
        if not 1 <= times <= MOST_TIMES:
            raise TooManyAnswersError(f"times must be a whole number from 1 to {MOST_TIMES}, not {times}")
        size = len(answer.content())
        if (
            len(self._waiting) >= MOST_ANSWERS
            or size + sum(waiting.size for waiting in self._waiting) > MOST_BYTES_OF_ANSWERS
        ):
            raise TooManyAnswersError(
                f"at most {MOST_ANSWERS} answers with {MOST_BYTES_OF_ANSWERS // 2**20} MB in all can wait"
            )
        self._waiting.append(_Waiting(answer, times, size))

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
            for position, waiting in enumerate(self._waiting):
                if waiting.answer.is_for(request.method, request.path):
                    waiting.times -= 1
                    if not waiting.times:
                        del self._waiting[position]
                    return waiting.answer
        return None
