"""A whole Airflow with its UI, the example DAGs and the sandbox, until ctrl-C."""

from __future__ import annotations

import argparse
import json
import socket
import sys
import time
import urllib.error
import urllib.request
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    import subprocess

SANDBOX_SECONDS = 45
SECONDS_TO_START = 240
# A proxy in the environment is not for this machine.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def main() -> int:
    """Run the UI and give the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8080, help="of the UI on this machine (8080)")
    parser.add_argument(
        "--home", type=Path, default=PROJECT / ".environments" / "ui", help="of Airflow, kept between calls"
    )
    parser.add_argument(
        "--render-seconds", type=float, default=SANDBOX_SECONDS, help="that a job of the sandbox takes"
    )
    arguments = parser.parse_args()
    end_as_after_ctrl_c()
    try:
        run_ui(arguments.home, arguments.port, arguments.render_seconds)
    except NotStartedError as error:
        say(f"The UI failed: {error}")
        return 1
    except FileNotFoundError as error:
        say(f"The UI failed: {error.filename} is missing; make clean, then make ui, sets all up anew")
        return 1
    except KeyboardInterrupt:
        say("The UI was stopped.")
    return 0


def run_ui(home: Path, port: int, render_seconds: float) -> None:
    """Start all, say where it is, and go on until somebody ends it."""
    require_free(port)
    home.mkdir(parents=True, exist_ok=True)
    log = home / "standalone.log"
    with sandbox(render_seconds) as connection, log.open("w") as output:
        environment = {
            **airflow_environment(home, connection),
            # No login; so it listens on this machine alone.
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(port),
            "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        }
        say(f"Starting Airflow, which takes about a minute; its log is in {shown(log)}")
        with child(PROGRAMS / "airflow", "standalone", environment=environment, output=output) as airflow:
            wait_until_ready(airflow, port, shown(log))
            make_pool(port)
            say(f"Airflow is ready at http://127.0.0.1:{port}/dags, with the sandbox at {connection['host']}")
            say("No login, no account, no credits. Ctrl-C ends it.")
            airflow.wait()
        raise NotStartedError(f"Airflow ended by itself; see {shown(log)}")


def require_free(port: int) -> None:
    """Make sure that nothing else responses on a port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError) as error:
            raise NotStartedError(
                f"port {port} can't be used ({error}); choose another with make ui PORT=8090"
            ) from None


def wait_until_ready(airflow: subprocess.Popen[str], port: int, log: str) -> None:
    """Wait until the API server says that all components live."""
    give_up_at = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < give_up_at:
        if airflow.poll() is not None:
            raise NotStartedError(f"Airflow did not start; see {log}")
        try:
            with OPENER.open(f"http://127.0.0.1:{port}/api/v2/monitor/health", timeout=5) as response:
                text = response.read().decode()
            if text.count('"healthy"') >= len(("metadatabase", "scheduler", "triggerer", "dag_processor")):
                return
        except OSError:
            pass
        time.sleep(0.5)
    raise NotStartedError(f"Airflow did not start within {SECONDS_TO_START} s; see {log}")


def make_pool(port: int) -> None:
    """Make the pool that the nightly batch runs in, unless it is there."""
    url = f"http://127.0.0.1:{port}"
    with OPENER.open(f"{url}/auth/token", timeout=30) as response:
        token = json.load(response)["access_token"]
    pool = {"name": "pictory", "slots": 4, "description": "Submissions to Pictory", "include_deferred": False}
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{url}/api/v2/pools", json.dumps(pool).encode(), headers)  # noqa: S310
    try:
        OPENER.open(request, timeout=30).close()
    except urllib.error.HTTPError as error:
        if error.code != HTTPStatus.CONFLICT:
            raise NotStartedError(f"the pool 'pictory' can't be made: HTTP {error.code}") from error


if __name__ == "__main__":
    sys.exit(main())
