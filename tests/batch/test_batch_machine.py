"""
Many items, one paid job for each: whatever crashes, between any two steps, and however the list changes.

The model of the service is that of a single submission's state machine.
"""

from __future__ import annotations

import itertools
import os
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from types import SimpleNamespace

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from airflow_provider_pictory import clock as clocks
from airflow_provider_pictory.api import VideoRequest
from airflow_provider_pictory.batch.plan import ItemState
from airflow_provider_pictory.batch.run import BatchRun
from airflow_provider_pictory.batch.store import open_batch_store
from airflow_provider_pictory.batch_requests import BatchItem
from airflow_provider_pictory.exceptions import PictoryError, PictorySubmissionIndeterminateError
from airflow_provider_pictory.submission.attempt import Attempt
from airflow_provider_pictory.submission.policy import SubmissionPolicy
from airflow_provider_pictory.waiting.limits import WaitLimit
from tests.submission import test_state_machine as single
from tests.support.airflow_versions import HAS_TASK_STATE
from tests.support.task_tries import TaskInstance, kept_in, passing

PROMPTS = ("A red fox walks through fresh snow", "A blue whale sings at dawn", "A green parrot reads")
OUTCOMES = ("accepted", "accepted", "accepted but silent", "lost", "rate-limited", "never-connected")
LONGEST_RENDERING = 2000.0


@dataclass(frozen=True)
class Plan:
    """What happens to one try: where it crashes, and what becomes of its POSTs, in their order."""

    crash_at: int | None = None
    attempts: tuple[single.Attempt, ...] = (single.Attempt(),)
    lags: tuple[float, ...] = (0.0,)
    failing_calls: frozenset[int] = frozenset()
    baseline_is_read: bool = True
    meanwhile_at: int = -1
    meanwhile: tuple[object, ...] = ()


@dataclass
class Item:
    """An item of the list, and its place in the count of what may be paid."""

    key: str
    prompt: str
    has_own_key: bool


class Try(single.Try):
    """One try of the batch's task, over all its processes."""

    def __init__(self, machine, plan):
        super().__init__(machine, None, plan)
        self.posts = itertools.cycle(plan.attempts)

    def info(self, message, *arguments):
        self.lines.append(message % arguments)
        self.machine.clock.note(self.lines[-1])

    warning = error = info


class Hook(single.Hook):
    """What a batch uses of the hook: each POST has its own fate."""

    def submit_video(self, request, *, before_attempt):
        before_attempt(single.SECONDS_PER_CALL)
        attempt = next(self._try.posts)
        return self._try.step(lambda: self._send(request, attempt))

    def _send(self, request, attempt):
        self._try.task = SimpleNamespace(number=request.payload["prompt"])
        return super()._send(request, attempt)


