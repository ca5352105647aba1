"""What the sandbox was asked and what it responded, by route, so that a test sees what a client did."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from aiohttp import web

from airflow_provider_pictory.sandbox.addresses import CONTROL_PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp.typedefs import Handler


class RequestCounter:
    """
    Counts requests when they arrive and statuses when they leave, except those of the control surface.

    :param note_poll: told the id of each job that is asked for, when the question arrives.
    """

    def __init__(self, note_poll: Callable[[str], None]) -> None:
        self._note_poll = note_poll
        self.requests: Counter[str] = Counter()
        self.statuses: dict[str, Counter[str]] = {}

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Count a request, whatever becomes of it."""
        if not request.path.startswith(CONTROL_PREFIX):
            self.requests[_route(request)] += 1
            if request.method == "GET" and (job_id := request.match_info.get("job_id")):
                self._note_poll(job_id)
        return await handler(request)

    async def count_status(self, request: web.Request, response: web.StreamResponse) -> None:
        """Count a response just before it is sent, when files know whether they go out whole or in part."""
        if not request.path.startswith(CONTROL_PREFIX):
            self.statuses.setdefault(_route(request), Counter())[str(response.status)] += 1


def _route(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return f"{request.method} {resource.canonical if resource else '(no such route)'}"
