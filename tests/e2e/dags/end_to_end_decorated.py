"""A function that is mapped over a table, each of whose prompts becomes a video that is waited for."""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG, task

with DAG(
    "end_to_end_decorated",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    default_args={"pictory_conn_id": "pictory_decorated"},
) as dag:

    @task
    def products():
        """Return the rows of a table."""
        return ["kettle", "teapot"]

    @task.pictory_video(model="veo3.1_fast", wait_for_completion=True, deferrable=True, poll_interval=2)
    def clip(product):
        """Ask for a video of a product."""
        print("The function was called for a", product)  # noqa: T201
        return {"prompt": f"A red {product} on a table", "duration": 6}

    clip.expand(product=products())