class ManyItemsOnePaidJobEach(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.clock = single.BusyClock(self)
        self.variables = single.SteppingVariables()
        self._patches = ExitStack()
        self._patches.enter_context(passing(self.clock))

    @initialize(
        limits=st.sampled_from(single.SLOWEST_SERVICE),
        prompts=st.lists(st.sampled_from(PROMPTS), min_size=1, max_size=6),
        has_keys=st.booleans(),
        most=st.sampled_from([1, 2, 3, None]),
        airflow=st.sampled_from(["3.3", "3.4", "3.1", "2.11"] if HAS_TASK_STATE else ["3.1", "2.11"]),
    )
    def begin(self, limits, prompts, has_keys, most, airflow):
        self.service = single.Service(self.clock, **limits)
        self.has_task_state, self.empties_task_state = airflow in ("3.3", "3.4"), airflow == "3.4"
        variables = single.UnlistedVariables(self.variables) if airflow == "3.1" else self.variables
        self._patches.enter_context(kept_in(variables))
        self.most, self.has_keys = most, has_keys
        self.items = [
            Item(f"key-{n}" if has_keys else str(n), prompt, has_keys) for n, prompt in enumerate(prompts)
        ]
        self.instance = TaskInstance(retries=1)
        self.task_state = single.SteppingTaskState(self) if self.has_task_state else None
        self.has_started = self.is_delivered = self.may_be_delivered = False
        # Airflow 2 doesn't say what a try before has pushed, and 3.4 may have deleted all else that tells.
        self.shows_delivery, self.xcoms = airflow in ("3.1", "3.3"), set()
        self.errors = set()
        # How many videos of a prompt may be paid for.
        self.wanted = Counter(prompts)

    # What may happen

    plans = st.builds(
        Plan,
        crash_at=st.none() | st.integers(0, 120),
        attempts=st.lists(
            st.builds(
                single.Attempt,
                outcome=st.sampled_from(OUTCOMES),
                appears_after=st.sampled_from([0.0, 10.0, 100.0]),
                renders=st.sampled_from([5.0, 60.0, 300.0]),
            ),
            min_size=1,
            max_size=8,
        ).map(tuple),
        lags=st.lists(st.sampled_from([0.0, 50.0, 100.0]), min_size=1, max_size=3).map(tuple),
        failing_calls=st.frozensets(st.integers(0, 20), max_size=2),
        baseline_is_read=st.sampled_from([True, True, True, False]),
    )

    @rule(plan=plans, is_clear=st.booleans())
    def a_try(self, plan, is_clear):
        self.start(plan, is_clear=is_clear)

    @rule(seconds=st.sampled_from([1.0, 60.0, 200.0, 3000.0]))
    def time_passes(self, seconds):
        self.clock.now += seconds

    @rule(prompt=st.sampled_from(PROMPTS), at_the_end=st.booleans())
    def an_item_is_added(self, prompt, at_the_end):
        if len(self.items) < 9:
            number = len(self.items)
            item = Item(f"key-{number}" if self.has_keys else str(number), prompt, self.has_keys)
            self.items.insert(number if at_the_end or not self.has_keys else 0, item)
            self.wanted[prompt] += 1

    @rule(seed=st.randoms())
    def items_with_keys_change_their_order(self, seed):
        if self.has_keys:
            seed.shuffle(self.items)

    # The task

    def start(self, plan, *, is_clear):
        """Run a try to its end, over as many processes as it takes, and give what it ended with."""
        if self.is_delivered and not is_clear:
            return None
        if self.has_started:
            if is_clear:
                self.instance.clear()
                if self.empties_task_state:
                    self.task_state.texts.clear()
                if self.is_delivered or (self.may_be_delivered and not self.shows_delivery):
                    # Whoever clears what was delivered wants all of it once more.
                    self.wanted.update(item.prompt for item in self.items)
                    self.is_delivered = self.may_be_delivered = False
            else:
                self.instance.retry()
        self.has_started = True
        if self.shows_delivery:
            self.instance._ti_context_from_server = SimpleNamespace(xcom_keys_to_clear=sorted(self.xcoms))
        self.xcoms = set()
        a_try = Try(self, plan)
        self.variables.tries.append(a_try)
        self.clock.note(f"try {self.instance.try_number} of {len(self.items)} items")
        try:
            self.run(a_try)
        except (single.Crash, PictoryError) as end:
            self.clock.note(f"ended with {end!r}")
            return end
        finally:
            self.variables.tries.remove(a_try)
        return None

    def run(self, a_try):
        limits = {}
        awaited = None
        while True:
            batch = self.open(a_try, is_resumed=awaited is not None)
            if awaited is not None:
                jobs = [self.service.jobs[job_id] for job_id in awaited.jobs.values()]
                moment = sorted(max(job.ends_at, job.visible_at) for job in jobs)[awaited.ends - 1]
                if awaited.until is not None:
                    moment = min(moment, awaited.until.timestamp())
                self.clock.now = max(self.clock.now, moment)
                hook = Hook(a_try)
                batch.note_ends(
                    hook.get_job(job.job_id) for job in jobs if max(job.ends_at, job.visible_at) <= moment
                )
                batch.poll_open(limits, ())
                batch.look_for_unknown()
            awaited = batch.advance()
            if awaited is None:
                break
            limits = {key: WaitLimit("timeout", 1e6, self.at(1e6)) for key in awaited.jobs}
        if batch.trouble is not None:
            raise batch.trouble
        self.errors = {
            entry.error.code for item in self.items if (entry := batch.state.entry(item.key)).error
        }
        states = {item.key: batch.state[item.key] for item in self.items}
        if set(states.values()) == {ItemState.COMPLETED}:
            self.jobs_of_items = {item.key: batch.state.entry(item.key).job.job_id for item in self.items}
            self.prompts_are_right()
            self.xcoms.add("summary")
            batch.tidy_up()
            self.may_be_delivered = True
            batch.deliver()
            self.xcoms.add("return_value")
            self.is_delivered = True

    def at(self, seconds):
        return clocks.SYSTEM_CLOCK.now().replace(year=2100)

    def open(self, a_try, *, is_resumed):
        context = {"ti": self.instance, "task_state_store": self.task_state}
        batch = BatchRun(
            [
                BatchItem(index, item.key, item.has_own_key, VideoRequest(item.prompt))
                for index, item in enumerate(self.items)
            ],
            store=open_batch_store(context),
            attempt=Attempt.of(self.instance, pushes_result=True),
            hook=Hook(a_try),
            policy=SubmissionPolicy(),
            max_active_jobs=self.most,
            clock=clocks.SYSTEM_CLOCK,
            log=a_try,
        )
        batch.open(is_resumed=is_resumed)
        return batch

    # What must be true

    def check_payment(self, a_try):
        """Insist, in the moment of a submission, that it isn't one too many."""
        paid = Counter(job.prompt for job in self.service.jobs.values())
        for prompt, number in paid.items():
            assert number <= self.wanted[prompt], f"{number} paid, {self.wanted[prompt]} wanted: {prompt}"
        # Of several items alike one may have taken an older job, and then its own runs on and is nobody's.
        if self.most is not None and len({item.prompt for item in self.items}) == len(self.items):
            running = sum(job.ends_at > self.clock.now for job in self.service.jobs.values())
            assert running <= self.most, f"{running} in flight, at most {self.most} may be"

    def note_what_is_wanted(self, a_try):
        """Take no note: the list says it."""

    def prompts_are_right(self):
        jobs = list(self.jobs_of_items.values())
        assert len(set(jobs)) == len(jobs), "no two items have the same job"
        for item in self.items:
            assert self.service.jobs[self.jobs_of_items[item.key]].prompt == item.prompt

    def teardown(self):
        try:
            if hasattr(self, "items"):
                self.come_to_an_end()
        finally:
            self._patches.close()

    def come_to_an_end(self):
        calm = Plan(lags=(self.service.lag, 0.0))
        for _ in range(8):
            if self.is_delivered:
                return
            self.clock.now += LONGEST_RENDERING
            self.start(calm, is_clear=False)
            if PictorySubmissionIndeterminateError.__name__ in self.errors:
                return
        assert self.is_delivered, "it comes to an end"


ManyItemsOnePaidJobEach.TestCase.settings = settings(
    max_examples=int(os.environ.get("EXAMPLES", "150")),
    stateful_step_count=12,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
TestManyItemsOnePaidJobEach = ManyItemsOnePaidJobEach.TestCase
