"""What can happen to a connection, done to the real one: it ends, stays silent, or lets bytes drip."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from multidict import CIMultiDict

_SECONDS_BETWEEN_POLLS = 0.5
# On, with no time to linger: closing then sends RST and forgets what was not yet sent.
_RESET = struct.pack("ii", 1, 0)


class NothingToSend(web.StreamResponse):
    """Stands for the response that a handler has to give when there is no longer a connection for it."""

    def __init__(self) -> None:
        # Seen by nobody but the log of requests; 444 is what other servers write there in this case.
        super().__init__(status=444)

    async def prepare(self, request: web.BaseRequest) -> None:
        """Make the server give up, as it does when a client has gone."""
        raise ConnectionResetError("The sandbox ended this connection on purpose.")


class Connections:
    """Hurts connections; none of it outlasts the server."""

    def __init__(self) -> None:
        self._is_over = asyncio.Event()

    async def end_all(self, application: web.Application) -> None:
        """Let no request wait any longer, since the server ends."""
        self._is_over.set()

    async def pause(self, seconds: float) -> None:
        """Wait, unless the server ends."""
        if seconds > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._is_over.wait(), seconds)

    def drop(self, request: web.Request, *, is_reset: bool) -> web.StreamResponse:
        """
        End the connection of a request here and now.

        :param is_reset: whether by RST rather than by FIN.
        """
        transport = request.transport
        if transport is not None:
            if is_reset:
                transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                transport.abort()
            else:
                transport.close()
        return NothingToSend()

    async def stay_silent(self, request: web.Request) -> web.StreamResponse:
        """Keep the connection open until the client gives up."""
        while not self._is_over.is_set() and request.transport and not request.transport.is_closing():
            await self.pause(_SECONDS_BETWEEN_POLLS)
        return self.drop(request, is_reset=True)

    async def send_half(
        self, request: web.Request, whole: WholeResponse, *, is_reset: bool
    ) -> web.StreamResponse:
        """Send the headers and half of what they promise, and end the connection."""
        with suppress(ConnectionError):
            response = await whole.begin(request)
            await response.write(whole.body[: len(whole.body) // 2])
        return self.drop(request, is_reset=is_reset)

    async def send_slowly(
        self, request: web.Request, whole: WholeResponse, seconds: float
    ) -> web.StreamResponse:
        """
        Send a body byte by byte.

        :param seconds: the time between two of them.
        """
        with suppress(ConnectionError):
            response = await whole.begin(request)
            for position in range(len(whole.body)):
                await self.pause(seconds if position else 0)
                if self._is_over.is_set() or request.transport is None:
                    break
                await response.write(whole.body[position : position + 1])
            else:
                return response
        return self.drop(request, is_reset=True)


class WholeResponse:
    """
    A response whose bytes are all known before any of them is sent.

    :param status: the HTTP status.
    :param headers: the headers, without the length.
    :param body: the body.
    """

    def __init__(self, status: int, headers: CIMultiDict[str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    async def begin(self, request: web.Request) -> web.StreamResponse:
        """Send the headers, which promise the whole body."""
        response = web.StreamResponse(status=self.status, headers=self.headers)
        response.content_length = len(self.body)
        await response.prepare(request)
        return response
