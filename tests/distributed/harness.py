"""Videos on a distributed Airflow, whose components are killed while one service makes them all."""

from __future__ import annotations

import itertools
import json
import time
from collections import Counter, deque
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import psycopg2
import requests

from tests.chaos.crashes import (
    DAG_FILES,
    PAUSE,
    PAUSE_BETWEEN_LINES,
    Harness,
    Progress,
    Report,
    Times,
    read_json,
)
from tests.chaos.gateway import Submission
from tests.chaos.plan import RECOVERIES, Order, Plan
from tests.chaos.reports import say
from tests.chaos.verdict import Outcome
from tests.distributed.distributed_airflow import (
    QUEUED_TIMEOUT,
    SECONDS_BETWEEN_CHECKS,
    TRIGGERERS,
    DistributedAirflow,
)
from tests.distributed.fronts import FailingApiServer, SlowDatabase
from tests.distributed.kills import Killer, Kind
from tests.distributed.servers import Postgres, Redis
from tests.e2e.shows.front import Front

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# Of a twentieth of all requests to the service something becomes that the client doesn't hope for.
FAULTS = (
    "server-error:status=500,rate=0.01",
    "server-error:status=502,has_body=no,is_processed=yes,rate=0.01",
    "drop-after-processing:rate=0.01",
    "drop-before-processing:rate=0.01",
    "slow-response:seconds=2,rate=0.005",
    "truncated-json:rate=0.005",
)
# Requests that the service takes in a second, of all its clients, for jobs that are polled each second.
BUDGET = 15
MOST_OVER_BUDGET = 0.2
# So often a run is cleared before somebody gives up: each try may meet another kill.
MORE_CLEARS = 12
MAPPED = 4
# How one video comes about: what the table calls it, the operator's mode, and whether the task is mapped.
IN_TRIGGERER = ("started in the triggerer", "submit", False)
ON_WORKER = ("single, on a worker", "worker", False)
DEFERRED = ("deferred from a worker", "deferred", False)
WAYS = (
    *(IN_TRIGGERER, DEFERRED, ON_WORKER, IN_TRIGGERER, DEFERRED),
    ("mapped, deferred", "deferred", True),
    *(IN_TRIGGERER, DEFERRED, ON_WORKER, IN_TRIGGERER, DEFERRED),
    ("mapped, waited for by a mapped sensor", "submit", True),
)
SLOW_QUERY = 0.2
SLOW_FROM, SLOW_SECONDS = 10.0, 60.0
FAILING_RATE = 0.1
XCOM_BACKEND = "airflow.providers.common.io.xcom.backend.XComObjectStorageBackend"
SECRETS_BACKEND = "airflow.secrets.local_filesystem.LocalFilesystemBackend"

STATES = "SELECT run_id, task_id, map_index, state, try_number FROM task_instance"
# What Airflow's own time limits explain, in seconds: until it notices that somebody is gone, and an outage of
# up to all components, until they have started again on a busy machine. A scheduled one waits for a slot.
OUTAGE = 120.0
LONGEST_IN_STATE = {
    "queued": QUEUED_TIMEOUT + SECONDS_BETWEEN_CHECKS + OUTAGE,
    "running": 90.0 + OUTAGE,
    "deferred": 40.0 + OUTAGE,
    "restarting": OUTAGE,
}


@dataclass(frozen=True)
class Size:
    """
    How much there is of all.

    :param videos: how many, a fourth of each way to wait.
    :param kills: how often each kind happens.
    :param interval: seconds between two kills.
    :param head_start: how many runs are under way before the first kill.
    :param times: how fast everything goes.
    """

    videos: int
    kills: Mapping[Kind, int]
    interval: float
    head_start: int
    times: Times

    @property
    def kills_count(self) -> int:
        """How many kills there are."""
        return sum(self.kills.values())


@dataclass
class DistributedReport(Report):
    """
    All that came out.

    :param facts: what was measured besides, in words.
    :param kinds: the kills that happened.
    """

    facts: list[str] = field(default_factory=list)
    kinds: Counter[Kind] = field(default_factory=Counter)

    @property
    def lines(self) -> list[str]:
        """The report in words: the table, all that is wrong, and the summary last."""
        *lines, _ = super().lines
        videos = len(self.judgements)
        ended = sum(judgement.end.state == "success" for judgement in self.judgements)
        counts = {
            "paid once": self.count(Outcome.ONCE),
            "paid twice": self.count(Outcome.TWICE),
            "lost": self.count(Outcome.LOST) + len(self.nobodys),
            "refused": self.count(Outcome.REFUSED),
            "otherwise wrong": self.count(Outcome.WRONG) + len(self.problems),
        }
        lines += [f"{kind}: {count}" for kind, count in self.kinds.items()]
        lines += self.facts
        lines.append(
            f"distributed: {ended} of {videos} videos ended, "
            + ", ".join(f"{count} {what}" for what, count in counts.items())
            + f", {self.kills} kills, {self.seconds / 60:.0f} min"
        )
        return lines


