"""The wait for many jobs: when it ends, what it tells, and what a worker believes of that."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_pictory.api import JobStatus, VideoJob
from airflow_provider_pictory.exceptions import PictoryJobNotFoundError
from airflow_provider_pictory.waiting import batch_events
from airflow_provider_pictory.waiting.batch_events import GATHERING_TIME, read_batch_event, wait_for_ends
from airflow_provider_pictory.waiting.poller import JobPoller
from tests.support.fast_time import run_fast
from tests.waiting.test_events import json_values

JOBS = [f"job-{number}" for number in range(5)]


class Account:
    """Five jobs that end eleven seconds after one another."""

    def __init__(self, ended_at=None, unknown=()):
        self.ended_at = ended_at or {job_id: 11.0 * number for number, job_id in enumerate(JOBS, 1)}
        self.unknown = unknown
        self.began = asyncio.get_running_loop().time()

    async def ais_job_list_polled(self):
        return False

    async def aget_job(self, job_id):
        if job_id in self.unknown:
            raise PictoryJobNotFoundError("Pictory knows no such job", status_code=404)
        elapsed = asyncio.get_running_loop().time() - self.began
        return VideoJob(
            job_id, JobStatus.CLEANED if elapsed >= self.ended_at[job_id] else JobStatus.IN_PROGRESS
        )

    async def aclose(self):
        pass


class Log:
    def __init__(self):
        self.lines = []

    def info(self, message, *arguments):
        self.lines.append(message % arguments)

    warning = error = info


@pytest.fixture
def wait(monkeypatch):
    """Wait for the account's jobs in simulated time; return the event, the time that it took, and the log."""

    def run(ends, seconds=3600.0, **account):
        log = Log()

        async def waiting():
            poller = JobPoller(Account(**account))

            @asynccontextmanager
            async def shared(_):
                yield poller
                await poller.aclose()

            monkeypatch.setattr(batch_events, "shared_poller", shared)
            loop = asyncio.get_running_loop()
            began = loop.time()
            event = await wait_for_ends(
                [(job_id, (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()) for job_id in JOBS],
                ends=ends,
                pictory_conn_id="pictory_default",
                poll_interval=1.0,
                first_poll=None,
                progress=lambda ended: f"{ended} have ended",
                log=log,
                pause_between_reports=15.0,
            )
            return event, loop.time() - began

        return (*run_fast(waiting()), log.lines)

    return run


def ended(event):
    return {job["job_id"] for job in event["ended"]}


def test_it_ends_when_enough_jobs_have_ended_and_not_before(wait):
    event, seconds, _ = wait(ends=2)

    assert ended(event) == set(JOBS[:2])
    assert 22 <= seconds <= 22 + GATHERING_TIME + 2


def test_jobs_that_end_in_the_next_moment_come_along(wait):
    event, _, _ = wait(ends=1, ended_at=dict.fromkeys(JOBS[:4], 10.0) | {JOBS[4]: 600.0})

    assert ended(event) == set(JOBS[:4])


def test_it_says_how_far_the_batch_is_also_while_jobs_end_one_after_the_other(wait):
    _, _, lines = wait(ends=5)

    assert lines == ["1 have ended", "2 have ended", "4 have ended"]


def test_a_job_that_nobody_knows_is_left_to_the_worker_and_the_others_are_awaited(wait):
    event, _, _ = wait(ends=5, unknown={JOBS[0]})

    assert ended(event) == set(JOBS[1:])
    assert list(event["open"]) == [JOBS[0]]
    assert event["open"][JOBS[0]].startswith("PictoryJobNotFoundError: Pictory knows no such job")


def test_what_it_tells_is_plain_json_that_a_worker_reads_back(wait):
    event, _, _ = wait(ends=5, unknown={JOBS[0]})

    read = read_batch_event(json.loads(json.dumps(event)), set(JOBS))
    assert {job.job_id for job in read.ended} == set(JOBS[1:])
    assert set(read.open_job_ids) == {JOBS[0]}


def test_of_jobs_that_the_task_does_not_wait_for_nothing_is_believed(wait):
    event, _, _ = wait(ends=5, unknown={JOBS[0]})

    read = read_batch_event(event, {JOBS[4]})
    assert [job.job_id for job in read.ended] == [JOBS[4]]
    assert read.open_job_ids == {}


@given(
    st.fixed_dictionaries({"outcome": st.just("batch"), "ended": json_values, "open": json_values})
    | json_values
)
def test_no_event_whatever_is_in_it_passes_for_an_end_or_raises_anything(event):
    read = read_batch_event(event, set(JOBS))

    assert read is None or (read.ended == () and set(read.open_job_ids) <= set(JOBS))
