"""A sandbox on a thread of its own, so that blocking code in the same process can be its client."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_pictory.sandbox.connection import connection_json, connection_uri
from airflow_provider_pictory.sandbox.faults import FaultForm, read_faults
from airflow_provider_pictory.sandbox.scripted_responses import ScriptedResponse
from airflow_provider_pictory.sandbox.server import RunningServer, serve
from airflow_provider_pictory.sandbox.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import TracebackType

    from airflow_provider_pictory.sandbox.control import Control
    from airflow_provider_pictory.sandbox.service import Clock

Result = TypeVar("Result")


class PictorySandbox:
    """
    A local Pictory for one test or script; a context manager.

    Unlike the command's, its jobs end at once unless told otherwise, for nobody likes tests that wait.

    :param render_seconds: how long a job stays in progress.
    :param credits: the AI credits of the account.
    :param api_key: the only accepted API key; without it, any key that starts with ``pictai_`` is.
    :param host: the address to listen on.
    :param port: the port to listen on; 0 takes a free one.
    :param clock: whose time counts; the machine's without it.
    :param fetch_sources: whether videos start from the picture or the video that their orders name by URL,
        and fail if it can't be fetched; ``False`` for tests whose URLs lead nowhere.
    :param faults: what goes wrong from the beginning, each a
        :class:`~airflow_provider_pictory.sandbox.faults.Fault`, its text or its JSON object.
    :param seed: makes the faults repeatable; a random one without it.
    :raises InvalidFaultError: when a fault is none.
    """

    def __init__(
        self,
        *,
        render_seconds: float = 0.0,
        credits: float = Settings.credits,  # noqa: A002  (the name that users guess)
        api_key: str | None = None,
        host: str = Settings.host,
        port: int = 0,
        clock: Clock | None = None,
        fetch_sources: bool = True,
        faults: Iterable[FaultForm] = (),
        seed: int | None = None,
    ) -> None:
        self._settings = Settings(
            host=host,
            port=port,
            render_seconds=render_seconds,
            credits=credits,
            api_key=api_key,
            fetch_sources=fetch_sources,
            faults=read_faults(faults),
            seed=seed,
        )
        self._clock = clock
        self._running: RunningServer | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._end: asyncio.Event | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> PictorySandbox:
        self.start()
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """
        Start responding.

        :raises OSError: when it can't listen where it shall.
        """
        if self._thread:
            raise RuntimeError("The sandbox is running already.")
        started: Future[RunningServer] = Future()
        thread = threading.Thread(target=self._run, args=(started,), name="pictory-sandbox", daemon=True)
        thread.start()
        self._running = started.result()
        self._thread = thread

    def stop(self) -> None:
        """Stop responding and delete all files; does nothing when it isn't running."""
        if self._thread and self._loop and self._end:
            self._loop.call_soon_threadsafe(self._end.set)
            self._thread.join()
        self._thread = self._running = None

    @property
    def url(self) -> str:
        """The base URL, to be used as the connection's host."""
        return self._server.url

    @property
    def api_key(self) -> str:
        """A key that is accepted."""
        return self._settings.usable_key

    @property
    def connection_json(self) -> str:
        """The Airflow connection as JSON, for ``AIRFLOW_CONN_PICTORY_DEFAULT``."""
        return connection_json(self.url, self.api_key)

    @property
    def connection_uri(self) -> str:
        """The Airflow connection as a URI, for ``AIRFLOW_CONN_PICTORY_DEFAULT``."""
        return connection_uri(self.url, self.api_key)

    def counts(self) -> dict[str, Any]:
        """
        Return what has happened so far, in numbers.

        ``requests`` by route, such as ``"GET /pictoryapis/v1/jobs/{job_id}"``; ``statuses`` by route and HTTP
        status, such as ``"200"``; ``jobs_created``, ``credits_used``, ``jobs_rendered``; ``jobs_of_others``,
        which aren't among those created, and ``credits_used_by_others``, which are among those used;
        ``files_asked_with_key`` (a client that does that gives its key away), ``webhooks_sent`` and
        ``webhooks_failed``; ``faults`` by kind, and ``requests_permitted`` and ``requests_limited`` by those
        of them that limit rates.
        """
        return self._ask(lambda control: control.counts())

    def jobs(self) -> list[dict[str, Any]]:
        """
        Return all jobs in the order of submission, with what Pictory doesn't tell about them.

        ``prompt``, ``request`` and ``credits_taken``; ``outcome``, the status that a job ends with, whether
        it has already or not, and when: ``ends``; ``is_foreign`` for those of other clients; ``polls``, how
        often it was asked for, whatever the response was, ``first_poll`` and ``last_poll``.
        """
        return self._ask(lambda control: control.jobs())

    def set_job(
        self,
        job_id: str,
        status: str,
        *,
        error_code: str | None = None,
        error_message: str | None = None,
    ) -> dict[str, Any]:
        """
        Return a job another status from now on, and its credits back when that is ``failed``.

        :param job_id: which job.
        :param status: a documented status, or any other text to see how a client copes.
        :param error_code: of a failure.
        :param error_message: of a failure.
        :raises UnknownJobError: when there is no such job.
        """
        return self._ask(
            lambda control: control.set_job(
                job_id, status, error_code=error_code, error_message=error_message
            )
        )

    def respond_next(
        self,
        path: str = "/",
        *,
        method: str | None = None,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        body: object = "",
        is_processed: bool = False,
        times: int = 1,
    ) -> None:
        """
        Response the next fitting requests with something else than the truth.

        :param path: which requests: those whose path begins so, with or without ``/pictoryapis`` in front.
        :param method: which requests: those of this method, or of any without it.
        :param status: the HTTP status.
        :param headers: the headers; ``Content-Type`` is JSON's unless they say otherwise.
        :param body: the body as it goes over the wire; what isn't text or bytes is sent as JSON.
        :param is_processed: whether the service acts on the request all the same, so that only its response
            is lost.
        :param times: how many requests, at most a million.
        :raises ValueError: when that is too often, or too many responses wait already.
        """
        response = ScriptedResponse(path, method, status, dict(headers or {}), body, is_processed)
        self._ask(lambda control: control.respond_next(response, times))

    def faults(self) -> list[dict[str, Any]]:
        """Return the faults that are set, as JSON, with how often each has happened: ``times``."""
        return self._ask(lambda control: control.faults.faults())

    @property
    def seed(self) -> int:
        """What repeats the decisions of this sandbox, for the next run."""
        return self._ask(lambda control: control.faults.seed)

    def set_faults(self, faults: Iterable[FaultForm], *, seed: int | None = None) -> None:
        """
        Replace all faults; schedules and counts start anew.

        :param faults: the new ones, in any of their forms.
        :param seed: starts the decisions anew as well; they go on without it.
        :raises InvalidFaultError: when one of them is none; then nothing has changed.
        """
        self._ask(lambda control: control.faults.set(faults, seed=seed))

    def add_fault(self, fault: FaultForm) -> None:
        """
        Set one more fault.

        :param fault: in any of its forms, such as ``"server-error:status=503,count=2"``.
        :raises InvalidFaultError: when it is none.
        """
        self._ask(lambda control: control.faults.add(fault))

    def clear_faults(self) -> None:
        """Let nothing more go wrong; what has been decided for jobs stays."""
        self._ask(lambda control: control.faults.clear())

    def advance(self, seconds: float) -> None:
        """Move the sandbox's time ahead, so that jobs end without anybody waiting."""
        self._ask(lambda control: control.advance(seconds))

    @property
    def _server(self) -> RunningServer:
        if self._running is None:
            raise RuntimeError("The sandbox isn't running: use it in a with statement, or call start().")
        return self._running

    def _ask(self, question: Callable[[Control], Result]) -> Result:
        """Ask on the thread of the event loop, where nothing else changes meanwhile."""
        control = self._server.control

        async def ask() -> Result:
            return question(control)

        if self._loop is None:
            raise RuntimeError("The sandbox isn't running.")
        return asyncio.run_coroutine_threadsafe(ask(), self._loop).result()

    def _run(self, started: Future[RunningServer]) -> None:
        try:
            asyncio.run(self._serve(started))
        except Exception as error:
            if started.done():
                raise
            started.set_exception(error)

    async def _serve(self, started: Future[RunningServer]) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        async with serve(self._settings, clock=self._clock) as server:
            started.set_result(server)
            await self._end.wait()
