"""Variables of submissions are few and gone soon, and none is deleted that somebody needs."""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from contextlib import ExitStack
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import task as task_decorator

from airflow_provider_pictory.api import JobStatus, VideoJob, VideoRequest
from airflow_provider_pictory.api.listings import Baseline, BaselineKind
from airflow_provider_pictory.submission.forgetting import forget_job
from airflow_provider_pictory.submission.names import RECORD_PREFIX
from airflow_provider_pictory.submission.policy import OnClear, SubmissionPolicy
from airflow_provider_pictory.submission.record import CloseReason, TaskPlace
from airflow_provider_pictory.submission.task_states import GONE, find_task_state
from airflow_provider_pictory.submission.task_submitter import TaskSubmitter
from airflow_provider_pictory.submission.tidying import OLDEST
from tests.submission.accounts import Log
from tests.submission.records import OTHER_PLACE, PLACE, a_fingerprint, an_intent
from tests.support.airflow_versions import needs_task_state
from tests.support.bare_tasks import TaskState
from tests.support.dag_runs import a_dag
from tests.support.pictory_words import POST, count
from tests.support.task_tries import Clock, TaskInstance, Variables, kept_in, passing

BASE_URL = "https://pictory.example/pictoryapis"
RENDERS = 90.0


class World:
    """An Airflow with many tasks, and a Pictory without a network."""

    pictory_conn_id = "pictory_default"

    def __init__(self, *, with_state):
        self.clock = Clock()
        self.log = Log()
        self.variables = Variables()
        self.states = {}
        self.with_state = with_state
        self.ends = {}
        self.owners = {}

    # As a hook

    def get_base_url(self):
        return BASE_URL

    def get_submission_window(self):
        return 180.0

    def get_baseline(self):
        now = datetime.fromtimestamp(self.clock.now, UTC)
        last = next(reversed(self.ends), None)
        return Baseline(BaselineKind.FOUND if last else BaselineKind.EMPTY, last, now)

    def submit_video(self, request, *, before_attempt):
        before_attempt(30.0)
        job_id = f"job-{len(self.ends)}"
        self.ends[job_id] = self.clock.now + RENDERS
        return job_id

    def get_job(self, job_id):
        has_ended = self.clock.now >= self.ends[job_id]
        return VideoJob(
            job_id,
            JobStatus.COMPLETED if has_ended else JobStatus.IN_PROGRESS,
            url=f"https://video.example/{job_id}.mp4" if has_ended else None,
        )

    # As an Airflow

    def start(self, number, *, same_prompt=False, returns_at_once=False, **policy):
        """Start the task of one number, and give what ends it."""
        instance = KnownTaskInstance(self, run_id=f"run {number}")
        if returns_at_once:
            instance._ti_context_from_server = SimpleNamespace(xcom_keys_to_clear=[])
        self.states[instance.run_id] = "running"
        context = {"ti": instance, "task_state_store": TaskState() if self.with_state else None}
        submitter = TaskSubmitter(
            context=context,
            hook=self,
            policy=SubmissionPolicy(**policy),
            log=self.log,
            waits=not returns_at_once,
        )
        prompt = "A red fox walks" if same_prompt else f"Fox number {number}"
        job_id = submitter.ensure(VideoRequest(prompt)).job_id
        self.owners[job_id] = instance.run_id
        return instance, submitter, job_id

    def end(self, started, *, waits):
        instance, submitter, job_id = started
        if waits:
            submitter.conclude(self.get_job(job_id))
        submitter.note_delivery(has_ended=waits)
        self.states[instance.run_id] = "success"

    def see_the_end(self, job_id):
        """Do what a sensor of another task does."""
        forget_job(job_id, {"ti": KnownTaskInstance(self, task_id="sensor")}, self.log)

    @property
    def names(self):
        return [name for name in self.variables.texts if name.startswith(RECORD_PREFIX)]

    @property
    def in_flight(self):
        return sum(end > self.clock.now for end in self.ends.values())


class KnownTaskInstance(TaskInstance):
    """A task instance whose Airflow knows the states of all others."""

    def __init__(self, world, **arguments):
        super().__init__(**arguments)
        self._world = world

    def get_task_states(self, dag_id, task_ids, run_ids, map_index=None):
        return {
            run_id: dict.fromkeys(task_ids, self._world.states[run_id])
            for run_id in run_ids
            if run_id in self._world.states
        }


