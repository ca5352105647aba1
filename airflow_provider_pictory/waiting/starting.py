"""
What has to be known about the triggers before one starts.

Loaded whenever a DAG file is parsed, so it imports next to nothing, and none of the triggers.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

# Where Airflow finds the trigger that takes the place of a whole task.
TASK_TRIGGER = "airflow_provider_pictory.triggers.without_worker.VideoJobTaskTrigger"

# Long enough for a trigger that waits out a pause and a slow call past its deadline, in seconds.
BACKSTOP_MARGIN = 300.0


def backstop_after(timeout: float) -> timedelta:
    """Return Airflow's own timeout of a wait, for when no triggerer is there to keep the deadline."""
    return timedelta(seconds=timeout + BACKSTOP_MARGIN)


def is_missed_without_worker(task: Any) -> bool:
    """
    Return whether something a task has would never happen if it ended in the triggerer.

    :param task: an operator, as written in a DAG file or as read back from Airflow's database.
    """
    return bool(
        task.outlets
        or task.multiple_outputs
        or task.has_on_success_callback
        or task.has_on_execute_callback
        or task.has_on_skipped_callback
    )
