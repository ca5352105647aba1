"""What a batch keeps among Airflow's Variables: little, none of it asked for in vain, and none for ever."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from airflow_provider_pictory import clock as clocks
from airflow_provider_pictory.api import VideoRequest
from airflow_provider_pictory.batch.document import Entry, ItemError
from airflow_provider_pictory.batch.records import BatchRecords
from airflow_provider_pictory.batch.run import BatchRun
from airflow_provider_pictory.batch.store import DOCUMENT_PREFIX, open_batch_store
from airflow_provider_pictory.batch_requests import BatchItem
from airflow_provider_pictory.hooks.pictory import PictoryHook
from airflow_provider_pictory.submission.attempt import Attempt
from airflow_provider_pictory.submission.names import RECORD_PREFIX
from airflow_provider_pictory.submission.policy import SubmissionPolicy
from airflow_provider_pictory.submission.variable_index import INDEX_PREFIX
from airflow_provider_pictory.submission.variables import CLAIM_PREFIX
from tests.submission.accounts import Log
from tests.support.airflow_versions import needs_task_state
from tests.support.bare_tasks import TaskState
from tests.support.pictory_words import POST, count
from tests.support.task_tries import TaskInstance, Variables, VariablesWithoutNames, kept_in

ITEMS = [
    BatchItem(index, f"p{index}", True, VideoRequest(f"A paper boat with the number {index}"))
    for index in range(3)
]


@pytest.fixture
def instance():
    instance = TaskInstance(retries=1)
    instance.number_of_runs = 1
    return instance


@pytest.fixture(params=[Variables, VariablesWithoutNames], ids=["listed", "not listed"])
def variables(request):
    variables = request.param()
    with kept_in(variables):
        yield variables


@pytest.fixture
def unlisted():
    variables = VariablesWithoutNames()
    with kept_in(variables):
        yield variables


def opened(instance, *, is_resumed=False):
    run = BatchRun(
        ITEMS,
        store=open_batch_store({"ti": instance}),
        attempt=Attempt.of(instance, pushes_result=True),
        hook=PictoryHook(),
        policy=SubmissionPolicy(),
        max_active_jobs=2,
        clock=clocks.SYSTEM_CLOCK,
        log=Log(),
    )
    run.open(is_resumed=is_resumed)
    return run


def completed(instance):
    """Run a batch to its end, with a process for each time that it is resumed."""
    run = opened(instance)
    while (awaited := run.advance()) is not None:
        run = opened(instance, is_resumed=True)
        run.note_ends(PictoryHook().get_job(job_id) for job_id in awaited.jobs.values())
    run.tidy_up()
    run.deliver()


def names(variables, prefix):
    return [name for name in variables.texts if name.startswith(prefix)]


def test_no_more_jobs_are_in_flight_than_may_be(busy_pictory, variables, instance):
    awaited = opened(instance).advance()

    assert list(awaited.jobs) == ["p0", "p1"]
    assert count(busy_pictory, POST) == 2


def test_a_batch_that_ends_well_asks_for_no_variable_that_is_not_there(pictory, unlisted, instance):
    completed(instance)

    assert unlisted.missed == []
    assert count(pictory, POST) == 3


def test_what_is_left_where_names_cannot_be_listed_is_written_down_to_be_deleted(pictory, unlisted, instance):
    completed(instance)

    (index,) = names(unlisted, INDEX_PREFIX)
    left = names(unlisted, RECORD_PREFIX) + names(unlisted, CLAIM_PREFIX) + names(unlisted, DOCUMENT_PREFIX)
    assert set(json.loads(unlisted.texts[index])) == set(left)


def test_of_items_whose_jobs_have_ended_no_variable_is_left_where_names_are_listed(pictory, instance):
    variables = Variables()
    with kept_in(variables):
        completed(instance)

    assert names(variables, RECORD_PREFIX) == []
    assert len(names(variables, DOCUMENT_PREFIX)) == 1


def test_a_crash_between_submission_and_document_leaves_no_job_unknown(
    pictory, variables, instance, monkeypatch
):
    run = opened(instance)
    # What is known goes into the document only after that.
    with monkeypatch.context() as patch:
        patch.setattr(BatchRecords, "write", lambda *_: None)
        run.advance()
    instance.retry()
    completed(instance)

    assert count(pictory, POST) == 3


def test_documents_of_other_batches_are_deleted_by_age_and_never_ones_own(pictory, instance):
    variables = Variables()
    with kept_in(variables):
        completed(instance)
        (first,) = names(variables, DOCUMENT_PREFIX)
        other = TaskInstance(retries=1, run_id="tomorrow")
        store = open_batch_store({"ti": other})
        store.write(store.read())
        now = clocks.SYSTEM_CLOCK.now()
        store.tidy([], now + timedelta(days=29))
        assert first in variables.texts
        store.tidy([], now + timedelta(days=31))

    (left,) = names(variables, DOCUMENT_PREFIX)
    assert left != first


@needs_task_state
def test_a_document_too_large_for_task_state_is_in_its_variable_alone_and_never_out_of_date(instance):
    task_state, variables = TaskState(), Variables()
    context = {"ti": instance, "task_state_store": task_state}
    small = {"p0": Entry(error=ItemError("5001", "No"))}
    large = {f"p{number}": Entry(error=ItemError("5001", "No" * 50)) for number in range(600)}
    with kept_in(variables):
        store = open_batch_store(context)
        written = store.write(replace(store.read(), entries=small))
        assert len(task_state.texts) == 1

        store.retire(replace(written, entries=large))
        assert task_state.texts == {}
        assert open_batch_store(context).read().entries.keys() == large.keys()

        store.retire(replace(written, entries=small, revision=9))
        assert names(variables, DOCUMENT_PREFIX) == []
        assert open_batch_store(context).read().entries == small
