"""The faults of requests and responses, carried out in front of the API."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from aiohttp import web

from airflow_provider_pictory.sandbox.addresses import CONTROL_PREFIX, SUBMISSION_PATH
from airflow_provider_pictory.sandbox.faults import responses
from airflow_provider_pictory.sandbox.faults.connections import Connections, WholeResponse
from airflow_provider_pictory.sandbox.faults.kinds import FaultKind
from airflow_provider_pictory.sandbox.files import StoredFile

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler

    from airflow_provider_pictory.sandbox.faults.fault import Fault
    from airflow_provider_pictory.sandbox.faults.foreign_jobs import ForeignJobs
    from airflow_provider_pictory.sandbox.faults.injector import FaultInjector, Interference


class FaultyFront:
    """
    Stands between the clients and the service, and hurts what it was told to.

    :param injector: what decides.
    :param connections: what hurts connections.
    :param foreign_jobs: what other clients do meanwhile.
    """

    def __init__(self, injector: FaultInjector, connections: Connections, foreign_jobs: ForeignJobs) -> None:
        self._injector = injector
        self._connections = connections
        self._foreign_jobs = foreign_jobs

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let a request through, or do to it what has been decided."""
        if request.path.startswith(CONTROL_PREFIX):
            return await handler(request)
        if self._foreign_jobs.is_busy:
            await self._let_others_submit(request)
        interference = self._injector.on_request(request.method, request.path)
        if interference is None:
            return await handler(request)
        fault = interference.fault
        if fault is None or fault.is_acted_on:
            response = await handler(request)
            await self._connections.pause(interference.delay)
            return await self._hurt(request, response, fault, interference) if fault else response
        # Read all the same: closing a connection with something unread in it would reset it.
        with suppress(web.HTTPException):
            await request.read()
        await self._connections.pause(interference.delay)
        return await self._replace(request, fault, interference)

    async def _let_others_submit(self, request: web.Request) -> None:
        self._foreign_jobs.catch_up()
        if request.method == "POST" and request.path == SUBMISSION_PATH:
            with suppress(web.HTTPException):
                self._foreign_jobs.accompany(await request.read())

    async def _replace(
        self, request: web.Request, fault: Fault, interference: Interference
    ) -> web.StreamResponse:
        match fault.kind:
            case FaultKind.RATE_LIMIT:
                return responses.too_many_requests(fault, interference.wait)
            case FaultKind.CDN_REFUSAL:
                return responses.refusal(bool(fault.has_body))
            case FaultKind.HTML_PAGE:
                return responses.html_page()
            case FaultKind.NO_RESPONSE:
                return await self._connections.stay_silent(request)
            case FaultKind.SERVER_ERROR:
                return responses.server_error(fault, fault.seconds or 0.0)
            case _:
                return self._connections.drop(request, is_reset=bool(fault.is_reset))

    async def _hurt(
        self, request: web.Request, response: web.StreamResponse, fault: Fault, interference: Interference
    ) -> web.StreamResponse:
        is_reset = bool(fault.is_reset)
        match fault.kind:
            case FaultKind.DROP_AFTER_PROCESSING:
                return self._connections.drop(request, is_reset=is_reset)
            case FaultKind.DROP_WHILE_RESPONDING:
                whole = _whole_response(request, response)
                return await self._connections.send_half(request, whole, is_reset=is_reset)
            case FaultKind.DRIPPING_RESPONSE:
                whole = _whole_response(request, response)
                return await self._connections.send_slowly(request, whole, fault.seconds or 0.0)
            case FaultKind.TRUNCATED_JSON:
                whole = _whole_response(request, response)
                half = whole.body[: len(whole.body) // 2]
                return web.Response(status=whole.status, headers=whole.headers, body=half)
            case FaultKind.WRONG_SHAPE:
                whole = _whole_response(request, response)
                body = responses.of_wrong_shape(whole.body, self._injector.choose)
                return web.Response(status=whole.status, headers=whole.headers, body=body)
            case _:
                return await self._replace(request, fault, interference)


def _whole_response(request: web.Request, response: web.StreamResponse) -> WholeResponse:
    headers = response.headers.copy()
    headers.popall("Content-Length", None)
    if isinstance(response, StoredFile) and request.method != "HEAD":
        content = response.path.read_bytes()
        with suppress(ValueError):
            first, end, _ = request.http_range.indices(len(content))
            if "Range" in request.headers:
                headers["Content-Range"] = f"bytes {first}-{end - 1}/{len(content)}"
                return WholeResponse(206, headers, content[first:end])
        return WholeResponse(200, headers, content)
    # The headers alone would be a whole response here, and a body after them the beginning of the next one.
    body = response.body if isinstance(response, web.Response) and request.method != "HEAD" else None
    return WholeResponse(
        response.status, headers, bytes(body) if isinstance(body, bytes | bytearray) else b""
    )
