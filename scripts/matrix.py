"""
Test on each cell of the matrix: unit tests and tests of tasks, then a whole Airflow that plays the scenarios.

Prints what came out as a table, writes it into docs/compatibility.md, and ends with a summary. The exit
status says whether each cell that can be had is as it must be.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import IO

from cells import CELLS, PROJECT, Cell, NoPythonError, cell, find_python, in_rotation, share_of

PAGE = PROJECT / "docs/compatibility.md"
# Nothing that is well takes so many seconds.
LONGEST = 45 * 60
BEGIN, END = "<!-- measured by make matrix -->\n", "<!-- end of what was measured -->\n"
SCENARIOS = (
    "first example",
    "mapped batch",
    "clear in mid-job",
    "kill after the POST",
    "wrong key",
    "components' output",
)
HEADINGS = (
    "cell",
    "Airflow",
    "Python",
    "`common.compat`, `http`",
    "tests passed, skipped",
    "first example",
    "mapped batch",
    "clear in mid-job",
    "kill after the POST",
    "wrong key",
    "logs",
    "measured",
)


@dataclass
class Outcome:
    """
    What came out for a cell.

    :param one: the cell.
    :param not_run: why it wasn't run; empty where it was.
    :param tests: what the tests say, such as ``"1,204, 31"``.
    :param scenarios: seconds, or ``"wrong"``, by the scenario.
    :param wrong: all that isn't as it must be.
    :param seconds: how long it took.
    """

    one: Cell
    not_run: str = ""
    tests: str = "not run"
    scenarios: dict[str, str] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def row(self) -> str:
        """The line of the table."""
        one = self.one
        versions = [one.version_of(f"apache-airflow-providers-{name}") for name in ("common-compat", "http")]
        known = [one.name, one.version_of("apache-airflow"), one.python, ", ".join(versions)]
        if self.not_run:
            cells = [*known, f"not run: {self.not_run}", *[""] * (len(HEADINGS) - len(known) - 1)]
        else:
            measured = [self.scenarios.get(name, "wrong") for name in SCENARIOS]
            cells = [*known, self.tests, *measured, datetime.now(UTC).date().isoformat()]
        return f"| {' | '.join(cells)} |"


def run_cell(one: Cell, *, with_tests: bool, share: str = "", log: IO[str] | None = None) -> Outcome:
    """
    Test on one cell, or only play the scenarios.

    :param with_tests: whether to run tests.
    :param share: which of them, all without.
    :param log: where the output goes; as this program's own without.
    """
    outcome, started = Outcome(one), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="matrix-") as folder:
        report, results = Path(folder) / "tests.xml", Path(folder) / "scenarios.json"
        if _make(f".environments/airflow-{one.name}/.installed", log=log):
            outcome.wrong.append("its environment can't be made")
        else:
            if with_tests:
                tests = "all" if one.has_other_libraries else "of-airflow"
                words = ("test-cell", f"CELL={one.name}", f"TESTS={tests}", f"SHARE={share}")
                status = _make(*words, f"REPORT={report}", log=log)
                outcome.tests = _count(report)
                outcome.wrong += [f"tests failed ({outcome.tests})"] if status else []
            status = _make("scenarios", f"CELL={one.name}", f"RESULTS={results}", log=log)
            _read(results, outcome)
            outcome.wrong += ["the scenarios were ended early"] if status and not results.exists() else []
    outcome.seconds = time.monotonic() - started
    return outcome


def _make(*words: str, log: IO[str] | None) -> int:
    print(f"== make {' '.join(words[:2])}", flush=True)
    process = subprocess.Popen(
        ["make", "--no-print-directory", *words],
        cwd=PROJECT,
        stdout=log,
        stderr=subprocess.STDOUT if log else None,
        start_new_session=True,
    )
    try:
        return process.wait(timeout=LONGEST)
    except subprocess.TimeoutExpired:
        print(f"== make {words[0]} took more than {LONGEST / 60:.0f} min", flush=True)
        return 1
    finally:
        # With all that it has started, were that ctrl-C's doing or a test's that hangs.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _count(report: Path) -> str:
    if not report.exists():
        return "none"
    (suite,) = ElementTree.parse(report).getroot().iter("testsuite")
    count = {name: int(suite.get(name, 0)) for name in ("tests", "skipped", "failures", "errors")}
    failed = count["failures"] + count["errors"]
    passed = count["tests"] - failed - count["skipped"]
    return f"{passed:,}, {count['skipped']:,}" + (f"; {failed:,} failed" if failed else "")


def _read(results: Path, outcome: Outcome) -> None:
    if not results.exists():
        return
    for name, result in json.loads(results.read_text()).items():
        outcome.wrong += result["wrong"]
        seen = f"{result['seconds']} s" if result["seconds"] else "clean"
        outcome.scenarios[name] = "wrong" if result["wrong"] else seen


def table(rows: list[str]) -> str:
    """Return the table of some rows."""
    return "\n".join([f"| {' | '.join(HEADINGS)} |", f"|{'---|' * len(HEADINGS)}", *rows, ""])


def write_page(outcomes: list[Outcome], page: Path = PAGE) -> None:
    """
    Write what was measured in the place of what was measured of the same cells before.

    A cell that can't be had here keeps what was measured elsewhere.
    """
    before, _, rest = page.read_text().partition(BEGIN)
    former, _, after = rest.partition(END)
    rows = {line.split("|")[1].strip(): line for line in former.splitlines() if line.startswith("| ")}
    for outcome in outcomes:
        name = outcome.one.name
        rows[name] = rows.get(name, outcome.row) if outcome.not_run else outcome.row
    kept = [rows[one.name] for one in CELLS if one.name in rows]
    page.write_text(f"{before}{BEGIN}{table(kept)}{END}{after}")


def conclude(outcomes: list[Outcome]) -> int:
    """Print the table and the summary, and return the exit status."""
    print(f"\n{table([outcome.row for outcome in outcomes])}")
    for outcome in outcomes:
        if outcome.not_run:
            print(f"NOT RUN: {outcome.one.name}: {outcome.not_run}")
        for words in outcome.wrong:
            print(f"WRONG: {outcome.one.name}: {words}")
    run = [outcome for outcome in outcomes if not outcome.not_run]
    right = [outcome for outcome in run if not outcome.wrong]
    minutes = sum(outcome.seconds for outcome in run) / 60
    print(
        f"matrix: {len(right)} of {len(run)} cells as they must be, {len(outcomes) - len(run)} not run, "
        f"{minutes:.0f} min"
    )
    return 0 if run and len(right) == len(run) else 1


def why_not(one: Cell, uv: str) -> str:
    """Return why a cell can't be had; nothing where it can."""
    try:
        find_python(one.python, uv)
    except NoPythonError as error:
        return str(error)
    return ""


