"""A sandbox on a thread of its own, so that blocking code in the same process can be its client."""

from __future__ import annotations

import asyncio
import functools
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from airflow_provider_pictory.sandbox.connection import connection_json, connection_uri
from airflow_provider_pictory.sandbox.control import Control
from airflow_provider_pictory.sandbox.faults import FaultForm, read_faults
from airflow_provider_pictory.sandbox.server import RunningServer, serve
from airflow_provider_pictory.sandbox.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType

    from airflow_provider_pictory.sandbox.service import Clock

_DEFAULTS = Settings()

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def _of_control(
    operation: Callable[Concatenate[Control, Parameters], Result],
) -> Callable[Concatenate[PictorySandbox, Parameters], Result]:
    """Make the method that runs an operation on the thread of the event loop, where nothing else changes."""

    @functools.wraps(operation)
    def run(sandbox: PictorySandbox, /, *arguments: Parameters.args, **named: Parameters.kwargs) -> Result:
        server = sandbox._server

        async def operate() -> Result:
            return operation(server.control, *arguments, **named)

        return asyncio.run_coroutine_threadsafe(operate(), server.loop).result()

    return run


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
    :param faults: what goes wrong from the beginning, each a model of
        :mod:`airflow_provider_pictory.sandbox.faults.kinds`, its text or its JSON object.
    :param seed: makes the faults repeatable; a random one without it.
    :raises InvalidFaultError: when a fault is none.
    """

    def __init__(
        self,
        *,
        render_seconds: float = 0.0,
        credits: float = _DEFAULTS.credits,  # noqa: A002  (the name that users guess)
        api_key: str | None = None,
        host: str = _DEFAULTS.host,
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
        self._end = asyncio.Event()
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
        if self._thread and self._running:
            self._running.loop.call_soon_threadsafe(self._end.set)
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

    counts = _of_control(Control.counts)
    jobs = _of_control(Control.jobs)
    set_job = _of_control(Control.set_job)
    respond_next = _of_control(Control.respond_next)
    faults = _of_control(Control.faults)
    set_faults = _of_control(Control.set_faults)
    add_fault = _of_control(Control.add_fault)
    clear_faults = _of_control(Control.clear_faults)
    advance = _of_control(Control.advance)

    @property
    def seed(self) -> int:
        """What repeats the decisions of this sandbox, for the next run."""
        return _of_control(Control.seed)(self)

    @property
    def _server(self) -> RunningServer:
        if self._running is None:
            raise RuntimeError("The sandbox isn't running: use it in a with statement, or call start().")
        return self._running

    def _run(self, started: Future[RunningServer]) -> None:
        try:
            asyncio.run(self._serve(started))
        except Exception as error:
            if started.done():
                raise
            started.set_exception(error)

    async def _serve(self, started: Future[RunningServer]) -> None:
        self._end = asyncio.Event()
        async with serve(self._settings, clock=self._clock) as server:
            started.set_result(server)
            await self._end.wait()
