"""
One way of waiting for many jobs in one event loop, in a process of its own.

Each job has its own task, as each trigger has in Airflow's triggerer, and the loop is asyncio's own, as there.
Log lines are made as there too, and thrown away. Connections come from the environment, so that no supervisor
is needed; what fetching them costs in a triggerer is left out, which favours those who fetch them often.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.measuring import percentile, pin_to_processor, resident_bytes
from benchmarks.service import pictory_job_id

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Wait = Callable[[int], Awaitable[None]]

CONNECTION_ID = "service"
HEARTBEAT = 0.01
IDLE_SECONDS = 1.0
LONGEST_WAIT = 3600.0


async def first_event(trigger: Any) -> None:
    """Run a trigger as the triggerer does, until it fires."""
    async for _ in trigger.run():
        return


def http_sensor(arguments: argparse.Namespace) -> Wait:
    """``HttpSensorTrigger`` of apache-airflow-providers-http."""
    from airflow.providers.http.triggers.http import HttpSensorTrigger

    def wait(number: int) -> Awaitable[None]:
        return first_event(
            HttpSensorTrigger(
                endpoint=f"videos/{number}",
                http_conn_id=CONNECTION_ID,
                headers={"Authorization": "key"},
                poke_interval=arguments.interval,
            )
        )

    return wait


def dbt_cloud(arguments: argparse.Namespace) -> Wait:
    """``DbtCloudRunJobTrigger`` of apache-airflow-providers-dbt-cloud."""
    from airflow.providers.dbt.cloud.triggers.dbt import DbtCloudRunJobTrigger

    def wait(number: int) -> Awaitable[None]:
        return first_event(
            DbtCloudRunJobTrigger(
                conn_id=CONNECTION_ID,
                run_id=number,
                end_time=time.time() + LONGEST_WAIT,
                poll_interval=arguments.interval,
                account_id=1,
            )
        )

    return wait


def databricks(arguments: argparse.Namespace) -> Wait:
    """``DatabricksExecutionTrigger`` of apache-airflow-providers-databricks."""
    from airflow.providers.databricks.triggers.databricks import DatabricksExecutionTrigger

    def wait(number: int) -> Awaitable[None]:
        return first_event(
            DatabricksExecutionTrigger(number, CONNECTION_ID, polling_period_seconds=arguments.interval)
        )

    return wait


def shared_session(arguments: argparse.Namespace) -> Wait:
    """Return the reference: what anybody would write by hand who knows to share a session."""
    import aiohttp

    session = aiohttp.ClientSession(headers={"Authorization": "key", "Accept": "application/json"})

    async def wait(number: int) -> None:
        url = f"https://127.0.0.1:{arguments.port}/pictoryapis/v1/jobs/{pictory_job_id(number)}"
        while True:
            async with session.get(url) as response:
                response.raise_for_status()
                document = await response.json()
            if document["data"]["status"] == "completed":
                return
            await asyncio.sleep(arguments.interval)

    return wait


def pictory(arguments: argparse.Namespace) -> Wait:
    """``VideoJobTrigger`` of this provider."""
    # Loaded by the first trigger otherwise, which would count as memory of the jobs.
    import airflow_provider_pictory.hooks.pictory  # noqa: F401
    from airflow_provider_pictory.triggers.pictory import VideoJobTrigger

    deadline = (datetime.now(UTC) + timedelta(seconds=LONGEST_WAIT)).isoformat()

    def wait(number: int) -> Awaitable[None]:
        return first_event(
            VideoJobTrigger(pictory_job_id(number), CONNECTION_ID, deadline, arguments.interval)
        )

    return wait


CONTESTANTS = {
    "http_sensor": http_sensor,
    "dbt_cloud": dbt_cloud,
    "databricks": databricks,
    "shared_session": shared_session,
    "pictory": pictory,
}
# Only measured where there is a list of jobs to learn from.
WITHOUT_LIST = "pictory_without_list"


def connection(name: str, port: int, authority: str) -> dict[str, Any]:
    """Return the Airflow connection with which a contestant reaches the service."""
    host = f"127.0.0.1:{port}"
    return {
        "http_sensor": {"conn_type": "http", "host": f"https://{host}"},
        "dbt_cloud": {"conn_type": "dbt_cloud", "host": host, "login": "1", "password": "key"},
        "databricks": {"conn_type": "databricks", "host": "127.0.0.1", "port": port, "password": "key"},
        "shared_session": {},
        "pictory": {
            "conn_type": "pictory",
            "host": f"https://{host}",
            "password": "pk_benchmark_0123456789",
            "extra": {"verify": authority},
        },
        WITHOUT_LIST: {
            "conn_type": "pictory",
            "host": f"https://{host}",
            "password": "pk_benchmark_0123456789",
            "extra": {"verify": authority, "job_list_polling": False},
        },
    }[name]


class Heartbeat:
    """A task that wants to run every 10 ms, and how late it does: what every other trigger suffers too."""

    def __init__(self) -> None:
        self.late: list[float] = []

    async def beat(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + HEARTBEAT
            await asyncio.sleep(HEARTBEAT)
            self.late.append(loop.time() - due)


async def compete(arguments: argparse.Namespace) -> None:
    """Wait for all jobs, and tell what it took."""
    loop = asyncio.get_running_loop()
    orders: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    def listen() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(orders.put_nowait, json.loads(line))
        # Nobody is there any more to tell anything to.
        os._exit(1)

    threading.Thread(target=listen, daemon=True).start()
    wait = {**CONTESTANTS, WITHOUT_LIST: pictory}[arguments.contestant](arguments)
    heartbeat = Heartbeat()
    beating = loop.create_task(heartbeat.beat())
    busy = time.process_time()
    await asyncio.sleep(IDLE_SECONDS)
    idle_share = (time.process_time() - busy) / IDLE_SECONDS
    gc.collect()
    memory = resident_bytes()
    tell({"ready": True})
    start = (await orders.get())["start"]
    finished: dict[int, float] = {}
    errors: list[str] = []

    async def wait_for(number: int) -> None:
        # Jobs that start in step would be asked for in step, by those who have nothing against that.
        await asyncio.sleep(start + arguments.spread * number / arguments.jobs - time.monotonic())
        try:
            await wait(number)
        except Exception as error:  # noqa: BLE001  (whatever a contestant raises spoils the run, and is told)
            errors.append(f"{type(error).__name__}: {error}")
        finished[number] = time.monotonic()

    tasks = [loop.create_task(wait_for(number)) for number in range(arguments.jobs)]
    window = await orders.get()
    await asyncio.sleep(window["start"] - time.monotonic())
    heartbeat.late.clear()
    busy, began = time.process_time(), time.monotonic()
    await asyncio.sleep(window["end"] - time.monotonic())
    took = time.monotonic() - began
    busy = time.process_time() - busy - idle_share * took
    results = {
        "cpu_seconds": busy,
        "window_seconds": took,
        "lag_p50": percentile(heartbeat.late, 50),
        "lag_p99": percentile(heartbeat.late, 99),
        "memory_per_job": (resident_bytes() - memory) / arguments.jobs,
        "early": len(finished),
    }
    await asyncio.wait(tasks, timeout=window["give_up"] - time.monotonic())
    beating.cancel()
    tell({**results, "finished": finished, "errors": errors[:3], "error_count": len(errors)})


def tell(what: dict[str, Any]) -> None:
    """Tell the process that started this one."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Run one contestant."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("contestant", choices=[*CONTESTANTS, WITHOUT_LIST])
    parser.add_argument("--jobs", type=int, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--interval", type=float, required=True)
    parser.add_argument("--spread", type=float, required=True)
    arguments = parser.parse_args()
    pin_to_processor(0)
    from airflow.sdk.log import configure_logging

    with Path(os.devnull).open("wb", buffering=0) as nowhere:
        configure_logging(json_output=True, output=nowhere, sending_to_supervisor=True)
        asyncio.run(compete(arguments))
        # Thousands of open connections need no farewell.
        os._exit(0)


if __name__ == "__main__":
    main()
