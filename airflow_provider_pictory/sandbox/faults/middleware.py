"""The faults of requests and responses, carried out in front of the API."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from aiohttp import web

from airflow_provider_pictory.sandbox.addresses import CONTROL_PREFIX, SUBMISSION_PATH
from airflow_provider_pictory.sandbox.faults import kinds, responses
from airflow_provider_pictory.sandbox.faults.connections import Connections, WholeResponse
from airflow_provider_pictory.sandbox.files import StoredFile

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler

    from airflow_provider_pictory.sandbox.faults.injector import FaultInjector
    from airflow_provider_pictory.sandbox.faults.kinds import RequestFault
    from airflow_provider_pictory.sandbox.faults.other_clients import OtherClients


class FaultyFront:
    """
    Stands between the clients and the service, and hurts what it was told to.

    :param injector: what decides.
    :param connections: what hurts connections.
    :param other_clients: what other clients do meanwhile.
    """

    def __init__(
        self, injector: FaultInjector, connections: Connections, other_clients: OtherClients
    ) -> None:
        self._injector = injector
        self._connections = connections
        self._other_clients = other_clients

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let a request through, or do to it what has been decided."""
        if request.path.startswith(CONTROL_PREFIX):
            return await handler(request)
        if self._other_clients.is_busy:
            await self._let_others_submit(request)
        interference = self._injector.on_request(request.method, request.path)
        if interference is None:
            return await handler(request)
        fault = interference.fault
        if fault is None or fault.is_acted_on:
            response = await handler(request)
            await self._connections.pause(interference.delay)
            return await self._hurt(request, response, fault) if fault else response
        # Read all the same: closing a connection with something unread in it would reset it.
        with suppress(web.HTTPException):
            await request.read()
        await self._connections.pause(interference.delay)
        return await self._replace(request, fault, interference.wait)

    async def _let_others_submit(self, request: web.Request) -> None:
        self._other_clients.catch_up()
        if request.method == "POST" and request.path == SUBMISSION_PATH:
            with suppress(web.HTTPException):
                self._other_clients.accompany(await request.read())

    async def _replace(self, request: web.Request, fault: RequestFault, wait: float) -> web.StreamResponse:
        match fault:
            case kinds.RateLimit():
                return responses.too_many_requests(fault, wait)
            case kinds.CdnRefusal():
                return responses.refusal(fault.has_body)
            case kinds.HtmlPage():
                return responses.html_page()
            case kinds.ServerError():
                return responses.server_error(fault)
            case kinds.DropBeforeProcessing():
                return self._connections.drop(request, is_reset=fault.is_reset)
            case _:
                return await self._connections.stay_silent(request)

    async def _hurt(
        self, request: web.Request, response: web.StreamResponse, fault: RequestFault
    ) -> web.StreamResponse:
        if isinstance(fault, kinds.DropAfterProcessing):
            return self._connections.drop(request, is_reset=fault.is_reset)
        if not isinstance(fault, kinds.ResponseFault):
            return await self._replace(request, fault, 0.0)
        whole = _whole_response(request, response)
        match fault:
            case kinds.DropWhileResponding():
                return await self._connections.send_half(request, whole, is_reset=fault.is_reset)
            case kinds.DrippingResponse():
                return await self._connections.send_slowly(request, whole, fault.seconds)
            case kinds.WrongShape():
                body = responses.of_wrong_shape(whole.body, self._injector.choose)
            case _:
                body = whole.body[: len(whole.body) // 2]
        return web.Response(status=whole.status, headers=whole.headers, body=body)


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
