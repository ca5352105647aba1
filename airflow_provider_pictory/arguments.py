"""
What users pass to operators and sensors: time spans.

Loaded whenever a DAG file is parsed, so it imports next to nothing, and what only an error needs where it is.
"""

from __future__ import annotations

from datetime import timedelta

# Beyond every wait that makes sense, and far within what a date, a timer or a database can hold.
LONGEST_SPAN = 366 * 24 * 60 * 60.0


def time_span(value: object, field: str, *, may_be_zero: bool = False) -> float | None:
    """
    Return the seconds of a time span given as a number of seconds or a ``timedelta``.

    :param value: the span, or ``None`` where nothing was given.
    :param field: name of the argument, for the message.
    :param may_be_zero: whether no time at all makes sense, too.
    :raises PictoryInvalidRequestError: when it is no such time span, or one longer than 366 days.
    """
    if value is None:
        return None
    span = value.total_seconds() if isinstance(value, timedelta) else value
    if (
        isinstance(span, (int, float))
        and not isinstance(span, bool)
        and (0 < span <= LONGEST_SPAN or (may_be_zero and span == 0))
    ):
        return float(span)
    from airflow_provider_pictory.api.faults import shown
    from airflow_provider_pictory.exceptions import PictoryInvalidRequestError

    given = str(value) if isinstance(value, timedelta) else shown(value)
    raise PictoryInvalidRequestError(
        f"{field}: got {given}, but a positive number of seconds or a timedelta is needed, "
        f"{LONGEST_SPAN / 86400:.0f} days at most"
    )
