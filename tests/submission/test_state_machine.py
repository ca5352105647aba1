"""
One task, one paid job: whatever crashes, between any two steps, on a service whose lists are late.

The model of the service keeps to what the package counts on, and to nothing more: a job is in its lists two
minutes after its POST was over, at the latest.
"""

from __future__ import annotations

import itertools
import json
import os
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace

from airflow.providers.common.compat.sdk import AirflowFailException
from hypothesis import HealthCheck, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from airflow_provider_pictory import clock as clocks
from airflow_provider_pictory.api import JobStatus, VideoJob, VideoRequest
from airflow_provider_pictory.api.listings import (
    Baseline,
    BaselineKind,
    JobListPage,
    ListedJob,
    ListedVideo,
    VideoListPage,
)
from airflow_provider_pictory.exceptions import (
    PictoryAPIError,
    PictoryError,
    PictoryInvalidRequestError,
    PictoryJobError,
    PictoryJobNotFoundError,
    PictoryRateLimitedError,
    PictorySubmissionIndeterminateError,
    PictorySubmissionPendingError,
)
from airflow_provider_pictory.submission.forgetting import forget_job
from airflow_provider_pictory.submission.late import report_late_jobs
from airflow_provider_pictory.submission.names import RECORD_PREFIX, RecordName
from airflow_provider_pictory.submission.policy import SubmissionPolicy
from airflow_provider_pictory.submission.record import TaskPlace
from airflow_provider_pictory.submission.task_state_record import STATE_KEY
from airflow_provider_pictory.submission.task_submitter import TaskSubmitter
from tests.support.airflow_versions import HAS_TASK_STATE
from tests.support.bare_tasks import TaskState
from tests.support.task_tries import Clock, TaskInstance, Variables, kept_in, passing

BASE_URL = "https://pictory.example/pictoryapis"
PROMPTS = ("A red fox walks through fresh snow", "A blue whale sings at dawn", "A green parrot reads")
# The first three tasks are the same.
PROMPTS_OF_TASKS = (0, 0, 0, 1, 2)
SECONDS_PER_CALL = 30.0
WINDOW = 120.0
# Together within the window: whoever shows a job later than that can't be helped by any list.
SLOWEST_SERVICE = (
    {"appears_after": 20.0, "lag": 100.0},
    {"appears_after": 100.0, "lag": 20.0},
)
JOBS_ON_A_PAGE = 3
LONGEST_RENDERING = 2000.0


class Crash(BaseException):
    """The end of a worker, as from SIGKILL: nothing in the package may catch it."""


@dataclass(frozen=True)
class Attempt:
    """What becomes of one POST."""

    outcome: str = "accepted"
    takes: float = 1.0
    appears_after: float = 0.0
    renders: float = 20.0
    end: str = JobStatus.COMPLETED


@dataclass(frozen=True)
class Foreign:
    """A job of another client."""

    prompt: int | None = None
    renders: float = 20.0
    end: str = JobStatus.COMPLETED
    is_video: bool = True


@dataclass(frozen=True)
class Plan:
    """What happens to one try."""

    crash_at: int | None = None
    attempts: tuple[Attempt, ...] = (Attempt(),)
    baseline_is_read: bool = True
    lags: tuple[float, ...] = (0.0,)
    failing_calls: frozenset[int] = frozenset()
    # Whether the task waits for its job, and whether Airflow learns that it has ended well.
    waits: bool = False
    ends_well: bool = True
    # At which sleep something else happens.
    meanwhile_at: int = 0
    meanwhile: tuple[object, ...] = ()


@dataclass
class Job:
    job_id: str
    prompt: str
    posted_at: float
    visible_at: float
    ends_at: float
    end: str
    task: int | None
    is_video: bool = True
    cleaned_at: float | None = None
    url: str = field(init=False)

    def __post_init__(self):
        self.url = f"https://video.example/{self.job_id}.mp4"

    def status_at(self, moment):
        if moment < self.ends_at:
            return JobStatus.IN_PROGRESS
        if self.cleaned_at is not None and moment >= self.cleaned_at:
            return JobStatus.CLEANED
        return self.end


