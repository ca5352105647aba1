"""What each show stands on: an Airflow of one version, a Pictory, and what is between them."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_pictory.sandbox.background import PictorySandbox
from tests.chaos.reports import RunReport, say
from tests.e2e.real_airflow import RealAirflow

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tests.e2e.shows.front import Front

DAG_FILE = Path(__file__).parent / "dags/shows.py"
ENDED = ("success", "failed")
# A finding is no longer than a line.
LONGEST_REASON = 300


@dataclass
class Stage:
    """
    An Airflow and a Pictory for one show; a context manager.

    :param python: of the environment whose Airflow runs.
    :param report: keeps the logs where the show doesn't end well.
    :param sandbox: arguments of the sandbox.
    :param front: stands between tasks and Pictory, started already.
    :param window: of the connection, in seconds; the package's default without it.
    :param call: the connection's timeout.
    :param parallelism: how many tasks run at once.
    :param environment: further variables of all components.
    :param dag_files: besides those of the shows.
    :param home: an empty folder; a temporary one without it.
    """

    python: str
    report: RunReport
    sandbox: Mapping[str, Any] = field(default_factory=dict)
    front: Front | None = None
    window: float | None = None
    call: float = 30.0
    parallelism: int = 8
    environment: Mapping[str, str] = field(default_factory=dict)
    dag_files: Sequence[Path] = ()

    def __enter__(self) -> Stage:
        self._stack = ExitStack()
        enter = self._stack.enter_context
        try:
            folder = enter(tempfile.TemporaryDirectory(prefix="show-", ignore_cleanup_errors=True))
            self.pictory = enter(PictorySandbox(credits=10**7, **self.sandbox))
            if self.front is not None and not self.front.target:
                self.front.target = self.pictory.url
            self.airflow = self._airflow_class()(
                Path(folder) / "airflow",
                [DAG_FILE, *self.dag_files],
                self._environment(),
                is_busy=True,
                python=self.python,
            )
            self._stack.callback(self._keep_logs)
            started = time.monotonic()
            enter(self.airflow)
            say(f"Airflow is up after {time.monotonic() - started:.0f} s ({self.python})")
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def _host(self) -> str:
        return self.front.url if self.front is not None else self.pictory.url

    def _environment(self) -> dict[str, str]:
        extra: dict[str, Any] = {"timeout": self.call}
        variables = {
            "AIRFLOW__CORE__PARALLELISM": str(self.parallelism),
            "AIRFLOW__SCHEDULER__MAX_DAGRUNS_PER_LOOP_TO_SCHEDULE": "100",
            # On a busy machine a heartbeat that fails must not end a task.
            "AIRFLOW__WORKERS__MAX_FAILED_HEARTBEATS": "30",
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "60",
            "AIRFLOW__DAG_PROCESSOR__DAG_FILE_PROCESSOR_TIMEOUT": "120",
            "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "90",
        }
        if self.window is not None:
            extra["submission_window"] = self.window
            variables["SHOWS_WINDOW"] = str(self.window)
        connection = json.loads(self.pictory.connection_json) | {"host": self._host, "extra": extra}
        variables["AIRFLOW_CONN_PICTORY_DEFAULT"] = json.dumps(connection)
        return {**variables, **self.environment}

    @property
    def is_oldest(self) -> bool:
        """Whether this process's Airflow, which is the show's, is 2.11."""
        return metadata.version("apache-airflow").startswith("2.")

    def _airflow_class(self) -> type[RealAirflow]:
        # Not by importing Airflow, which would take its settings from this process's environment.
        if self.is_oldest:
            from tests.chaos.oldest_airflow import OldestAirflow

            return OldestAirflow
        return RealAirflow

    def _keep_logs(self) -> None:
        """Keep all logs unless the show ends well, which is known by now."""
        if self.report.exit_status:
            self.report.copy(self.airflow.home / "logs", "logs")
            self.report.write("jobs.json", self.pictory.jobs())
            if self.front is not None:
                self.report.write("requests.log", "\n".join(self.front.requests))

    def wait_for_end(self, run_ids: Iterable[str], timeout: float) -> dict[str, str]:
        """Wait until runs have ended or the time is over, and give their states."""
        wanted = set(run_ids)
        deadline = time.monotonic() + timeout
        while True:
            states = {
                run_id: state
                for run_id, state in self.airflow.query("SELECT run_id, state FROM dag_run")
                if run_id in wanted
            }
            # Some versions response before a new run is in the database.
            are_over = len(states) == len(wanted) and all(state in ENDED for state in states.values())
            if are_over or time.monotonic() > deadline:
                return {run_id: states.get(run_id, "missing") for run_id in wanted}
            self.airflow.require_components("While runs were under way")
            time.sleep(1)

    def wait_for_task(
        self, run_id: str, task_id: str, states: Iterable[str], timeout: float, *, try_number: int = 1
    ) -> str | None:
        """Wait until a task is in one of the states at that try or a later one; give its last state."""
        deadline = time.monotonic() + timeout
        state = None
        while time.monotonic() < deadline:
            found = self.tasks(run_id, task_id)
            state = found[0].state if found else None
            if found and state in states and found[0].try_number >= try_number:
                return state
            self.airflow.require_components("While a task was waited for")
            time.sleep(0.5)
        return state

    def tasks(self, run_id: str, task_id: str = "generate") -> list[Task]:
        """Return a task's instances, mapped ones in their order."""
        index = self._index_column("task_instance")
        where = f"run_id = '{run_id}' AND task_id = '{task_id}'"
        if "working_set" in self._columns("task_instance"):
            # From Airflow 3.4 on, what was is kept in the same table.
            where += " AND working_set"
        return [
            Task(*row)
            for row in self.airflow.query(
                f"SELECT dag_id, run_id, task_id, {index}, state, try_number, start_date, end_date "
                f"FROM task_instance WHERE {where} ORDER BY {index}"
            )
        ]

    def _columns(self, table: str) -> set[str]:
        return {row[1] for row in self.airflow.query(f"PRAGMA table_info({table})")}

    def _index_column(self, table: str) -> str:
        """Return the column of the map index, which has another name from Airflow 3.4 on."""
        return "map_index" if "map_index" in self._columns(table) else "region_index"

    def xcom(self, run_id: str, task_id: str, map_index: int = -1, key: str = "return_value") -> Any:
        """Return an XCom as the database has it."""
        where = f"run_id = '{run_id}' AND task_id = '{task_id}' AND key = '{key}'"
        if self._columns("xcom"):
            of_index = f"{self._index_column('xcom')} = {map_index}"
            rows = self.airflow.query(f"SELECT value FROM xcom WHERE {where} AND {of_index}")
        else:
            # From Airflow 3.4 on they belong to a try.
            rows = self.airflow.query(
                "SELECT value FROM xcom_v2 JOIN task_instance ON task_instance.id = task_instance_id "
                f"WHERE {where} AND working_set AND {self._index_column('task_instance')} = {map_index}"
            )
        value = rows[0][0] if rows else None
        while isinstance(value, str | bytes):
            try:
                value = json.loads(value)
            except ValueError:
                break
        return value

    def log(self, run_id: str) -> str:
        """Return everything that the tasks of a run have logged."""
        return "\n".join(
            text for name, text in self.airflow.log_files().items() if f"run_id={run_id}/" in name
        )

    def last_error(self, run_id: str, task_id: str = "generate") -> str:
        """Return the last exception of a run's task, in a line."""
        found = ""
        for name, text in self.airflow.log_files().items():
            if f"run_id={run_id}/task_id={task_id}/" not in name or ".trigger" in name:
                continue
            for line in text.splitlines():
                try:
                    details = json.loads(line).get("error_detail")
                    if details:
                        found = f"{details[0]['exc_type']}: {details[0]['exc_value']}"
                except (ValueError, AttributeError, TypeError, KeyError, IndexError):
                    if "Error: " in line and not line.startswith(" "):
                        found = line
        return found[:LONGEST_REASON]

    def paid(self, prompt: str | None = None) -> list[str]:
        """Return the ids of our own jobs that were paid for, failed ones too."""
        return [
            job["job_id"]
            for job in self.pictory.jobs()
            if not job["is_foreign"] and (prompt is None or job["prompt"] == prompt)
        ]

    def variables(self) -> list[str]:
        """Return the names of all Variables of ours."""
        rows = self.airflow.query("SELECT key FROM variable")
        return sorted(key for (key,) in rows if "pictory" in key.lower())

    def delete_variables(self) -> int:
        """Delete all Variables of ours, as a tidy person would."""
        names = self.variables()
        for name in names:
            self.airflow.request("DELETE", f"/variables/{name}")
        return len(names)


@dataclass(frozen=True)
class Task:
    """A task instance as the database has it."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    state: str | None
    try_number: int
    start_date: str | None
    end_date: str | None


class Findings:
    """What a show has found, line by line."""

    def __init__(self) -> None:
        self.wrong: list[str] = []
        self.count = 0

    def expect(self, is_right: bool, words: str) -> None:
        """Note whether something is as it must be."""
        self.count += 1
        if not is_right:
            self.wrong.append(words)
        say(f"{'as it must be' if is_right else 'WRONG'}: {words}")


def tally(words: Iterable[object]) -> str:
    """Count equal ones, for a line."""
    return ", ".join(f"{count} {word}" for word, count in Counter(words).most_common())


def run_quietly(*words: str, **arguments: Any) -> subprocess.Popen[bytes]:
    """Start a program of this machine's Python without its output."""
    return subprocess.Popen(
        [sys.executable, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **arguments
    )
