"""What stands in front of the database and of the API server, and makes them slow or fail."""

from __future__ import annotations

import asyncio
import random
import threading
from concurrent.futures import Future
from contextlib import suppress

import aiohttp
from aiohttp import web

from tests.e2e.shows.front import Front

# Each part of what a client sends is at least one query, and none is longer.
LONGEST_PART = 2**20


class SlowDatabase:
    """
    In front of PostgreSQL: while told to, each query waits; a context manager with a thread of its own.

    :param port: PostgreSQL's.

    ``seconds`` is how long each query waits, 0 for not at all; ``slowed`` counts those that did.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._loop = asyncio.new_event_loop()
        self._end = asyncio.Event()
        self._started: Future[int] = Future()
        self._thread = threading.Thread(target=self._run, name="slow-database", daemon=True)
        self.seconds = 0.0
        self.slowed = 0

    def __enter__(self) -> SlowDatabase:
        self._thread.start()
        self.port = self._started.result()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(timeout=20)

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self._started.set_result(server.sockets[0].getsockname()[1])
        await self._end.wait()
        server.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.close()
            return
        await asyncio.gather(
            self._pass_on(reader, there[1], is_query=True), self._pass_on(there[0], writer, is_query=False)
        )

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_query: bool
    ) -> None:
        with suppress(OSError):
            while part := await reader.read(LONGEST_PART):
                if is_query and self.seconds:
                    self.slowed += 1
                    await asyncio.sleep(self.seconds)
                writer.write(part)
                await writer.drain()
        writer.close()


class FailingApiServer(Front):
    """
    In front of Airflow's API server, as tasks see it: a part of its calls ends with a 500.

    Half of these were acted upon before.

    :param rate: the part.
    :param seed: decides which.

    ``failed`` counts them, ``written`` those of them that were to write a record.
    """

    def __init__(self, rate: float, seed: int) -> None:
        super().__init__()
        self._rate = rate
        self._chance = random.Random(seed)
        self.failed = 0
        self.written = 0

    async def respond(self, request: web.Request, body: bytes) -> web.Response:
        if self._chance.random() >= self._rate:
            return await self._passed_on(request, body)
        self.failed += 1
        self.written += request.method != "GET" and "pictory" in request.path
        if self._chance.random() < 0.5:
            await self._passed_on(request, body)
        return web.Response(status=500, text="Internal Server Error")

    async def _passed_on(self, request: web.Request, body: bytes) -> web.Response:
        # It may be down just now.
        try:
            return await self.pass_on(request, body)
        except aiohttp.ClientError:
            return web.Response(status=502)