def run_todays(chosen: list[Cell], today: date, *, with_tests: bool) -> list[Outcome]:
    """
    Test on the cells of a day, side by side since the scenarios wait, and on a share of the tests.

    :param chosen: the cells.
    :param today: the day.
    :param with_tests: whether to run tests.
    """
    with ExitStack() as stack:
        logs = [stack.enter_context(tempfile.TemporaryFile("w+")) for _ in chosen]
        threads = stack.enter_context(ThreadPoolExecutor(len(chosen)))
        run = partial(run_cell, with_tests=with_tests, share=share_of(today))
        outcomes = list(threads.map(lambda one, log: run(one, log=log), chosen, logs))
        for outcome, log in zip(outcomes, logs, strict=True):
            log.seek(0)
            print(f"== what cell {outcome.one.name} said\n{log.read()}", flush=True)
    return outcomes


def main() -> int:
    """Test on the cells that were asked for, all without any, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cells", nargs="*", help="names of cells, or today for those of CI's rotation")
    parser.add_argument("--uv", default="uv", help="the program")
    parser.add_argument("--without-tests", action="store_true", help="play the scenarios alone")
    arguments = parser.parse_args()
    is_todays = arguments.cells == ["today"]
    chosen = CELLS if is_todays or not arguments.cells else [cell(name) for name in arguments.cells]
    reasons = {one.name: why_not(one, arguments.uv) for one in chosen}
    if is_todays:
        today = datetime.now(UTC).date()
        cells = in_rotation(today, [one for one in chosen if not reasons[one.name]])
        return conclude(run_todays(cells, today, with_tests=not arguments.without_tests))
    outcomes = []
    for one in chosen:
        reason = reasons[one.name]
        print(f"== cell {one.name}{f': NOT RUN, {reason}' if reason else ''}", flush=True)
        outcomes.append(
            Outcome(one, not_run=reason) if reason else run_cell(one, with_tests=not arguments.without_tests)
        )
        # At once, so that a run that is ended early leaves what it has measured.
        write_page(outcomes)
    return conclude(outcomes)


if __name__ == "__main__":
    sys.exit(main())
