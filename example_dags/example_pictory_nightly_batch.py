"""Every night a clip for each product of a table, with a cap on what each may cost, into a bucket."""

from __future__ import annotations

import csv
from datetime import timedelta
from pathlib import Path

import pendulum
from airflow.providers.common.compat.sdk import DAG, Param, task, task_group

from airflow_provider_pictory.sensors.pictory import VideoJobSensor
from airflow_provider_pictory.transfers.pictory_to_object_storage import PictoryToObjectStorageOperator


@task
def products(table: str) -> list[dict[str, str]]:
    """Read the table; yours may come from a warehouse."""
    with Path(table).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


# The pool has a slot for each submission that may run at a time; waiting takes none.
@task.pictory_video(max_credits=10, pool="pictory")
def generate(product: dict[str, str]) -> dict[str, object]:
    """Say what a product's clip shows."""
    return {"prompt": product["description"], "aspect_ratio": "9:16", "duration": 5}


# A group, so that each product's clip is saved as soon as it is there, whatever becomes of the others.
@task_group
def clip(product: dict[str, str]) -> None:
    """Make one product's clip."""
    wait = VideoJobSensor(task_id="wait", job_id=generate(product), timeout=timedelta(hours=2))
    PictoryToObjectStorageOperator(task_id="save", video=wait.output, path="{{ params.bucket }}/{{ ds }}/")


with DAG(
    dag_id="example_pictory_nightly_batch",
    schedule="0 2 * * *",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=5)},
    params={
        "table": Param(str(Path(__file__).with_name("products.csv")), description="A CSV file"),
        "bucket": Param("demo-output", description="Such as s3://media@bucket, with a connection's id"),
    },
    tags=["example", "pictory"],
) as dag:
    clip.expand(product=products(table="{{ params.table }}"))
