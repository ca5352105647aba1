"""
What has to be known about the triggers before one starts.

Loaded whenever a DAG file is parsed, so it imports next to nothing, and none of the triggers.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from airflow.triggers.base import BaseTrigger, StartTriggerArgs

# Where Airflow finds the trigger that takes the place of a whole task.
TASK_TRIGGER = "airflow_provider_pictory.triggers.without_worker.VideoJobTaskTrigger"

# Long enough for a trigger that waits out a pause and a slow call past its deadline, in seconds.
BACKSTOP_MARGIN = 300.0


def backstop_after(timeout: float) -> timedelta:
    """Return Airflow's own timeout of a wait, for when no triggerer is there to keep the deadline."""
    return timedelta(seconds=timeout + BACKSTOP_MARGIN)


def is_missed_without_worker(task: Any) -> bool:
    """
    Return whether something that a task has would be skipped if the task ended in the triggerer.

    :param task: an operator, as written in a DAG file or as read back from Airflow's database.
    """
    return bool(
        task.outlets
        or task.multiple_outputs
        or task.has_on_success_callback
        or task.has_on_execute_callback
        or task.has_on_skipped_callback
    )


def start_trigger_args(sensor: Any) -> StartTriggerArgs | None:
    """
    Return how Airflow starts a sensor in the triggerer, ``None`` where it can't or something would be missed.

    :param sensor: one that defers.
    """
    # Came with Airflow 3.3, where starting there began to work with templates.
    if not hasattr(BaseTrigger, "render_template_fields"):
        return None
    templates = {name: _as_template(getattr(sensor, name)) for name in sensor.template_fields}
    if (
        None in templates.values()
        or sensor.get_needs_expansion()
        or sensor._pre_execute_hook is not None
        or sensor._post_execute_hook is not None
        or is_missed_without_worker(sensor)
    ):
        return None
    execution_timeout = sensor.execution_timeout or timedelta.max
    timeout = backstop_after(sensor.timeout)
    # Airflow, too, ends the task when the shorter one is over.
    backstop = min(timeout, execution_timeout)
    return StartTriggerArgs(
        trigger_cls=TASK_TRIGGER,
        trigger_kwargs={
            **templates,
            "timeout": min(sensor.timeout, execution_timeout.total_seconds()),
            "backstop": backstop.total_seconds(),
            "poll_interval": sensor.poll_interval,
        },
        next_method="execute_complete",
        timeout=timeout,
    )


def _as_template(value: object) -> str | None:
    """Return a value as a template that a triggerer can render, ``None`` where it can't be one."""
    if isinstance(value, str):
        return value
    from airflow.sdk.definitions.xcom_arg import PlainXComArg

    if not isinstance(value, PlainXComArg) or value.operator.get_needs_expansion():
        return None
    task_id, key = json.dumps(value.operator.task_id), json.dumps(value.key)
    return f"{{{{ ti.xcom_pull(task_ids={task_id}, key={key}, map_indexes=-1) }}}}"
