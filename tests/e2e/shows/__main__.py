"""Run a show: ``python -m tests.e2e.shows M1 --python .../bin/python``."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.chaos.reports import RunReport, say
from tests.e2e.real_airflow import SECONDS_TO_START
from tests.e2e.shows.acts import SHOWS, Options
from tests.e2e.shows.stage import Findings

ROOT = Path(__file__).parents[3]
SKIPPED = 2


def find_python(version: str, given: str | None) -> str | None:
    """
    Return the Python of an environment with an Airflow.

    :param version: such as ``"3.0"``; ``"own"`` for this process's own.
    :param given: this one.
    """
    if given or version == "own":
        return given or sys.executable
    named = os.environ.get(f"AIRFLOW_{version.replace('.', '_')}_PYTHON")
    path = Path(named) if named else ROOT / f".environments/airflow-{version}/bin/python"
    return str(path) if path.exists() else None


def version_of(python: str) -> str:
    """Return the version of the Airflow that an environment has."""
    command = "import importlib.metadata as m; print(m.version('apache-airflow'))"
    return subprocess.run([python, "-c", command], capture_output=True, text=True, check=False).stdout.strip()


def main() -> int:
    """Run one show and give the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.shows", description=__doc__)
    parser.add_argument("name", nargs="?", choices=sorted(SHOWS))
    parser.add_argument("--list", action="store_true", help="say what there is")
    parser.add_argument("--python", help="of the environment whose Airflow runs, in place of the show's own")
    parser.add_argument("--count", type=int, help="how many submissions, where a show can have more or less")
    parser.add_argument(
        "--limit", type=int, help="seconds after which it has failed, without Airflow's start"
    )
    arguments = parser.parse_args()
    if arguments.list or not arguments.name:
        for name, show in sorted(SHOWS.items()):
            say(f"{name:14} Airflow {show.version:4} at most {show.limit:5} s  {show.__doc__}")
        return 0
    show = SHOWS[arguments.name]
    python = find_python(show.version, arguments.python)
    if python is None:
        variable = f"AIRFLOW_{show.version.replace('.', '_')}_PYTHON"
        say(f"{show.name}: SKIPPED, for want of an environment with Airflow {show.version}: name its Python")
        say(f"by --python or in {variable}, or make .environments/airflow-{show.version}/.installed")
        return SKIPPED
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
    version = version_of(python)
    findings = Findings()
    with RunReport(f"show-{show.name}", 0) as report:
        say(f"{show.name} on Airflow {version}: {show.__doc__}")
        signal.signal(signal.SIGALRM, _time_is_over)
        signal.alarm((arguments.limit or show.limit) + SECONDS_TO_START)
        options = Options(python, report, findings, arguments.count)
        try:
            show.act(options)
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  (whatever it is, it is the verdict)
            findings.expect(False, f"{type(error).__name__}: {str(error)[:2000]}")
        finally:
            signal.alarm(0)
        wrong = f": {'; '.join(findings.wrong)[:1500]}" if findings.wrong else ""
        is_right = not findings.wrong and findings.count > 0
        verdict = "AS IT MUST BE" if is_right else f"NOT as it must be ({len(findings.wrong)})"
        say(f"{show.name} on Airflow {version}: {verdict}{wrong}")
        report.note(has_passed=is_right, airflow=version, wrong=findings.wrong)
        report.exit_status = 0 if is_right else 1
    return report.exit_status


def _time_is_over(number: int, frame: object) -> None:
    raise TimeoutError("the show's time is over")


if __name__ == "__main__":
    sys.exit(main())
