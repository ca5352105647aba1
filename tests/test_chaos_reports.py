"""What a run of ``make chaos`` leaves behind, however it ends."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.chaos.crashes import Report, conclude
from tests.chaos.plan import Clip
from tests.chaos.reports import RunReport
from tests.chaos.verdict import End, Judgement, Outcome

ROOT = Path(__file__).parents[1]

RUN = """
import sys, time
from pathlib import Path
from tests.chaos.reports import RunReport, say

with RunReport("crashes", 7, Path(sys.argv[1])) as report:
    say("under way")
    time.sleep(60)
sys.exit(report.exit_status)
"""


@pytest.fixture(autouse=True)
def _restore_signals():
    numbers = (signal.SIGTERM, signal.SIGHUP)
    former = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in former.items():
        signal.signal(number, handler)


def kept(reports):
    (folder,) = reports.iterdir()
    return folder, json.loads((folder / "report.json").read_text()), (folder / "report.txt").read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_run_keeps_what_it_said_and_ends_with_one(tmp_path, number):
    run = subprocess.Popen(
        [sys.executable, "-c", RUN, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        # In a shell's background ctrl-C is ignored, and by all that is started there.
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
    )
    assert run.stdout.readline() == "under way\n"
    run.send_signal(number)
    said, _ = run.communicate(timeout=120)

    folder, document, text = kept(tmp_path)
    assert run.returncode == 1
    assert said.splitlines()[-1] == f"exit 1; the report is in {folder}"
    assert text.startswith("under way\n")
    assert text.endswith(f"{folder}\n")
    assert document["has_passed"] is False
    assert "KeyboardInterrupt" in document["error"]


def test_a_run_that_is_killed_keeps_what_it_said(tmp_path):
    run = subprocess.Popen(
        [sys.executable, "-c", RUN, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    run.stdout.readline()
    run.kill()
    run.communicate(timeout=120)

    _, document, text = kept(tmp_path)
    assert text == "under way\n"
    assert document["has_passed"] is False


def test_an_error_is_in_the_report(tmp_path):
    with RunReport("crashes", 7, tmp_path) as report:
        raise AssertionError("scheduler ended by itself")

    _, document, text = kept(tmp_path)
    assert report.exit_status == document["exit_status"] == 1
    assert "scheduler ended by itself" in text


@pytest.mark.parametrize(
    ("outcome", "most_refused", "status"),
    [
        (Outcome.ONCE, 0.0, 0),
        (Outcome.REFUSED, 0.0, 1),
        (Outcome.REFUSED, 1.0, 0),
        (Outcome.TWICE, 1.0, 1),
        (Outcome.LOST, 1.0, 1),
    ],
)
def test_a_single_request_that_does_not_end_well_is_a_failure(tmp_path, outcome, most_refused, status):
    end = End("failed", None, None, "", tries=1, clears=0, seconds=1.0)
    judgement = Judgement(Clip(1, "random", "A paper boat"), end, outcome, "several jobs")

    with RunReport("crashes", 7, tmp_path) as run_report:
        conclude(Report([judgement], [], [], kills=1, seconds=60.0), run_report, most_refused)

    _, document, text = kept(tmp_path)
    assert run_report.exit_status == document["exit_status"] == status
    assert "crashes: 1 clips, 1 kills" in text
