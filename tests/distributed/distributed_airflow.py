"""An Airflow whose components exist more than once, with Celery's workers, PostgreSQL and Redis."""

from __future__ import annotations

import json
import time
from contextlib import closing
from datetime import datetime
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Any

import psycopg2
import requests

from tests.e2e.real_airflow import SECONDS_TO_START, RealAirflow

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    import psutil

    from tests.distributed.servers import Postgres, Redis

WORKERS = ("worker-1", "worker-2")
SCHEDULERS = ("scheduler-1", "scheduler-2")
TRIGGERERS = ("triggerer-1", "triggerer-2")
SLOTS_OF_A_WORKER = 4

# After so many seconds a task that no worker took is queued again.
QUEUED_TIMEOUT = 40
SECONDS_BETWEEN_CHECKS = 5
# Longer than any single outage that the harness makes.
SECONDS_TO_RESPOND = 90


class DistributedAirflow(RealAirflow):
    """
    Two workers, schedulers and triggerers each, one DAG processor and one API server.

    A component that ends by itself is started again, as any deployment does; ``restarts`` counts that.

    :param home: an empty folder.
    :param dag_files: copied into its DAGs folder.
    :param environment: further variables for all components.
    :param own_environments: further variables for single ones.
    :param postgres: the database.
    :param redis: the broker.
    :param database_port: where the components reach the database.
    """

    COMPONENTS = ("api-server", *SCHEDULERS, "dag-processor", *TRIGGERERS, *WORKERS)

    def __init__(
        self,
        home: Path,
        dag_files: Iterable[Path],
        environment: Mapping[str, str],
        own_environments: Mapping[str, Mapping[str, str]],
        *,
        postgres: Postgres,
        redis: Redis,
        database_port: int,
    ) -> None:
        self._postgres = postgres
        database = f"airflow@127.0.0.1:{database_port}/airflow"
        super().__init__(
            home,
            dag_files,
            {
                "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
                "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2://{database}",
                "AIRFLOW__CELERY__BROKER_URL": f"redis://127.0.0.1:{redis.port}/0",
                "AIRFLOW__CELERY__RESULT_BACKEND": f"db+postgresql://{database}",
                "AIRFLOW__API__WORKERS": "1",
                # Of each scheduler: together as many as the workers take at once.
                "AIRFLOW__CORE__PARALLELISM": str(SLOTS_OF_A_WORKER),
                # So few that neither triggerer takes all that waits.
                "AIRFLOW__TRIGGERER__CAPACITY": "10",
                "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": str(QUEUED_TIMEOUT),
                "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": str(SECONDS_BETWEEN_CHECKS),
                "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "15",
                "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": str(SECONDS_BETWEEN_CHECKS),
                **environment,
            },
        )
        self._own_environments = own_environments
        self._stopping, self._supervising = Event(), Thread(target=self._supervise, daemon=True)
        self._changing = Lock()
        self._known_dags: set[str] = set()
        self.restarts: list[str] = []

    def __enter__(self) -> DistributedAirflow:
        super().__enter__()
        self._supervising.start()
        return self

    def __exit__(self, *error: Any) -> None:
        self._stopping.set()
        self._supervising.join()
        super().__exit__(*error)

    def kill(self, name: str) -> None:
        """End a component and its children at once, and start it again."""
        with self._changing:
            super().kill(name)
            self.start(name)

    def processes_of(self, name: str) -> list[psutil.Process]:
        """Return a component's process, which comes first, and all that descend from it."""
        with self._changing:
            return super().processes_of(name)

    def _supervise(self) -> None:
        while not self._stopping.wait(1.0):
            with self._changing:
                for name, process in list(self._processes.items()):
                    if process.poll() is not None:
                        self.restarts.append(f"{name} ({process.returncode})")
                        super().kill(name)
                        self.start(name)

    def require_components(self, what: str) -> None:
        """Fail when Airflow as a whole was ended; its components are started again."""
        assert not self._has_ended, f"{what}, but Airflow was ended"

    def wait_until_healthy(self) -> None:
        """Wait until every component has shown a sign of life since its start."""
        jobs = {"SchedulerJob": SCHEDULERS, "TriggererJob": TRIGGERERS, "DagProcessorJob": ("dag-processor",)}

        def missing() -> list[str]:
            alive = dict(
                self.query(
                    "SELECT job_type, COUNT(*) FROM job "
                    "WHERE state = 'running' AND latest_heartbeat > start_date GROUP BY job_type"
                )
            )
            short = [kind for kind, names in jobs.items() if alive.get(kind, 0) < len(names)]
            outputs = {name: self._output(name).read_text(errors="replace") for name in WORKERS}
            self._session.get(f"{self.url}/api/v2/monitor/health", timeout=10).raise_for_status()
            return [*short, *(name for name, text in outputs.items() if f"{name} ready" not in text)]

        self.wait_for("Airflow to be healthy", missing, lambda seen: not seen, 2 * SECONDS_TO_START)

    def responds(self) -> bool:
        """Tell whether the API server can be used."""
        try:
            return requests.get(f"{self.url}/api/v2/version", timeout=5).ok
        except requests.RequestException:
            return False

    def request(self, method: str, path: str, body: object = None) -> Any:
        """Call the REST API as a person would who tries again while it is down."""
        deadline = time.monotonic() + SECONDS_TO_RESPOND
        while True:
            try:
                return super().request(method, path, body)
            except requests.RequestException:
                if time.monotonic() > deadline or self._has_ended:
                    raise
            time.sleep(1.0)

    def trigger(self, dag_id: str, conf: Mapping[str, Any] | None = None, run_id: str | None = None) -> str:
        """Start a run of a DAG, which is there once though the response may have been lost."""
        if dag_id not in self._known_dags:
            self.unpause(dag_id)
            self._known_dags.add(dag_id)
        body = {"logical_date": None, "conf": dict(conf or {}), "dag_run_id": run_id}
        try:
            self.request("POST", f"/dags/{dag_id}/dagRuns", body)
        except AssertionError as error:
            if ": HTTP 409" not in str(error):
                raise
        return str(run_id)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Read from the database, waiting while it is down; moments as texts, as elsewhere."""
        deadline = time.monotonic() + SECONDS_TO_RESPOND
        while True:
            try:
                with closing(self._postgres.connect()) as connection, connection.cursor() as cursor:
                    cursor.execute(sql)
                    return [tuple(_plain(value) for value in row) for row in cursor.fetchall()]
            except psycopg2.OperationalError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.5)

    def has_table(self, name: str) -> bool:
        return bool(self.query(f"SELECT 1 FROM information_schema.tables WHERE table_name = '{name}'"))

    def _create_database(self) -> None:
        """Leave it to the server, which has made it."""

    def _environment_of(self, name: str) -> dict[str, str]:
        return {**self._environment, **self._own_environments.get(name, {})}

    def _command(self, name: str) -> list[str]:
        if name in WORKERS:
            # Without what Celery's workers tell each other, on which nothing here depends.
            return [
                *("celery", "worker", "--celery-hostname", name, "--concurrency", str(SLOTS_OF_A_WORKER)),
                *("--skip-serve-logs", "--without-mingle", "--without-gossip"),
            ]
        return super()._command(name.rstrip("-12"))


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return json.dumps(value) if isinstance(value, dict | list) else value
