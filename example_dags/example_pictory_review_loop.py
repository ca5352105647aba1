"""Generate a video again, as its reviewer asks, until somebody approves it (Airflow 3.4 and later)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pendulum
from airflow.providers.common.compat.sdk import AirflowOptionalProviderFeatureException

from airflow_provider_pictory.operators.pictory import GenerateVideoOperator
from airflow_provider_pictory.sensors.pictory import VideoJobSensor
from airflow_provider_pictory.transfers.pictory_to_object_storage import PictoryToObjectStorageOperator

try:
    from airflow.providers.standard.operators.hitl import HITLOperator
    from airflow.sdk import DAG, LoopDecision, Param, task_group
except (ImportError, AirflowOptionalProviderFeatureException):
    raise ImportError("This example needs loops and the HITLOperator: Airflow 3.4 or later") from None

if TYPE_CHECKING:
    from typing import Any

# Each iteration is paid for.
MOST_VIDEOS = 4
APPROVE, AGAIN = "Approve", "Generate it again"
# What the reviewer of the video before has asked for, if there was one.
CHANGE = "{{ loop.previous['params_input'].get('change', '') if loop.previous else '' }}"


def is_approved(*, loop: Any) -> LoopDecision:
    """Stop once a reviewer approves."""
    response = loop.result
    reason = response["params_input"].get("change")
    return LoopDecision(stop=response["chosen_options"] == [APPROVE], reason=reason)


with DAG(
    dag_id="example_pictory_review_loop",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=1)},
    params={"prompt": Param("A lighthouse in a storm, waves break on the rocks", minLength=5)},
    tags=["example", "pictory"],
) as dag:

    @task_group
    def video() -> None:
        """Generate one video and ask what to do with it."""
        generate = GenerateVideoOperator(
            task_id="generate", prompt="{{ params.prompt }} " + CHANGE, duration=5, max_credits=1000
        )
        wait = VideoJobSensor(task_id="wait", job_id=generate.output)
        review = HITLOperator(
            task_id="review",
            subject="Shall this video be published?",
            body="[Play it]({{ ti.xcom_pull('video.wait')['url'] }}): {{ params.prompt }}",
            options=[APPROVE, AGAIN],
            params={"change": Param("", type="string", description="What shall be different?")},
            response_timeout=timedelta(days=3),
        )
        wait >> review

    publish = PictoryToObjectStorageOperator(
        task_id="publish",
        # Outside of the loop Airflow has the results of all iterations; the last one was approved.
        job_id="{{ ti.xcom_pull('video.generate')[-1] }}",
        path="demo-output/published/",
    )
    video.loop(max_iterations=MOST_VIDEOS, until=is_approved) >> publish
