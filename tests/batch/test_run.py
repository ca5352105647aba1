"""One process of a batch: items in doubt keep no other waiting, and what is known costs nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest

from airflow_provider_pictory import clock as clocks
from airflow_provider_pictory.api import VideoRequest
from airflow_provider_pictory.batch.plan import ItemState
from airflow_provider_pictory.batch.records import BatchRecords
from airflow_provider_pictory.batch.run import BatchRun
from airflow_provider_pictory.batch.store import open_batch_store
from airflow_provider_pictory.batch_requests import BatchItem
from airflow_provider_pictory.clock import Clock
from airflow_provider_pictory.hooks.pictory import PictoryHook
from airflow_provider_pictory.submission.attempt import Attempt
from airflow_provider_pictory.submission.policy import OnClear, SubmissionPolicy
from tests.submission.accounts import Log
from tests.support.pictory_words import JOB, POST, count
from tests.support.task_tries import TaskInstance, Variables, kept_in

JOBS = "GET /pictoryapis/v1/jobs"
PROMPTS = [f"A paper boat with the number {number}" for number in range(6)]


class Times:
    """A clock that is ahead by as much as a test says, and never waits."""

    def __init__(self):
        self.ahead = 0.0
        self.slept = []

    def clock(self):
        system = clocks.SYSTEM_CLOCK
        return Clock(
            lambda: system.now() + timedelta(seconds=self.ahead),
            lambda: system.monotonic() + self.ahead,
            self._sleep,
        )

    def _sleep(self, seconds):
        self.slept.append(seconds)
        self.ahead += seconds


class CountedVariables(Variables):
    sets = 0

    def set(self, key, value, description=None):
        self.sets += 1
        super().set(key, value, description)


@pytest.fixture
def variables():
    variables = CountedVariables()
    with kept_in(variables):
        yield variables


@pytest.fixture
def instance():
    instance = TaskInstance(retries=1)
    instance.number_of_runs = 1
    return instance


@pytest.fixture
def times():
    return Times()


@pytest.fixture
def opened(variables, instance, times):
    def run(prompts=PROMPTS, *, is_resumed=False, **policy):
        batch = BatchRun(
            [BatchItem(index, f"p{index}", True, VideoRequest(text)) for index, text in enumerate(prompts)],
            store=open_batch_store({"ti": instance}),
            attempt=Attempt.of(instance, pushes_result=True),
            hook=PictoryHook(),
            policy=SubmissionPolicy(**policy),
            max_active_jobs=None,
            clock=times.clock(),
            log=Log(),
        )
        batch.open(is_resumed=is_resumed)
        return batch

    return run


def states(batch):
    return [str(batch.state[key]) for key in batch.state.items]


def note_ends(batch, awaited):
    batch.note_ends(PictoryHook().get_job(job_id) for job_id in awaited.jobs.values())


def test_lost_responses_keep_nobody_waiting_and_their_jobs_are_found_with_one_reading(
    pictory_at, opened, times
):
    pictory = pictory_at(faults=["drop-after-processing:path=/v1/aistudio/videos,count=3"])
    batch = opened()
    awaited = batch.advance()

    assert states(batch) == ["unknown"] * 3 + ["running"] * 3
    assert count(pictory, POST) == 6
    assert times.slept == []
    # By then the lists tell what became of them.
    assert timedelta(seconds=60) < awaited.until - times.clock().now() < timedelta(seconds=300)

    lists = count(pictory, JOBS)
    batch = opened(is_resumed=True)
    note_ends(batch, awaited)
    batch.look_for_unknown()

    assert states(batch) == ["completed"] * 6
    # One for Pictory's clock, one page for all three.
    assert count(pictory, JOBS) - lists == 2
    assert count(pictory, POST) == 6
    assert times.slept == []


def test_what_another_process_left_in_doubt_keeps_nobody_from_going_on(pictory_at, opened):
    """As after the end of a trigger that told nothing, or once the execution_timeout is over."""
    pictory = pictory_at(
        faults=["drop-after-processing:path=/v1/aistudio/videos,count=1"], render_seconds=3600
    )
    opened().advance()

    awaited = opened(is_resumed=True).advance()

    assert len(awaited.jobs) == 5
    assert awaited.until is None
    assert count(pictory, POST) == 6


def test_what_never_arrived_is_submitted_once_its_window_is_over_and_not_before(pictory_at, opened, times):
    pictory = pictory_at(faults=["drop-before-processing:path=/v1/aistudio/videos,count=2"])
    batch = opened()
    awaited = batch.advance()
    assert states(batch) == ["unknown"] * 2 + ["running"] * 4

    batch = opened(is_resumed=True)
    batch.look_for_unknown()
    assert states(batch)[:2] == ["unknown", "unknown"]
    assert len(pictory.jobs()) == 4

    pictory.advance((awaited.until - times.clock().now()).total_seconds() + 1)
    times.ahead += 400
    batch = opened(is_resumed=True)
    note_ends(batch, awaited)
    batch.look_for_unknown()

    assert states(batch) == ["running"] * 2 + ["completed"] * 4
    assert len(pictory.jobs()) == 6
    assert times.slept == []


def test_where_nothing_else_is_left_to_wait_for_it_is_found_out_at_once(pictory_at, opened):
    pictory = pictory_at(faults=["drop-after-processing:path=/v1/aistudio/videos,count=1"])

    batch = opened(PROMPTS[:1])

    assert batch.advance() is None
    assert states(batch) == ["completed"]
    assert count(pictory, POST) == 1


def test_a_retry_keeps_the_videos_that_are_there_without_asking_or_writing_anything_for_each(
    pictory, opened, instance, variables
):
    batch = opened()
    note_ends(batch, batch.advance())
    batch.advance()
    polls, written = count(pictory, JOB), variables.sets

    instance.retry()
    batch = opened([*PROMPTS, "An owl at dusk"])
    batch.advance()

    assert states(batch) == ["completed"] * 6 + ["running"]
    assert count(pictory, POST) == 7
    assert count(pictory, JOB) == polls
    # The document twice, and the new item's intent and job.
    assert variables.sets - written == 4


def test_so_does_a_clear_of_a_batch_that_has_not_delivered_them(pictory, opened, instance):
    batch = opened()
    note_ends(batch, batch.advance())
    batch.advance()

    instance.clear()
    batch = opened()
    assert batch.advance() is None
    assert states(batch) == ["completed"] * 6
    assert count(pictory, POST) == 6


@pytest.mark.parametrize("change", ["on_clear", "request"])
def test_a_clear_that_asks_for_another_video_gets_it(pictory, opened, instance, change):
    batch = opened()
    note_ends(batch, batch.advance())
    batch.advance()

    instance.clear()
    batch = opened(on_clear=OnClear.NEW) if change == "on_clear" else opened(["An owl at dusk", *PROMPTS[1:]])
    batch.advance()

    assert count(pictory, POST) == (12 if change == "on_clear" else 7)
    assert batch.state["p0"] is ItemState.RUNNING


def test_a_new_video_is_not_taken_for_the_one_before_where_a_crash_came_after_its_submission(
    pictory_at, opened, instance, monkeypatch
):
    pictory = pictory_at(render_seconds=100)
    batch = opened(PROMPTS[:1])
    awaited = batch.advance()
    pictory.advance(200)
    note_ends(batch, awaited)
    assert batch.advance() is None
    instance.clear()
    batch = opened(PROMPTS[:1], is_resumed=True, on_clear=OnClear.NEW)
    # What is known goes into the document only after that.
    with monkeypatch.context() as patch:
        patch.setattr(BatchRecords, "write", lambda *_: None)
        batch.advance()
    former, newer = (job["job_id"] for job in pictory.jobs())

    instance.retry()
    batch = opened(PROMPTS[:1])

    assert batch.advance().jobs == {"p0": newer}
    assert batch.state["p0"] is ItemState.RUNNING
    assert former != newer
    assert count(pictory, POST) == 2
