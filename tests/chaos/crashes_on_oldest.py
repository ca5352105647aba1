"""
The kills around the paid POST on Airflow 2.11, where the ledger is a Variable.

Run with that environment's Python. The last line is the summary; the exit status says whether all is right.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from tests.chaos.crashes import SHORT, Harness, Report, say
from tests.chaos.oldest_airflow import OldestAirflow
from tests.chaos.wishes import Plan

# A task takes seconds to start here, and each reads and writes the one SQLite file.
TIMES = replace(SHORT, heartbeat=15, limit=200)


def oldest_plan() -> Plan:
    """Choose the kills around the POST, with retries and with somebody who clears what failed."""
    plan = Plan()
    for point, mode, recovery in (
        ("before-intent", "submit", "clear"),
        ("after-intent", "deferred", "retry"),
        ("after-intent", "submit", "clear"),
        ("in-flight-lost", "submit", "retry"),
        ("in-flight-lost", "worker", "clear"),
        ("in-flight-late", "deferred", "clear"),
        ("in-flight-created", "deferred", "retry"),
        ("in-flight-created", "submit", "clear"),
        ("after-answer", "worker", "retry"),
        ("after-answer", "deferred", "clear"),
        ("after-ledger", "submit", "retry"),
        ("answer-dropped", "deferred", "clear"),
    ):
        plan.at_point(point, mode, recovery)
    plan.at_point("in-flight-created", "submit", "retry", is_of_machine=True)
    return plan


def run_on_oldest(home: Path, seed: int = 7) -> Report:
    """Run them all, in less than four minutes."""
    started, plan = time.monotonic(), oldest_plan()
    with Harness(home, TIMES, twin_rate=0, seed=seed, airflow_class=OldestAirflow) as harness:
        say(f"Airflow is up after {time.monotonic() - started:.0f} s")
        harness.run(plan.orders)
        return harness.report(plan, time.monotonic() - started)


def main() -> int:
    """Run the crashes and give the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, help="an empty folder that is kept, with all logs")
    arguments = parser.parse_args()
    # Airflow 2 has its log show every request that the service gets.
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
    with tempfile.TemporaryDirectory(prefix="crashes-", ignore_cleanup_errors=True) as temporary:
        report = run_on_oldest(arguments.home or Path(temporary))
    for line in report.lines:
        say(line)
    return 0 if report.has_passed else 1


if __name__ == "__main__":
    sys.exit(main())
