"""Waits whose execution_timeout is over long before their timeout, in each way that there is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG

from airflow_provider_pictory.operators.pictory import GenerateVideoOperator
from airflow_provider_pictory.sensors.pictory import VideoJobSensor

with DAG(
    "end_to_end_limits",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    default_args={
        "retries": 0,
        "execution_timeout": timedelta(seconds=30),
        "pictory_conn_id": "pictory_limits",
        # No other run takes longer.
        "priority_weight": 10,
    },
) as dag:
    generate = GenerateVideoOperator(task_id="generate", prompt="A red fox in snow")
    ways = {
        "without_worker": {},
        "soft": {"soft_fail": True},
        "deferred": {"start_from_trigger": False},
        "rescheduled": {"deferrable": False, "mode": "reschedule"},
    }
    for task_id, arguments in ways.items():
        VideoJobSensor(task_id=task_id, job_id=generate.output, poke_interval=10, timeout=3600, **arguments)
    GenerateVideoOperator(
        task_id="operator",
        prompt="A blue whale at dawn",
        wait_for_completion=True,
        deferrable=True,
        poll_interval=10,
        timeout=3600,
    )
