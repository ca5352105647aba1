"""Runs whenever a video was saved by a DAG with this asset in its outlets, and knows which video that was."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import DAG, Asset, task


@task
def announce(triggering_asset_events: Any = None, triggering_dataset_events: Any = None) -> list[str]:
    """Say what came; yours may tell a channel, or index the file."""
    lines = []
    # Airflow 2 calls them datasets. A run that somebody starts by hand has none.
    for events in (triggering_asset_events or triggering_dataset_events or {}).values():
        for event in events:
            video = event.extra
            known = [key for key in ("seconds", "credits") if video.get(key) is not None]
            lines.append(
                ", ".join([video.get("path", "A video"), *(f"{video[key]:g} {key}" for key in known)])
            )
    print("\n".join(lines))  # noqa: T201  (into the task's log)
    return lines


with DAG(
    dag_id="example_pictory_asset_consumer",
    schedule=[Asset("pictory-videos")],
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=1)},
    tags=["example", "pictory"],
) as dag:
    announce()
