"""What a whole Airflow takes for many videos in one task, beside a mapped task for each of a tenth of them."""

from __future__ import annotations

import logging
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from airflow_provider_pictory.sandbox.background import PictorySandbox
from benchmarks.measuring import keep, say
from benchmarks.real_airflow import (
    SECONDS_TO_CALM_DOWN,
    SLOTS,
    TaskProcesses,
    processor_seconds,
    started_processes,
)
from tests.e2e.real_airflow import RealAirflow

if TYPE_CHECKING:
    from collections.abc import Mapping

RENDER_SECONDS = 60.0
# Half of the videos at most are in the making at a time.
SHARE_IN_FLIGHT = 0.5
LIMIT = 3600.0
DAG_FILE = """
from datetime import datetime, timezone

from airflow.sdk import DAG

from airflow_provider_pictory.operators.batch import GenerateVideosOperator
from airflow_provider_pictory.operators.pictory import GenerateVideoOperator

start = datetime(2026, 1, 1, tzinfo=timezone.utc)
prompts = [f"A clip of the product with the number {{number}}" for number in range({videos})]

with DAG("batch", schedule=None, start_date=start, default_args={{"retries": 0}}):
    GenerateVideosOperator(task_id="generate", requests=prompts, max_active_jobs={in_flight})

with DAG("mapped", schedule=None, start_date=start, max_active_tasks=2000, default_args={{"retries": 0}}):
    GenerateVideoOperator.partial(task_id="generate", wait_for_completion=True, deferrable=True).expand(
        prompt=prompts[:{mapped}]
    )
"""


class Memory:
    """The most that one process of a task, and the triggerer, have held."""

    def __init__(self, airflow: RealAirflow) -> None:
        self._airflow = airflow
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.task = self.triggerer = 0

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stopped.wait(0.2):
            self.triggerer = max(self.triggerer, *_sizes(self._airflow.processes_of("triggerer")))
            workers = self._airflow.processes_of("scheduler")[1:]
            self.task = max(self.task, *_sizes(workers))


def _sizes(processes: list[psutil.Process]) -> list[int]:
    sizes = [0]
    for process in processes:
        try:
            sizes.append(process.memory_info().rss)
        except psutil.Error:
            continue
    return sizes


def measure(videos: int, mapped: int) -> dict[str, Any]:
    """
    Run the batch, then the mapped tasks, on the same Airflow and at the same service.

    :param videos: how many the batch has.
    :param mapped: how many mapped tasks there are.
    """
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        file = folder / "batches.py"
        in_flight = max(1, int(videos * SHARE_IN_FLIGHT))
        file.write_text(DAG_FILE.format(videos=videos, in_flight=in_flight, mapped=mapped))
        with PictorySandbox(render_seconds=RENDER_SECONDS, credits=10**7) as pictory:
            environment = {
                "AIRFLOW__CORE__PARALLELISM": str(SLOTS),
                "AIRFLOW_CONN_PICTORY_DEFAULT": pictory.connection_json,
            }
            with RealAirflow(folder / "airflow", [file], environment, is_busy=True) as airflow:
                for dag_id, count in (("batch", videos), ("mapped", mapped)):
                    time.sleep(SECONDS_TO_CALM_DOWN)
                    results[dag_id] = run_once(airflow, pictory, dag_id, count)
                    say(f"{dag_id:8} {count:6,} videos: {in_words(results[dag_id])}")
    keep("batches", results)
    return results


def run_once(airflow: RealAirflow, pictory: PictorySandbox, dag_id: str, videos: int) -> dict[str, float]:
    """Run one DAG to its end and give what that took."""
    before, requests = len(pictory.jobs()), _requests(pictory.counts()["requests"])
    busy, began = processor_seconds(), time.monotonic()
    with TaskProcesses() as processes, Memory(airflow) as memory:
        run_id = airflow.trigger(dag_id)
        state = airflow.wait_for_run(dag_id, run_id, timeout=LIMIT)
    seconds = time.monotonic() - began
    if state != "success" or len(pictory.jobs()) - before != videos:
        raise RuntimeError(f"{dag_id} has ended as {state}, with {len(pictory.jobs()) - before} jobs")
    return {
        "videos": videos,
        "task_processes": started_processes(airflow, dag_id, run_id),
        "worker_seconds": processes.seconds,
        "airflow_cpu_seconds": processor_seconds() - busy,
        "requests": _requests(pictory.counts()["requests"]) - requests,
        "task_memory": memory.task,
        "triggerer_memory": memory.triggerer,
        "seconds": seconds,
    }


def _requests(counts: Mapping[str, int]) -> int:
    return sum(counts.values())


def in_words(run: Mapping[str, float]) -> str:
    """Return one run in one line."""
    videos = run["videos"]
    return (
        f"{run['task_processes']:.0f} task processes, {run['worker_seconds']:.0f} worker-seconds, Airflow "
        f"{run['airflow_cpu_seconds']:.0f} s of CPU ({run['airflow_cpu_seconds'] / videos * 1000:.0f} ms a "
        f"video), {run['requests'] / videos:.1f} requests a video, at most "
        f"{run['task_memory'] / 2**20:.0f} MB a task and {run['triggerer_memory'] / 2**20:.0f} MB the "
        f"triggerer, {run['seconds']:.0f} s"
    )


def main(*, is_quick: bool = False) -> dict[str, Any]:
    """Measure, in about ten minutes."""
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
    return measure(*((40, 10) if is_quick else (1000, 100)))
