"""Every night a clip for each product of a table, with a cap on what each may cost, into a bucket."""

from __future__ import annotations

import csv
from datetime import timedelta
from pathlib import Path

import pendulum
from airflow.providers.common.compat.sdk import DAG, Param, task, task_group

from airflow_provider_pictory.sensors.pictory import VideoJobSensor
from airflow_provider_pictory.transfers.pictory_to_object_storage import PictoryToObjectStorageOperator

# A run without a logical date has no {{ ds }}, and one of Airflow 2 no run_after.
DAY = "{{ dag_run.run_after | default(data_interval_end) | ds }}"
# Of the product that an instance of a mapped task is for; Airflow shows the name instead of 0, 1 and 2.
FOLDER = "{{ ti.xcom_pull('products')[ti.map_index]['folder'] }}"
NAME = "{{ ti.xcom_pull('products')[ti.map_index]['name'] | truncate(60) }}"
# Whoever starts a run types a bucket or a folder, and ".." would lead out of it.
BUCKET = r"^(?!.*(\.\.|::))[\w/:@.= -]*\w(?!\n)$"


@task
def products(table: str, folder: str) -> list[dict[str, str]]:
    """Read the table; a folder that can't be rendered fails here as well, before anything is paid."""
    rows = csv.DictReader(Path(table).read_text(encoding="utf-8").splitlines())
    return [{"name": row["name"], "description": row["description"], "folder": folder} for row in rows]


# The pool has a slot for each submission that may run at a time; waiting takes none.
@task.pictory_video(max_credits=10, pool="pictory")
def generate(product: dict[str, str]) -> dict[str, object]:
    """Say what a product's clip shows."""
    return {"prompt": product["description"], "aspect_ratio": "9:16", "duration": 5}


# A group, so that each product's clip is saved as soon as it is there, whatever becomes of the others.
@task_group(default_args={"map_index_template": NAME})
def clip(product: dict[str, str]) -> None:
    """Make one product's clip."""
    wait = VideoJobSensor(task_id="wait", job_id=generate(product), timeout=timedelta(hours=2))
    PictoryToObjectStorageOperator(task_id="save", video=wait.output, path=FOLDER)


with DAG(
    dag_id="example_pictory_nightly_batch",
    schedule="0 2 * * *",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=5)},
    params={
        "table": Param(str(Path(__file__).with_name("products.csv")), pattern=r"^(?!.*\.\.).+\.csv(?!\n)$"),
        "bucket": Param("demo-output", pattern=BUCKET, description="Such as s3://media@bucket"),
    },
    tags=["example", "pictory"],
) as dag:
    clip.expand(product=products(table="{{ params.table }}", folder="{{ params.bucket }}/" + DAY + "/"))