class Service:
    """Pictory's memory; everybody may look at any moment of the past."""

    def __init__(self, clock, *, appears_after, lag):
        self.clock = clock
        self.appears_after = appears_after
        self.lag = lag
        self.jobs: dict[str, Job] = {}

    def create(self, prompt, *, task, posted_at, appears_after, renders, end, is_video=True):
        job_id = f"job-{len(self.jobs) + 1:04}"
        visible_at = posted_at + min(appears_after, self.appears_after)
        self.jobs[job_id] = Job(
            job_id, prompt, posted_at, visible_at, posted_at + renders, end, task, is_video
        )
        whose = "another client" if task is None else f"task {task}"
        self.clock.note(f"{job_id} of {whose} ({prompt}) is visible in {visible_at - self.clock.now:g} s")
        self.clock.note(f"  and {end} in {posted_at + renders - self.clock.now:g} s")
        return job_id

    def visible(self, moment):
        jobs = [job for job in self.jobs.values() if job.visible_at <= moment]
        return sorted(jobs, key=lambda job: (job.posted_at, job.job_id), reverse=True)


class Try:
    """One try on one worker, which steps and may crash before and after each of them."""

    def __init__(self, machine, task, plan):
        self.machine = machine
        self.task = task
        self.plan = plan
        self.steps = itertools.count()
        self.calls = itertools.count()
        self.sleeps = itertools.count()
        self.lags = itertools.cycle(plan.lags)
        self.lines: list[str] = []

    def step(self, effect):
        self._live_on()
        result = effect()
        self._live_on()
        return result

    def call(self, response):
        """Make a call that may fail."""
        if next(self.calls) in self.plan.failing_calls:
            raise PictoryAPIError("Pictory responded with HTTP 503", status_code=503)
        return self.step(response)

    def info(self, message, *arguments):
        self.lines.append(message % arguments)
        self.machine.clock.note(f"task {self.task.number}: {self.lines[-1]}")
        if "which may pay twice" in self.lines[-1]:
            rules = self.task.rules
            assert rules.on_unknown_submission == "resubmit" or rules.on_clear == "new"
            # From here on, since the worker may crash before it sends anything.
            self.task.may_be_paid_twice = True

    warning = error = info

    def _live_on(self):
        if next(self.steps) == self.plan.crash_at:
            raise Crash


