"""What Airflow says about other task instances and other runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_pictory.api.redaction import clean

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_pictory.submission.record import TaskPlace
    from airflow_provider_pictory.task_log import Logger

GONE = "gone"
RESTARTING = "restarting"
# States that a task which still runs is in only because somebody else has ended it. A run of ``dag.test()``
# on Airflow 2 stays scheduled throughout.
ENDED_BY_OTHERS = ("failed", "success", "skipped", "removed", "up_for_retry")
# States of the next try of a task that Airflow 3 has given up, since it heard nothing of it.
NEXT_TRY_WAITS = ("scheduled", "queued")


def find_task_state(context: Context, place: TaskPlace) -> str | None:
    """
    Return the state of another task instance, ``GONE`` where there is no such task instance any more.

    :param context: Airflow's of the running task.
    :param place: the other task instance.
    """
    task_instance: Any = context["ti"]
    if hasattr(task_instance, "get_task_states"):
        states = task_instance.get_task_states(
            dag_id=place.dag_id,
            task_ids=[place.task_id],
            run_ids=[place.run_id],
            map_index=place.map_index if place.map_index >= 0 else None,
        )
        of_run = (states or {}).get(place.run_id, {})
        name = place.task_id if place.map_index < 0 else f"{place.task_id}_{place.map_index}"
        return _text(of_run[name]) if name in of_run else GONE
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session

    with create_session() as session:
        row = (
            session.query(TaskInstance.state)
            .filter_by(
                dag_id=place.dag_id,
                run_id=place.run_id,
                task_id=place.task_id,
                map_index=place.map_index,
            )
            .first()
        )
    return GONE if row is None else _text(row[0])


def why_success_is_lost(context: Context, place: TaskPlace, log: Logger) -> str | None:
    """
    Return why Airflow won't take a task's success, ``None`` where it will, or where that isn't known.

    :param context: Airflow's of the running task.
    :param place: the task's own.
    :param log: of the task.
    """
    try:
        state = find_task_state(context, place)
    except Exception as error:  # noqa: BLE001  (the task ends well whether or not this is known)
        log.info("Whether Airflow still wants this task to run isn't known: %s", clean(repr(error)))
        return None
    if state == RESTARTING:
        return "it was cleared while it ran"
    if state in NEXT_TRY_WAITS and hasattr(context["ti"], "get_task_states"):
        return f"Airflow has given it up and its next try is {state}"
    return f"it was set to {state} while it ran" if state in ENDED_BY_OTHERS else None


def is_only_run(context: Context) -> bool:
    """Tell whether the running task's DAG has had no other run, for certain."""
    task_instance: Any = context["ti"]
    if not hasattr(task_instance, "get_dr_count"):
        return False
    return bool(task_instance.get_dr_count(task_instance.dag_id) == 1)


def _text(state: object) -> str | None:
    return None if state is None else str(getattr(state, "value", state))
