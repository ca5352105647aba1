"""What it takes a whole Airflow to await fifty jobs of about a minute: task processes, their time, requests."""

from __future__ import annotations

import json
import statistics
import tempfile
import threading
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from benchmarks.contestants import connection
from benchmarks.measuring import keep, percentile, say
from benchmarks.service import ends, pictory_job_id
from benchmarks.waiting import server_arguments, talking
from tests.e2e.real_airflow import RealAirflow
from tests.support.certificates import make_certificates

if TYPE_CHECKING:
    from benchmarks.waiting import Process

SEED = 20260101
SHORTEST_JOB, SPAN = 50.0, 20.0
# Of HttpSensor, whose own default of 60 s would make it cheap and late; the steady pause of ours.
POKE_INTERVAL = 15
SLOTS = 8
# Of the list of jobs, as in the sandbox.
JOBS_ON_A_PAGE = 20
SECONDS_TO_CALM_DOWN = 10.0
SAMPLING = 0.1
# Each time a worker starts on a task, it first reads the DAG's file.
START_OF_A_TASK_PROCESS = '"event":"DAG bundles loaded'

WAYS = {
    "pictory": "VideoJobSensor(task_id=task_id, job_id=job_id, pictory_conn_id='pictory')",
    "http_sensor": (
        "HttpSensor(task_id=task_id, endpoint=endpoint, http_conn_id='http_sensor', "
        f"poke_interval={POKE_INTERVAL}, deferrable=True)"
    ),
}
IMPORTS = {
    "VideoJobSensor": "from airflow_provider_pictory.sensors.pictory import VideoJobSensor",
    "HttpSensor": "from airflow.providers.http.sensors.http import HttpSensor",
}
DAG_FILE = """
from datetime import datetime, timezone

from airflow.sdk import DAG
{imports}

start = datetime(2026, 1, 1, tzinfo=timezone.utc)
with DAG("{way}", schedule=None, start_date=start, max_active_tasks=1000, default_args={{"retries": 0}}):
    for number, job_id in {jobs!r}.items():
        task_id, endpoint = f"wait_{{number}}", f"videos/{{number}}"
        {sensor}
"""


class TaskProcesses:
    """
    The processes in which tasks run, as the operating system sees them: what a worker of the executor starts.

    Airflow's listeners would tell more exactly, but some tasks run otherwise where there are any.
    """

    def __init__(self) -> None:
        (self._scheduler,) = [
            child for child in psutil.Process().children() if "scheduler" in " ".join(child.cmdline())
        ]
        self._seen: dict[tuple[int, float], float] = {}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> TaskProcesses:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    @property
    def seconds(self) -> float:
        """How long they all lived together; each one's end was missed by half a sample on average."""
        return sum(last - started + SAMPLING / 2 for (_, started), last in self._seen.items())

    @property
    def count(self) -> int:
        """How many were seen."""
        return len(self._seen)

    def _watch(self) -> None:
        while not self._stopped.wait(SAMPLING):
            now = time.time()
            for worker in self._scheduler.children():
                try:
                    for process in worker.children():
                        self._seen[process.pid, process.create_time()] = now
                except psutil.NoSuchProcess:
                    continue


def processor_seconds() -> float:
    """Return the processor time of all components and of everything they started so far."""
    total = 0.0
    for process in psutil.Process().children(recursive=True):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        # Of children that have ended their parents keep the account.
        total += times.user + times.system + times.children_user + times.children_system
    return total


def measure(jobs: int, ways: tuple[str, ...], rounds: int) -> dict[str, Any]:
    """
    Start a whole Airflow and let it await so many jobs in each way, in turn.

    :param jobs: how many at a time.
    :param ways: names from :data:`WAYS`.
    :param rounds: how often; the medians count.
    """
    runs: dict[str, list[dict[str, Any]]] = {way: [] for way in ways}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        certificates = make_certificates(folder)
        authority = str(certificates.authority)
        count = jobs * len(ways) * rounds
        files = []
        for position, way in enumerate(ways):
            for number in range(rounds):
                first = (position * rounds + number) * jobs
                file = folder / f"{way}_{number}.py"
                file.write_text(dag_file(way, f"{way}_{number}", range(first, first + jobs)))
                files.append(file)
        with talking(
            "benchmarks.service", *server_arguments(count, certificates), "--page-size", JOBS_ON_A_PAGE
        ) as server:
            port = server.hear()["port"]
            environment = {
                "AIRFLOW__CORE__PARALLELISM": str(SLOTS),
                "SSL_CERT_FILE": authority,
                "REQUESTS_CA_BUNDLE": authority,
                **{
                    f"AIRFLOW_CONN_{kind.upper()}": json.dumps(connection(kind, port, authority))
                    for kind in ("pictory", "http_sensor")
                },
            }
            with RealAirflow(folder / "airflow", files, environment, is_busy=True) as airflow:
                for number in range(rounds):
                    for position, way in enumerate(ways):
                        first = (position * rounds + number) * jobs
                        run = await_jobs(airflow, server, f"{way}_{number}", range(first, first + jobs))
                        runs[way].append(run)
                        say(f"{jobs} jobs, round {number + 1}, {way:20} {in_words(run)}")
    results = {
        way: {key: statistics.median(run[key] for run in own) for key in own[0]} for way, own in runs.items()
    }
    keep("real_airflow", {"jobs": jobs, "rounds": rounds, "ways": results})
    return results


