"""
The one Airflow of the end-to-end tests, and all that happens on it at the same time.

A scenario is a function that starts runs, does what a person or a fault would do to them, and returns what it
saw; tests check that afterwards. All scenarios that the chosen tests need begin at once, each on a thread of
its own, since they wait for most of their time. One that would disturb the others is a generator: it yields
when everything waits that shall be disturbed, and goes on as soon as all those who don't disturb, and those
that disturb and were written before it, have ended.
"""

from __future__ import annotations

import inspect
from concurrent.futures import Future, ThreadPoolExecutor, wait
from threading import Lock
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import requests

from airflow_provider_pictory.sandbox.background import PictorySandbox
from tests.conftest import API_KEY, RENDER_SECONDS
from tests.support.pictory_words import POST

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable
    from pathlib import Path

    from tests.e2e.real_airflow import RealAirflow

    Play = Callable[["Stage"], SimpleNamespace | Generator[None, None, SimpleNamespace]]

SCENARIOS: dict[str, Play] = {}


def scenario(play: Play) -> Any:
    """Make a fixture of a scenario: it waits for its end, and gives what it saw."""
    name = play.__name__
    assert name not in SCENARIOS, f"there are two scenarios {name}"
    SCENARIOS[name] = play

    def ended(stage: Stage) -> SimpleNamespace:
        return stage.seen_by(name)

    return pytest.fixture(scope="session", name=name)(ended)


class Stage:
    """
    Airflow, its accounts at Pictory, and the scenarios that are under way; a context manager.

    :param airflow: runs already.
    :param names: of the scenarios.
    """

    def __init__(self, airflow: RealAirflow, names: Iterable[str]) -> None:
        self.airflow = airflow
        self._names = list(names)
        self._accounts: dict[str, PictorySandbox] = {}
        self._of_accounts = Lock()
        self._under_way: dict[str, Future[SimpleNamespace]] = {}

    def __enter__(self) -> Stage:
        self._threads = ThreadPoolExecutor(len(self._names) + 1)
        disturbers = [name for name in self._names if inspect.isgeneratorfunction(SCENARIOS[name])]
        for name in self._names:
            if name not in disturbers:
                self._under_way[name] = self._threads.submit(SCENARIOS[name], self)
        for name in disturbers:
            earlier = list(self._under_way.values())
            self._under_way[name] = self._threads.submit(_disturb, self, SCENARIOS[name], earlier)
        return self

    def __exit__(self, *_: object) -> None:
        # Those that are under way still, after a failure or ctrl-C, end with Airflow.
        self._threads.shutdown(wait=False, cancel_futures=True)
        for pictory in self._accounts.values():
            pictory.stop()

    def seen_by(self, name: str) -> SimpleNamespace:
        """Wait for the end of a scenario, and give what it saw."""
        return self._under_way[name].result()

    def wait_for_all(self) -> None:
        """Wait until all scenarios have ended, well or not."""
        wait(self._under_way.values())

    def account(self, connection_id: str = "pictory_default") -> PictorySandbox:
        """
        Start a Pictory that a connection leads to, or give the one that was started for it.

        Its jobs are in progress until somebody moves its time ahead.
        """
        with self._of_accounts:
            if connection_id not in self._accounts:
                pictory = PictorySandbox(render_seconds=RENDER_SECONDS, api_key=API_KEY)
                pictory.start()
                self._accounts[connection_id] = pictory
                connection = {
                    "connection_id": connection_id,
                    "conn_type": "pictory",
                    "host": pictory.url,
                    "password": pictory.api_key,
                }
                self.airflow.request("POST", "/connections", connection)
            return self._accounts[connection_id]

    def folder(self, name: str) -> Path:
        """Make an empty folder that only one scenario uses."""
        folder = self.airflow.home / "videos" / name
        folder.mkdir(parents=True)
        return folder


def _disturb(stage: Stage, play: Play, earlier: list[Future[SimpleNamespace]]) -> SimpleNamespace:
    acts = play(stage)
    assert not isinstance(acts, SimpleNamespace)
    next(acts)
    wait(earlier)
    try:
        next(acts)
    except StopIteration as end:
        return end.value
    raise AssertionError("a scenario yielded twice")


def order(pictory: PictorySandbox, prompt: str) -> str:
    """Have a video made without Airflow, and give the job's id."""
    response = requests.post(
        pictory.url + POST.removeprefix("POST "),
        json={"prompt": prompt, "model": "pixverse5.5", "aspectRatio": "16:9", "duration": "5s"},
        headers={"Authorization": pictory.api_key},
        timeout=30,
    )
    assert response.ok, response.text
    return str(response.json()["data"]["jobId"])
