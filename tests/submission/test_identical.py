"""Identical requests whose responses were all lost: each ends with one job, and none is paid for twice."""

from __future__ import annotations

import random

import pytest

from airflow_provider_pictory.api import JobStatus
from tests.submission.records import PLACE


def places(number):
    return [PLACE._replace(map_index=index) for index in range(number)]


def lose_all(account, number, *, step_by_step):
    """Submit identical videos for tasks that see no response; give the job ids."""
    if step_by_step:
        job_ids = []
        for place in places(number):
            account.intend(place=place)
            job_ids.append(account.post())
            account.time.now += 3
        return job_ids
    for place in places(number):
        account.intend(place=place)
    return [account.post() for _ in range(number)]


@pytest.mark.parametrize("step_by_step", [False, True], ids=["at once", "one by one"])
@pytest.mark.parametrize("number", [2, 8, 30])
def test_in_threads_each_task_ends_with_one_job(account_at, number, step_by_step):
    account = account_at(render_seconds=40.0)
    job_ids = lose_all(account, number, step_by_step=step_by_step)
    found = {}

    def find_out(place):
        found[place] = account.find_out(place=place)

    account.time.run(*[lambda place=place: find_out(place) for place in places(number)])

    assert sorted(found.values()) == sorted(job_ids)
    assert account.owners == {job_id: place.digest for place, job_id in found.items()}
    assert len(account.record_names) == number


@pytest.mark.parametrize("step_by_step", [False, True], ids=["at once", "one by one"])
@pytest.mark.parametrize("number", [2, 8, 30])
@pytest.mark.parametrize("seed", range(3))
def test_one_after_the_other_in_any_order_with_jobs_that_end_in_any_order(
    account_at, number, step_by_step, seed
):
    chance = random.Random(seed)
    account = account_at(render_seconds=100_000.0)
    job_ids = lose_all(account, number, step_by_step=step_by_step)
    ending = chance.sample(job_ids, number)
    for seconds, job_id in enumerate(ending):
        account.time.after(seconds * 20, lambda job_id=job_id: account.end(job_id, JobStatus.COMPLETED))
    found = [account.find_out(place=place) for place in chance.sample(places(number), number)]

    assert sorted(found) == sorted(job_ids)
