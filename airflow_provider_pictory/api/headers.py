"""What the headers of a response say about time."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_pictory.api.responses import Response

# A day in seconds: longer waits are of no use, and probably a mistake.
LONGEST_RETRY_AFTER = 24 * 60 * 60.0

# One value of a header, into which clients join all headers of a name; a date has a comma of its own.
_HEADER_VALUE = re.compile(r"\s*(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,[^,]+|[^,]+", re.IGNORECASE)
_SECONDS = re.compile(r"\d+(\.\d*)?|\.\d+", re.ASCII)
# Numbers from here on are moments, in seconds or milliseconds since 1970.
_FIRST_EPOCH = 1e9
_FIRST_EPOCH_IN_MILLISECONDS = 1e12


def read_retry_after(response: Response, *, now: datetime | None = None) -> float | None:
    """
    Read how long to wait from a ``Retry-After`` header.

    Besides its two standard forms, whole seconds and a date, this accepts what services send instead:
    fractions, seconds since 1970, and the header twice, of which the longest wait counts.

    :param response: what came. Moments count from its ``Date``, if there is one: the clocks may differ.
    :param now: what moments count from instead.
    :return: seconds from now, not negative and at most a day; ``None`` where the header is absent or makes
        no sense.
    """
    if now is None:
        now = read_http_date(response.headers.get("date", "")) or datetime.now(UTC)
    values = _HEADER_VALUE.findall(response.headers.get("retry-after", ""))
    waits = [wait for value in values if (wait := _read_wait(value.strip(), now)) is not None]
    return min(max(waits), LONGEST_RETRY_AFTER) if waits else None


def _read_wait(value: str, now: datetime) -> float | None:
    if _SECONDS.fullmatch(value):
        seconds = float(value)
        if seconds < _FIRST_EPOCH:
            return seconds
        if seconds >= _FIRST_EPOCH_IN_MILLISECONDS:
            seconds /= 1000
        return max(0.0, seconds - now.timestamp())
    moment = read_http_date(value)
    return None if moment is None else max(0.0, (moment - now).total_seconds())


def read_http_date(text: str) -> datetime | None:
    """Read a moment as HTTP's headers write it, aware and in UTC; else return ``None``."""
    try:
        moment = parsedate_to_datetime(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
