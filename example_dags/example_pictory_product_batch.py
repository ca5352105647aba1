"""A table of products in, their clips and a manifest out: three tasks, however many products there are."""

from __future__ import annotations

import csv
from datetime import timedelta
from pathlib import Path

import pendulum
from airflow.providers.common.compat.sdk import DAG, Param, task

from airflow_provider_pictory.operators.batch import GenerateVideosOperator
from airflow_provider_pictory.transfers.pictory_to_object_storage import PictoryToObjectStorageOperator

# A run without a logical date has no {{ ds }}, and one of Airflow 2 no run_after.
DAY = "{{ dag_run.run_after | default(data_interval_end) | ds }}"
FOLDER = "{{ params.bucket }}/" + DAY
# Whoever starts a run types a bucket or a folder, and ".." would lead out of it.
BUCKET = r"^(?!.*(\.\.|::))[\w/:@.= -]*\w(?!\n)$"


@task
def products(table: str) -> list[dict[str, str]]:
    """Read the table, and say what each product's clip shows and what it is called."""
    rows = csv.DictReader(Path(table).read_text(encoding="utf-8").splitlines())
    return [{"key": row["name"], "prompt": row["description"]} for row in rows]


with DAG(
    dag_id="example_pictory_product_batch",
    schedule="0 2 * * *",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=5)},
    params={
        "table": Param(str(Path(__file__).with_name("products.csv")), pattern=r"^(?!.*\.\.).+\.csv(?!\n)$"),
        "bucket": Param("demo-output", pattern=BUCKET, description="Such as s3://media@bucket"),
    },
    tags=["example", "pictory"],
) as dag:
    generate = GenerateVideosOperator(
        task_id="generate",
        requests=products("{{ params.table }}"),
        aspect_ratio="9:16",
        duration=5,
        max_credits=1000,
        max_credits_per_video=10,
        # The clips that could be made are saved all the same, and the manifest says what is missing.
        on_item_failure="skip",
    )
    PictoryToObjectStorageOperator(
        task_id="save", video=generate.output, path=FOLDER + "/{key}.mp4", max_parallel_downloads=4
    )
