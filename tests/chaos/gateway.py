"""
What stands in front of the service, as a network does, and hurts single submissions as their headers ask.

The sandbox's own faults befall requests by chance; here a request is held, lost or delayed for one clip
alone, and a file tells the task, or the harness, that the right moment has come. It also knows which clip
each submission was for, which the service can't.
"""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import aiohttp
from aiohttp import web

if TYPE_CHECKING:
    from pathlib import Path

SUBMIT_PATH = "/v1/aistudio/videos"
LONGEST_HOLD = 30.0
DROPPED_HEADERS = {"transfer-encoding", "content-length", "connection", "keep-alive"}


@dataclass
class Submission:
    """
    A paid POST that arrived.

    :param clip: the number of the clip that it was sent for.
    :param mishap: what its headers asked for, empty for nothing.
    :param moment: when it arrived.
    :param job_id: of the job that was made of it, if any.
    """

    clip: int
    mishap: str
    moment: float
    job_id: str | None = None


class Gateway:
    """
    Passes everything on to the service; a context manager.

    :param service: the service's base URL.
    :param folder: where the signals go.
    :param lateness: seconds after which a late submission reaches the service when its sender is gone.
    """

    def __init__(self, service: str, folder: Path, lateness: float) -> None:
        self._service = service
        self._folder = folder
        self._lateness = lateness
        self._loop = asyncio.new_event_loop()
        self._end = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="gateway", daemon=True)
        self._started: Future[str] = Future()
        self.submissions: list[Submission] = []
        self.requests: list[str] = []

    def __enter__(self) -> Gateway:
        self._thread.start()
        self.url = self._started.result()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        app = web.Application(client_max_size=2**24)
        app.router.add_route("*", "/{path:.*}", self._handle)
        async with aiohttp.ClientSession(auto_decompress=False) as self._session:
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self._started.set_result("http://{}:{}".format(*runner.addresses[0][:2]))
            await self._end.wait()
            await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        began = time.time()
        words = f"{request.method} {request.path_qs} {_headers_of_ours(request)}"
        status: object = "left"
        try:
            response = await self._response(request)
            status = response.status
            return response
        except aiohttp.ClientError as error:
            # What the service does to a connection is done to the client's.
            status = type(error).__name__
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=502)
        finally:
            moment = datetime.fromtimestamp(began, UTC).isoformat(timespec="milliseconds")
            self.requests.append(f"{moment} {status} {time.time() - began:.3f}s {words}".rstrip())

    async def _response(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        if request.method != "POST" or not request.path.endswith(SUBMIT_PATH):
            return await self._pass_on(request, body)
        mishap = request.headers.get("X-Mishap", "")
        submission = Submission(int(request.headers.get("X-Clip", -1)), mishap, time.time())
        self.submissions.append(submission)
        if mishap == "in-flight-lost":
            self._signal(request)
            await self._wait_until_left(request)
            return web.Response(status=504)
        if mishap == "in-flight-late":
            self._signal(request)
            await self._wait_until_left(request)
            await asyncio.sleep(self._lateness)
            return await self._submit(request, body, submission)
        response = await self._submit(request, body, submission)
        if mishap == "in-flight-created":
            self._signal(request)
            await self._wait_until_left(request)
        elif mishap == "cleared-in-flight":
            self._signal(request)
            # The harness clears the task now, and writes down that it has.
            cleared = self._folder / "cleared" / request.headers["X-Mark"]
            await self._wait_until_left(request, unless=cleared)
        elif mishap == "response-dropped":
            self._signal(request)
            if request.transport is not None:
                request.transport.abort()
        return response

    async def _submit(self, request: web.Request, body: bytes, submission: Submission) -> web.Response:
        response = await self._pass_on(request, body)
        if response.status == 200:
            document = await asyncio.to_thread(_read_json, response.body)
            submission.job_id = document["data"]["jobId"]
        return response

    async def _pass_on(self, request: web.Request, body: bytes) -> web.Response:
        async with self._session.request(
            request.method, f"{self._service}{request.path_qs}", data=body or None, headers=request.headers
        ) as response:
            headers = [(name, value) for name, value in response.headers.items()]
            kept = [(name, value) for name, value in headers if name.lower() not in DROPPED_HEADERS]
            response = web.Response(status=response.status, body=await response.read())
            for name, value in kept:
                response.headers[name] = value
            return response

    def _signal(self, request: web.Request) -> None:
        (self._folder / "signals" / request.headers["X-Mark"]).touch()

    async def _wait_until_left(self, request: web.Request, unless: Path | None = None) -> None:
        deadline = self._loop.time() + LONGEST_HOLD

        # Nothing tells when a client leaves, so this looks again and again.
        def is_there() -> bool:
            if unless is not None and unless.exists():
                return False
            return request.transport is not None and not request.transport.is_closing()

        while is_there() and self._loop.time() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def _headers_of_ours(request: web.Request) -> str:
    names = ("X-Clip", "X-Mishap", "X-Mark")
    return " ".join(f"{name}={request.headers[name]}" for name in names if name in request.headers)


def _read_json(body: object) -> dict:
    import json

    return json.loads(bytes(body))
