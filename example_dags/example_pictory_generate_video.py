"""Generate one video, wait for it without holding a worker, and save it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import DAG, Param, task

from airflow_provider_pictory.operators.pictory import GenerateVideoOperator
from airflow_provider_pictory.sensors.pictory import VideoJobSensor


@task
def save(video: dict[str, Any], folder: str) -> str:
    """Stream the file to a temporary name first, so that nobody ever sees half of it."""
    import requests

    path = Path(folder) / f"{video['job_id']}.mp4"
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    with requests.get(video["url"], stream=True, timeout=60) as response, partial.open("wb") as file:
        response.raise_for_status()
        for piece in response.iter_content(chunk_size=1024 * 1024):
            file.write(piece)
    partial.replace(path)
    return str(path)


with DAG(
    dag_id="example_pictory_generate_video",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    params={
        "prompt": Param("A paper boat sails down a rainy street, seen from above", minLength=5),
        "model": Param("pixverse5.5", enum=["pixverse5.5", "veo3.1_fast", "veo3.1"]),
        "folder": Param("demo-output", description="Where the MP4 is saved"),
    },
    tags=["example", "pictory"],
) as dag:
    generate = GenerateVideoOperator(
        task_id="generate", prompt="{{ params.prompt }}", model="{{ params.model }}"
    )
    wait = VideoJobSensor(task_id="wait", job_id=generate.output)
    save(video=wait.output, folder="{{ params.folder }}")