@pytest.fixture
def world_of():
    with ExitStack() as stack:

        def make(**arguments):
            world = World(**arguments)
            stack.enter_context(passing(world.clock))
            stack.enter_context(kept_in(world.variables))
            return world

        yield make


on_both = pytest.mark.parametrize(
    "with_state", [pytest.param(True, marks=needs_task_state), False], ids=["task state", "no task state"]
)


def run_many(world, number, *, waits, sensors=False, every=5.0, stuck=0):
    """Run tasks one after the other, and give how many Variables there were beyond the jobs in flight."""
    most, events, order = 0, [], itertools.count()
    for index in range(number):
        heapq.heappush(events, (world.clock.now + every * index, next(order), "start", index))
    while events:
        world.clock.now, _, what, it = heapq.heappop(events)
        if what == "start":
            started = world.start(it)
            if it < stuck:
                # Its worker is gone and nobody clears it.
                world.states[started[0].run_id] = "failed"
                continue
            if not waits:
                world.end(started, waits=False)
            if waits or sensors:
                heapq.heappush(events, (world.clock.now + RENDERS, next(order), "end", started))
        elif waits:
            world.end(it, waits=True)
        else:
            world.see_the_end(it[2])
        most = max(most, len(world.names) - world.in_flight)
    return most


@needs_task_state
def test_of_500_tasks_that_waited_nothing_is_left_and_there_is_one_variable_for_each_in_flight(world_of):
    world = world_of(with_state=True)

    assert run_many(world, 500, waits=True) <= 1
    assert world.variables.texts == {}


@on_both
def test_of_500_tasks_and_their_sensors_nothing_is_left(world_of, with_state):
    world = world_of(with_state=with_state)

    assert run_many(world, 500, waits=False, sensors=True) <= 1
    assert world.variables.texts == {}


@on_both
@pytest.mark.parametrize("stuck", [0, 5])
@pytest.mark.parametrize("waits", [True, False])
def test_of_500_tasks_without_sensors_there_is_never_much_left(world_of, with_state, waits, stuck):
    """Later tasks delete what earlier ones have left, also where some leave what must stay."""
    world = world_of(with_state=with_state)
    in_flight = int(RENDERS / 5.0)

    assert run_many(world, 500, waits=waits, stuck=stuck) <= 2 * in_flight + stuck
    world.clock.now += 1000.0
    # On Airflow 2 any task deletes all that is over, on Airflow 3 each a few.
    for number in range(20):
        world.clock.now += 100.0
        world.end(world.start(f"later {number}"), waits=False)
    assert len(world.names) - world.in_flight <= 2 * stuck + 3
    assert not world.log.warnings


@on_both
def test_the_same_prompt_500_times_is_no_different(world_of, with_state):
    world = world_of(with_state=with_state)
    pending = deque()
    for number in range(500):
        world.clock.now += 5.0
        pending.append(world.start(number, same_prompt=True))
        if len(pending) > RENDERS / 5.0:
            world.end(pending.popleft(), waits=True)
        assert len(world.names) <= 2 * len(pending) + 20
    while pending:
        world.clock.now += RENDERS
        world.end(pending.popleft(), waits=True)

    assert len(world.names) <= (0 if with_state else 20)


# What is needed


def tidy(world, number="another"):
    """Let so many tasks tidy up that each record was polled."""
    for index in range(30):
        world.clock.now += 100.0
        world.end(world.start(f"{number} {index}"), waits=False)


def names_of(world, started):
    place = TaskPlace(TaskInstance.dag_id, started[0].run_id, "film").digest
    return [name for name in world.names if place in name]


@on_both
@pytest.mark.parametrize(
    ("airflow_state", "is_delivered", "stays"),
    [
        ("success", True, False),
        ("gone", True, False),
        ("gone", False, False),
        ("running", True, True),
        ("up_for_retry", True, True),
        ("failed", True, True),
        ("deferred", True, True),
        (None, True, True),
        ("failed", False, True),
        ("success", False, True),
    ],
)
def test_a_record_stays_as_long_as_airflow_may_start_its_task_again(
    world_of, with_state, airflow_state, is_delivered, stays
):
    world = world_of(with_state=with_state)
    started = world.start("it")
    if is_delivered:
        started[1].note_delivery()
    world.states["run it"] = airflow_state
    if airflow_state == "gone":
        del world.states["run it"]
    tidy(world)

    assert bool(names_of(world, started)) is stays


