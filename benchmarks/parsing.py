"""
What parsing a DAG file costs in a fresh fork, as Airflow's DAG processor and each task process do it.

Two figures: in a fork of a process that has imported Airflow alone, as a task process is, and in a fork of one
that has also imported what the DAG processor imports beforehand, once for all parses: the modules that the
file names and whose names begin with ``airflow.``, so those of the providers of Apache and none of ours.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.measuring import ROOT, keep, pin_to_processor, say, without_settings

BARE = "bare"
HEAD = """
from __future__ import annotations

from datetime import datetime, timezone

from airflow.sdk import DAG
"""
DAG = """
with DAG("parsed", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=timezone.utc)):
"""
# What the file imports, and what its DAG holds.
FILES = {
    BARE: (
        "from airflow.sdk import BaseOperator",
        ['BaseOperator(task_id="a")', 'BaseOperator(task_id="b")'],
    ),
    "pictory": (
        "from airflow_provider_pictory.operators.pictory import GenerateVideoOperator\n"
        "from airflow_provider_pictory.sensors.pictory import VideoJobSensor",
        [
            'a = GenerateVideoOperator(task_id="a", prompt="A red fox in snow")',
            'VideoJobSensor(task_id="b", job_id=a.output)',
        ],
    ),
    "http": (
        "from airflow.providers.http.operators.http import HttpOperator\n"
        "from airflow.providers.http.sensors.http import HttpSensor",
        [
            'HttpOperator(task_id="a", endpoint="videos")',
            'HttpSensor(task_id="b", endpoint="videos/1", deferrable=True)',
        ],
    ),
    "dbt_cloud": (
        "from airflow.providers.dbt.cloud.operators.dbt import DbtCloudRunJobOperator\n"
        "from airflow.providers.dbt.cloud.sensors.dbt import DbtCloudJobRunSensor",
        [
            'DbtCloudRunJobOperator(task_id="a", job_id=1)',
            'DbtCloudJobRunSensor(task_id="b", run_id=1, deferrable=True)',
        ],
    ),
    "databricks": (
        "from airflow.providers.databricks.operators.databricks import DatabricksRunNowOperator\n"
        "from airflow.providers.databricks.sensors.databricks import DatabricksSQLStatementsSensor",
        [
            'DatabricksRunNowOperator(task_id="a", job_id=1)',
            'DatabricksSQLStatementsSensor(task_id="b", warehouse_id="w", statement_id="s", deferrable=True)',
        ],
    ),
}


def parse(file: Path) -> dict[str, float]:
    """Parse a file in a fork of this process, and give the seconds that it took there."""
    from airflow.dag_processing.processor import DagFileParseRequest, _parse_file
    from structlog import get_logger

    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        request = DagFileParseRequest(
            file=str(file), bundle_path=file.parent, bundle_name="benchmark", callback_requests=[]
        )
        modules, wall, busy = len(sys.modules), time.monotonic(), time.process_time()
        result = _parse_file(request, get_logger())
        outcome = {
            "cpu": time.process_time() - busy,
            "wall": time.monotonic() - wall,
            "modules": len(sys.modules) - modules,
            "dags": len(result.serialized_dags) if result else 0,
        }
        os.write(write, json.dumps(outcome).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    return json.loads(text)


def parse_often(files: dict[str, Path], rounds: int) -> dict[str, dict[str, float]]:
    """Parse all files in turn, and give the medians."""
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in files}
    for number in range(rounds + 1):
        for name, file in files.items():
            run = parse(file)
            if run["dags"] != 1:
                raise RuntimeError(f"the file {name} can't be parsed")
            # The first round writes byte code and fills the file system's caches.
            if number:
                runs[name].append(run)
    return {
        name: {
            **{key: statistics.median(run[key] for run in own) for key in own[0]},
            # Of neighbours in time, since a machine's speed drifts.
            "ratio": statistics.median(
                run["cpu"] / bare["cpu"] for run, bare in zip(own, runs[BARE], strict=True)
            ),
        }
        for name, own in runs.items()
    }


def in_fork(work: Any) -> Any:
    """Do something in a fork of this process, and give its result."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        with os.fdopen(write, "w") as pipe:
            json.dump(work(), pipe)
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    return json.loads(text)


def measure_here(rounds: int) -> dict[str, Any]:
    """Measure in this process, which must be a fresh one."""
    pin_to_processor(0)
    from airflow.dag_processing.processor import _pre_import_airflow_modules
    from structlog import get_logger

    folder = Path(os.environ["AIRFLOW__CORE__DAGS_FOLDER"])
    files = {}
    for name, (imports, tasks) in FILES.items():
        files[name] = folder / f"{name}.py"
        files[name].write_text(HEAD + imports + "\n" + DAG + "".join(f"    {task}\n" for task in tasks))
    alone = parse_often(files, rounds)

    def with_imports(name: str) -> dict[str, dict[str, float]]:
        _pre_import_airflow_modules(str(files[name]), get_logger())
        _pre_import_airflow_modules(str(files[BARE]), get_logger())
        return parse_often({BARE: files[BARE], name: files[name]}, rounds)

    imported = {name: in_fork(lambda name=name: with_imports(name)) for name in files}
    return {
        name: {
            **alone[name],
            "imported_cpu": imported[name][name]["cpu"],
            "imported_ratio": imported[name][name]["ratio"],
        }
        for name in files
    }


def main(*, is_quick: bool = False) -> dict[str, Any]:
    """Measure in a fresh process that knows no settings but Airflow's own."""
    with tempfile.TemporaryDirectory() as home:
        environment = without_settings(
            AIRFLOW_HOME=home, AIRFLOW__CORE__DAGS_FOLDER=home, AIRFLOW__CORE__LOAD_EXAMPLES="False"
        )
        finished = subprocess.run(
            [sys.executable, "-W", "ignore", "-m", __name__, str(3 if is_quick else 15)],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    results: dict[str, Any] = json.loads(finished.stdout.splitlines()[-1])
    keep("parsing", results)
    for name, row in results.items():
        say(
            f"{name:12} {row['cpu'] * 1000:5.0f} ms ({row['ratio']:5.2f}x the bare DAG, "
            f"{row['modules']:4.0f} modules); imported before: {row['imported_cpu'] * 1000:5.0f} ms "
            f"({row['imported_ratio']:.2f}x)"
        )
    return results


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure_here(int(sys.argv[1]))) + "\n")
