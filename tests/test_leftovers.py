"""No process of the distributed run outlives it, however it ends."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[1]

RUN = """
import subprocess, sys, time
from pathlib import Path
from tests.distributed.leftovers import nothing_left_of

home = Path(sys.argv[1])
with nothing_left_of(home):
    # A session of its own, as Airflow's components and tasks have, and no name to be known by.
    sleeper = subprocess.Popen(["sleep", "600"], cwd=home, start_new_session=True)
    print(sleeper.pid, flush=True)
    sys.stdin.readline()
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, None], ids=["killed", "ended", "done"])
def test_what_runs_in_its_folder_ends_with_it(tmp_path, number):
    run = subprocess.Popen(
        [sys.executable, "-c", RUN, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    sleeper = psutil.Process(int(run.stdout.readline()))
    assert sleeper.is_running()
    if number is None:
        run.stdin.write("\n")
        run.stdin.flush()
    else:
        run.send_signal(number)
    run.communicate(timeout=60)

    psutil.wait_procs([sleeper], timeout=30)
    assert not sleeper.is_running() or sleeper.status() == psutil.STATUS_ZOMBIE
