"""The DAGs of the shows. They run on Airflow 2.11 too, and take what differs from their run's conf."""

from __future__ import annotations

import ctypes
import gc
import os
import time
from datetime import datetime, timedelta

import pendulum
from airflow.providers.common.compat.sdk import DAG, BaseOperator

from airflow_provider_pictory.operators.pictory import GenerateVideoOperator
from airflow_provider_pictory.sensors.pictory import VideoJobSensor

if WINDOW := os.environ.get("SHOWS_WINDOW"):
    # Where the package doesn't read the connection's submission_window yet.
    try:
        from airflow_provider_pictory import reconciliation
    except ImportError:
        pass
    else:
        reconciliation.SETTLING_TIME = float(WINDOW)
        reconciliation.PAUSE_BETWEEN_POLLS = float(WINDOW) / 4

PROMPT = "{{ dag_run.conf['prompt'] }}"
WAITS = {
    "submit": {"wait_for_completion": False},
    "worker": {"wait_for_completion": True, "deferrable": False, "poll_interval": 1},
    "deferred": {"wait_for_completion": True, "deferrable": True, "poll_interval": 1},
}


class ReadConf(BaseOperator):
    """Return a field of the run's conf, to map over."""

    def __init__(self, *, field, **kwargs):
        super().__init__(**kwargs)
        self.field = field

    def execute(self, context):
        return context["dag_run"].conf[self.field]


class Stumbles(GenerateVideoOperator):
    """Fail at the first try, after the video was submitted."""

    def execute(self, context):
        result = super().execute(context)
        if context["ti"].try_number == 1:
            raise RuntimeError("This try fails after it has submitted")
        return result


def move_clock(seconds):
    """Let this process, and no other, take it to be so many seconds later; how fast time passes stays."""
    real_time, real_time_ns = time.time, time.time_ns
    time.time = lambda: real_time() + seconds
    time.time_ns = lambda: real_time_ns() + int(seconds * 10**9)
    # The class itself, since everybody has imported it by now; Python lets nobody do that openly.
    (members,) = gc.get_referents(datetime.__dict__)
    for name in ("now", "utcnow"):
        former = members[name]
        members[name] = classmethod(
            lambda cls, *args, _former=former, **kwargs: (
                _former.__get__(None, cls)(*args, **kwargs) + timedelta(seconds=seconds)
            )
        )
    ctypes.pythonapi.PyType_Modified(ctypes.py_object(datetime))


class LivesInAnotherTime(GenerateVideoOperator):
    """Run every try but the first on a machine whose clock is wrong."""

    def execute(self, context):
        if context["ti"].try_number > 1:
            move_clock(context["dag_run"].conf["shift"])
            self.log.info("The clock is wrong now: %s", pendulum.now("UTC"))
        return super().execute(context)


def dag(dag_id, *, retries=0, delay=1.0):
    return DAG(
        dag_id=dag_id,
        schedule=None,
        start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
        catchup=False,
        max_active_runs=1000,
        max_active_tasks=1000,
        is_paused_upon_creation=False,
        default_args={"retries": retries, "retry_delay": timedelta(seconds=delay)},
    )


for mode, arguments in WAITS.items():
    with dag(f"shows_{mode}") as waiting:
        generate = GenerateVideoOperator(task_id="generate", prompt=PROMPT, **arguments)
        if mode == "submit":
            VideoJobSensor(task_id="wait", job_id=generate.output, poke_interval=1)
    with dag(f"shows_{mode}_mapped", retries=3) as mapped:
        prompts = ReadConf(task_id="prompts", field="prompts", retries=5)
        GenerateVideoOperator.partial(task_id="generate", reconcile_timeout=180, **arguments).expand(
            prompt=prompts.output
        )
    globals()[waiting.dag_id], globals()[mapped.dag_id] = waiting, mapped

with dag("shows_submit_mapped_sensor", retries=3) as with_sensor:
    prompts = ReadConf(task_id="prompts", field="prompts", retries=5)
    submitted = GenerateVideoOperator.partial(task_id="generate").expand(prompt=prompts.output)
    VideoJobSensor.partial(task_id="wait", poke_interval=1).expand(job_id=submitted.output)

with dag("shows_resubmit", retries=2) as resubmit:
    GenerateVideoOperator(task_id="generate", prompt=PROMPT, resubmit_failed=True, **WAITS["deferred"])

LIMITS = {"execution_timeout": timedelta(seconds=30), "timeout": timedelta(hours=1)}
with dag("shows_limits") as limits:
    GenerateVideoOperator(task_id="operator", prompt=PROMPT, **WAITS["deferred"], **LIMITS)
    GenerateVideoOperator(task_id="operator_on_worker", prompt=PROMPT, **WAITS["worker"], **LIMITS)
    generate = GenerateVideoOperator(task_id="generate", prompt=PROMPT)
    for task_id, arguments in {
        "sensor": {},
        "sensor_from_worker": {"start_from_trigger": False},
        "sensor_on_worker": {"deferrable": False},
    }.items():
        VideoJobSensor(task_id=task_id, job_id=generate.output, poke_interval=1, **arguments, **LIMITS)

with dag("shows_stumble", retries=4, delay=5.0) as stumble:
    Stumbles(task_id="generate", prompt=PROMPT)

with dag("shows_other_time", retries=3) as other_time:
    LivesInAnotherTime(task_id="generate", prompt=PROMPT)

with dag("shows_late", retries=3) as late:
    GenerateVideoOperator(task_id="generate", prompt=PROMPT, **WAITS["deferred"])

# Tries without end, since each has to do with what is left of the window.
with dag("shows_killed_in_flight", retries=30, delay=0.0) as killed_in_flight:
    GenerateVideoOperator(task_id="generate", prompt=PROMPT, execution_timeout=timedelta(seconds=25))
