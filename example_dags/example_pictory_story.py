"""A film of several scenes: each clip begins with the last picture of the one before it."""

from __future__ import annotations

import shutil
import tempfile
from datetime import timedelta
from fractions import Fraction
from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import DAG, ObjectStoragePath, Param, task

from airflow_provider_pictory.operators.pictory import GenerateVideoOperator
from airflow_provider_pictory.sensors.pictory import VideoJobSensor
from airflow_provider_pictory.transfers.pictory_to_object_storage import PictoryToObjectStorageOperator

SCENES = (
    "A paper boat sails down a rainy street, seen from above",
    "The boat turns round a corner and bumps against a yellow leaf",
    "The boat reaches a pond, and the rain ends",
)
LAST_PICTURE = "{{{{ ti.xcom_pull('wait_{}')['last_frame_image_url'] }}}}"
# Whoever starts a run types a folder, and ".." would lead out of it.
FOLDER = r"^(?!.*(\.\.|::))[\w/:@.= -]*\w(?!\n)$"


@task
def join(clips: list[dict[str, Any]], folder: str) -> str:
    """Put the clips of all scenes into one file, picture by picture as they are."""
    import av

    path = ObjectStoragePath(f"{folder}/film-{clips[0]['job_id']}.mp4")
    with tempfile.TemporaryFile() as file:
        with av.open(file, "w", format="mp4") as film:
            kinds, end = {}, Fraction(0)
            for saved in clips:
                with ObjectStoragePath(saved["path"]).open("rb") as content, av.open(content) as clip:
                    streams = [*clip.streams.video[:1], *clip.streams.audio[:1]]
                    kinds = kinds or {it.type: film.add_stream_from_template(it) for it in streams}
                    begin = end
                    for packet in clip.demux([it for it in streams if it.type in kinds]):
                        if packet.dts is not None:
                            packet.pts += round(begin / packet.time_base)
                            packet.dts += round(begin / packet.time_base)
                            end = max(end, (packet.pts + packet.duration) * packet.time_base)
                            packet.stream = kinds[packet.stream.type]
                            film.mux(packet)
        file.seek(0)
        with path.open("wb") as target:
            shutil.copyfileobj(file, target)
    return str(path)


with DAG(
    dag_id="example_pictory_story",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=1)},
    params={"folder": Param("demo-output/story", pattern=FOLDER, description="Where all is saved")},
    tags=["example", "pictory"],
) as dag:
    waits: list[VideoJobSensor] = []
    for number, scene in enumerate(SCENES, 1):
        # It waits itself, so that it is the task that fails and is cleared if its job fails.
        generate = GenerateVideoOperator(
            task_id=f"generate_{number}",
            prompt=scene,
            duration=5,
            first_frame_image_url=LAST_PICTURE.format(number - 1) if waits else None,
            wait_for_completion=True,
        )
        if waits:
            waits[-1] >> generate
        waits.append(VideoJobSensor(task_id=f"wait_{number}", job_id=generate.output))
    save = PictoryToObjectStorageOperator(
        task_id="save", video=[wait.output for wait in waits], path="{{ params.folder }}/"
    )
    join(save.output, "{{ params.folder }}")
