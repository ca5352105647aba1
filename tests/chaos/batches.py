"""
One task with many videos under kills and clears, on a real Airflow with a service that fails now and then.

Each item is to be paid for once, and the manifest to be complete and in order. Also without kills, to count
processes and to measure memory and CPU. The last lines are the summary and where the report is kept.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import requests

from airflow_provider_pictory.sandbox.background import PictorySandbox
from tests.chaos.reports import RunReport, say
from tests.e2e.real_airflow import RealAirflow

DAG_ID = "batch"
DAG_FILE = Path(__file__).parent / "dags" / "batch_runs.py"
SUBMIT = "path=/v1/aistudio/videos,method=POST"
FAULTS = (
    f"server-error:{SUBMIT},rate=0.05",
    f"drop-after-processing:{SUBMIT},rate=0.05",
    f"rate-limit:{SUBMIT},rate=0.05",
    "foreign-jobs:per-second=0.2,same-prompt=no,seconds=10",
    "lagging-lists:seconds=1",
)
PAUSE_BETWEEN_LINES = 30.0
LONGEST_RESTART = 60.0


class Peaks:
    """The most memory that tasks' processes and the triggerer took, and the CPU time that all have used."""

    def __init__(self) -> None:
        self.task = self.triggerer = 0
        self._cpu: dict[int, float] = {}

    def look(self, airflow: RealAirflow) -> None:
        """Take note of what the processes use now."""
        for name in airflow.COMPONENTS:
            for process in airflow.processes_of(name):
                try:
                    size, times = process.memory_info().rss, process.cpu_times()
                    words = " ".join(process.cmdline())
                except psutil.Error:
                    continue
                self._cpu[process.pid] = times.user + times.system
                if name == "triggerer":
                    self.triggerer = max(self.triggerer, size)
                elif name == "scheduler" and "worker -- 0" in words:
                    self.task = max(self.task, size)

    @property
    def cpu(self) -> float:
        """Seconds."""
        return sum(self._cpu.values())


def make_airflow(
    kind: type[RealAirflow], home: Path, folder: Path, host: PictorySandbox, options: Any
) -> Any:
    """Return an Airflow that notices dead tasks soon."""
    connection = {**json.loads(host.connection_json), "extra": {"timeout": 5, "submission_window": 5}}
    return kind(
        home,
        [DAG_FILE],
        {
            "AIRFLOW_CONN_PICTORY_DEFAULT": json.dumps(connection),
            "BATCHES_FOLDER": str(folder),
            "BATCHES_KILLS": str(options.kills),
            "BATCHES_LIKELIHOOD": str(options.likelihood),
            "BATCHES_ACTIVE_JOBS": str(options.active_jobs),
            "BATCHES_POLL_INTERVAL": str(options.poll_interval),
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "15",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
            "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "2",
            "AIRFLOW__WORKERS__MAX_FAILED_HEARTBEATS": "30",
            "AIRFLOW__SCHEDULER__SCHEDULER_ZOMBIE_TASK_THRESHOLD": "30",
            "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "10",
            "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "2",
        },
        is_busy=True,
    )


def see_to_its_end(airflow: RealAirflow, run_id: str, folder: Path, options: Any, peaks: Peaks) -> str:
    """Kill the triggerer and clear the task now and then until the run has ended, and return its state."""
    chance, deadline = random.Random(options.seed), time.monotonic() + options.limit
    clears = triggerers = 0
    next_at, said_at, restarts_since = time.monotonic() + 20, time.monotonic(), time.monotonic()
    query = (
        "SELECT dag_run.state, task_instance.state FROM dag_run JOIN task_instance USING (dag_id, run_id) "
        f"WHERE run_id = '{run_id}'"
    )
    while time.monotonic() < deadline:
        time.sleep(0.5)
        peaks.look(airflow)
        ((state, state_of_task),) = airflow.query(query)
        if state in ("success", "failed"):
            say(f"{clears} clears, {triggerers} triggerers killed")
            return str(state)
        if time.monotonic() - said_at > PAUSE_BETWEEN_LINES:
            said_at = time.monotonic()
            say(f"{len(list((folder / 'happened').iterdir()))} kills so far")
        if state_of_task != "restarting":
            restarts_since = time.monotonic()
        elif time.monotonic() - restarts_since > LONGEST_RESTART:
            # Airflow 2.11 never looks again after a task that is cleared and killed in the same moment.
            say("the task hangs in state restarting, so it is cleared once more")
            restarts_since = time.monotonic()
            airflow.clear(DAG_ID, run_id, ["generate"], only_failed=False)
        if time.monotonic() < next_at or clears + triggerers >= options.disturbances:
            continue
        next_at = time.monotonic() + chance.uniform(8, 20)
        if chance.random() < 0.5:
            clears += 1
            # Several processes write to SQLite, which the API server doesn't wait for.
            with suppress(AssertionError, requests.RequestException):
                airflow.clear(DAG_ID, run_id, ["generate"], only_failed=False)
        else:
            triggerers += 1
            airflow.kill("triggerer")
            airflow.start("triggerer")
    return "not ended"


