"""Sensors that can do without a worker, and some that can't."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, Asset, BaseOperator

from airflow_provider_pictory.operators.pictory import GenerateVideoOperator
from airflow_provider_pictory.sensors.pictory import VideoJobSensor


def say_so(context):
    """Leave a trace in the task's log."""
    logging.getLogger(__name__).info("The callback was called")


class Show(BaseOperator):
    """Return a field of a result again, to be mapped over all of them."""

    def __init__(self, *, field, **kwargs):
        super().__init__(**kwargs)
        self.field = field

    def execute(self, context):
        return self.field[0]


with DAG(
    "end_to_end_without_worker",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    default_args={"retries": 0, "pictory_conn_id": "pictory_without_worker"},
) as dag:
    generate = GenerateVideoOperator(task_id="generate", prompt="A red fox in snow")
    sensors = {
        "by_output": {"job_id": generate.output},
        "by_template": {"job_id": "{{ ti.xcom_pull('generate') }}"},
        "by_list": {"job_id": "{{ ti.xcom_pull(task_ids=['generate'])[0] }}"},
        "without_xcom": {"job_id": "{{ ti.xcom_pull('generate', key='nothing') }}"},
        "with_callback": {"job_id": generate.output, "on_success_callback": say_so},
        "with_outlet": {"job_id": generate.output, "outlets": [Asset("pictory_end_to_end")]},
        "switched_off": {"job_id": generate.output, "start_from_trigger": False},
        "without_push": {"job_id": generate.output, "do_xcom_push": False},
        "with_outputs": {"job_id": generate.output, "multiple_outputs": True},
        "mapped_over": {"job_id": generate.output},
    }
    for task_id, arguments in sensors.items():
        sensor = VideoJobSensor(task_id=task_id, poke_interval=2, **arguments)
        generate >> sensor
    Show.partial(task_id="show").expand(field=sensor.output)
    generate >> VideoJobSensor.partial(task_id="mapped", poke_interval=2).expand(job_id=[generate.output])

with DAG("end_to_end_given_job", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)) as given:
    VideoJobSensor(
        task_id="wait",
        job_id="{{ dag_run.conf['job_id'] }}",
        pictory_conn_id="{{ dag_run.conf['account'] }}",
        poke_interval=2,
        retries=1,
        retry_delay=timedelta(seconds=1),
    )
