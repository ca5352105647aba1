"""Generate a video, let somebody look at it, and publish what they approve (Airflow 3.1 and later)."""

from __future__ import annotations

import inspect
from datetime import timedelta

import pendulum
from airflow.providers.common.compat.sdk import DAG, AirflowOptionalProviderFeatureException, Param

from airflow_provider_pictory.operators.pictory import GenerateVideoOperator
from airflow_provider_pictory.sensors.pictory import VideoJobSensor
from airflow_provider_pictory.transfers.pictory_to_object_storage import PictoryToObjectStorageOperator

try:
    from airflow.providers.standard.operators.hitl import ApprovalOperator, HITLOperator
except (ImportError, AirflowOptionalProviderFeatureException):
    raise ImportError(
        "This example needs the ApprovalOperator: Airflow 3.1 or later with apache-airflow-providers-standard"
    ) from None

# Pictory keeps the video, but nobody should wait for ever. The operator of Airflow 3.1.8's own constraints
# (`standard` 1.12.1) calls that the execution_timeout.
NAMES = inspect.signature(HITLOperator).parameters
TIME_TO_RESPOND = "response_timeout" if "response_timeout" in NAMES else "execution_timeout"

# Whoever starts a run types a folder, and ".." would lead out of it.
FOLDER = r"^(?!.*(\.\.|::))[\w/:@.= -]*\w(?!\n)$"

with DAG(
    dag_id="example_pictory_approval",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=1)},
    params={
        "prompt": Param("A lighthouse in a storm, waves break on the rocks", minLength=5),
        "folder": Param("demo-output/published", pattern=FOLDER, description="Where approved videos go"),
    },
    tags=["example", "pictory"],
) as dag:
    generate = GenerateVideoOperator(task_id="generate", prompt="{{ params.prompt }}", duration=5)
    wait = VideoJobSensor(task_id="wait", job_id=generate.output)
    approve = ApprovalOperator(
        task_id="approve",
        subject="Shall this video be published?",
        body="[Play it]({{ ti.xcom_pull('wait')['url'] }}): {{ params.prompt }}",
        **{TIME_TO_RESPOND: timedelta(days=3)},
    )
    # Skipped unless it is approved. It asks for the file's address anew, were the first one expired by then.
    publish = PictoryToObjectStorageOperator(
        task_id="publish", video=wait.output, path="{{ params.folder }}/"
    )
    wait >> approve >> publish