@on_both
def test_a_record_of_a_running_job_stays_though_its_task_is_over(world_of, with_state):
    world = world_of(with_state=with_state)
    started = world.start("it")
    world.end(started, waits=False)
    world.ends[started[2]] = world.clock.now + 100_000.0
    tidy(world)

    assert names_of(world, started)


@on_both
def test_a_record_that_a_clear_shall_go_on_with_stays_for_a_month(world_of, with_state):
    world = world_of(with_state=with_state)
    started = world.start("it", on_clear=OnClear.REATTACH)
    world.clock.now += RENDERS
    world.end(started, waits=True)
    tidy(world)
    assert names_of(world, started)
    world.clock.now += OLDEST.total_seconds()
    tidy(world, "later")

    assert not names_of(world, started)


@on_both
@pytest.mark.parametrize("who", ["itself", "a sensor", "others"])
def test_a_record_stays_while_an_identical_task_is_undecided(world_of, with_state, who):
    world = world_of(with_state=with_state)
    started = world.start("it", same_prompt=True)
    undecided = an_intent(
        a_fingerprint("A red fox walks"), place=OTHER_PLACE, now=datetime.fromtimestamp(world.clock.now, UTC)
    )
    name = f"{RECORD_PREFIX}{OTHER_PLACE.digest}_{int(world.clock.now * 1e6):x}"
    prompt = undecided.fingerprint.prompt_digest[:16]
    world.variables.texts[f"{name}_{prompt}_pending"] = undecided.as_json()
    world.clock.now += RENDERS
    world.end(started, waits=True)
    if who == "a sensor":
        world.see_the_end(started[2])
    if who == "others":
        tidy(world)
    assert names_of(world, started)

    del world.variables.texts[f"{name}_{prompt}_pending"]
    world.see_the_end(started[2])
    assert not names_of(world, started)


def test_of_two_submissions_of_a_task_the_last_is_deleted_last(world_of):
    """Otherwise the earlier one would be taken for the task's record."""
    world = world_of(with_state=False)
    started = world.start("it", on_clear=OnClear.NEW)
    world.end(started, waits=False)
    earlier = dict(world.variables.texts)
    world.clock.now += RENDERS
    again = KnownTaskInstance(world, run_id="run it")
    again.clear()
    world.states["run it"] = "running"
    submitter = TaskSubmitter(
        context={"ti": again}, hook=world, policy=SubmissionPolicy(on_clear=OnClear.NEW), log=world.log
    )
    second = submitter.ensure(VideoRequest("Fox number it")).job_id
    submitter.note_delivery()
    world.states["run it"] = "success"
    world.variables.texts.update(earlier)
    world.clock.now += RENDERS
    world.see_the_end(second)
    assert len(names_of(world, started)) == 2
    tidy(world)

    assert not names_of(world, started)
    assert second != started[2]


@needs_task_state
def test_a_record_that_cannot_be_read_stops_no_other(world_of):
    world = world_of(with_state=True)
    world.variables.texts[f"{RECORD_PREFIX}{PLACE.digest}_1_ab_none"] = "<html>"
    started = world.start("it")
    world.end(started, waits=False)
    tidy(world)

    assert not names_of(world, started)
    assert not world.log.warnings


@on_both
def test_variables_that_fail_meanwhile_do_not_stop_the_task(world_of, with_state, monkeypatch):
    world = world_of(with_state=with_state)
    started = world.start("it")

    def fail(*arguments):
        raise ConnectionError("no database")

    with monkeypatch.context() as patches:
        for name in ("keys", "delete", "set"):
            patches.setattr(world.variables, name, fail)
        world.end(started, waits=False)
        world.see_the_end(started[2])
    assert names_of(world, started)


