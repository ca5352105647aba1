"""Which Variables a task has written in all its runs, where Airflow lists none, to delete them by age."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from airflow_provider_pictory.submission.record import digest_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_pictory.submission.record import TaskPlace

INDEX_PREFIX = "pictory_index_"

# Longer than any pause before a retry; a clear after it finds the job ended, which means a new video.
KEPT_WITHOUT_LISTING = timedelta(days=7)


def index_name(place: TaskPlace) -> str:
    """Return the name of the Variable with the index of a task, over all its runs."""
    return f"{INDEX_PREFIX}{digest_of(place.dag_id, place.task_id, place.map_index)}"


def with_names(index: str | None, names: Iterable[str], now: datetime) -> tuple[str, list[str]]:
    """
    Return an index with a few more names, and the names that are too old to be kept.

    :param index: as it was written; unreadable ones count as none.
    :param names: those that are in use now.
    :param now: this moment.
    """
    lines = {**_read(index), **dict.fromkeys(names, now)}
    old = [name for name, moment in lines.items() if now - moment > KEPT_WITHOUT_LISTING]
    kept = {name: moment.isoformat(timespec="seconds") for name, moment in lines.items() if name not in old}
    return json.dumps(kept), old


def _read(index: str | None) -> dict[str, datetime]:
    try:
        return {
            str(name): datetime.fromisoformat(moment).astimezone(UTC)
            for name, moment in json.loads(index or "{}").items()
        }
    except (ValueError, TypeError, AttributeError):
        return {}
