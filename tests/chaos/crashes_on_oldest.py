"""
The kills around the paid POST on Airflow 2.11, where the record is a Variable.

Run with that environment's Python. The last lines are the summary and where the report is kept; the exit
status says whether all is right.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from tests.chaos.crashes import SHORT, Harness, Report, conclude, see_through
from tests.chaos.oldest_airflow import OldestAirflow
from tests.chaos.plan import Plan
from tests.chaos.reports import RunReport, say

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
        ("after-response", "worker", "retry"),
        ("after-response", "deferred", "clear"),
        ("after-record", "submit", "retry"),
        ("response-dropped", "deferred", "clear"),
    ):
        plan.at_point(point, mode, recovery)
    plan.at_point("in-flight-created", "submit", "retry", is_of_machine=True)
    return plan


def run_on_oldest(home: Path, seed: int = 7, run_report: RunReport | None = None) -> Report:
    """Run them all, in less than four minutes."""
    started, plan = time.monotonic(), oldest_plan()
    with Harness(home, TIMES, twin_rate=0, seed=seed, airflow_class=OldestAirflow) as harness:
        say(f"Airflow is up after {time.monotonic() - started:.0f} s")
        return see_through(harness, plan, lambda: harness.run(plan.orders), run_report)


def main() -> int:
    """Run the crashes and give the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, help="an empty folder that is kept, with all logs")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--most-refused", type=float, default=0.0, help="the share that may be refused: 0.02")
    arguments = parser.parse_args()
    # Airflow 2 has its log show every request that the service gets.
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
    with (
        RunReport("chaos-oldest", arguments.seed) as run_report,
        tempfile.TemporaryDirectory(prefix="crashes-", ignore_cleanup_errors=True) as temporary,
    ):
        report = run_on_oldest(arguments.home or Path(temporary), arguments.seed, run_report)
        conclude(report, run_report, arguments.most_refused)
    return run_report.exit_status


if __name__ == "__main__":
    sys.exit(main())
