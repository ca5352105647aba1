"""The demo: run the first example DAG in a real Airflow and show the video that comes out."""

from __future__ import annotations

import argparse
import json
import os
import re
import sqlite3
import sys
import time
from contextlib import ExitStack, closing
from typing import Any

from local_programs import (
    PROGRAMS,
    PROJECT,
    NotStartedError,
    airflow_environment,
    child,
    end_as_after_ctrl_c,
    sandbox,
    say,
    shown,
)

from airflow_provider_pictory.api import VideoRequest

AIRFLOW_HOME = PROJECT / ".environments" / "demo"
OUTPUT = PROJECT / "demo-output"
LOG = AIRFLOW_HOME / "demo.log"

DAG_ID = "example_pictory_generate_video"
PROMPT = "A paper boat sails down a rainy street, seen from above"
MODEL = "pixverse5.5"
SANDBOX_SECONDS = 8
LONGEST_RUN = 2 * 60 * 60

# What our own tasks log, without Airflow's decoration around it.
OWN_LINE = re.compile(r"\[(?:info|warning|error) *\] (.*?) +\[\S*airflow_provider_pictory\S*\] *loc=")
OWN_ERROR = re.compile(r"\bPictory\w*Error: .+")


class DemoFailedError(Exception):
    """The demo can't go on; the message is the one sentence that a person needs."""


def main() -> int:
    """Run the demo and give the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--real", action="store_true", help="at Pictory, with PICTORY_API_KEY, for credits")
    real = parser.parse_args().real
    end_as_after_ctrl_c()
    try:
        run_demo(real=real)
    except (DemoFailedError, NotStartedError) as error:
        say(f"The demo failed: {error}")
        return 1
    except FileNotFoundError as error:
        say(f"The demo failed: {error.filename} is missing; make clean, then make demo, sets all up anew")
        return 1
    except OSError as error:
        say(f"The demo failed: {error.strerror or error} ({error.filename or 'no file'})")
        return 1
    except KeyboardInterrupt:
        say("The demo was stopped." + (" A submitted video goes on and is paid for." if real else ""))
        return 130
    return 0


def run_demo(*, real: bool) -> None:
    """Generate, await and save one video, at Pictory or on the sandbox, and show what came of it."""
    started = time.monotonic()
    key = os.environ.get("PICTORY_API_KEY", "").strip()
    if real and not key:
        raise DemoFailedError("REAL=1 needs your API key in the environment variable PICTORY_API_KEY")
    request = VideoRequest(prompt=PROMPT, model=MODEL)
    with ExitStack() as stack:
        if real:
            connection: dict[str, Any] = {"conn_type": "pictory", "password": key}
            say(f"At Pictory, this video ({request}) will now be paid for. Ctrl-C within 5 s stops it.")
            time.sleep(5)
        else:
            connection = stack.enter_context(sandbox(SANDBOX_SECONDS))
            say(f"The sandbox is ready at {connection['host']}; no account, no credits.")
        environment = airflow_environment(AIRFLOW_HOME, connection)
        prepare_database(environment)
        say(f"Running {DAG_ID} in a real Airflow; its whole log is in {shown(LOG)}")
        run_dag(environment)
        values = results()
    show(values, wall_time=time.monotonic() - started)


def prepare_database(environment: dict[str, str]) -> None:
    """Make Airflow's database, which takes seconds, or find the one of the last time."""
    AIRFLOW_HOME.mkdir(parents=True, exist_ok=True)
    LOG.write_text("")
    marker = AIRFLOW_HOME / ".migrated"
    version = (PROJECT / "constraints" / "airflow-3.3.txt").read_text()
    if not marker.exists() or marker.read_text() != version:
        say("Preparing Airflow's database, once")
        if airflow(environment, "db", "migrate") != 0:
            raise DemoFailedError(f"Airflow's database can't be prepared; see {shown(LOG)}")
        marker.write_text(version)


def run_dag(environment: dict[str, str]) -> None:
    """Run the example as ``airflow dags test`` does for any DAG."""
    with closing(database()) as connection:
        connection.execute("DELETE FROM xcom WHERE dag_id = ?", (DAG_ID,))
        connection.commit()
    conf = json.dumps({"prompt": PROMPT, "model": MODEL, "folder": OUTPUT.name})
    status = airflow(environment, "dags", "test", DAG_ID, "--conf", conf)
    if status != 0 or "save" not in results():
        errors = OWN_ERROR.findall(LOG.read_text(errors="replace"))
        raise DemoFailedError(errors[-1] if errors else f"the DAG did not succeed; see {shown(LOG)}")


def airflow(environment: dict[str, str], *arguments: str) -> int:
    """Run an Airflow command, its output into the log and our tasks' own lines to the user."""
    with child(PROGRAMS / "airflow", *arguments, environment=environment) as process, LOG.open("a") as log:
        assert process.stdout is not None  # noqa: S101  (child gives it a pipe)
        for line in process.stdout:
            log.write(line)
            if match := OWN_LINE.search(line):
                say(f"  {match[1]}")
        return process.wait(timeout=LONGEST_RUN)


def results() -> dict[str, Any]:
    """Read what the tasks returned."""
    with closing(database()) as connection:
        rows = connection.execute(
            "SELECT task_id, value FROM xcom WHERE dag_id = ? AND key = 'return_value'", (DAG_ID,)
        )
        return {task_id: json.loads(value) for task_id, value in rows}


def database() -> sqlite3.Connection:
    """Open the database of the demo's Airflow."""
    return sqlite3.connect(AIRFLOW_HOME / "airflow.db", timeout=30)


def show(values: dict[str, Any], *, wall_time: float) -> None:
    """Print the short table at the end."""
    video = values["wait"]
    rows = {
        "job id": video["job_id"],
        "model": MODEL,
        "seconds": f"{video['duration_seconds']:g}",
        "credits": f"{video['ai_credits_used']:g}" if video["ai_credits_used"] is not None else "not said",
        "path": shown(PROJECT / values["save"]["path"]),
        "wall time": f"{wall_time:.0f} s",
    }
    say("")
    for name, value in rows.items():
        say(f"{name:<10} {value}")


if __name__ == "__main__":
    sys.exit(main())