def make_plan(videos: int) -> Plan:
    """Choose videos in each way to wait, some of which are cleared meanwhile."""
    plan = Plan()
    for event, mode in (("cleared-running", "worker"), ("cleared-deferred", "deferred")):
        for recovery in RECOVERIES:
            for _ in range(max(1, videos // 40)):
                plan.with_event(event, mode, recovery)
    for number in itertools.count():
        left = videos - len(plan.clips)
        if left <= 0:
            return plan
        way, mode, is_mapped = WAYS[number % len(WAYS)]
        clips = [plan.clip(way) for _ in range(min(MAPPED, left) if is_mapped else 1)]
        recovery = RECOVERIES[number // len(WAYS) % 2]
        plan.orders.append(Order(mode, recovery, clips, None, is_mapped))
    return plan


class Waits:
    """How long tasks were in one state, as far as the harness sees it."""

    def __init__(self) -> None:
        self._since: dict[tuple[Any, ...], tuple[tuple[Any, ...], float]] = {}
        self.longest: dict[str, float] = {}

    def note(self, rows: Iterable[tuple[Any, ...]]) -> None:
        """
        Note the state of all tasks.

        :param rows: run id, task id, map index, state and try number of each.
        """
        now = time.monotonic()
        for *key, state, try_number in rows:
            present = (state, try_number)
            before, since = self._since.get(tuple(key), (None, now))
            if before != present:
                since = now
            self._since[tuple(key)] = (present, since)
            if state in LONGEST_IN_STATE:
                self.longest[state] = max(self.longest.get(state, 0.0), now - since)


class DistributedHarness(Harness):
    """
    A distributed Airflow, one service, and a person who clears what failed.

    :param home: an empty folder for all of it.
    :param size: how much there is of all.
    :param seed: of the service's faults and of the kills.
    :param is_database_slow: whether each query waits for a minute.
    :param is_api_failing: whether the API server's calls fail for tasks, a tenth of them.
    """

    def __init__(
        self,
        home: Path,
        size: Size,
        seed: int,
        *,
        is_database_slow: bool = False,
        is_api_failing: bool = False,
    ) -> None:
        super().__init__(home, size.times, twin_rate=0, seed=seed)
        self._size = size
        self._more_clears = MORE_CLEARS
        self._is_database_slow = is_database_slow
        self._is_api_failing = is_api_failing
        self._api_front: FailingApiServer | None = None
        self._waits = Waits()
        self._from_object_store = 0

    def _faults(self) -> list[str]:
        return [*FAULTS, f"rate-limit:budget={BUDGET},window=1,path=/v1/jobs"]

    def _make_airflow(self) -> DistributedAirflow:
        enter = self._stack.enter_context
        servers = self._home / "servers"
        servers.mkdir()
        self._postgres, self._redis = enter(Postgres(servers / "postgres")), enter(Redis(servers / "redis"))
        self._database = enter(SlowDatabase(self._postgres.port))
        # Each triggerer reaches the service by a way of its own, which tells their polls apart.
        self._ways = {name: enter(Front(self._pictory.url)) for name in TRIGGERERS}
        connections = {name: self._secrets(name, way.url) for name, way in self._ways.items()}
        environment = {
            **self._environment(),
            **self._secrets("workers", self._gateway.url),
            "AIRFLOW__CORE__XCOM_BACKEND": XCOM_BACKEND,
            "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH": (self._home / "xcoms").as_uri(),
            "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_THRESHOLD": "0",
        }
        if self._is_api_failing:
            self._api_front = enter(FailingApiServer(FAILING_RATE, self._seed))
            environment["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] = f"{self._api_front.url}/execution/"
        airflow = DistributedAirflow(
            self._home / "airflow",
            DAG_FILES,
            environment,
            connections,
            postgres=self._postgres,
            redis=self._redis,
            database_port=self._database.port,
        )
        if self._api_front is not None:
            self._api_front.target = airflow.url
        return airflow

    def _environment(self) -> dict[str, str]:
        environment = super()._environment()
        del environment["AIRFLOW__CORE__PARALLELISM"]
        return environment

    def _secrets(self, name: str, host: str) -> dict[str, str]:
        """Return the settings of a secrets backend that has the connection in a file."""
        file = self._home / f"connections-of-{name}.json"
        file.write_text(json.dumps({"pictory_default": self._connection(host)}))
        return {
            "AIRFLOW__SECRETS__BACKEND": SECRETS_BACKEND,
            "AIRFLOW__SECRETS__BACKEND_KWARGS": json.dumps({"connections_file_path": str(file)}),
        }

    def run(self, orders: list[Order]) -> None:
        """Start the orders bit by bit, while components are killed, and see them to their ends."""
        servers = {Kind.REDIS_RESTARTED: self._redis, Kind.POSTGRES_RESTARTED: self._postgres}
        size = self._size
        with Killer(self._airflow, servers, size.kills, size.interval, self._seed) as killer:
            self._kinds = killer.happened
            self._see_through(deque(orders), killer)
        self.deaths = killer.happened.total()

    def _see_through(self, waiting: deque[Order], killer: Killer) -> None:
        started = said_at = time.monotonic()
        count = len(waiting)
        while (waiting or self._open_runs()) and time.monotonic() < started + self._times.limit:
            self._slow_down(time.monotonic() - started)
            # The last ones begin with the last kills, so that all kills meet something. Whatever is killed
            # has to start again, for which a busy machine takes the time that the runs need as well.
            share = (killer.happened.total() + 1) / (killer.planned + 1)
            may_start = min(count, max(self._size.head_start, round(share * count)))
            ended = len(self._runs) - len(self._open_runs())
            killer.allowed = round(killer.planned * (ended + self._size.head_start) / count)
            try:
                while waiting and len(self._runs) < may_start:
                    order = waiting[0]
                    self._airflow.trigger(order.dag_id, order.conf, order.run_id)
                    self._runs[order.run_id] = Progress(waiting.popleft())
                self._waits.note(self._airflow.query(STATES))
                self._step(self._open_runs())
            except (requests.RequestException, psycopg2.Error, AssertionError) as error:
                # Whatever is down now comes back, and the next step tries again.
                say(f"{type(error).__name__}: {str(error)[:300]}")
            if time.monotonic() - said_at > PAUSE_BETWEEN_LINES:
                said_at = time.monotonic()
                say(f"{len(self._open_runs())} of {len(self._runs)} runs are under way, of {count}")
            time.sleep(PAUSE)

    def _slow_down(self, seconds: float) -> None:
        if self._is_database_slow:
            is_slow = SLOW_FROM <= seconds < SLOW_FROM + SLOW_SECONDS
            self._database.seconds = SLOW_QUERY if is_slow else 0.0

    def _submissions(self) -> list[Submission]:
        """Return what the service was paid for, by its own account: no two clips have the same prompt."""
        numbers = {clip.prompt: clip.number for run in self._runs.values() for clip in run.order.clips}
        return [
            Submission(numbers[job["prompt"]], "", 0.0, job["job_id"])
            for job in self._pictory.jobs()
            if job["prompt"] in numbers
        ]

    def _read_xcom(self, value: Any) -> Any:
        value = read_json(value)
        if isinstance(value, str) and value.startswith("file://"):
            # Of a task that was just cleared the file is gone; that of a task that ended well is missed.
            with suppress(FileNotFoundError):
                value = read_json(Path(unquote(urlsplit(value).path)).read_text())
                self._from_object_store += 1
        return value

    def report(self, plan: Plan, seconds: float) -> DistributedReport:
        """Hold what was paid against what came out."""
        report = DistributedReport(**vars(super().report(plan, seconds)), kinds=self._kinds)
        counts = self._pictory.counts()
        polls = {name: sum(" GET " in line for line in way.requests) for name, way in self._ways.items()}
        permitted, limited = counts["requests_permitted"], counts["requests_limited"]
        report.facts = [
            "polls: " + ", ".join(f"{name} {count}" for name, count in polls.items()),
            f"budget: {permitted} requests within it, {limited} over it",
            "faults: " + ", ".join(f"{kind} {count}" for kind, count in sorted(counts["faults"].items())),
            f"XComs in the object store: {self._from_object_store}",
            f"components that ended by themselves: {', '.join(self._airflow.restarts) or 'none'}",
        ]
        if self._is_database_slow:
            report.facts.append(f"queries that waited {SLOW_QUERY} s: {self._database.slowed}")
        if self._api_front is not None:
            front = self._api_front
            report.facts.append(f"failed calls: {front.failed}, {front.written} of them wrote a record")
        for state, longest in self._waits.longest.items():
            most = LONGEST_IN_STATE[state]
            report.facts.append(f"longest {state}: {longest:.0f} s of at most {most:.0f} s")
            if longest > most:
                report.problems.append(f"a task was {state} for {longest:.0f} s")
        missing = self._size.kills_count - report.kills
        if missing > 0:
            report.problems.append(f"{missing} kills never happened")
        if limited > MOST_OVER_BUDGET * permitted:
            report.problems.append(f"{limited} requests were over the budget")
        report.problems += [f"{name} has polled nothing" for name, count in polls.items() if not count]
        if not self._from_object_store:
            report.problems.append("no XCom was in the object store")
        return report
