"""A clip that goes on where another one ends: its first frame is the other's last."""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.providers.common.compat.sdk import DAG, Param

from airflow_provider_pictory.operators.pictory import GenerateVideoOperator
from airflow_provider_pictory.sensors.pictory import VideoJobSensor
from airflow_provider_pictory.transfers.pictory_to_object_storage import PictoryToObjectStorageOperator

# Whoever starts a run types a folder, and ".." would lead out of it.
FOLDER = r"^(?!.*(\.\.|::))[\w/:@.= -]*\w(?!\n)$"

with DAG(
    dag_id="example_pictory_continued_clip",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=1)},
    params={
        "beginning": Param("A paper boat sails down a rainy street, seen from above", minLength=5),
        "continuation": Param("The boat reaches a pond, and the rain ends", minLength=5),
        "folder": Param("demo-output", pattern=FOLDER, description="Where both clips are saved"),
    },
    tags=["example", "pictory"],
) as dag:
    begin = GenerateVideoOperator(task_id="begin", prompt="{{ params.beginning }}", duration=5)
    wait_for_beginning = VideoJobSensor(task_id="wait_for_beginning", job_id=begin.output)
    go_on = GenerateVideoOperator(
        task_id="go_on",
        prompt="{{ params.continuation }}",
        duration=5,
        first_frame_image_url="{{ ti.xcom_pull('wait_for_beginning')['last_frame_image_url'] }}",
    )
    wait_for_continuation = VideoJobSensor(task_id="wait_for_continuation", job_id=go_on.output)
    save_beginning = PictoryToObjectStorageOperator(
        task_id="save_beginning", video=wait_for_beginning.output, path="{{ params.folder }}/"
    )
    save_continuation = PictoryToObjectStorageOperator(
        task_id="save_continuation", video=wait_for_continuation.output, path="{{ params.folder }}/"
    )
    wait_for_beginning >> go_on
