"""One page of the account's list answers for many jobs where that pays, and is never believed for long."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from airflow_provider_pictory.api import JobStatus, VideoJob
from airflow_provider_pictory.api.listings import JobListPage, ListedJob
from airflow_provider_pictory.exceptions import PictoryAPIError
from airflow_provider_pictory.waiting.job_list import (
    FEWEST_JOBS,
    FEWEST_SHOWN,
    FIRST_REST,
    LIST_POLLS_IN_A_ROW,
    MOST_BYTES_FOR_EACH,
    PAUSE_BETWEEN_READINGS,
    REST,
    JobListYield,
)
from airflow_provider_pictory.waiting.job_watch import JobWatch
from airflow_provider_pictory.waiting.poller import JobPoller
from tests.support.fast_time import run_fast
from tests.waiting.test_poller import QUIET

JOBS_ON_A_PAGE = 20
INTERVAL = 15.0


class Account:
    """
    An account whose list of jobs may lag, be refused or be full of others' jobs.

    :param others: how many jobs of other clients are newer than ours.
    :param size: of a page in bytes.
    :param lag: seconds that the list is behind.
    """

    def __init__(self, *, others=0, size=4_000, lag=0.0, is_allowed=True, error=None):
        self.others, self.size, self.lag, self.is_allowed, self.error = others, size, lag, is_allowed, error
        self.ended_at: dict[str, float] = {}
        self.job_ids: list[str] = []
        self.pages = self.polls = 0

    async def ais_job_list_polled(self):
        return self.is_allowed

    async def alist_jobs(self, page_key=None):
        self.pages += 1
        await asyncio.sleep(0.01)
        if self.error is not None:
            raise self.error
        shown_at = asyncio.get_running_loop().time() - self.lag
        jobs = [ListedJob(f"other {number}", JobStatus.COMPLETED) for number in range(self.others)]
        jobs += [ListedJob(job_id, self.status(job_id, shown_at)) for job_id in self.job_ids]
        start = int(page_key or 0)
        more = start + JOBS_ON_A_PAGE
        return JobListPage(tuple(jobs[start:more]), str(more) if more < len(jobs) else None, self.size)

    async def aget_job(self, job_id):
        self.polls += 1
        await asyncio.sleep(0.01)
        return VideoJob(job_id, self.status(job_id, asyncio.get_running_loop().time()))

    async def aclose(self):
        pass

    def status(self, job_id, moment):
        return JobStatus.CLEANED if moment >= self.ended_at.get(job_id, 1e9) else JobStatus.IN_PROGRESS


def wait_in(account, *, jobs, seconds, ends=None, interval=INTERVAL):
    """Wait for so many jobs, and return when the end of each was noticed."""
    account.job_ids = [f"job {number}" for number in range(jobs)]
    account.ended_at = ends or {}
    noticed = {}

    async def wait(poller, job_id):
        deadline = datetime.now(UTC) + timedelta(hours=1)
        await poller.ended(JobWatch(job_id, deadline=deadline, poll_interval=interval, log=QUIET))
        noticed[job_id] = asyncio.get_running_loop().time()

    async def scenario():
        poller = JobPoller(account)
        waits = [asyncio.create_task(wait(poller, job_id)) for job_id in account.job_ids]
        await asyncio.sleep(seconds)
        for task in waits:
            task.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
        await poller.aclose()

    run_fast(scenario())
    return noticed


def test_a_thousand_jobs_need_a_fraction_of_the_requests():
    account, alone = Account(), Account(is_allowed=False)

    for one in (account, alone):
        wait_in(one, jobs=1000, seconds=600)

    assert alone.pages == 0
    assert account.pages + account.polls < 0.25 * alone.polls


def test_an_end_is_noticed_no_later_and_only_by_the_jobs_own_poll():
    account = Account()
    ends = {f"job {number}": 100.0 + number for number in range(50)}

    noticed = wait_in(account, jobs=100, seconds=400, ends=ends)

    assert noticed.keys() == ends.keys()
    assert all(noticed[job_id] - ended < INTERVAL + 2 for job_id, ended in ends.items())
    # The first poll, one now and then, and the one that says that it has ended.
    assert account.polls >= 100 + 50


def test_without_an_interval_of_the_users_ends_are_noticed_sooner_for_fewer_requests():
    account, alone = Account(), Account(is_allowed=False)
    # The oldest first, which come last in the list.
    ends = {f"job {99 - number}": 100.0 + 3 * number for number in range(50)}

    noticed = wait_in(account, jobs=100, seconds=400, ends=ends, interval=None)
    wait_in(alone, jobs=100, seconds=400, ends=ends, interval=None)

    assert max(noticed[job_id] - ended for job_id, ended in ends.items()) < PAUSE_BETWEEN_READINGS + 2
    assert account.pages + account.polls < 0.5 * alone.polls


@pytest.mark.parametrize(("jobs", "pause"), [(100, 5), (200, 10), (1000, 15)])
def test_the_longer_the_list_the_less_often_it_is_read(jobs, pause):
    account = Account()
    wait_in(account, jobs=jobs, seconds=600, interval=None)

    assert 0.85 * pause < 600 / (account.pages * JOBS_ON_A_PAGE / jobs) < 1.15 * pause


@pytest.mark.parametrize(
    "account",
    [
        Account(others=10_000),
        Account(size=1_000_000),
        Account(error=PictoryAPIError("Refused", status_code=403)),
        Account(is_allowed=False),
    ],
    ids=["full of other jobs", "large", "refused", "switched off"],
)
def test_where_the_list_is_of_no_use_it_costs_next_to_nothing(account):
    alone = Account(is_allowed=False)
    for one in (account, alone):
        wait_in(one, jobs=100, seconds=1200)

    assert account.pages + account.polls <= 1.05 * alone.polls
    assert account.polls >= 0.95 * alone.polls


def test_a_list_that_lags_is_found_out_and_left_alone():
    account = Account(lag=100.0)
    ends = {f"job {number}": 100.0 + 5 * number for number in range(100)}

    noticed = wait_in(account, jobs=100, seconds=900, ends=ends)

    assert noticed.keys() == ends.keys()
    delays = [noticed[job_id] - ended for job_id, ended in ends.items()]
    assert max(delays) < INTERVAL * (LIST_POLLS_IN_A_ROW + 2)
    # Once it was found out, jobs are polled by themselves again.
    assert max(delays[-30:]) < INTERVAL + 2


def test_few_jobs_are_not_worth_a_list():
    account = Account()
    wait_in(account, jobs=FEWEST_JOBS - 1, seconds=300)

    assert account.pages == 0


def test_a_page_is_judged_by_its_answers_and_its_bytes():
    judged = JobListYield()
    judged.begin()

    assert judged.page(20, 20 * MOST_BYTES_FOR_EACH)
    assert judged.page(20, 21 * MOST_BYTES_FOR_EACH)
    assert not judged.page(3, 100)
    judged.end(now=0.0)
    assert judged.is_worthwhile(FEWEST_JOBS, 0.0), "the first page was worth it"


def of_no_use(judged, now, size=100):
    judged.begin()
    judged.page(FEWEST_SHOWN - 1, size)
    judged.end(now)


def test_a_list_of_no_use_is_tried_again_soon_and_then_more_and_more_seldom():
    judged, now = JobListYield(), 0.0
    rests = []
    for _ in range(10):
        of_no_use(judged, now)
        rest = next(rest for rest in range(1000) if judged.is_worthwhile(FEWEST_JOBS, now + rest))
        rests.append(rest)
        now += rest

    assert rests == [5, 10, 20, 40, 80, 160, 320, 600, 600, 600]

    judged.begin()
    judged.page(20, 100)
    judged.end(now)
    of_no_use(judged, now)
    assert judged.is_worthwhile(FEWEST_JOBS, now + FIRST_REST)


def test_large_pages_of_no_use_are_not_tried_again_soon():
    judged = JobListYield()
    of_no_use(judged, 1.0, size=1_000_000)

    assert not judged.is_worthwhile(1000, 1.0 + REST - 0.1)
    assert judged.is_worthwhile(1000, 1.0 + REST)


def test_waits_that_begin_with_the_oldest_job_of_many_come_to_use_the_list_too():
    """As after a restart: the newest jobs are there already, their waits not yet."""
    account = Account()
    account.job_ids = [f"job {number}" for number in reversed(range(200))]

    async def scenario():
        poller = JobPoller(account)
        deadline = datetime.now(UTC) + timedelta(hours=1)
        waits = []
        for number in range(200):
            watch = JobWatch(f"job {number}", deadline=deadline, poll_interval=INTERVAL, log=QUIET)
            waits.append(asyncio.create_task(poller.ended(watch)))
            await asyncio.sleep(0.1)
        before = account.polls
        await asyncio.sleep(300)
        for task in waits:
            task.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
        await poller.aclose()
        return account.polls - before

    assert run_fast(scenario()) + account.pages < 0.4 * 200 * 300 / INTERVAL
