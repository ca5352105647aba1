"""Two tasks that tell of their video by assets, and a DAG that is scheduled on both."""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG, Asset, AssetAlias, task

from airflow_provider_pictory.operators.pictory import GenerateVideoOperator
from airflow_provider_pictory.sensors.pictory import VideoJobSensor

COMMON = {
    "start_date": datetime(2026, 1, 1, tzinfo=UTC),
    "catchup": False,
    "default_args": {"pictory_conn_id": "pictory_assets"},
}
generated, waited_for = Asset("end_to_end_generated"), Asset("end_to_end_waited_for")

with DAG("end_to_end_producer", schedule=None, **COMMON) as producer:
    generate = GenerateVideoOperator(
        task_id="generate",
        prompt="A red fox in snow",
        wait_for_completion=True,
        deferrable=True,
        poll_interval=2,
        outlets=[generated, AssetAlias("end_to_end_alias")],
    )
    VideoJobSensor(task_id="wait", job_id=generate.output, poke_interval=2, outlets=[waited_for])

with DAG("end_to_end_consumer", schedule=[generated, waited_for], **COMMON) as consumer:

    @task
    def read(triggering_asset_events):
        """Return the extras of the events that this run was started for."""
        return {
            asset.name: [event.extra for event in events] for asset, events in triggering_asset_events.items()
        }

    read()
