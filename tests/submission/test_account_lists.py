"""What the account's lists say about one submission: candidates in the order of their creation."""

from __future__ import annotations

from types import SimpleNamespace

from airflow_provider_pictory.api import JobStatus
from airflow_provider_pictory.api.listings import Baseline, BaselineKind, JobListPage, ListedJob
from airflow_provider_pictory.submission.account_lists import AccountLists
from tests.submission.records import an_intent

INTENT = an_intent(newest=Baseline(BaselineKind.FOUND, "before", None))


def lists_over(*moments):
    """Return the lists of an account whose jobs are these, newest first, moment by moment."""
    pages = iter(moments)

    def list_jobs(page_key):
        jobs = [ListedJob(job_id, JobStatus.IN_PROGRESS) for job_id in [*next(pages), "before"]]
        return JobListPage(tuple(jobs), None)

    return AccountLists(INTENT, SimpleNamespace(list_jobs=list_jobs))


def seen(lists, moments):
    for now in range(moments):
        lists.refresh(float(now), skipped=set())
    return list(lists.candidates)


def test_an_older_job_that_appears_after_a_newer_one_comes_before_it():
    assert seen(lists_over(["newer"], ["newer", "older"]), 2) == ["older", "newer"]


def test_what_a_list_forgets_that_lags_is_newer_than_what_it_shows():
    assert seen(lists_over(["newer"], ["older"]), 2) == ["older", "newer"]
    assert seen(lists_over(["newer", "older"], []), 2) == ["older", "newer"]
