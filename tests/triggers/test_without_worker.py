"""The trigger that does a sensor's work alone, and the sensors that may leave it to that trigger."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from airflow.triggers.base import TaskSuccessEvent

from airflow_provider_pictory.exceptions import PictoryInvalidRequestError
from airflow_provider_pictory.operators.pictory import GenerateVideoOperator
from airflow_provider_pictory.sensors.pictory import VideoJobSensor
from airflow_provider_pictory.triggers import without_worker
from airflow_provider_pictory.triggers.without_worker import VideoJobTaskTrigger
from tests.conftest import API_KEY
from tests.support.airflow_versions import needs_templates_in_triggers
from tests.support.dag_runs import a_dag
from tests.support.pictory_words import submit

pytestmark = needs_templates_in_triggers


def a_task(**changes):
    """Make what a triggerer knows of a sensor that it can do without a worker."""
    plain = {
        "outlets": [],
        "multiple_outputs": False,
        "has_on_success_callback": False,
        "has_on_execute_callback": False,
        "has_on_skipped_callback": False,
        "do_xcom_push": False,
        "iter_mapped_dependants": lambda: iter(()),
    }
    return SimpleNamespace(**{**plain, **changes})


def a_trigger(job_id, *, task=None, try_number=2, **arguments):
    """Make a trigger as a triggerer has it when it runs; a retry's, unless told otherwise, looks at once."""
    trigger = VideoJobTaskTrigger(
        job_id, "pictory_default", **{"timeout": 60.0, "backstop": 360.0, **arguments}
    )
    trigger._task_instance = SimpleNamespace(try_number=try_number)
    task = task or a_task()
    trigger.render_template_fields({"task": task, "ti": SimpleNamespace(task=task)})
    trigger._render_now = lambda: None
    return trigger


def event_of(trigger):
    async def first():
        async for event in trigger.run():
            return event

    return asyncio.run(first())


@pytest.fixture(autouse=True)
def _no_listeners(monkeypatch):
    monkeypatch.setattr(without_worker, "_has_listeners", lambda: False)


def sensor_of(**arguments):
    with a_dag():
        return VideoJobSensor(task_id="wait", **{"job_id": "{{ ti.xcom_pull('generate') }}", **arguments})


def test_a_sensor_starts_in_the_triggerer_by_itself():
    sensor = sensor_of(timeout=100, poke_interval=7)

    assert sensor.start_from_trigger is True
    assert sensor.start_trigger_args.trigger_cls == f"{VideoJobTaskTrigger.__module__}.VideoJobTaskTrigger"
    assert sensor.start_trigger_args.trigger_kwargs == {
        "job_id": "{{ ti.xcom_pull('generate') }}",
        "pictory_conn_id": "pictory_default",
        "timeout": 100.0,
        "backstop": 400.0,
        "poll_interval": 7.0,
    }
    assert sensor.start_trigger_args.timeout == timedelta(seconds=400)


def test_an_operators_output_becomes_a_template_that_names_its_map_index():
    with a_dag():
        generate = GenerateVideoOperator(task_id="generate", prompt="A red fox in snow")
        sensor = VideoJobSensor(task_id="wait", job_id=generate.output)

    assert sensor.upstream_task_ids == {"generate"}
    assert sensor.start_trigger_args.trigger_kwargs["job_id"] == (
        '{{ ti.xcom_pull(task_ids="generate", key="return_value", map_indexes=-1) }}'
    )


@pytest.mark.parametrize(
    "arguments",
    [
        {"start_from_trigger": False},
        {"deferrable": False},
        {"outlets": [object()]},
        {"multiple_outputs": True},
        {"on_success_callback": print},
        {"on_execute_callback": print},
        {"on_skipped_callback": print},
        {"pre_execute": print},
        {"post_execute": print},
    ],
    ids=lambda arguments: next(iter(arguments)),
)
def test_where_something_would_be_missed_it_starts_on_a_worker(arguments):
    if "outlets" in arguments:
        from airflow.sdk import Asset

        arguments = {"outlets": [Asset("videos")]}
    sensor = sensor_of(**arguments)

    assert sensor.start_from_trigger is False
    assert sensor.start_trigger_args is None


def test_a_job_id_that_is_neither_text_nor_a_tasks_output_starts_on_a_worker():
    with a_dag():
        generate = GenerateVideoOperator(task_id="generate", prompt="A red fox in snow")
        sensor = VideoJobSensor(task_id="wait", job_id=generate.output.map(str))

    assert sensor.start_from_trigger is False


def test_a_subclass_starts_on_a_worker():
    class Own(VideoJobSensor):
        pass

    with a_dag():
        assert Own(task_id="wait", job_id="{{ 1 }}").start_from_trigger is False


