"""
A thousand jobs wait in one event loop, as in a triggerer, through a mixed storm of faults.

All must end as the sandbox knows they ended, the sandbox's budget of requests must be kept, the memory must
stay flat and the loop must never be blocked for long. The last lines are the summary and where the report is
kept; the exit status says whether all counts are right.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import json
import logging
import os
import random
import resource
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO

import requests
import structlog

from airflow_provider_pictory.triggers.pictory import VideoJobTrigger
from tests.chaos.reports import RunReport, say

SUBMITTING_SECONDS = 60
RENDER_SECONDS = 120
BUDGET_PER_SECOND = 60
LONGEST_WAIT = 15 * 60

STORM = (
    # A budget that a thousand jobs would exceed by far if each looked every ten seconds.
    f"rate-limit:budget={BUDGET_PER_SECOND},window=1,path=/v1/jobs",
    "server-error:status=500,rate=0.02,method=GET,path=/v1/jobs",
    "server-error:status=502,rate=0.01,has_body=false,method=GET,path=/v1/jobs",
    "server-error:status=503,rate=0.02,retry_after=date,method=GET,path=/v1/jobs",
    "server-error:status=520,rate=0.01,has_body=false,method=GET,path=/v1/jobs",
    "truncated-json:rate=0.01,path=/v1/jobs",
    "html-page:rate=0.01,path=/v1/jobs",
    "wrong-shape:rate=0.01,path=/v1/jobs",
    "slow-response:rate=0.02,seconds=2,path=/v1/jobs",
    "dripping-response:rate=0.005,seconds=0.2,path=/v1/jobs",
    "no-response:rate=0.002,path=/v1/jobs",
    "drop-before-processing:rate=0.01,path=/v1/jobs",
    "drop-while-responding:rate=0.01,path=/v1/jobs",
    "drop-after-processing:rate=0.01,path=/v1/jobs",
    # Two outages, one of the service and one of what stands in front of it.
    "drop-before-processing:after=70,until=85,path=/v1/jobs",
    "cdn-refusal:after=110,until=125,path=/v1/jobs",
    "cdn-refusal:rate=0.01,path=/v1/jobs",
    "job-unknown-at-first:rate=0.2,seconds=20",
    "job-undocumented-status:rate=0.05,seconds=30",
    "job-fails:rate=0.05",
    "job-out-of-credits:rate=0.02",
    "job-cleaned:rate=0.03,seconds=0",
)


@contextmanager
def sandbox_process(seed: int, log: IO[str]):
    """Run the sandbox in a process of its own, so that only our side is measured."""
    faults = [word for fault in STORM for word in ("--fault", fault)]
    process = subprocess.Popen(
        [
            str(Path(sys.executable).parent / "pictory-sandbox"),
            *("--port", "0", "--render-seconds", str(RENDER_SECONDS), "--credits", "1000000"),
            *("--seed", str(seed), *faults),
        ],
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
    )
    try:
        for line in process.stdout:
            if line.startswith("export AIRFLOW_CONN_"):
                connection = json.loads(line.split("=", 1)[1].strip().strip("'"))
                yield {**connection, "extra": {"timeout": 5}}
                return
        raise RuntimeError("the sandbox did not start")
    finally:
        process.terminate()
        process.wait(timeout=10)


def submit(connection: dict, number: int) -> str:
    """Submit a job past the storm, which is for those that wait."""
    response = requests.post(
        f"{connection['host']}/pictoryapis/v1/aistudio/videos",
        json={"prompt": f"Clip number {number}"},
        headers={"Authorization": connection["password"], "User-Agent": "soak"},
        timeout=30,
    )
    response.raise_for_status()
    return response.json()["data"]["jobId"]


class Measurements:
    """What is watched while the jobs wait: how long the loop was blocked, and the memory."""

    def __init__(self) -> None:
        self.longest_block = 0.0
        self.blocks_over_50_ms = 0
        self.memory: list[tuple[float, float]] = []

    async def watch(self) -> None:
        started = time.monotonic()
        while True:
            # The process's own time too: another program on the same processor is not our fault.
            before, busy_before = time.monotonic(), time.thread_time()
            await asyncio.sleep(0.02)
            late = time.monotonic() - before - 0.02
            busy = time.thread_time() - busy_before
            blocked = min(late, busy)
            self.longest_block = max(self.longest_block, blocked)
            self.blocks_over_50_ms += blocked > 0.05
            self.memory.append((time.monotonic() - started, resident_megabytes()))

    def growth(self) -> float:
        """Return the growth in MB from when all jobs wait to the end."""
        waiting = [size for moment, size in self.memory if moment > SUBMITTING_SECONDS + 15]
        return max(waiting) - waiting[0] if waiting else 0.0


def resident_megabytes() -> float:
    """Return the memory that this process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