class Hook:
    """What a try uses of the hook."""

    pictory_conn_id = "pictory_default"

    def __init__(self, a_try):
        self._try = a_try
        self._service = a_try.machine.service
        self._clock = a_try.machine.clock

    def get_base_url(self):
        return BASE_URL

    def get_submission_window(self):
        return WINDOW

    def get_baseline(self):
        def response():
            if not self._try.plan.baseline_is_read:
                return Baseline()
            jobs = self._service.visible(self._moment_shown())
            server_time = datetime.fromtimestamp(self._clock.now, UTC)
            if not jobs:
                return Baseline(BaselineKind.EMPTY, None, server_time)
            return Baseline(BaselineKind.FOUND, jobs[0].job_id, server_time)

        return self._try.step(response)

    def submit_video(self, request, *, before_attempt):
        for number, attempt in enumerate(self._try.plan.attempts, 1):
            try:
                before_attempt(SECONDS_PER_CALL)
            finally:
                # From here on an identical task's submission may be taken for it, whatever becomes of it.
                self._try.machine.note_what_is_wanted(self._try)
            try:
                return self._try.step(lambda attempt=attempt: self._send(request, attempt))
            except PictoryAPIError as error:
                is_repeated = isinstance(error, PictoryRateLimitedError) or error.status_code is None
                if not is_repeated or number == len(self._try.plan.attempts):
                    raise
                self._clock.sleep(2.0)
        raise AssertionError("there is no attempt")

    def _send(self, request, attempt):
        started_at = self._clock.now
        if attempt.outcome == "invalid":
            raise PictoryInvalidRequestError("Refused")
        if attempt.outcome == "rate-limited":
            raise PictoryRateLimitedError("Slower", status_code=429)
        if attempt.outcome == "refused":
            raise PictoryAPIError("Refused", status_code=403)
        if attempt.outcome == "never-connected":
            raise PictoryAPIError("No response")
        if attempt.outcome != "lost":
            job_id = self._service.create(
                request.payload["prompt"],
                task=self._try.task.number,
                posted_at=started_at + attempt.takes,
                appears_after=attempt.appears_after,
                renders=attempt.renders,
                end=attempt.end,
            )
            self._try.machine.check_payment(self._try)
        if attempt.outcome == "accepted":
            # Whoever crashes right here doesn't see it: the job comes about all the same.
            self._clock.now += attempt.takes
            return job_id
        self._clock.now += SECONDS_PER_CALL
        raise PictorySubmissionIndeterminateError("It is not known whether Pictory accepted the video.")

    def list_jobs(self, page_key=None):
        def response():
            jobs = self._service.visible(moment := self._moment_shown())
            if page_key is not None:
                before = tuple(json.loads(page_key))
                jobs = [job for job in jobs if (job.posted_at, job.job_id) < before]
            shown = jobs[:JOBS_ON_A_PAGE]
            last = shown[-1] if len(jobs) > JOBS_ON_A_PAGE else None
            return JobListPage(
                tuple(
                    ListedJob(
                        job.job_id,
                        status := job.status_at(moment),
                        job.url if status == JobStatus.COMPLETED else None,
                    )
                    for job in shown
                ),
                json.dumps([last.posted_at, last.job_id]) if last else None,
            )

        return self._try.call(response)

    def list_videos(self, page_key=None):
        def response():
            moment = self._moment_shown()
            return VideoListPage(
                tuple(
                    ListedVideo(
                        url=job.url, prompt=job.prompt, created_at=datetime.fromtimestamp(job.ends_at, UTC)
                    )
                    for job in self._service.visible(moment)
                    if job.is_video and job.status_at(moment) == JobStatus.COMPLETED
                )
            )

        return self._try.call(response)

    def get_job(self, job_id):
        def response():
            job = self._service.jobs.get(job_id)
            if job is None or job.visible_at > self._clock.now:
                raise PictoryJobNotFoundError("Pictory knows no such job", status_code=404)
            status = job.status_at(self._clock.now)
            return VideoJob(job_id, status, url=job.url if status == JobStatus.COMPLETED else None)

        return self._try.call(response)

    def _moment_shown(self):
        return self._clock.now - min(next(self._try.lags), self._service.lag)


class SteppingVariables(Variables):
    """Variables of a worker that may crash before and after each of their steps."""

    def __init__(self):
        super().__init__()
        self.tries: list[Try] = []

    def get(self, *arguments):
        return self._step(lambda: super(SteppingVariables, self).get(*arguments))

    def set(self, *arguments):
        return self._step(lambda: super(SteppingVariables, self).set(*arguments))

    def delete(self, *arguments):
        return self._step(lambda: super(SteppingVariables, self).delete(*arguments))

    def keys(self, *arguments):
        return self._step(lambda: super(SteppingVariables, self).keys(*arguments))

    def _step(self, effect):
        return self.tries[-1].step(effect)


class UnlistedVariables:
    """Variables of a worker that may crash, whose names no task can list, as on Airflow 3.0 to 3.2."""

    def __init__(self, variables):
        self.get, self.set, self.delete = variables.get, variables.set, variables.delete


class SteppingTaskState(TaskState):
    """Airflow's store of a task's state, on a worker that may crash before and after each step."""

    def __init__(self, machine):
        super().__init__()
        self._machine = machine

    def get(self, key):
        return self._machine.variables.tries[-1].step(lambda: super(SteppingTaskState, self).get(key))

    def set(self, key, value, retention=None):
        self._machine.variables.tries[-1].step(lambda: super(SteppingTaskState, self).set(key, value))

    def delete(self, key):
        self._machine.variables.tries[-1].step(lambda: super(SteppingTaskState, self).delete(key))


