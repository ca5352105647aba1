"""Generate one video, wait for it without holding a worker, and save it."""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.providers.common.compat.sdk import DAG, Asset, Param

from airflow_provider_pictory.operators.pictory import GenerateVideoOperator
from airflow_provider_pictory.sensors.pictory import VideoJobSensor
from airflow_provider_pictory.transfers.pictory_to_object_storage import PictoryToObjectStorageOperator

# Whoever starts a run types a folder, and ".." would lead out of it.
FOLDER = r"^(?!.*(\.\.|::))[\w/:@.= -]*\w(?!\n)$"

with DAG(
    dag_id="example_pictory_generate_video",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    # A retry goes on with the video that is there, so none is paid for twice.
    default_args={"retries": 3, "retry_delay": timedelta(minutes=1)},
    params={
        "prompt": Param("A paper boat sails down a rainy street, seen from above", minLength=5),
        "model": Param("pixverse5.5", enum=["pixverse5.5", "veo3.1_fast", "veo3.1"]),
        "folder": Param("demo-output", pattern=FOLDER, description="Such as s3://media@bucket/clips"),
    },
    tags=["example", "pictory"],
) as dag:
    generate = GenerateVideoOperator(
        task_id="generate", prompt="{{ params.prompt }}", model="{{ params.model }}"
    )
    wait = VideoJobSensor(task_id="wait", job_id=generate.output)
    PictoryToObjectStorageOperator(
        task_id="save", video=wait.output, path="{{ params.folder }}/", outlets=[Asset("pictory-videos")]
    )