def test_mapped_tasks_and_those_of_mapped_upstreams_start_on_a_worker():
    with a_dag():
        mapped = VideoJobSensor.partial(task_id="mapped").expand(job_id=["a", "b"])
        several = GenerateVideoOperator.partial(task_id="several").expand(
            prompt=["A red fox", "A blue whale"]
        )
        one = VideoJobSensor(task_id="one", job_id=several.output)

    assert mapped.start_from_trigger is False
    assert one.start_from_trigger is False


def test_a_sensor_whose_output_is_its_dags_result_starts_on_a_worker():
    with a_dag() as dag:
        sensor = VideoJobSensor(task_id="wait", job_id="{{ 1 }}")
        mapped = VideoJobSensor.partial(task_id="mapped").expand(job_id=["a", "b"])
    assert sensor.start_from_trigger is True
    assert sensor.returns_dag_result is False

    dag.add_result(sensor.output)
    dag.add_result(mapped.output)

    assert sensor.returns_dag_result is True
    assert sensor.start_from_trigger is False
    assert sensor.start_trigger_args is None
    assert mapped.start_from_trigger is False


@pytest.mark.parametrize(("execution_timeout", "seconds"), [(50, 50), (100, 100), (200, 100), (900, 100)])
def test_the_shorter_of_timeout_and_execution_timeout_is_its_deadline(execution_timeout, seconds):
    sensor = sensor_of(timeout=100, execution_timeout=timedelta(seconds=execution_timeout))
    trigger = VideoJobTaskTrigger(**sensor.start_trigger_args.trigger_kwargs)
    began = datetime(2026, 1, 1, tzinfo=UTC)
    # As Airflow sets it.
    backstop = min(sensor.start_trigger_args.timeout, sensor.execution_timeout)
    trigger.timeout_after = began + backstop

    assert trigger._deadline() == began + timedelta(seconds=seconds)


def test_a_sensor_without_a_bound_to_its_execution_starts_in_the_triggerer():
    assert (
        sensor_of(execution_timeout=timedelta(days=366)).start_trigger_args.trigger_kwargs["timeout"] == 3600
    )
    with pytest.raises(PictoryInvalidRequestError, match="execution_timeout: got 999999999 days"):
        sensor_of(execution_timeout=timedelta.max)


def test_it_can_be_made_again_from_what_is_stored_and_holds_no_secret(pictory):
    trigger = a_trigger("{{ ti.xcom_pull('generate') }}")
    path, arguments = trigger.serialize()

    assert path == f"{VideoJobTaskTrigger.__module__}.VideoJobTaskTrigger"
    assert VideoJobTaskTrigger(**json.loads(json.dumps(arguments))).serialize() == (path, arguments)
    assert API_KEY not in json.dumps(arguments)


def test_it_ends_the_task_once_there_is_a_video(pictory):
    assert isinstance(event_of(a_trigger(submit())), TaskSuccessEvent)


def test_a_failed_job_goes_to_a_worker(busy_pictory):
    job_id = submit()
    busy_pictory.set_job(job_id, "failed", error_code="5002")
    event = event_of(a_trigger(job_id))

    assert not isinstance(event, TaskSuccessEvent)
    assert event.payload["outcome"] == "ended"
    assert event.payload["job"]["error_code"] == "5002"


def test_a_timeout_goes_to_a_worker_with_the_deadline(busy_pictory):
    event = event_of(a_trigger(submit(), timeout=0.3))

    assert event.payload["outcome"] == "inconclusive"
    assert event.payload["error"] == "PictoryJobTimedOutError"
    assert datetime.fromisoformat(event.payload["deadline"]) <= datetime.now(UTC)


@pytest.mark.parametrize(
    "task",
    [a_task(outlets=[object()]), a_task(has_on_success_callback=True), a_task(has_on_execute_callback=True)],
)
def test_what_a_policy_gave_the_task_later_brings_a_worker_in(busy_pictory, task):
    event = event_of(a_trigger(submit(), task=task))

    assert (event.payload["outcome"], event.payload["error"]) == ("inconclusive", "WorkerNeededError")
    assert busy_pictory.counts()["requests"].get("GET /pictoryapis/v1/jobs/{job_id}", 0) == 0


def test_a_task_that_is_mapped_over_the_result_brings_a_worker_in(busy_pictory):
    """Only a worker tells Airflow how many tasks that makes."""
    from airflow.sdk import BaseOperator
    from airflow.serialization.serialized_objects import DagSerialization

    class Show(BaseOperator):
        def __init__(self, *, field, **kwargs):
            super().__init__(**kwargs)

    with a_dag() as dag:
        wait = VideoJobSensor(task_id="wait", job_id="{{ 1 }}")
        plain = VideoJobSensor(task_id="plain", job_id="{{ 1 }}")
        Show.partial(task_id="show").expand(field=wait.output)
        wait >> plain
    read_back = DagSerialization.from_dict(DagSerialization.to_dict(dag))
    events = [event_of(a_trigger("?", task=read_back.get_task(name))) for name in ("wait", "plain")]

    assert [event.payload["error"] for event in events] == ["WorkerNeededError", "WorkerNeededError"]
    assert ["mapped" in event.payload["message"] for event in events] == [True, False]