def test_in_a_triggerer_nobody_knows_states_and_all_that_was_delivered_and_is_over_goes(world_of):
    world = world_of(with_state=False)
    started, running = world.start("it"), world.start("another")
    started[1].note_delivery()
    for _, _, job_id in (started, running):
        forget_job(job_id, None, world.log)

    assert not names_of(world, started)
    assert names_of(world, running), "its task hasn't delivered it"


@needs_task_state
@pytest.mark.parametrize(
    ("airflow_state", "stays"), [("success", False), ("gone", False), ("failed", True), ("running", True)]
)
def test_a_task_that_returns_at_once_leaves_a_record_like_a_delivered_one(world_of, airflow_state, stays):
    world = world_of(with_state=True)
    one, another = (world.start(number, returns_at_once=True) for number in ("one", "another"))
    for started in (one, another):
        world.end(started, waits=False)
        world.states[started[0].run_id] = airflow_state
        if airflow_state == "gone":
            del world.states[started[0].run_id]
    world.clock.now += RENDERS
    world.see_the_end(one[2])
    tidy(world)

    assert bool(names_of(world, one)) is bool(names_of(world, another)) is stays


@needs_task_state
def test_in_a_triggerer_the_record_of_a_task_that_returns_at_once_goes_once_its_job_has_ended(world_of):
    world = world_of(with_state=True)
    started = world.start("it", returns_at_once=True)
    forget_job(started[2], None, world.log)

    assert not names_of(world, started)


def test_failed_tasks_whose_jobs_failed_leave_nothing(world_of):
    world = world_of(with_state=False)
    started = world.start("it")
    with pytest.raises(Exception, match="failed"):
        started[1].conclude(VideoJob(started[2], JobStatus.FAILED))
    world.states["run it"] = "failed"
    (name,) = names_of(world, started)
    assert f'"{CloseReason.JOB_FAILED}"' in world.variables.texts[name]
    tidy(world)

    assert not names_of(world, started)


# With a real Pictory


@needs_task_state
@pytest.mark.parametrize("waits", [True, False])
@pytest.mark.parametrize("tidied_by", ["nobody", "another task", "a sensor"])
def test_a_crash_between_the_delivery_and_airflows_success_pays_nothing_at_the_retry(
    make_task, day_long_pictory, log, clock, waits, tidied_by
):
    task, other = make_task(retries=1), make_task(task_id="another", request=VideoRequest("Something else"))
    for each in (task, other):
        each.state, each.delivers = TaskState(), False
    job_id = task.run().job_id
    day_long_pictory.set_job(job_id, "completed")
    if waits:
        task.finish()
    task.submission.note_delivery(has_ended=waits)
    # The worker is gone before Airflow knows, which calls it running, and then up_for_retry.
    clock.now += 3600
    if tidied_by == "another task":
        other.run()
        other.submission.note_delivery()
    if tidied_by == "a sensor":
        forget_job(job_id, {"ti": other.instance}, log)

    assert task.retry().job_id == job_id
    assert count(day_long_pictory, POST) == (2 if tidied_by == "another task" else 1)


# In a real Airflow


@pytest.mark.usefixtures("airflow_database")
def test_a_real_airflow_says_in_which_state_a_task_is(run_dag):
    states = {}
    with a_dag() as dag:

        @task_decorator
        def done():
            pass

        @task_decorator
        def mapped(number):
            pass

        @task_decorator
        def poll(**context):
            instance = context["ti"]

            def state(task_id, map_index=-1, run_id=None):
                place = TaskPlace(instance.dag_id, run_id or instance.run_id, task_id, map_index)
                return find_task_state(context, place)

            states.update(
                done=state("done"),
                mapped=state("mapped", 1),
                beyond=state("mapped", 7),
                itself=state("poll"),
                later=state("later"),
                unknown=state("never"),
                elsewhere=state("done", run_id="another run"),
            )

        @task_decorator
        def later():
            pass

        [done(), mapped.expand(number=[1, 2])] >> poll() >> later()

    run_dag(dag)

    # Airflow 2 tests a DAG without queueing anything.
    assert states.pop("itself") in ("running", "scheduled")
    assert states.pop("later") in (None, "scheduled", "queued")
    assert states == {
        "done": "success",
        "mapped": "success",
        "beyond": GONE,
        "unknown": GONE,
        "elsewhere": GONE,
    }