class KnownTaskInstance(TaskInstance):
    """A task instance that is told what Airflow knows of the others."""

    def __init__(self, machine, **arguments):
        super().__init__(**arguments)
        self._machine = machine

    def get_task_states(self, dag_id, task_ids, run_ids, map_index=None):
        known = {task.instance.task_id: task.airflow_state for task in self._machine.tasks}
        states = {task_id: known[task_id] for task_id in task_ids if task_id in known}
        return self._machine.variables.tries[-1].step(lambda: dict.fromkeys(run_ids, states))


class BusyClock(Clock):
    """A clock on which others do something while one try sleeps."""

    def __init__(self, machine):
        super().__init__()
        self._machine = machine
        self._began_at = self.now

    def note(self, words):
        note(f"{self.now - self._began_at:7.1f}  {words}")

    def sleep(self, seconds):
        super().sleep(seconds)
        a_try = self._machine.variables.tries[-1]
        if next(a_try.sleeps) == a_try.plan.meanwhile_at:
            for event in a_try.plan.meanwhile:
                event.happen(self._machine)
        a_try._live_on()


class ModelTask:
    """A task, and what its person has decided."""

    def __init__(self, machine, number, rules):
        self.number = number
        self.request = VideoRequest(PROMPTS[PROMPTS_OF_TASKS[number]])
        self.rules = rules
        self.instance = KnownTaskInstance(machine, retries=1, task_id=f"film_{number}")
        self.task_state = SteppingTaskState(machine) if machine.has_task_state else None
        # As Airflow knows it.
        self.airflow_state = None
        self.place = TaskPlace(self.instance.dag_id, self.instance.run_id, self.instance.task_id).digest
        self.has_started = False
        self.is_running = False
        self.has_tried = False
        # What a person asked for and no job was submitted for yet.
        self.is_cleared = False
        self.is_made_again = False
        self.may_be_paid_twice = False
        self.more_videos_wanted = 0
        # What it had when it wanted another one.
        self.given_up: set[str] = set()
        self.returned: list[str] = []
        # What its last try has pushed.
        self.xcoms: set[str] = set()
        # All that was ever recorded, in its order.
        self.remembered: list[str] = []
        self.last_entry: dict[str, object] = {}
        # What nobody needed to remember when the last try began.
        self.forgotten: set[str] = set()
        # When its POSTs were about to be sent.
        self.intended_at: list[float] = []


lags = st.lists(st.sampled_from([0.0, 50.0, 100.0]), min_size=1, max_size=3).map(tuple)
renderings = st.sampled_from([5.0, 60.0, 300.0, LONGEST_RENDERING])
ends = st.sampled_from([JobStatus.COMPLETED, JobStatus.COMPLETED, JobStatus.COMPLETED, JobStatus.FAILED])
foreign_jobs = st.builds(
    Foreign, st.sampled_from([None, None, None, 0, 1, 2]), renderings, ends, st.booleans()
)
attempts = st.builds(
    Attempt,
    st.sampled_from(
        [
            "accepted",
            "accepted",
            "accepted but silent",
            "accepted but silent",
            "lost",
            "lost",
            "invalid",
            "refused",
            "rate-limited",
            "never-connected",
        ]
    ),
    st.sampled_from([0.0, 1.0, SECONDS_PER_CALL]),
    st.sampled_from([0.0, 10.0, 100.0]),
    renderings,
    ends,
)


@dataclass(frozen=True)
class SomeTry:
    """A try of some task."""

    task: int
    how: str
    plan: Plan

    def happen(self, machine):
        machine.start(machine.tasks[self.task], self.how, self.plan)


@dataclass(frozen=True)
class SomeForeignJob:
    """A submission by another client."""

    job: Foreign

    def happen(self, machine):
        machine.create_foreign(self.job)


@dataclass(frozen=True)
class SomeJobIsCleaned:
    """A person deletes what a job has made."""

    position: int

    def happen(self, machine):
        machine.clean(self.position)


