"""What a test session says last: how many tests in how many seconds, and what was skipped for what reason."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

STARTED = time.monotonic()


def lines(reporter: Any) -> list[str]:
    """
    Return the summary in lines.

    :param reporter: pytest's terminal reporter.
    """
    skipped = Counter(_reason(report) for report in reporter.stats.get("skipped", []))
    count = sum(len(reporter.stats.get(kind, [])) for kind in ("passed", "failed", "xfailed", "xpassed"))
    return [
        f"{count} tests in {time.monotonic() - STARTED:.0f} s, {skipped.total()} skipped",
        *(f"{number} SKIPPED: {reason}" for reason, number in skipped.most_common()),
    ]


def _reason(report: Any) -> str:
    _, _, reason = report.longrepr
    return str(reason).removeprefix("Skipped: ")
