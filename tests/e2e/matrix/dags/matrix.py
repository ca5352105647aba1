"""The DAGs of the matrix, besides the first example: a batch, a clear, a kill and a wrong key."""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_pictory.operators.pictory import GenerateVideoOperator
from airflow_provider_pictory.sensors.pictory import VideoJobSensor

DEFERRED = {"wait_for_completion": True, "deferrable": True, "poll_interval": 1}


def dag(dag_id, account, retries=0):
    return DAG(
        dag_id=dag_id,
        schedule=None,
        start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
        catchup=False,
        default_args={
            "pictory_conn_id": account,
            "retries": retries,
            "retry_delay": timedelta(seconds=1),
        },
    )


with dag("matrix_batch", "pictory_default", retries=3) as batch:
    generate_all = GenerateVideoOperator.partial(task_id="generate").expand(
        prompt=["A red fox in snow", "A blue whale at dawn", "A green parrot asleep"]
    )
    VideoJobSensor.partial(task_id="wait", poke_interval=1).expand(job_id=generate_all.output)

with dag("matrix_clear", "pictory_slow") as clear:
    GenerateVideoOperator(task_id="generate", prompt="A boat that somebody clears", **DEFERRED)

with dag("matrix_kill", "pictory_silent", retries=3) as kill:
    GenerateVideoOperator(task_id="generate", prompt="A boat whose worker is killed", **DEFERRED)

with dag("matrix_wrong_key", "pictory_refused", retries=3) as wrong_key:
    GenerateVideoOperator(task_id="generate", prompt="A boat without a key", **DEFERRED)