crashes = st.none() | st.integers(0, 60)
hows = st.sampled_from(["retry", "retry", "retry", "clear", "clear", "again", "made again"])
task_numbers = st.integers(0, len(PROMPTS_OF_TASKS) - 1)
simple_plans = st.builds(
    Plan,
    crash_at=crashes,
    waits=st.booleans(),
    ends_well=st.sampled_from([True, True, True, False]),
    attempts=st.lists(attempts, min_size=1, max_size=2).map(tuple),
    baseline_is_read=st.sampled_from([True, True, True, False]),
    lags=lags,
    failing_calls=st.frozensets(st.integers(0, 12), max_size=3),
)
events = st.one_of(
    st.builds(SomeTry, task_numbers, hows, simple_plans),
    st.builds(SomeForeignJob, foreign_jobs),
    st.builds(SomeJobIsCleaned, st.integers(0, 20)),
)
plans = st.builds(
    Plan,
    crash_at=crashes,
    waits=st.booleans(),
    ends_well=st.sampled_from([True, True, True, False]),
    attempts=st.lists(attempts, min_size=1, max_size=2).map(tuple),
    baseline_is_read=st.sampled_from([True, True, True, False]),
    lags=lags,
    failing_calls=st.frozensets(st.integers(0, 12), max_size=3),
    meanwhile_at=st.integers(0, 3),
    meanwhile=st.lists(events, max_size=2).map(tuple),
)
rules_of_authors = st.builds(
    SubmissionPolicy,
    on_clear=st.sampled_from(["auto", "auto", "new", "reattach"]),
    on_unknown_submission=st.sampled_from(["fail", "fail", "resubmit"]),
    resubmit_failed=st.booleans(),
).map(
    lambda rules: SubmissionPolicy.read(
        on_clear=str(rules.on_clear),
        on_unknown_submission=str(rules.on_unknown_submission),
        resubmit_failed=rules.resubmit_failed,
        reconcile_timeout=900.0,
        max_credits=None,
        check_quota=False,
    )
)


