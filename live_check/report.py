"""The table for the terminal, and the report that can be handed on."""

from __future__ import annotations

import platform
import textwrap
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from airflow_provider_pictory import __version__
from live_check.assumptions import NEVER_SEEN
from live_check.findings import Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from live_check.findings import Row

_WIDTHS = (44, 30, 44)


def table(rows: Sequence[Row]) -> str:
    """Return the table as it fits a wide terminal."""
    lines = []
    for row in [("", "assumption", "expected", "seen"), *map(_cells, rows)]:
        columns = [textwrap.wrap(text, width) or [""] for text, width in zip(row[1:], _WIDTHS, strict=True)]
        for number in range(max(map(len, columns))):
            parts = [column[number] if number < len(column) else "" for column in columns]
            mark = row[0] if not number else ""
            words = [f"{part:<{width}}" for part, width in zip(parts, _WIDTHS, strict=True)]
            lines.append(f"{mark:<12}{'  '.join(words)}".rstrip())
    return "\n".join(lines)


def summary(rows: Sequence[Row]) -> str:
    """Return in a sentence how the rows came out."""
    count = {outcome: sum(row.outcome is outcome for row in rows) for outcome in Outcome}
    return (
        f"{count[Outcome.AS_EXPECTED]} as expected, {count[Outcome.DIFFERS]} differ, "
        f"{count[Outcome.NOT_SEEN]} could not be seen."
    )


def report(rows: Sequence[Row], base_url: str, requests: int) -> str:
    """
    Return the report as Markdown; the rows carry neither key nor prompts nor queries.

    :param rows: of the table.
    :param base_url: of the service.
    :param requests: how many were made.
    """
    lines = [
        "# What the live check saw",
        "",
        f"- {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {urlsplit(base_url).hostname}, {requests} requests",
        f"- airflow-provider-pictory {__version__}, Python {platform.python_version()}",
        f"- {summary(rows)}",
        "",
        "| | assumption | from | expected | seen |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        it = row.assumption
        cells = (row.outcome, it.text, it.source, it.expected, row.seen)
        lines.append(f"| {' | '.join(str(cell).replace('|', '/') for cell in cells)} |")
    lines += ["", "No run sees:", "", *(f"- {it}" for it in NEVER_SEEN), ""]
    return "\n".join(lines)


def _cells(row: Row) -> tuple[str, str, str, str]:
    return str(row.outcome), row.assumption.text, row.assumption.expected, row.seen
