"""A program between two others that speak HTTP, which delays or replaces what passes."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import Counter
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING

import aiohttp
from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Callable

SUBMIT_PATH = "/v1/aistudio/videos"
STORES = ("/store/", "/variables/")
DROPPED_HEADERS = {"transfer-encoding", "content-length", "content-encoding", "connection", "keep-alive"}


class Front:
    """
    Passes everything on to its target; a context manager with a thread of its own.

    :param target: base URL of what stands behind; may be set later.
    """

    def __init__(self, target: str = "") -> None:
        self.target = target
        self.requests: list[str] = []
        self._loop = asyncio.new_event_loop()
        self._end = asyncio.Event()
        self._started: Future[str] = Future()
        self._thread = threading.Thread(target=self._run, name="front", daemon=True)
        self._background: set[asyncio.Task[object]] = set()

    def __enter__(self) -> Front:
        self._thread.start()
        self.url = self._started.result()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(timeout=20)

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        app = web.Application(client_max_size=2**26)
        app.router.add_route("*", "/{path:.*}", self._handle)
        timeout = aiohttp.ClientTimeout(total=None)
        async with aiohttp.ClientSession(timeout=timeout, auto_decompress=True) as self._session:
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self._started.set_result("http://{}:{}".format(*runner.addresses[0][:2]))
            await self._end.wait()
            await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        began = time.time()
        try:
            response = await self.respond(request, body)
        except aiohttp.ClientError:
            # What the target does to a connection is done to the client's.
            if request.transport is not None:
                request.transport.abort()
            response = web.Response(status=502)
        taken = time.time() - began
        self.requests.append(f"{began:.3f} {response.status} {taken:.3f}s {request.method} {request.path_qs}")
        return response

    async def respond(self, request: web.Request, body: bytes) -> web.Response:
        """Decide what a request gets: here what the target gives."""
        return await self.pass_on(request, body)

    async def pass_on(self, request: web.Request, body: bytes) -> web.Response:
        """Return what the target gives."""
        headers = {key: value for key, value in request.headers.items() if key.lower() != "accept-encoding"}
        async with self._session.request(
            request.method,
            f"{self.target}{request.path_qs}",
            data=body or None,
            headers=headers,
            allow_redirects=False,
        ) as response:
            passed_on = web.Response(status=response.status, body=await response.read())
            for name, value in response.headers.items():
                if name.lower() not in DROPPED_HEADERS:
                    passed_on.headers[name] = value
            return passed_on


class ServiceFront(Front):
    """
    In front of Pictory: holds the first submissions of each prompt.

    :param held: how many submissions of each prompt are held.
    :param seconds: how long; the service acts on them then, whether or not their sender is still there.

    ``arrived`` counts the submissions by prompt, ``acted`` those that have reached the service, ``arrivals``
    has their moments.
    """

    def __init__(self, target: str, *, held: int, seconds: float) -> None:
        super().__init__(target)
        self._held = held
        self._seconds = seconds
        self.arrived: Counter[str] = Counter()
        self.acted: Counter[str] = Counter()
        self.arrivals: list[tuple[float, str]] = []

    async def respond(self, request: web.Request, body: bytes) -> web.Response:
        if request.method != "POST" or not request.path.endswith(SUBMIT_PATH):
            return await self.pass_on(request, body)
        prompt = str(json.loads(body)["prompt"])
        self.arrived[prompt] += 1
        self.arrivals.append((time.time(), prompt))
        if self.arrived[prompt] <= self._held:
            await asyncio.sleep(self._seconds)
        self.acted[prompt] += 1
        return await self.pass_on(request, body)


class ApiServerFront(Front):
    """
    In front of Airflow's API server, where tasks read and write; replaces what they read when told to.

    ``reply`` is what reads of a submission record get, ``None`` for the truth; ``places`` are the beginnings
    of the stores that it is said of; ``replaced`` counts them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.reply: Callable[[], web.Response] | None = None
        self.places: tuple[str, ...] = STORES
        self.replaced: Counter[str] = Counter()

    async def respond(self, request: web.Request, body: bytes) -> web.Response:
        is_read = request.method == "GET" and any(place in request.path for place in self.places)
        if self.reply is not None and is_read and "pictory" in request.path:
            self.replaced[request.path.rsplit("/", 1)[-1][:30]] += 1
            return self.reply()
        for attempt in range(20):
            with suppress(aiohttp.ClientConnectionError):
                return await self.pass_on(request, body)
            await asyncio.sleep(0.1 * attempt)
        return web.Response(status=502)


def not_found() -> web.Response:
    """Return what a proxy says of a path that it doesn't know."""
    return web.Response(status=404, text="<html><h1>404 Not Found</h1></html>", content_type="text/html")


def not_found_as_json() -> web.Response:
    """Return what another application, of the same framework, says of a path that it doesn't know."""
    return _json(404, {"detail": "Not Found"})


def no_route() -> web.Response:
    """Return what a gateway for APIs says of a path that it doesn't know."""
    return _json(404, {"message": "no Route matched with those values"})


def something_else() -> web.Response:
    """Give JSON that some other application has for everybody."""
    return _json(200, {"status": "ok"})


def _json(status: int, document: object) -> web.Response:
    # Airflow's client takes a 404 for one of the API server's own by this very header.
    headers = {"Content-Type": "application/json"}
    return web.Response(status=status, body=json.dumps(document).encode(), headers=headers)


def page() -> web.Response:
    """Return what a login page in front of everything says."""
    return web.Response(status=200, text="<html><h1>Please log in</h1></html>", content_type="text/html")
