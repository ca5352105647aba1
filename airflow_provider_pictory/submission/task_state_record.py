"""A submission record in Airflow's store of task state (Airflow 3.3 and later)."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any

from airflow_provider_pictory.exceptions import PictoryRecordError

if TYPE_CHECKING:
    from airflow_provider_pictory.submission.record import SubmissionRecord

STATE_KEY = "pictory_submission"
PROBE_KEY = "pictory_probe"


def read_task_state(task_state: Any, *, is_expected: bool) -> str | None:
    """
    Return the text of the record, ``None`` where there is none. Every failure of Airflow's passes through.

    :param task_state: ``context["task_state_store"]``, ``None`` where Airflow has none.
    :param is_expected: whether there should be one, so that its absence is verified.
    :raises PictoryRecordError: what is there can't be read.
    """
    if task_state is None:
        return None
    value = task_state.get(STATE_KEY)
    if value is None and is_expected:
        # Whatever is in front of Airflow's API may respond with 404, which Airflow takes for no such key.
        token = secrets.token_hex(8)
        task_state.set(PROBE_KEY, token)
        if task_state.get(PROBE_KEY) != token:
            raise PictoryRecordError("task state that was just written can't be read")
        value = task_state.get(STATE_KEY)
    return value if value is None or isinstance(value, str) else json.dumps(value)


def write_task_state(task_state: Any, record: SubmissionRecord) -> None:
    """Write the record as a JSON object, which is legible in Airflow's UI."""
    from airflow.sdk.execution_time.context import NEVER_EXPIRE

    task_state.set(STATE_KEY, json.loads(record.as_json()), retention=NEVER_EXPIRE)
