"""
A real Airflow: scheduler, triggerer, DAG processor and API server, each a process of its own.

Nothing is shared with the test but files, HTTP on loopback and signals, as in production. Its home is a
folder of the test's; the database is SQLite, which Airflow allows for tests.
"""

from __future__ import annotations

import base64
import os
import random
import secrets
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, nullcontext, suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

import psutil
import requests

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import TracebackType

ROOT = Path(__file__).parents[2]
PAUSE = 0.2
SECONDS_TO_START = 180
SECONDS_TO_STOP = 15
# What is waited for takes seconds; a busy machine, and all that waits at the same time, add to it.
SECONDS_TO_END = 300
LINES_SHOWN = 60
ENDED = ("success", "failed")

Seen = TypeVar("Seen")


class RealAirflow:
    """
    A whole Airflow for as long as the context lasts.

    Each component can be stopped, killed and started again by its name, one of :attr:`COMPONENTS`; its output
    is appended to ``logs/<name>.out`` in the home. Every wait is bounded, looks five times a second, and says
    what was last seen when it fails. What is waited for is read from the database, which costs Airflow
    nothing: any number of threads may wait at once.

    :param home: an empty folder for everything that it writes; it isn't deleted.
    :param dag_files: copied into its DAGs folder.
    :param environment: further variables for all components, such as ``AIRFLOW__...`` settings.
    :param is_busy: whether many tasks run while REST changes something. Tasks then have an API server of
        their own, ``execution-api``: the one that responds REST stops everything else that it does while it
        waits for SQLite's lock, which one of the tasks' requests may hold. And all wait for that lock longer.
    :param python: of the environment whose Airflow runs; this process's own without it. The package is the
        one beside these tests, whichever is installed there.
    """

    COMPONENTS = ("api-server", "scheduler", "dag-processor", "triggerer")

    def __init__(
        self,
        home: Path,
        dag_files: Iterable[Path],
        environment: Mapping[str, str] | None = None,
        *,
        is_busy: bool = False,
        python: Path | str = sys.executable,
    ) -> None:
        self.home = home
        self._python = str(python)
        self.dags_folder = home / "dags"
        self.database = home / "airflow.db"
        self.fernet_key = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
        self.responses: list[str] = []
        self._dag_files = list(dag_files)
        self._port = free_port()
        self._execution_port = free_port() if is_busy else self._port
        self._environment = self._make_environment(environment or {})
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._starting, self._has_ended = Lock(), False
        self._started: dict[str, datetime] = {}
        # Held by whoever changes something over the API server: with SQLite, two that write at the same time
        # keep each other, and the whole server, waiting.
        self.writing = Lock()
        self._session = requests.Session()
        # A proxy in the environment is not for loopback.
        self._session.trust_env = False

    @property
    def url(self) -> str:
        """The API server's base URL."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def execution_url(self) -> str:
        return f"http://127.0.0.1:{self._execution_port}/execution/"

    def __enter__(self) -> RealAirflow:
        self.dags_folder.mkdir(parents=True)
        (self.home / "logs").mkdir()
        for file in self._dag_files:
            shutil.copy(file, self.dags_folder)
        try:
            self._make_database()
            for name in self.COMPONENTS:
                self.start(name)
            if "api-server" in self.COMPONENTS and self._execution_port != self._port:
                self.start("execution-api")
            self.wait_until_healthy()
        except BaseException as error:
            error.add_note(self.tail())
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def start(self, name: str) -> None:
        """Start a component, without waiting for it to be healthy."""
        self._started[name] = datetime.now(UTC)
        with self._output(name).open("ab") as output, self._starting:
            assert not self._has_ended, "Airflow was ended"
            self._processes[name] = subprocess.Popen(
                [self._python, "-m", "airflow", *self._command(name)],
                cwd=self.home,
                env=self._environment_of(name),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # A process group of its own, so that it can be ended with its children.
                start_new_session=True,
            )

    def _command(self, name: str) -> list[str]:
        is_busy = self._execution_port != self._port
        local = ["--host", "127.0.0.1", "--workers", "1", "--port"]
        commands = {
            "api-server": ["api-server", *local, str(self._port), *(["--apps", "core"] if is_busy else [])],
            "execution-api": ["api-server", *local, str(self._execution_port), "--apps", "execution"],
            "scheduler": ["scheduler", "--skip-serve-logs"],
            "dag-processor": ["dag-processor"],
            "triggerer": ["triggerer", "--skip-serve-logs"],
        }
        return commands[name]

    def _environment_of(self, name: str) -> dict[str, str]:
        return self._environment

    def processes_of(self, name: str) -> list[psutil.Process]:
        """Return a component's process, which comes first, and all that descend from it."""
        return _family(self._processes[name])

    def stop(self, name: str) -> None:
        """End a component in an orderly way, as a deployment would, and by force if it takes too long."""
        process = self._processes.pop(name)
        family = _family(process)
        with suppress(ProcessLookupError):
            process.terminate()
        psutil.wait_procs(family, timeout=SECONDS_TO_STOP)
        _kill(process, family)

    def kill(self, name: str) -> None:
        """End a component and its children at once, as a crash of its machine would."""
        process = self._processes.pop(name)
        _kill(process, _family(process))

    def restart(self, name: str) -> None:
        """End a component in an orderly way, start it again and wait until all are healthy."""
        self.stop(name)
        self.start(name)
        self.wait_until_healthy()

    def wait_until_healthy(self) -> None:
        """Wait until every running component has a fresh sign of life."""
        names = {
            name: name.replace("-", "_")
            for name in self._processes
            if name not in ("api-server", "execution-api")
        }

        def signs_of_life() -> dict[str, datetime | None]:
            self._session.get(f"{self.execution_url}health", timeout=10)
            health = self._session.get(f"{self.url}/api/v2/monitor/health", timeout=10).json()
            beats = {name: health[key][f"latest_{key}_heartbeat"] for name, key in names.items()}
            return {name: datetime.fromisoformat(beat) if beat else None for name, beat in beats.items()}

        self.wait_for(
            "Airflow to be healthy",
            signs_of_life,
            lambda seen: all(beat and beat > self._started[name] for name, beat in seen.items()),
            SECONDS_TO_START,
        )

    def require_components(self, what: str) -> None:
        """
        Fail when a component has ended by itself, or Airflow as a whole was ended.

        :param what: what is going on, for the message.
        """
        assert not self._has_ended, f"{what}, but Airflow was ended"
        for name, process in list(self._processes.items()):
            if process.poll() is not None:
                raise AssertionError(f"{what}, but {name} ended by itself ({process.returncode})")

    def wait_for(
        self, what: str, look: Callable[[], Seen], is_there: Callable[[Seen], bool], timeout: float
    ) -> Seen:
        """
        Look again and again until something is there, and give what was seen then.

        :param what: what is awaited, for the message.
        :param look: gives what can be seen now; a failing call counts as nothing seen yet.
        :param is_there: tells whether that is it.
        :param timeout: seconds after which the wait fails.
        """
        deadline = time.monotonic() + timeout
        seen: object = None
        while time.monotonic() < deadline:
            self.require_components(f"Waiting for {what}")
            try:
                seen = found = look()
                if is_there(found):
                    return found
            except (requests.RequestException, sqlite3.OperationalError, ValueError, KeyError) as error:
                seen = error
            time.sleep(PAUSE)
        raise AssertionError(f"Waited {timeout:g} s for {what}; last seen: {seen!r}")

    def request(self, method: str, path: str, body: object = None) -> Any:
        """
        Call the REST API (v2) and give the document that it responds.

        :raises AssertionError: for anything but a success.
        """
        if "Authorization" not in self._session.headers:
            token = self._session.get(f"{self.url}/auth/token", timeout=30).json()["access_token"]
            self._session.headers["Authorization"] = f"Bearer {token}"
        with nullcontext() if method == "GET" else self.writing:
            response = self._session.request(method, f"{self.url}/api/v2{path}", json=body, timeout=60)
        self.responses.append(response.text)
        assert response.ok, f"{method} {path}: HTTP {response.status_code} {response.text}"
        return response.json() if response.content else None

    def unpause(self, dag_id: str) -> None:
        """Let runs of a DAG start, as soon as Airflow has read its file."""
        self.wait_for(
            f"DAG {dag_id} to be read",
            lambda: self.query(f"SELECT 1 FROM serialized_dag WHERE dag_id = '{dag_id}'"),
            bool,
            SECONDS_TO_START,
        )
        self.request("PATCH", f"/dags/{dag_id}", {"is_paused": False})

    def trigger(self, dag_id: str, conf: Mapping[str, Any] | None = None, run_id: str | None = None) -> str:
        """
        Start a run of a DAG as soon as Airflow has read its file, and give the run's id.

        :param run_id: this one, or one of Airflow's making.
        """
        self.unpause(dag_id)
        body: dict[str, Any] = {"logical_date": None, "conf": dict(conf or {})}
        if run_id is not None:
            body["dag_run_id"] = run_id
        return str(self.request("POST", f"/dags/{dag_id}/dagRuns", body)["dag_run_id"])

    def clear(
        self, dag_id: str, run_id: str, task_ids: Iterable[object] | None = None, *, only_failed: bool = True
    ) -> None:
        """
        Clear tasks of a run, as a person would in the UI, and let the run go on.

        :param task_ids: of which tasks, each an id or an id and a map index; of all without it.
        :param only_failed: leave those alone that haven't failed.
        """
        body = {
            "dry_run": False,
            "dag_run_id": run_id,
            "only_failed": only_failed,
            "reset_dag_runs": True,
            "include_downstream": task_ids is not None,
            **({} if task_ids is None else {"task_ids": list(task_ids)}),
        }
        self.request("POST", f"/dags/{dag_id}/clearTaskInstances", body)

    def mark_failed(self, dag_id: str, run_id: str, task_id: str) -> None:
        """Mark a task as failed, as a person would in the UI, whatever it does now."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}"
        self.request("PATCH", path, {"new_state": "failed"})

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Return the task instances of a run as REST shows them, mapped ones in their order."""
        document = self.request("GET", f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances?limit=100")
        return sorted(document["task_instances"], key=lambda it: (it["task_id"], it["map_index"]))

    def wait_for_state(
        self, dag_id: str, run_id: str, task_id: str, state: str, timeout: float = SECONDS_TO_END
    ) -> list[dict[str, Any]]:
        """Wait until a task, or all instances of a mapped one, are in a state, and give them."""

        def is_there(seen: tuple[str, list[tuple[Any, ...]]]) -> bool:
            run_state, instances = seen
            if {it[2] for it in instances if it[0] == task_id} == {state}:
                return True
            assert run_state not in ENDED, f"{dag_id} has ended, and {task_id} was never {state}: {seen}"
            return False

        what = f"task {task_id} of {dag_id} to be {state}"
        self._wait_within(what, dag_id, run_id, is_there, timeout)
        return [it for it in self.task_instances(dag_id, run_id) if it["task_id"] == task_id]

    def wait_for_run(self, dag_id: str, run_id: str, timeout: float = SECONDS_TO_END) -> str:
        """Wait until a run has ended, and give its state."""
        what = f"a run of {dag_id} to end"
        return self._wait_within(what, dag_id, run_id, lambda seen: seen[0] in ENDED, timeout)[0]

    def wait_for_first_run(self, dag_id: str, timeout: float = SECONDS_TO_END) -> str:
        """Wait until a DAG has a run that somebody else starts, and give its id."""
        ((run_id,),) = self.wait_for(
            f"a run of {dag_id}",
            lambda: self.query(f"SELECT run_id FROM dag_run WHERE dag_id = '{dag_id}'"),
            bool,
            timeout,
        )
        return str(run_id)

    def _wait_within(
        self,
        what: str,
        dag_id: str,
        run_id: str,
        is_there: Callable[[tuple[str, list[tuple[Any, ...]]]], bool],
        timeout: float,
    ) -> tuple[str, list[tuple[Any, ...]]]:
        """Wait for something about a run's state and those of its tasks: id, map index and state of each."""
        of_run = f"WHERE dag_id = '{dag_id}' AND run_id = '{run_id}'"

        def look() -> tuple[str, list[tuple[Any, ...]]]:
            tasks = self.query(f"SELECT task_id, map_index, state FROM task_instance {of_run}")
            ((state,),) = self.query(f"SELECT state FROM dag_run {of_run}")
            return state, tasks

        try:
            return self.wait_for(what, look, is_there, timeout)
        except AssertionError as error:
            error.add_note(self.tail(f"dag_id={dag_id}/run_id={run_id}/"))
            raise

    def xcoms(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> dict[str, Any]:
        """Return all XComs of a task instance as REST shows them, but for those of its links."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries"
        entries = self.request("GET", f"{path}?map_index={map_index}")["xcom_entries"]
        return {
            entry["key"]: self.request(
                "GET", f"{path}/{entry['key']}?map_index={map_index}&deserialize=false"
            )["value"]
            for entry in entries
            if not entry["key"].startswith("_link_")
        }

    def links(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> dict[str, str | None]:
        """Return where the buttons of a task instance lead, ``None`` for those that aren't shown."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/links?map_index={map_index}"
        return dict(self.request("GET", path)["extra_links"])

    def command(self, *words: str) -> str:
        """Run Airflow's own command line, and give its output."""
        done = subprocess.run(
            [self._python, "-m", "airflow", *words],
            cwd=self.home,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"airflow {' '.join(words)} failed: {done.stdout} {done.stderr}"
        return done.stdout

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Read from the database."""
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=30)) as connection:
            return connection.execute(sql).fetchall()

    def has_table(self, name: str) -> bool:
        """Tell whether this Airflow's database has a table."""
        return bool(self.query(f"SELECT 1 FROM sqlite_master WHERE name = '{name}'"))

    def log_files(self, pattern: str = "**/*") -> dict[str, str]:
        """
        Return everything that was logged, of components, DAG files and tasks, by the name of the file.

        :param pattern: of the names, such as ``dag_id=.../run_id=.../**/*``.
        """
        folder = self.home / "logs"
        return {
            str(file.relative_to(folder)): file.read_text(errors="replace")
            for file in sorted(folder.glob(pattern))
            if file.is_file() and not file.is_symlink()
        }

    def tail(self, fragment: str = "") -> str:
        """
        Return the last lines of each log, for the message of a failure.

        :param fragment: of the names of the tasks' logs that matter.
        """
        tails = []
        for name, text in self.log_files().items():
            if not name.startswith("dag_processor/") and (fragment in name or name.endswith(".out")):
                lines = text.splitlines()[-LINES_SHOWN:]
                tails.append("\n".join([f"----- {name}", *lines]))
        return "\n".join([f"All logs are in {self.home / 'logs'}", *tails])

    def _make_environment(self, further: Mapping[str, str]) -> dict[str, str]:
        own = {name: value for name, value in os.environ.items() if "AIRFLOW_" not in name}
        lock_timeout = 5 if self._execution_port == self._port else 60
        return {
            **own,
            "PATH": os.pathsep.join([str(Path(self._python).parent), own.get("PATH", "")]),
            "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [own.get("PYTHONPATH")])]),
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags_folder),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            # Airflow 2 allows SQLite and several workers together only for tests, such as these.
            "_AIRFLOW__SKIP_DATABASE_EXECUTOR_COMPATIBILITY_CHECK": "1",
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__CORE__FERNET_KEY": self.fernet_key,
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": self.execution_url,
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__SECRET_KEY": secrets.token_hex(32),
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{self.database}?timeout={lock_timeout}",
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
            "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
            # After so many seconds another triggerer takes over from one that died.
            "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "15",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
            "PYTHONUNBUFFERED": "1",
            **further,
        }

    def _make_database(self) -> None:
        self._create_database()
        with self._output("db-migrate").open("ab") as output:
            migration = subprocess.run(
                [self._python, "-m", "airflow", "db", "migrate"],
                cwd=self.home,
                env=self._environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=SECONDS_TO_START,
                check=False,
            )
        assert migration.returncode == 0, "airflow db migrate failed"

    def _create_database(self) -> None:
        # In this mode, which the file keeps, those who read don't wait for those who write.
        with closing(sqlite3.connect(self.database)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")

    def _output(self, name: str) -> Path:
        return self.home / "logs" / f"{name}.out"

    def _end(self) -> None:
        # Whoever waits for something on another thread shall wait no longer, nor start anything.
        with self._starting:
            self._has_ended = True
        self._session.close()
        # At once, for nobody looks at what they would still write.
        families = [(process, _family(process)) for process in self._processes.values()]
        self._processes.clear()
        for process, family in families:
            _kill(process, family)


def _family(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Return a process and all its descendants, which need not be in its group."""
    try:
        parent = psutil.Process(process.pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _kill(process: subprocess.Popen[bytes], family: Iterable[psutil.Process]) -> None:
    """End a process, its group and those of its descendants that left the group."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    for member in family:
        with suppress(psutil.NoSuchProcess):
            member.kill()
    process.wait()


def free_port() -> int:
    """
    Return a port of this machine that nobody listens on now.

    It isn't one of those that any connection may be given until somebody listens.
    """
    while True:
        port = random.randrange(20_000, 32_000)
        with suppress(OSError), closing(socket.create_server(("127.0.0.1", port))):
            return port