def judge(
    wanted: list[dict[str, str]], jobs: list[dict[str, Any]], manifest: Any
) -> tuple[Counter[str], list[str]]:
    """Hold what was paid for against what was wanted, and the manifest against both."""
    by_prompt: dict[str, list[str]] = {}
    for job in jobs:
        if not job["is_foreign"]:
            by_prompt.setdefault(job["prompt"], []).append(job["job_id"])
    counts: Counter[str] = Counter(
        {0: "lost", 1: "paid once"}.get(len(by_prompt.get(item["prompt"], ())), "paid twice")
        for item in wanted
    )
    problems = []
    if not isinstance(manifest, list) or [line["key"] for line in manifest] != [
        item["key"] for item in wanted
    ]:
        problems.append("the manifest isn't complete or not in order")
    else:
        for item, line in zip(wanted, manifest, strict=True):
            if line["state"] != "completed" or line["job_id"] not in by_prompt.get(item["prompt"], ()):
                problems.append(
                    f"item {item['key']}: {line['state']}, {line['job_id']}, {line['error_message']}"
                )
    return counts, problems


def run(options: Any, report: RunReport, home: Path) -> bool:
    """Run one batch and say what came out."""
    kind: type[RealAirflow] = RealAirflow
    if options.oldest:
        from tests.chaos.oldest_airflow import OldestAirflow

        kind = OldestAirflow
    folder = home / "batches"
    for name in ("happened", "processes"):
        (folder / name).mkdir(parents=True)
    wanted = [
        {"prompt": f"A clip of the product with the number {number}", "key": f"p{number}"}
        for number in range(options.items)
    ]
    faults = () if options.without_faults else FAULTS
    peaks = Peaks()
    with (
        PictorySandbox(
            render_seconds=options.render, credits=10**7, faults=faults, seed=options.seed
        ) as pictory,
        make_airflow(kind, home / "airflow", folder, pictory, options) as airflow,
    ):
        started = time.monotonic()
        run_id = airflow.trigger(DAG_ID, {"requests": wanted}, "one")
        state = see_to_its_end(airflow, run_id, folder, options, peaks)
        seconds = time.monotonic() - started
        rows = airflow.query("SELECT value FROM xcom WHERE task_id = 'generate' AND key = 'return_value'")
        manifest = json.loads(rows[0][0]) if rows else None
        manifest = json.loads(manifest) if isinstance(manifest, str) else manifest
        names = [name for (name,) in airflow.query("SELECT key FROM variable")]
        report.copy(airflow.home / "logs", "logs")
        jobs = pictory.jobs()
        polls = sum(job["polls"] for job in jobs)
    counts, problems = judge(wanted, jobs, manifest)
    problems += [f"the run is {state}"] if state != "success" else []
    left = [name for name in names if name.startswith("pictory_submission_")]
    problems += [f"{len(left)} records of items are left"] if left else []
    kills = len(list((folder / "happened").iterdir()))
    problems += [f"only {kills} kills happened"] if kills < options.fewest_kills else []
    moments = Counter(path.name.partition(".")[2] for path in (folder / "happened").iterdir())
    say(f"moments of the kills: {dict(moments)}")
    say(f"Variables left: {dict(Counter(name[:15] for name in names))}")
    for problem in problems[:20]:
        say(f"problem: {problem}")
    report.write("jobs.json", jobs)
    report.write("manifest.json", manifest)
    processes = len(list((folder / "processes").iterdir()))
    task, triggerer = peaks.task / 2**20, peaks.triggerer / 2**20
    say(
        f"batch: {options.items} items, {kills} kills, {counts['paid once']} paid once, "
        f"{counts['paid twice']} paid twice, {counts['lost']} lost, {len(problems)} problems; {processes} "
        f"processes of the task, {polls} polls of single jobs, {seconds:.0f} s, {peaks.cpu:.0f} s CPU of all "
        f"of Airflow; at most {task:.0f} MB a task, {triggerer:.0f} MB the triggerer"
    )
    return not problems and counts["paid once"] == options.items


def main() -> int:
    """Run a batch and give the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=200)
    parser.add_argument("--active-jobs", type=int, default=20, help="0 for all")
    parser.add_argument("--kills", type=int, default=60, help="at most so many")
    parser.add_argument("--fewest-kills", type=int, default=30, help="fewer are a failure")
    parser.add_argument("--likelihood", type=float, default=0.02, help="of a kill at each moment")
    parser.add_argument("--disturbances", type=int, default=12, help="clears and kills of the triggerer")
    parser.add_argument("--render", type=float, default=10.0, help="seconds that a job takes")
    parser.add_argument("--poll-interval", type=float, default=1.0, help="seconds; 0 for our own schedule")
    parser.add_argument("--limit", type=float, default=30 * 60.0, help="seconds after which it has failed")
    parser.add_argument("--without-faults", action="store_true", help="of the service")
    parser.add_argument("--oldest", action="store_true", help="this environment's Airflow is 2.11")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--home", type=Path, help="an empty folder that is kept")
    options = parser.parse_args()
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
    with (
        RunReport("batch", options.seed) as report,
        tempfile.TemporaryDirectory(prefix="batch-", ignore_cleanup_errors=True) as temporary,
    ):
        has_passed = run(options, report, options.home or Path(temporary))
        report.note(has_passed=has_passed)
        report.exit_status = 0 if has_passed else 1
    return report.exit_status


if __name__ == "__main__":
    sys.exit(main())