def test_listeners_bring_a_worker_in(busy_pictory, monkeypatch):
    monkeypatch.setattr(without_worker, "_has_listeners", lambda: True)

    assert event_of(a_trigger(submit())).payload["error"] == "WorkerNeededError"


@pytest.mark.parametrize("job_id", ["None", "", "{{ unrendered }}"])
def test_what_is_no_job_id_goes_to_a_worker_that_says_so(pictory, job_id):
    assert event_of(a_trigger(job_id)).payload["error"] == "WorkerNeededError"


def test_a_template_that_hangs_hangs_nobody_else(pictory, monkeypatch):
    monkeypatch.setattr(without_worker, "LONGEST_EXCHANGE", 0.2)
    trigger = a_trigger(submit())
    trigger._render_now = lambda: time.sleep(2)
    started = time.monotonic()

    assert event_of(trigger).payload["error"] == "TimeoutError"
    assert time.monotonic() - started < 1.5


def test_a_result_that_cannot_be_pushed_goes_to_a_worker(pictory):
    # No Airflow is there to take it.
    event = event_of(a_trigger(submit(), task=a_task(do_xcom_push=True)))

    assert event.payload["outcome"] == "ended"


@pytest.mark.parametrize(
    "arguments", [{"map_indexes": None}, {"map_indexes": [1]}, {"include_prior_dates": True}]
)
def test_pulls_that_a_triggerer_never_answers_are_refused(arguments):
    pulls = without_worker._PullsFromUnmappedTasks(
        SimpleNamespace(xcom_pull=lambda *_, **named: named, run_id="r")
    )

    with pytest.raises(without_worker.WorkerNeededError):
        pulls.xcom_pull("generate", **arguments)
    assert pulls.xcom_pull("generate") == {"map_indexes": -1}
    assert pulls.run_id == "r"


def test_its_buttons_are_there_while_it_waits(busy_pictory, monkeypatch):
    pushed = {}

    async def push(key, value, **of):
        pushed[key] = (value, of["task_id"], of["map_index"])

    monkeypatch.setattr("airflow.sdk.bases.xcom.BaseXCom.aset", push)
    trigger = a_trigger(submit(), timeout=0.3)
    ti = trigger._context["ti"]
    ti.dag_id, ti.task_id, ti.run_id, ti.map_index = "films", "wait", "today", None

    event_of(trigger)

    assert pushed == {
        "_link_PlayVideoLink": ("", "wait", -1),
        "_link_PictoryDashboardLink": ("https://app.pictory.ai/", "wait", -1),
    }


def test_an_xcom_backend_that_takes_its_time_keeps_no_other_trigger_waiting(pictory, monkeypatch):
    pushed, rounds = {}, []

    class ObjectStore:
        XCOM_RETURN_KEY = "return_value"

        @classmethod
        def set(cls, key, value, **of):
            before = len(rounds)
            time.sleep(0.5)
            pushed[key] = (value, of["task_id"], len(rounds) - before)

    async def push(key, value, **of):
        pass

    monkeypatch.setattr("airflow.sdk.bases.xcom.BaseXCom.aset", push)
    monkeypatch.setattr("airflow.sdk.execution_time.xcom.XCom", ObjectStore)
    job_id = submit()
    trigger = a_trigger(job_id, task=a_task(do_xcom_push=True))
    ti = trigger._context["ti"]
    ti.dag_id, ti.task_id, ti.run_id, ti.map_index = "films", "wait", "today", None

    async def run():
        async def others():
            while True:
                rounds.append(time.monotonic())
                await asyncio.sleep(0.01)

        running = asyncio.create_task(others())
        async for event in trigger.run():
            running.cancel()
            return event

    assert isinstance(asyncio.run(run()), TaskSuccessEvent)
    assert pushed["job_id"][:2] == (job_id, "wait")
    assert pushed["return_value"][0]["job_id"] == job_id
    assert all(others >= 5 for _, _, others in pushed.values()), "the loop went on"


def test_the_first_poll_of_a_first_try_is_late(busy_pictory):
    trigger = a_trigger(submit(), try_number=1)
    trigger.timeout_after = datetime.now(UTC) + timedelta(seconds=360)
    first_poll = datetime.fromisoformat(trigger._first_poll())

    assert timedelta(seconds=35) < first_poll - datetime.now(UTC) < timedelta(seconds=45)
    assert a_trigger(submit(), try_number=2)._first_poll() is None
