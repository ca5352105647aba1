"""Asynchronous calls over one connection, with aiohttp, from any number of event loops."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from airflow_provider_pictory.api import Response
from airflow_provider_pictory.client.errors import NO_RESPONSE, no_response
from airflow_provider_pictory.client.session import asynchronous_transport, parsed_url

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from airflow_provider_pictory.client.calls import Call
    from airflow_provider_pictory.client.session import AsynchronousTransport
    from airflow_provider_pictory.client.settings import ConnectionSettings

Reading = TypeVar("Reading")

# A key that Pictory refuses is looked up again, but for many refusals in so many seconds only once.
SHORTEST_TIME_TO_READ_AGAIN = 5.0


@dataclass
class _LoopSessions:
    """
    What belongs to one event loop, since no other can use it.

    :param transport: the open session, if there is one.
    :param replaced: sessions with an outdated key, which calls under way may still use.
    :param lock: whoever opens a session holds it.
    :param read_again_at: when the connection was read again last, by the client's clock.
    """

    transport: AsynchronousTransport | None = None
    replaced: list[AsynchronousTransport] = field(default_factory=list)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    read_again_at: float = float("-inf")

    async def aclose(self) -> None:
        """Close all sessions, also those of a loop that has ended by now."""
        transports = [*self.replaced, *filter(None, [self.transport])]
        self.transport = None
        self.replaced.clear()
        for transport in transports:
            await transport.aclose()


class AsyncClient:
    """
    Call Pictory without blocking.

    The first call in an event loop opens a session that the next ones there share.

    :param read_settings: reads the connection; asked once for each loop, and again where Pictory refuses the
        key.
    :param headers: of each request, besides the key.
    :param clock: seconds that never go back.
    """

    def __init__(
        self,
        read_settings: Callable[[], Awaitable[ConnectionSettings]],
        headers: Mapping[str, str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read_settings = read_settings
        self._headers = headers
        self._clock = clock
        self._loops: dict[asyncio.AbstractEventLoop, _LoopSessions] = {}

    @property
    def transport(self) -> AsynchronousTransport | None:
        """The running loop's open session, if there is one."""
        sessions = self._loops.get(asyncio.get_running_loop())
        return sessions.transport if sessions else None

    async def settings(self) -> ConnectionSettings:
        """Return how Pictory is reached, read at most once for each loop."""
        return (self.transport or await self._open()).settings

    async def get(self, call: Call[Reading]) -> Reading:
        """
        Make a call that only reads, and once more if it was refused and the connection changed meanwhile.

        :raises PictoryError: there is no response, or none that says what it should.
        """
        # Nearly all calls find an open session, and needn't wait for the lock.
        transport = self.transport or await self._open()
        response = await _get_once(transport, call)
        if response.status_code == 401:
            renewed = await self._open(refused=transport)
            if renewed is not transport:
                transport, response = renewed, await _get_once(renewed, call)
        return call.finish(transport.settings, response)

    async def aclose(self) -> None:
        """Close the running loop's session and forget the connection; the next call reads it again."""
        await self._close_ended_loops()
        if sessions := self._loops.get(asyncio.get_running_loop()):
            await sessions.aclose()

    async def _open(self, refused: AsynchronousTransport | None = None) -> AsynchronousTransport:
        """
        Return the open session, or one with the connection read anew where Pictory refused this one's key.

        Many calls share a session and may be refused together, so the connection is read once for all of
        them, and a session that was replaced stays open for those still under way.
        """
        loop = asyncio.get_running_loop()
        if loop not in self._loops:
            await self._close_ended_loops()
        own = self._loops.setdefault(loop, _LoopSessions())
        async with own.lock:
            now = self._clock()
            if own.transport is None:
                own.transport = await asynchronous_transport(await self._read_settings(), self._headers)
            elif own.transport is refused and now - own.read_again_at > SHORTEST_TIME_TO_READ_AGAIN:
                settings = await self._read_settings()
                own.read_again_at = now
                if settings != refused.settings:
                    own.replaced.append(refused)
                    own.transport = await asynchronous_transport(settings, self._headers)
            return own.transport

    async def _close_ended_loops(self) -> None:
        """Close what loops have left behind that ended without :meth:`aclose`, as in ``asyncio.run``."""
        for loop in tuple(self._loops):
            if loop.is_closed() and (sessions := self._loops.pop(loop, None)):
                await sessions.aclose()


async def _get_once(transport: AsynchronousTransport, call: Call[Reading]) -> Response:
    try:
        with transport.time_limit.call():
            async with transport.session.get(
                parsed_url(transport.settings.url(call.path)), allow_redirects=False, **transport.options
            ) as response:
                body = bytearray()
                async for piece in response.content.iter_any():
                    body += piece
                    if len(body) > call.largest:
                        raise ValueError(f"the response is larger than {call.largest:,} bytes")
    except NO_RESPONSE as error:
        failure = no_response(transport.settings, error)
    else:
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Response(response.status, bytes(body), headers)
    # Raised out here, the error has no context: aiohttp's exceptions hold the headers that were sent.
    raise failure
