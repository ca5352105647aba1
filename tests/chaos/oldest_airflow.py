"""The oldest Airflow that we support: no API server, no DAG processor, and tasks write to the database."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.e2e.real_airflow import SECONDS_TO_START, RealAirflow

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class OldestAirflow(RealAirflow):
    """
    A scheduler with real task processes, and a triggerer.

    What a person would do in the UI is done with the functions that the UI calls, in this process. So it must
    not have imported Airflow before.
    """

    COMPONENTS = ("scheduler", "triggerer")

    def __enter__(self) -> OldestAirflow:
        super().__enter__()
        os.environ.update(self._environment)
        return self

    def wait_until_healthy(self) -> None:
        """Wait until every component has a fresh sign of life."""
        self.wait_for(
            "Airflow to be healthy",
            lambda: {
                row[0]
                for row in self.query(
                    "SELECT job_type FROM job WHERE state = 'running' AND latest_heartbeat > start_date"
                )
            },
            lambda seen: {"SchedulerJob", "TriggererJob"} <= seen,
            SECONDS_TO_START,
        )

    def trigger(self, dag_id: str, conf: Mapping[str, Any] | None = None, run_id: str | None = None) -> str:
        """Start a run of a DAG as soon as Airflow has read its file, and give the run's id."""
        self.wait_for(
            f"DAG {dag_id} to be read",
            lambda: self.query(f"SELECT 1 FROM serialized_dag WHERE dag_id = '{dag_id}'"),
            bool,
            60,
        )
        from airflow.api.common.trigger_dag import trigger_dag

        # A DAG has one run for each moment here.
        moment = datetime.now(UTC) - timedelta(days=1)
        with self.writing:
            run = trigger_dag(
                dag_id,
                run_id=run_id,
                conf=dict(conf or {}),
                execution_date=moment,
                replace_microseconds=False,
            )
        return str(run.run_id)

    def clear(
        self, dag_id: str, run_id: str, task_ids: Iterable[Any] | None = None, *, only_failed: bool = True
    ) -> None:
        """Clear tasks of a run, as a person would in the UI, and let the run go on."""
        from airflow.models.dagbag import DagBag
        from airflow.models.taskinstance import TaskInstance, clear_task_instances
        from airflow.utils.session import create_session
        from airflow.utils.state import DagRunState

        dag = DagBag(read_dags_from_db=True, load_op_links=False).get_dag(dag_id)
        chosen = None if task_ids is None else [tuple(it) if isinstance(it, list) else it for it in task_ids]
        if chosen is not None and "wait" in dag.task_dict:
            chosen.append("wait")
        with self.writing, create_session() as session:
            instances = [
                it
                for it in session.query(TaskInstance).filter_by(dag_id=dag_id, run_id=run_id)
                if (chosen is None or it.task_id in chosen or (it.task_id, it.map_index) in chosen)
                and (not only_failed or it.state in ("failed", "upstream_failed"))
            ]
            clear_task_instances(instances, session, dag=dag, dag_run_state=DagRunState.QUEUED)
