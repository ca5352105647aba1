"""DAG runs in this process, the same for all versions of Airflow: make one, run it, look at what it left."""

from __future__ import annotations

import io
import itertools
import logging
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import DAG

from tests.support.airflow_versions import tell_of_assets, without_debug_lines

if TYPE_CHECKING:
    from pathlib import Path

# Airflow 3 runs only what it finds in its DAGs folder. There, one file gives it the DAG that is to be run.
DAG_TO_RUN: dict[str, DAG] = {}
DAGS_FILE = '''"""The Airflow DAG that a test is about to run."""

from tests.support.dag_runs import DAG_TO_RUN

globals().update(DAG_TO_RUN)
'''

_numbers = itertools.count(1)
_failures: list[tuple[str, BaseException]] = []


@dataclass
class FinishedRun:
    """
    What a DAG run left.

    :param dag_run: Airflow's.
    :param log: everything that was written to stdout and stderr meanwhile.
    :param failures: the task ids and exceptions of all tries that failed, in their order.
    """

    dag_run: Any
    log: str
    failures: list[tuple[str, BaseException]] = field(default_factory=list)

    @property
    def states(self) -> dict[str, Any]:
        """The state of each task; a list of states for a mapped one."""
        states: dict[str, Any] = {}
        for instance in sorted(self.dag_run.get_task_instances(), key=lambda it: it.map_index):
            state = str(instance.state)
            if instance.map_index < 0:
                states[instance.task_id] = state
            else:
                states.setdefault(instance.task_id, []).append(state)
        return states

    def tries(self, task_id: str) -> int:
        """Return how often a task was started, other than to resume it."""
        return self.dag_run.get_task_instance(task_id).try_number

    def errors(self, task_id: str) -> list[BaseException]:
        """Return the exceptions that a task's tries failed with."""
        return [error for failed, error in self.failures if failed == task_id]

    def error(self, task_id: str) -> BaseException:
        """Return the one exception that a task failed with."""
        (error,) = self.errors(task_id)
        return error

    def xcom(self, task_id: str, key: str = "return_value", map_index: int = -1) -> Any:
        """Return an XCom as the next task would pull it, ``None`` where there is none."""
        instance = self.dag_run.get_task_instance(task_id, map_index=map_index)
        return instance.xcom_pull(task_ids=task_id, key=key, map_indexes=map_index)


def forget_submissions() -> None:
    """Take out of the database what earlier tests have submitted."""
    from airflow import models, settings
    from sqlalchemy import delete

    with settings.engine.begin() as connection:
        connection.execute(delete(models.Variable).where(models.Variable.key.like("pictory%")))


def a_dag(**default_args: Any) -> DAG:
    """
    Make a DAG of a new name, to be used in a ``with``.

    :param default_args: for its tasks. Retries, where asked for, follow at once.
    """
    return DAG(
        dag_id=f"dag_{next(_numbers)}",
        schedule=None,
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        default_args={
            "retry_delay": timedelta(0),
            "on_failure_callback": _note_failure,
            "on_retry_callback": _note_failure,
            **default_args,
        },
    )


def run(dag: DAG, capture: Any, conf: dict[str, Any] | None = None, **arguments: Any) -> FinishedRun:
    """
    Run a DAG to its end.

    :param dag: which, from :func:`a_dag` if its failures shall be known.
    :param capture: pytest's ``capfd``.
    :param conf: of the run.
    :param arguments: of Airflow's ``dag.test()``, such as ``logical_date``.
    """
    _failures.clear()
    tell_of_assets(dag)
    DAG_TO_RUN[dag.dag_id] = dag
    # Airflow 3 logs to stdout. Airflow 2 would add a handler for the stdout of its first run, unless there is
    # one.
    task_log = logging.getLogger("airflow.task")
    handler = logging.StreamHandler(io.StringIO())
    task_log.addHandler(handler)
    # Otherwise its lines reach stdout as well, and are there twice.
    propagate, task_log.propagate = task_log.propagate, False
    capture.readouterr()
    try:
        dag_run = dag.test(run_conf=conf, **arguments)
    finally:
        DAG_TO_RUN.clear()
        task_log.removeHandler(handler)
        task_log.propagate = propagate
        log = without_debug_lines(handler.stream.getvalue() + "".join(capture.readouterr()))
        # For pytest to show when the test fails.
        sys.stdout.write(log)
    return FinishedRun(dag_run, log, list(_failures))


def write_dags_folder(folder: Path) -> None:
    """Make the DAGs folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dag_to_run.py").write_text(DAGS_FILE)


def _note_failure(context: Any) -> None:
    _failures.append((context["ti"].task_id, context["exception"]))
