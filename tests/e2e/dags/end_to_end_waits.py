"""What the end-to-end tests run besides the examples: a batch, a rescheduled wait, and a job that fails."""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_pictory.operators.pictory import GenerateVideoOperator
from airflow_provider_pictory.sensors.pictory import VideoJobSensor

COMMON = {"schedule": None, "start_date": pendulum.datetime(2026, 1, 1, tz="UTC"), "catchup": False}

with DAG(
    dag_id="end_to_end_batch",
    default_args={"pictory_conn_id": "{{ dag_run.conf['account'] }}"},
    **COMMON,
) as batch:
    generate_all = GenerateVideoOperator.partial(task_id="generate", model="veo3.1_fast").expand(
        prompt=["A red fox in snow", "A blue whale at dawn", "A green parrot asleep"]
    )
    VideoJobSensor.partial(task_id="wait", poke_interval=1).expand(job_id=generate_all.output)

with DAG(
    dag_id="end_to_end_reschedule", default_args={"pictory_conn_id": "pictory_reschedule"}, **COMMON
) as reschedule:
    generate = GenerateVideoOperator(task_id="generate", prompt="A red fox in snow")
    VideoJobSensor(
        task_id="wait", job_id=generate.output, deferrable=False, mode="reschedule", poke_interval=10
    )

with DAG(
    dag_id="end_to_end_failure",
    default_args={
        "retries": 2,
        "retry_delay": timedelta(seconds=1),
        "pictory_conn_id": "pictory_failure",
    },
    **COMMON,
) as failure:
    GenerateVideoOperator(
        task_id="generate",
        prompt="A red fox in snow",
        wait_for_completion=True,
        deferrable=True,
        poll_interval=1,
    )
