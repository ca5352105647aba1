"""Where Airflow logs an error for each Variable that isn't there (3.0 and 3.1), a good task asks for none."""

from __future__ import annotations

import json

import pytest

from airflow_provider_pictory.hooks.pictory import PictoryHook
from airflow_provider_pictory.operators.pictory import GenerateVideoOperator
from airflow_provider_pictory.submission.policy import SubmissionPolicy
from airflow_provider_pictory.submission.task_submitter import TaskSubmitter
from airflow_provider_pictory.submission.variable_index import INDEX_PREFIX
from tests.submission.tasks import Task
from tests.support.dag_runs import a_dag
from tests.support.pictory_words import POST, count
from tests.support.task_tries import VariablesWithoutNames, kept_in


@pytest.fixture
def unlisted():
    variables = VariablesWithoutNames()
    with kept_in(variables):
        yield variables


@pytest.fixture
def task(day_long_pictory, unlisted, log):
    return Task(day_long_pictory, unlisted, log)


def record_of(task):
    (name,) = (name for name in task.variables.texts if task.place.digest in name)
    return json.loads(task.variables.texts[name])


def index_of(task):
    (text,) = (text for name, text in task.variables.texts.items() if name.startswith(INDEX_PREFIX))
    return set(json.loads(text))


def test_a_first_submission_asks_for_nothing_that_is_not_there(task, unlisted):
    task.instance.number_of_runs = 1
    task.run()

    assert unlisted.missed == []
    assert index_of(task) == {name for name in unlisted.texts if not name.startswith(INDEX_PREFIX)}
    assert len(index_of(task)) == 2


def test_another_run_adds_to_the_index_that_is_there(task, unlisted, day_long_pictory, log):
    task.instance.number_of_runs = 1
    task.run()
    Task(day_long_pictory, unlisted, log, run_id="tomorrow").run()

    assert unlisted.missed == []
    assert len(index_of(task)) == 4


def test_a_task_that_is_new_in_a_dag_with_other_runs_looks_for_an_index(task, unlisted):
    task.run()

    assert [name.startswith(INDEX_PREFIX) for name in unlisted.missed] == [True]


def test_a_retry_goes_on_with_what_the_first_try_has_recorded(task, unlisted):
    task.instance.number_of_runs, task.delivers = 1, False
    first = task.run()
    second = task.retry()

    assert second.job_id == first.job_id
    assert count(task.pictory, POST) == 1
    assert unlisted.missed == []


def test_the_retry_of_a_try_that_was_killed_looks_for_no_index_in_the_only_run(task, unlisted):
    task.instance.number_of_runs, task.delivers = 1, False
    task.run()
    task.delivers = True
    task.retry()

    assert unlisted.missed == []
    assert index_of(task) == {name for name in unlisted.texts if not name.startswith(INDEX_PREFIX)}


def test_what_a_clear_leaves_of_the_job_before_is_in_the_index_as_well(task, unlisted):
    task.instance.number_of_runs = 1
    first = task.run()
    task.pictory.advance(10**6)
    task.clear()

    assert record_of(task)["job_id"] != first.job_id
    assert index_of(task) == {name for name in unlisted.texts if not name.startswith(INDEX_PREFIX)}
    assert len(index_of(task)) == 3


def test_a_first_try_that_is_resumed_finds_its_record(task):
    task.instance.number_of_runs, task.delivers = 1, False
    job_id = task.run().job_id
    resumed = TaskSubmitter(
        context={"ti": task.instance},
        hook=PictoryHook(),
        policy=SubmissionPolicy.read(**vars(SubmissionPolicy())),
        log=task.log,
    )
    resumed.job_id = job_id
    resumed.note_delivery()

    assert (record_of(task)["state"], record_of(task)["job_id"]) == ("delivered", job_id)


def test_a_run_that_was_deleted_and_made_again_submits_anew(task):
    first = task.run()
    task.instance.make_again()

    assert task.run().job_id != first.job_id


def test_the_log_of_a_good_task_says_nothing_of_missing_variables(pictory, run_dag):
    with a_dag() as dag:
        GenerateVideoOperator(task_id="generate", prompt="A paper boat on a lake")
    run = run_dag(dag)

    assert run.states == {"generate": "success"}
    assert "not found" not in run.log
    assert "Server error" not in run.log