class OneTaskOnePaidJob(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.clock = BusyClock(self)
        self.variables = SteppingVariables()
        self._patches = ExitStack()
        self._patches.enter_context(passing(self.clock))

    @initialize(
        limits=st.sampled_from(SLOWEST_SERVICE),
        rules=st.tuples(*[rules_of_authors] * len(PROMPTS_OF_TASKS)),
        is_empty=st.booleans(),
        # Airflow 3.3 has a store of task state, and Airflow 3.4 empties it with each clear.
        airflow=st.sampled_from(["3.3", "3.3", "3.4", "3.1", "2.11"] if HAS_TASK_STATE else ["3.1", "2.11"]),
    )
    def begin(self, limits, rules, is_empty, airflow):
        self.service = Service(self.clock, **limits)
        self.lists_names = airflow != "3.1"
        variables = self.variables if self.lists_names else UnlistedVariables(self.variables)
        self._patches.enter_context(kept_in(variables))
        self.has_task_state = airflow in ("3.3", "3.4")
        # Airflow 2 doesn't say what a try before has pushed.
        self.shows_xcoms = airflow != "2.11"
        self.empties_task_state = airflow == "3.4"
        self.tasks = [ModelTask(self, number, rule) for number, rule in enumerate(rules)]
        if not is_empty:
            self.create_foreign(Foreign())
            self.clock.now += 1000.0

    # What may happen

    @rule(number=task_numbers, how=hows, plan=plans)
    def a_try(self, number, how, plan):
        self.start(self.tasks[number], how, plan)

    @rule(seconds=st.sampled_from([1.0, 60.0, 200.0, 3000.0]))
    def time_passes(self, seconds):
        self.clock.now += seconds

    @rule(job=foreign_jobs)
    def a_foreign_job(self, job):
        self.create_foreign(job)

    @precondition(lambda self: self.service.jobs)
    @rule(position=st.integers(0, 20))
    def a_job_is_cleaned(self, position):
        self.clean(position)

    @rule(number=task_numbers, crash_at=crashes)
    def a_sensor_sees_the_end(self, number, crash_at):
        """Somebody else waits for a task's job, and deletes what nobody needs any more."""
        task = self.tasks[number]
        if not task.returned or task.airflow_state != "success":
            return
        job_id = task.returned[-1]
        if self.service.jobs[job_id].status_at(self.clock.now) == JobStatus.IN_PROGRESS:
            return
        a_try = Try(self, task, Plan(crash_at=crash_at))
        self.variables.tries.append(a_try)
        sensor = KnownTaskInstance(self, task_id="sensor")

        def report_late(record, claims, log):
            return report_late_jobs(
                record, hook=Hook(a_try), claims=claims, clock=clocks.SYSTEM_CLOCK, log=log
            )

        try:
            forget_job(job_id, {"ti": sensor}, a_try, report_late=report_late)
        except Crash:
            pass
        finally:
            self.variables.tries.remove(a_try)

    def create_foreign(self, job):
        prompt = f"Something else {len(self.service.jobs)}" if job.prompt is None else PROMPTS[job.prompt]
        self.service.create(
            prompt,
            task=None,
            posted_at=self.clock.now,
            appears_after=0.0,
            renders=job.renders,
            end=job.end,
            is_video=job.is_video,
        )

    def clean(self, position):
        ended = [
            job for job in self.service.jobs.values() if job.status_at(self.clock.now) == JobStatus.COMPLETED
        ]
        if ended:
            job = ended[position % len(ended)]
            job.cleaned_at = self.clock.now
            self.clock.note(f"{job.job_id} is cleaned")

    def start(self, task, how, plan):
        """Run a try to its end, and give what it ended with."""
        if task.is_running:
            return None
        instance = task.instance
        if task.airflow_state in ("success", "failed") and how in ("retry", "again"):
            # Then Airflow does nothing by itself.
            how = "clear"
        # Airflow 3 lets no try start twice, and where names can't be listed that is counted on.
        how = "retry" if how == "again" and not self.lists_names else how
        if not task.has_started:
            task.has_started = True
        elif how == "clear":
            instance.clear()
            task.is_cleared = True
            if self.empties_task_state:
                task.task_state.texts.clear()
        elif how == "made again":
            instance.make_again()
            task.is_made_again = True
            if not self.lists_names:
                # A first try asks for no record there.
                task.forgotten |= set(task.returned)
            if self.has_task_state:
                task.task_state.texts.clear()
        elif how == "retry":
            instance.retry()
        self.clock.note(
            f"task {task.number}: try {instance.try_number}, max_tries {instance.max_tries} ({how})"
        )
        task.forgotten |= set(task.returned) - set(self.recorded_of(task))
        a_try = Try(self, task, plan)
        # Airflow 3.4 has deleted by now what it does at a clear.
        former = self.entry_of(task).get("state")
        a_try.was_delivered = former == "delivered" or (not former and bool(task.returned))
        if self.shows_xcoms:
            # Airflow 3 tells a try what the one before it has pushed, and deletes it.
            instance._ti_context_from_server = SimpleNamespace(xcom_keys_to_clear=sorted(task.xcoms))
            # Airflow 3.4 may have deleted all that was noted of it.
            if task.xcoms and self.entry_of(task):
                a_try.was_delivered = "return_value" in task.xcoms
        task.xcoms = set()
        self.variables.tries.append(a_try)
        task.is_running = True
        task.airflow_state = "running"
        # Also if it never posts: what it wants may then come from an identical task's submission.
        task.has_tried = True
        ends_as = "up_for_retry" if instance.has_retry_left else "failed"
        try:
            context = {"ti": instance, "task_state_store": task.task_state}
            submission = TaskSubmitter(
                context=context, hook=Hook(a_try), policy=task.rules, log=a_try, waits=plan.waits
            )
            submitted = submission.ensure(task.request)
            task.xcoms.add("job_id")
            task.returned.append(submitted.job_id)
            task.remembered = self.history_of(task)
            if plan.waits:
                self.wait(a_try, submission, submitted)
            submission.note_delivery(has_ended=plan.waits)
            if plan.ends_well:
                task.xcoms.add("return_value")
                ends_as = "success"
        except (Crash, PictoryError) as end:
            if isinstance(end, AirflowFailException):
                ends_as = "failed"
            self.clock.note(f"task {task.number} ended with {end!r}")
            return end
        finally:
            self.variables.tries.remove(a_try)
            task.is_running = False
            task.airflow_state = ends_as
            task.remembered = self.history_of(task)
            task.last_entry = self.entry_of(task) or task.last_entry
        task.is_cleared = task.is_made_again = False
        self.clock.note(f"task {task.number} goes on with {submitted.job_id}")
        return submitted

    def wait(self, a_try, submission, submitted):
        """Wait for a job as an operator does."""
        if submitted.job is not None:
            return
        job = self.service.jobs[submitted.job_id]
        self.clock.sleep(max(0.0, max(job.ends_at, job.visible_at) - self.clock.now))
        status = job.status_at(self.clock.now)
        submission.conclude(
            VideoJob(job.job_id, status, url=job.url if status == JobStatus.COMPLETED else None)
        )

    # What must be true

    def entry_of(self, task):
        records = [
            json.loads(text)
            for name, text in self.variables.texts.items()
            if name == f"{RECORD_PREFIX}{task.place}"
            or ((read := RecordName.read(name)) is not None and read.place == task.place)
        ]
        if self.has_task_state and STATE_KEY in task.task_state.texts:
            records.append(json.loads(task.task_state.texts[STATE_KEY]))
        return max(records, key=lambda record: record["revision"], default={})

    def recorded_of(self, task):
        entry = self.entry_of(task)
        # What an intent names is a claim that may still be withdrawn.
        last = None if entry.get("state") == "intent" else entry.get("job_id")
        return [*(job["job_id"] for job in entry.get("earlier_jobs", ())), last]

    def history_of(self, task):
        """The jobs of a task, also of records that nobody needed any more."""
        recorded = [job_id for job_id in self.recorded_of(task) if job_id]
        return [*(job_id for job_id in task.remembered if job_id not in recorded), *recorded]

    def note_what_is_wanted(self, a_try):
        """Count that somebody wants another video, when a try is about to send for it."""
        task = a_try.task
        task.intended_at.append(self.clock.now)
        if self.is_another_wanted(a_try):
            task.more_videos_wanted += 1
            task.given_up |= set(self.history_of(task))
            task.is_cleared = task.is_made_again = task.may_be_paid_twice = False

    def check_payment(self, a_try):
        """Insist, in the moment of a submission, that it isn't one too many."""
        task = a_try.task
        same = [
            other for other in self.tasks if PROMPTS_OF_TASKS[other.number] == PROMPTS_OF_TASKS[task.number]
        ]
        # Of identical tasks whose responses were lost, one may adopt what the other one submitted.
        most = sum(other.has_tried + other.more_videos_wanted for other in same)
        ours = [
            job
            for job in self.service.jobs.values()
            if job.task is not None and job.prompt == task.request.payload["prompt"]
        ]
        recorded = {job_id for other in same for job_id in self.history_of(other)}
        paid = [job.job_id for job in ours if not self.is_beyond_help(job, same, recorded)]
        assert len(paid) <= most, f"{paid} were paid for, {most} were wanted; {a_try.lines}"

    def is_beyond_help(self, job, same, recorded):
        """Tell whether a job doesn't count: it cost nothing, or no evidence could have saved the next one."""
        status = job.status_at(self.clock.now)
        if status == JobStatus.FAILED:
            return True
        # A person deleted it before any task had seen it. Nothing tells its prompt then, so of two identical
        # tasks the one that it was for takes the other one's video for its own, and the other submits again.
        return status == JobStatus.CLEANED and len(same) > 1 and job.job_id not in recorded

    def is_another_wanted(self, a_try):
        task, now = a_try.task, self.clock.now
        if task.may_be_paid_twice or task.is_made_again:
            return True
        earlier = [self.service.jobs[job_id] for job_id in self.history_of(task)]
        if not earlier:
            return False
        status = earlier[-1].status_at(now)
        # A video that no try has delivered is still owed to whoever clears; a failed one costs nothing.
        is_owed = status == JobStatus.COMPLETED and not a_try.was_delivered
        is_over = status == JobStatus.CLEANED or (status == JobStatus.COMPLETED and not is_owed)
        on_clear = task.rules.on_clear
        return task.is_cleared and (on_clear == "new" or (on_clear == "auto" and is_over))

    @invariant()
    def no_two_tasks_have_the_same_job(self):
        if not hasattr(self, "tasks"):
            return
        for one, other in itertools.combinations(self.tasks, 2):
            for job_id in set(self.history_of(one)) & set(self.history_of(other)):
                assert self.may_be_shared(self.service.jobs[job_id], one, other), job_id

    def may_be_shared(self, job, one, other):
        """Tell a job of which no record was left that lists which lag show as if it were newer than it is."""
        owner, borrower = (one, other) if job.task == one.number else (other, one)
        was_over = any(moment >= job.ends_at for moment in borrower.intended_at)
        return was_over or job.job_id in owner.given_up or self.was_taken_anew(job, owner)

    def was_taken_anew(self, job, owner):
        """Tell a job that its own task found once more, for a submission after the job's end."""
        entry = owner.last_entry
        is_found = entry.get("is_claimed") and entry.get("job_id") == job.job_id
        return bool(is_found) and owner.intended_at[-1] >= job.ends_at

    @invariant()
    def what_a_try_returned_stays_recorded_as_long_as_it_matters(self):
        if not hasattr(self, "tasks"):
            return
        for task in self.tasks:
            if not task.returned or task.returned[-1] in {*self.recorded_of(task), *task.forgotten}:
                continue
            assert self.entry_of(task) == {}
            job = self.service.jobs[task.remembered[-1]]
            assert self.is_forgotten_rightly(task, job), (task.number, job.job_id, task.airflow_state)

    def is_forgotten_rightly(self, task, job):
        if job.status_at(self.clock.now) == JobStatus.IN_PROGRESS or task.rules.on_clear == "reattach":
            return False
        # Whoever clears a task that failed without a job to go on with wants another, as after a success.
        was_closed = task.last_entry["state"] == "closed"
        return task.airflow_state == "success" or (task.airflow_state == "failed" and was_closed)

    def teardown(self):
        try:
            if hasattr(self, "tasks"):
                self.come_to_an_end()
        finally:
            self._patches.close()

    def come_to_an_end(self):
        self.clock.now += LONGEST_RENDERING
        for task in self.tasks:
            self.assert_good_end(task)
        self.no_two_tasks_have_the_same_job()
        self.what_a_try_returned_stays_recorded_as_long_as_it_matters()

    def assert_good_end(self, task):
        calm = Plan(lags=(self.service.lag, 0.0))
        if task.airflow_state == "success":
            assert self.service.jobs[task.returned[-1]].prompt == task.request.payload["prompt"]
            return
        for _ in range(5):
            end = self.start(task, "retry", calm)
            if not isinstance(end, PictorySubmissionPendingError):
                break
            self.clock.now += LONGEST_RENDERING
        if isinstance(end, PictorySubmissionIndeterminateError):
            assert "on_unknown_submission='resubmit'" in str(end)
            return
        if isinstance(end, PictoryJobError):
            assert isinstance(end, AirflowFailException)
            assert end.job_id in str(end)
        else:
            assert not isinstance(end, BaseException), repr(end)
        job = self.service.jobs[end.job_id]
        assert job.prompt == task.request.payload["prompt"]
        assert job.job_id in self.history_of(task)


OneTaskOnePaidJob.TestCase.settings = settings(
    max_examples=int(os.environ.get("EXAMPLES", "300")),
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
TestOneTaskOnePaidJob = OneTaskOnePaidJob.TestCase
