"""
The DAG of the batch crash harness, whose task kills itself at random around what it sends and writes.

Copied into the DAGs folder, and nothing in the package knows about it. A kill is written down before it
happens, in a file that only one process can make, so that they can be counted, and end. On purpose it needs
nothing of ``tests`` and runs on the oldest Airflow too.
"""

from __future__ import annotations

import functools
import os
import random
import signal
import time
from datetime import timedelta
from pathlib import Path

import pendulum
import requests.adapters
from airflow.providers.common.compat.sdk import DAG, Variable

from airflow_provider_pictory.operators.batch import GenerateVideosOperator

FOLDER = Path(os.environ["BATCHES_FOLDER"])
KILLS = int(os.environ["BATCHES_KILLS"])
# Hundreds of moments pass in each batch.
LIKELIHOOD = float(os.environ["BATCHES_LIKELIHOOD"])
_chance = random.SystemRandom()


def perhaps_die(moment: str) -> None:
    """End this process as a crash would, if chance says so and there are kills left."""
    if not Batch.is_running or _chance.random() >= LIKELIHOOD:
        return
    happened = FOLDER / "happened"
    number = sum(1 for _ in happened.iterdir())
    if number >= KILLS:
        return
    try:
        (happened / f"{number}.{moment}").open("x").close()
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


def with_kills(function, moment):
    """Let a kill come before or after a call."""

    @functools.wraps(function)
    def call(*arguments, **named):
        perhaps_die(f"before-{moment}")
        result = function(*arguments, **named)
        perhaps_die(f"after-{moment}")
        return result

    return call


class Batch(GenerateVideosOperator):
    """The operator as it is, with what a process of its does noted, which is when kills may come."""

    is_running = False

    def execute(self, context):
        self._note()
        return super().execute(context)

    def execute_complete(self, context, event=None, **handed_through):
        self._note()
        return super().execute_complete(context, event, **handed_through)

    def _note(self):
        if not Batch.is_running:
            (FOLDER / "processes" / str(os.getpid())).touch()
        Batch.is_running = True


requests.adapters.HTTPAdapter.send = with_kills(requests.adapters.HTTPAdapter.send, "request")
Variable.set = staticmethod(with_kills(Variable.set, "write"))
Variable.delete = staticmethod(with_kills(Variable.delete, "delete"))

with DAG(
    dag_id="batch",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    is_paused_upon_creation=False,
    render_template_as_native_obj=True,
    default_args={"retries": 500, "retry_delay": timedelta(seconds=1)},
) as dag:
    Batch(
        task_id="generate",
        requests="{{ dag_run.conf['requests'] }}",
        max_active_jobs=int(os.environ["BATCHES_ACTIVE_JOBS"]) or None,
        reconcile_timeout=120,
        poll_interval=float(os.environ["BATCHES_POLL_INTERVAL"]) or None,
    )
