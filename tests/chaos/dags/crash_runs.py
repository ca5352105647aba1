"""The DAGs of the crash harness: each mode of the operator, with and without retries, single and mapped."""

from __future__ import annotations

from datetime import timedelta

import crash_points  # noqa: F401  (beside this file in the DAGs folder; importing it arms the crash points)
import pendulum
from airflow.providers.common.compat.sdk import DAG, BaseOperator

from airflow_provider_pictory.operators.pictory import GenerateVideoOperator
from airflow_provider_pictory.sensors.pictory import VideoJobSensor

MODES = {
    "submit": {"wait_for_completion": False},
    "worker": {"wait_for_completion": True, "deferrable": False, "poll_interval": 1},
    "deferred": {"wait_for_completion": True, "deferrable": True, "poll_interval": 1},
}
RETRIES = {"clear": 0, "retry": 3}
# Others that may account for a job too many start within that time, if they are there.
TIME = {"reconcile_timeout": 90}
# Before all that are queued, so that there is still something to wait for.
WAIT = {"poke_interval": 1, "priority_weight": 100}


class Prompts(BaseOperator):
    """Return the prompts of all clips of a run, to map over."""

    def execute(self, context):
        return [clip["prompt"] for clip in context["dag_run"].conf["clips"]]


def dag(dag_id, retries):
    return DAG(
        dag_id=dag_id,
        schedule=None,
        start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
        catchup=False,
        max_active_runs=1000,
        max_active_tasks=1000,
        is_paused_upon_creation=False,
        default_args={"retries": retries, "retry_delay": timedelta(seconds=1)},
    )


for mode, arguments in MODES.items():
    for recovery, retries in RETRIES.items():
        with dag(f"crashes_{mode}_{recovery}", retries) as single:
            generate = GenerateVideoOperator(
                task_id="generate", prompt="{{ dag_run.conf['clips'][0]['prompt'] }}", **TIME, **arguments
            )
            if mode == "submit":
                VideoJobSensor(task_id="wait", job_id=generate.output, **WAIT)
        with dag(f"crashes_{mode}_{recovery}_mapped", retries) as mapped:
            prompts = Prompts(task_id="prompts", retries=5)
            generate_all = GenerateVideoOperator.partial(task_id="generate", **TIME, **arguments).expand(
                prompt=prompts.output
            )
            if mode == "submit":
                VideoJobSensor.partial(task_id="wait", **WAIT).expand(job_id=generate_all.output)
        globals()[single.dag_id], globals()[mapped.dag_id] = single, mapped