async def wait_in_trigger(job_id: str) -> dict:
    """Wait as the triggerer does."""
    deadline = datetime.now(UTC) + timedelta(seconds=LONGEST_WAIT)
    trigger = VideoJobTrigger(job_id, "pictory_default", deadline.isoformat())
    async for event in trigger.run():
        return event.payload
    raise RuntimeError("a trigger without an event")


async def soak(connection: dict, count: int) -> tuple[dict[str, dict], Measurements]:
    """Submit and await all jobs, and give the events by job id."""
    measurements = Measurements()
    measuring = asyncio.create_task(measurements.watch())
    events: dict[str, asyncio.Task[dict]] = {}
    started = time.monotonic()

    for number in range(count):
        await asyncio.sleep(max(0.0, started + SUBMITTING_SECONDS * number / count - time.monotonic()))
        job_id = await asyncio.to_thread(submit, connection, number)
        events[job_id] = asyncio.create_task(wait_in_trigger(job_id))
    while waiting := [task for task in events.values() if not task.done()]:
        say(f"{time.monotonic() - started:4.0f} s: {len(waiting)} jobs wait, {resident_megabytes():.0f} MB")
        await asyncio.wait(waiting, timeout=20)
    measuring.cancel()
    return {job_id: task.result() for job_id, task in events.items()}, measurements


def main() -> int:
    """Run the soak and give the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    arguments = parser.parse_args()
    # A line of trouble from each of a thousand tasks is for a thousand task logs, not for this terminal.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with RunReport("soak", arguments.seed) as run_report:
        run_report.exit_status = 0 if run(arguments, run_report) else 1
    return run_report.exit_status


def run(arguments: argparse.Namespace, run_report: RunReport) -> bool:
    """Run the soak and tell whether all is right."""
    started = time.monotonic()
    with (
        (run_report.folder / "sandbox.log").open("w") as log,
        sandbox_process(arguments.seed, log) as connection,
    ):
        os.environ["AIRFLOW_CONN_PICTORY_DEFAULT"] = json.dumps(connection)
        say(f"{arguments.jobs} jobs, seed {arguments.seed}")
        events, measurements = asyncio.run(soak(connection, arguments.jobs))
        truth = {job["job_id"]: job for job in get(connection, "jobs")["jobs"]}
        counts = get(connection, "counts")
    wrong = {
        job_id: (event, truth[job_id]["status"])
        for job_id, event in events.items()
        if event.get("outcome") != "ended" or event["job"]["status"] != truth[job_id]["status"]
    }
    run_report.note(
        wrong={job_id: {"status": status, "event": event} for job_id, (event, status) in wrong.items()},
        counts=counts,
        memory=measurements.memory[:: max(1, len(measurements.memory) // 200)],
        longest_block=measurements.longest_block,
    )
    for job_id, (event, status) in list(wrong.items())[:5]:
        say(f"wrong: {job_id} is {status}, but its trigger said {event}")
    permitted, limited = counts["requests_permitted"], counts["requests_limited"]
    say("faults: " + ", ".join(f"{kind} {times}" for kind, times in sorted(counts["faults"].items())))
    ends = collections.Counter(
        event.get("job", {}).get("status", "inconclusive") for event in events.values()
    )
    checks = {
        f"{len(events) - len(wrong)} of {len(events)} jobs ended as the service knows": not wrong,
        f"{limited} requests over the budget of {permitted} permitted": limited <= 0.1 * permitted,
        f"memory grew by {measurements.growth():.1f} MB": measurements.growth() < 20,
        f"the loop was blocked for at most {measurements.longest_block * 1000:.0f} ms": (
            measurements.longest_block <= 0.2
        ),
    }
    say("ends: " + ", ".join(f"{status} {times}" for status, times in sorted(ends.items())))
    verdict = "passed" if all(checks.values()) else "FAILED"
    facts = "; ".join(fact if is_right else f"WRONG: {fact}" for fact, is_right in checks.items())
    say(f"soak {verdict} in {time.monotonic() - started:.0f} s: {facts}")
    run_report.note(has_passed=all(checks.values()), checks=checks)
    return all(checks.values())


def get(connection: dict, what: str):
    """Ask the sandbox for the truth."""
    return requests.get(f"{connection['host']}/sandbox/{what}", timeout=60).json()


if __name__ == "__main__":
    sys.exit(main())
