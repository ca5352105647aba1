"""
Videos on a distributed Airflow under kills: CeleryExecutor, two of each component, PostgreSQL and Redis.

The last lines are the summary and where the report is kept; the exit status says whether all is right.
"""

from __future__ import annotations

import argparse
import logging
import random
import sys
import tempfile
import time
from dataclasses import replace
from importlib import metadata
from pathlib import Path

from tests.chaos.crashes import LONG, SHORT, conclude, see_through
from tests.chaos.reports import RunReport, say
from tests.distributed import kills
from tests.distributed.harness import DistributedHarness, Size, make_plan
from tests.distributed.leftovers import nothing_left_of
from tests.distributed.servers import MissingProgramError, require_program

SIZES = {
    "short": Size(40, kills.SHORT, 7.0, 16, replace(SHORT, heartbeat=12, limit=210)),
    "long": Size(200, kills.LONG, 14.0, 24, replace(LONG, render=10)),
}
VERSIONS = ("apache-airflow", "apache-airflow-providers-celery", "celery", "redis", "psycopg2-binary")


def main() -> int:
    """Run the videos and give the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.distributed", description=__doc__)
    parser.add_argument("--short", action="store_true", help="40 videos and 12 kills, in less than 4 minutes")
    parser.add_argument("--slow-database", action="store_true", help="each query waits 200 ms for a minute")
    parser.add_argument("--failing-api", action="store_true", help="a tenth of the tasks' calls gets a 500")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--limit", type=float, help="seconds after which all must have ended")
    parser.add_argument("--home", type=Path, help="an empty folder that is kept, with all logs")
    arguments = parser.parse_args()
    # A client that is killed while it sends is what this is about.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    try:
        for name in ("initdb", "redis-server"):
            require_program(name)
    except MissingProgramError as error:
        say(str(error))
        return 1
    with (
        RunReport("distributed", arguments.seed) as run_report,
        tempfile.TemporaryDirectory(prefix="distributed-", ignore_cleanup_errors=True) as temporary,
    ):
        home = (arguments.home or Path(temporary)).resolve()
        home.mkdir(exist_ok=True)
        # For PostgreSQL, which is another user's.
        home.chmod(0o755)
        with nothing_left_of(home):
            run(arguments, home, run_report)
    return run_report.exit_status


def run(arguments: argparse.Namespace, home: Path, run_report: RunReport) -> None:
    """Run the videos, and tell and keep what came out."""
    size = SIZES["short" if arguments.short else "long"]
    if arguments.limit is not None:
        size = replace(size, times=replace(size.times, limit=arguments.limit))
    plan, started = make_plan(size.videos), time.monotonic()
    runs = f"{len(plan.clips)} videos in {len(plan.orders)} runs"
    say(f"seed {arguments.seed}: {runs}, {size.kills_count} kills")
    say(", ".join(f"{name} {metadata.version(name)}" for name in VERSIONS))
    with DistributedHarness(
        home,
        size,
        arguments.seed,
        is_database_slow=arguments.slow_database,
        is_api_failing=arguments.failing_api,
    ) as harness:
        say(f"Airflow is up after {time.monotonic() - started:.0f} s")
        report = see_through(harness, plan, lambda: harness.run(plan.orders), run_report)
        conclude(report, run_report)


if __name__ == "__main__":
    sys.exit(main())
