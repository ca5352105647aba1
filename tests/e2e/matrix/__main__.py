"""Play the scenarios of the matrix on this environment's Airflow: ``python -m tests.e2e.matrix``."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from pathlib import Path

from tests.chaos.reports import RunReport, say
from tests.e2e.matrix.scenarios import play


def main() -> int:
    """Play them and give the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.matrix", description=__doc__)
    parser.add_argument("--results", type=Path, help="a file for what came out, as JSON")
    arguments = parser.parse_args()
    # Airflow 2 has its log show every request that the service gets.
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
    with RunReport("matrix", 0) as report:
        results = play(sys.executable, report)
        wrong = [words for result in results for words in result.findings.wrong]
        for result in results:
            say(
                f"{result.name:20} {result.seconds:4.0f} s  {'as it must be' if result.is_right else 'WRONG'}"
            )
        if arguments.results:
            document = {it.name: {"seconds": round(it.seconds), "wrong": it.findings.wrong} for it in results}
            arguments.results.write_text(json.dumps(document))
        report.note(has_passed=not report.exit_status, wrong=wrong)
        say(f"scenarios: {sum(it.is_right for it in results)} of {len(results)} as they must be")
    return report.exit_status


if __name__ == "__main__":
    sys.exit(main())
