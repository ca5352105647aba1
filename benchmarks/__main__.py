"""
Measure what answers all questions, or some of them, and write the report.

Run it with ``make bench``; ``make bench BENCH=waiting`` answers one question, and leaves in the report what was
measured last for the others.
"""

from __future__ import annotations

import argparse
import time

from benchmarks import (
    batches,
    downloading,
    job_list,
    measuring,
    parsing,
    real_airflow,
    report,
    schedule,
    waiting,
)
from benchmarks.measuring import say

QUESTIONS = {
    "schedule": schedule.main,
    "parsing": parsing.main,
    "downloading": downloading.main,
    "waiting": waiting.main,
    "job_list": job_list.main,
    "real_airflow": real_airflow.main,
    "batches": batches.main,
}


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument(
        "questions", nargs="*", metavar="QUESTION", help=f"of {', '.join(QUESTIONS)}; all without any"
    )
    parser.add_argument(
        "--quick", action="store_true", help="small and rough, to try it out; writes no report"
    )
    arguments = parser.parse_args()
    unknown = set(arguments.questions) - {*QUESTIONS, "report"}
    if unknown:
        parser.error(f"there is no question {', '.join(sorted(unknown))}; there are {', '.join(QUESTIONS)}")
    if arguments.quick:
        # Rough figures must not get into the report.
        measuring.RAW_RESULTS /= "quick"
    for name in arguments.questions or QUESTIONS:
        if name == "report":
            continue
        started = time.monotonic()
        say(f"== {name}")
        QUESTIONS[name](is_quick=arguments.quick)
        say(f"== {name} took {time.monotonic() - started:.0f} s")
    if not arguments.quick:
        report.main()


if __name__ == "__main__":
    main()
