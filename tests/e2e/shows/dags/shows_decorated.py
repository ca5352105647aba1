"""``@task.pictory_video`` in each of its ways to wait, mapped."""

from __future__ import annotations

import pendulum
from airflow.providers.common.compat.sdk import DAG, task

WAITS = {
    "submit": {"wait_for_completion": False},
    "worker": {"wait_for_completion": True, "deferrable": False, "poll_interval": 1},
    "deferred": {"wait_for_completion": True, "deferrable": True, "poll_interval": 1},
}

with DAG(
    "shows_decorated",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    is_paused_upon_creation=False,
) as dag:
    for mode, arguments in WAITS.items():

        def clip(product, mode=mode):
            """Ask for a video of a product."""
            return {"prompt": f"A red {product} on a table, {mode}", "duration": 8}

        task.pictory_video(task_id=mode, **arguments)(clip).expand(product=["kettle", "teapot"])
