"""Identical requests whose responses were all lost: each ends with one job, and none is paid for twice."""

from __future__ import annotations

import random

import pytest

from airflow_provider_pictory.api import JobStatus
from airflow_provider_pictory.sandbox.service import Clock as SandboxClock
from tests.submission.accounts import Account
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


def end_in_any_order(account, job_ids, chance):
    for number, job_id in enumerate(chance.sample(job_ids, len(job_ids))):
        account.time.after(number * 20, lambda job_id=job_id: account.end(job_id, JobStatus.COMPLETED))


@pytest.mark.parametrize("step_by_step", [False, True], ids=["at once", "one by one"])
@pytest.mark.parametrize(("number", "seed"), [(2, 1), (2, 2), (8, 1), (8, 2), (8, 3), (30, 1)])
def test_one_after_the_other_in_any_order_with_jobs_that_end_in_any_order(
    account_at, number, step_by_step, seed
):
    chance = random.Random(seed)
    account = account_at(render_seconds=100_000.0)
    job_ids = lose_all(account, number, step_by_step=step_by_step)
    end_in_any_order(account, job_ids, chance)
    found = [account.find_out(place=place) for place in chance.sample(places(number), number)]

    assert sorted(found) == sorted(job_ids)


@pytest.mark.parametrize("seed", range(4))
def test_with_some_that_got_their_response_and_some_that_never_arrived(account_at, seed):
    chance = random.Random(seed)
    account = account_at(render_seconds=100_000.0)
    fates = ["accepted", "lost response", "lost response", "lost request", "lost response", "accepted"]
    chance.shuffle(fates)
    jobs = {"accepted": [], "lost response": [], "lost request": []}
    doubtful = []
    for place, fate in zip(places(len(fates)), fates, strict=True):
        account.intend(place=place)
        if fate != "lost request":
            jobs[fate].append(account.post())
        if fate == "accepted":
            account.accept(jobs[fate][-1], place=place)
        else:
            doubtful.append(place)
        account.time.now += chance.choice([0, 3])
    end_in_any_order(account, [*jobs["accepted"], *jobs["lost response"]], chance)
    found = [account.find_out(place=place) for place in chance.sample(doubtful, len(doubtful))]

    assert found.count(None) == fates.count("lost request")
    assert sorted(filter(None, found)) == sorted(jobs["lost response"])


def test_with_an_identical_job_of_another_program_the_oldest_are_taken_and_the_others_named(account_at):
    account = account_at(render_seconds=1.0)
    for place in places(4):
        account.intend(place=place)
    job_ids = [account.post() for _ in range(5)]
    account.time.now += 300
    found = [account.find_out(place=place) for place in places(4)]

    assert found == job_ids[:4]
    assert len(account.log.warnings) == 4
    assert all(job_ids[4] in warning for warning in account.log.warnings)


@pytest.mark.parametrize("number", [2, 8])
def test_where_names_cannot_be_listed_no_job_is_taken_twice_either(
    pictory_at, shared_time, any_variables, number
):
    sandbox = pictory_at(
        clock=SandboxClock(shared_time.time), render_seconds=40.0, credits=10**9, fetch_sources=False
    )
    account = Account(sandbox, shared_time, any_variables)
    job_ids = lose_all(account, number, step_by_step=True)
    found = []

    def find_out(place):
        found.append(account.find_out(place=place))

    account.time.run(*[lambda place=place: find_out(place) for place in places(number)])
    account.hook.close()

    assert sorted(found) == sorted(job_ids)
