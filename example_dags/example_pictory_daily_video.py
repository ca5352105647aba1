"""One video a day from a templated prompt; what may pass by itself is tried again."""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_pictory.operators.pictory import GenerateVideoOperator
from airflow_provider_pictory.sensors.pictory import VideoJobSensor

with DAG(
    dag_id="example_pictory_daily_video",
    schedule="@daily",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    # A retry goes on with the video that is there, so none is paid for twice. What no retry can mend fails at
    # once whatever is set here.
    default_args={"retries": 3, "retry_delay": timedelta(minutes=5), "retry_exponential_backoff": True},
    tags=["example", "pictory"],
) as dag:
    generate = GenerateVideoOperator(
        task_id="generate",
        prompt=(
            # The run's day, also where it has no logical date. Airflow 2 has no run_after.
            "A calm morning greeting for "
            "{{ (dag_run.run_after | default(data_interval_end)).strftime('%A, %d %B') }}: "
            "soft light falls through a window onto a breakfast table, steam rises from a cup"
        ),
        model="pixverse5.5",
        aspect_ratio="9:16",
        duration=8,
    )
    wait = VideoJobSensor(task_id="wait", job_id=generate.output, timeout=timedelta(minutes=30))
