"""What is killed, stopped and restarted while videos are under way."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from contextlib import suppress
from enum import StrEnum
from functools import partial
from threading import Event, Thread
from typing import TYPE_CHECKING

import psutil

from tests.chaos.reports import say
from tests.distributed.distributed_airflow import SCHEDULERS, TRIGGERERS, WORKERS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.distributed.distributed_airflow import DistributedAirflow
    from tests.distributed.servers import Server

# How long a process is stopped, in seconds: from less to more than what Airflow takes a task for dead after.
STOPPED = (4.0, 25.0)
SECONDS_WITHOUT_SERVER = 3.0


class Kind(StrEnum):
    """What happens, and to whom."""

    WORKER_KILLED = "worker killed"
    CHILD_KILLED = "worker's child killed"
    WORKER_STOPPED = "worker stopped"
    TRIGGERER_KILLED = "triggerer killed"
    TRIGGERER_STOPPED = "triggerer stopped"
    SCHEDULER_KILLED = "scheduler killed"
    SCHEDULER_STOPPED = "scheduler stopped"
    API_SERVER_KILLED = "API server killed"
    REDIS_RESTARTED = "Redis restarted"
    POSTGRES_RESTARTED = "Postgres restarted"


LONG: Mapping[Kind, int] = {
    Kind.WORKER_KILLED: 8,
    Kind.CHILD_KILLED: 15,
    Kind.WORKER_STOPPED: 8,
    Kind.TRIGGERER_KILLED: 8,
    Kind.TRIGGERER_STOPPED: 7,
    Kind.SCHEDULER_KILLED: 5,
    Kind.SCHEDULER_STOPPED: 4,
    Kind.API_SERVER_KILLED: 3,
    Kind.REDIS_RESTARTED: 3,
    Kind.POSTGRES_RESTARTED: 3,
}
SHORT: Mapping[Kind, int] = {
    Kind.WORKER_KILLED: 1,
    Kind.CHILD_KILLED: 3,
    Kind.WORKER_STOPPED: 1,
    Kind.TRIGGERER_KILLED: 1,
    Kind.TRIGGERER_STOPPED: 1,
    Kind.SCHEDULER_KILLED: 1,
    Kind.SCHEDULER_STOPPED: 1,
    Kind.API_SERVER_KILLED: 1,
    Kind.REDIS_RESTARTED: 1,
    Kind.POSTGRES_RESTARTED: 1,
}


class Killer:
    """
    Lets all that is planned happen, one after the other, on a thread of its own; a context manager.

    :param airflow: whom it happens to.
    :param servers: those besides, by the kinds that mean them.
    :param plan: how often each kind happens.
    :param interval: seconds between two at least.
    :param seed: decides about the order, about whom and for how long.

    ``allowed`` is how many may have happened by now.
    """

    def __init__(
        self,
        airflow: DistributedAirflow,
        servers: Mapping[Kind, Server],
        plan: Mapping[Kind, int],
        interval: float,
        seed: int,
    ) -> None:
        self._airflow = airflow
        self._servers = servers
        self._interval = interval
        self._chance = random.Random(seed)
        self._kinds = [kind for kind, count in plan.items() for _ in range(count)]
        self._chance.shuffle(self._kinds)
        self._due: list[tuple[float, Callable[[], object]]] = []
        self._ending = Event()
        self._thread = Thread(target=self._run, name="killer", daemon=True)
        self.planned = self.allowed = len(self._kinds)
        self.happened: Counter[Kind] = Counter()

    def __enter__(self) -> Killer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()
        # Nobody stays stopped.
        for _, end in self._due:
            end()

    def _run(self) -> None:
        next_at = time.monotonic() + self._interval / 2
        while not self._ending.wait(0.2):
            now = time.monotonic()
            for due in [due for due in self._due if due[0] <= now]:
                self._due.remove(due)
                due[1]()
            # Not while nobody can do anything for want of an API server.
            is_due = self._kinds and now >= next_at and self.happened.total() < self.allowed
            if is_due and self._airflow.responds() and self._happens(self._kinds[-1]):
                kind = self._kinds.pop()
                self.happened[kind] += 1
                say(f"{self.happened.total()} of {self.planned}: {kind}")
                next_at = now + self._interval

    def _happens(self, kind: Kind) -> bool:
        """Let something happen, and tell whether it did."""
        if kind in self._servers:
            server = self._servers[kind]
            server.crash()
            self._due.append((time.monotonic() + SECONDS_WITHOUT_SERVER, server.start))
            return True
        if kind is Kind.API_SERVER_KILLED:
            self._airflow.kill("api-server")
            return True
        whom, _, what = kind.rpartition(" ")
        names = {"scheduler": SCHEDULERS, "triggerer": TRIGGERERS}.get(whom, WORKERS)
        name = self._chance.choice(names)
        processes = self._airflow.processes_of(name)
        if len(processes) < 2 and whom.startswith("worker"):
            # It is being started again.
            return False
        if kind is Kind.CHILD_KILLED:
            return _signal(self._chance.choice(processes[1:]), signal.SIGKILL)
        if what == "killed":
            self._airflow.kill(name)
            return True
        for process in processes:
            _signal(process, signal.SIGSTOP)
        end = time.monotonic() + self._chance.uniform(*STOPPED)
        self._due += [(end, partial(_signal, process, signal.SIGCONT)) for process in processes]
        return True


def _signal(process: psutil.Process, number: signal.Signals) -> bool:
    with suppress(psutil.NoSuchProcess):
        process.send_signal(number)
        return True
    return False
