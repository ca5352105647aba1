"""What a task returns where Airflow makes an XCom of each of its fields (``multiple_outputs``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def without_unknown_fields(result: Mapping[str, Any], *, is_split: bool) -> dict[str, Any]:
    """
    Return a result without its ``None`` fields where Airflow 3.0 would fail the task for them.

    :param result: what the task has done.
    :param is_split: whether each field becomes an XCom of its own; 3.0 takes no ``None`` for one.
    """
    # What Airflow's server refuses can't be probed from here.
    from airflow import __version__

    if is_split and __version__.startswith("3.0."):
        return {name: value for name, value in result.items() if value is not None}
    return dict(result)