def dag_file(way: str, dag_id: str, numbers: range) -> str:
    """Write the DAG as a user would."""
    sensor = WAYS[way]
    imports = IMPORTS[sensor.split("(", maxsplit=1)[0]]
    jobs = {number: pictory_job_id(number) for number in numbers}
    return DAG_FILE.format(imports=imports, way=dag_id, jobs=jobs, sensor=sensor)


def await_jobs(airflow: RealAirflow, server: Process, dag_id: str, numbers: range) -> dict[str, float]:
    """Run one DAG, whose jobs begin with it, and give what that took, for each job."""
    # Until it has read the DAGs, and is done with the run before.
    airflow.wait_for(
        f"DAG {dag_id} to be read",
        lambda: [dag["dag_id"] for dag in airflow.request("GET", "/dags?limit=100")["dags"]],
        lambda dag_ids: dag_id in dag_ids,
        120,
    )
    time.sleep(SECONDS_TO_CALM_DOWN)
    began = time.monotonic()
    # The service's clock can't be turned back, Airflow's is the calendar's.
    calendar = time.time() - time.monotonic()
    seed = SEED + numbers.start
    server.ask(
        {
            "what": "ends",
            "seed": seed,
            "first": began + SHORTEST_JOB,
            "span": SPAN,
            "from": numbers.start,
            "to": numbers.stop,
        }
    )
    moments = ends(len(numbers), seed, began + SHORTEST_JOB, SPAN)
    busy = processor_seconds()
    with TaskProcesses() as processes:
        run_id = airflow.trigger(dag_id)
        state = airflow.wait_for_run(dag_id, run_id, timeout=600)
    if state != "success":
        raise RuntimeError(f"the run of {dag_id} has ended as {state}")
    ended = {
        int(task["task_id"].removeprefix("wait_")): datetime.fromisoformat(task["end_date"]).timestamp()
        for task in airflow.task_instances(dag_id, run_id)
    }
    delays = [ended[number] - calendar - moment for number, moment in zip(numbers, moments, strict=True)]
    seen = server.ask({"what": "report", "start": began, "end": time.monotonic(), "interval": 1.0})
    jobs = len(numbers)
    return {
        "task_processes": started_processes(airflow, dag_id, run_id) / jobs,
        "task_processes_seen": processes.count / jobs,
        "worker_seconds": processes.seconds / jobs,
        "airflow_cpu_seconds": processor_seconds() - busy,
        "requests": (seen["polls"] + seen["pages"]) / jobs,
        "connections": seen["connections_in_window"] / jobs,
        "delay_p50": percentile(delays, 50) or 0.0,
        "delay_p95": percentile(delays, 95) or 0.0,
        "seconds": time.monotonic() - began,
    }


def started_processes(airflow: RealAirflow, dag_id: str, run_id: str) -> int:
    """Count the task processes of a run by what each has logged at its start."""
    return sum(
        text.count(START_OF_A_TASK_PROCESS)
        for name, text in airflow.log_files().items()
        if f"run_id={run_id}/" in name and f"dag_id={dag_id}/" in name and ".trigger" not in name
    )


def in_words(run: dict[str, float]) -> str:
    """Return one run in one line."""
    return (
        f"{run['task_processes']:.2f} task processes per job ({run['task_processes_seen']:.2f} seen), "
        f"{run['worker_seconds']:5.2f} worker-seconds, {run['requests']:.1f} requests, "
        f"{run['connections']:.2f} connections, Airflow {run['airflow_cpu_seconds']:3.0f} s of CPU, "
        f"end of task {run['delay_p50']:.1f} s after end of job (p95 {run['delay_p95']:.1f})"
    )


def main(*, is_quick: bool = False) -> dict[str, Any]:
    """Measure, in about five minutes."""
    return measure(8 if is_quick else 50, tuple(WAYS), 1)
