"""The batch operator in DAG runs: every item is paid for once, awaited, and told of in the manifest."""

from __future__ import annotations

import json

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, task

from airflow_provider_pictory.exceptions import (
    PictoryBatchError,
    PictoryBatchFailedError,
    PictoryInvalidRequestError,
    PictorySpendingLimitError,
)
from airflow_provider_pictory.operators.batch import GenerateVideosOperator
from tests.support.dag_runs import a_dag
from tests.support.pictory_words import JOB, POST, count

PROMPTS = [f"A paper boat with the number {number}" for number in range(7)]
WAYS = pytest.mark.parametrize("deferrable", [True, False], ids=["deferred", "on the worker"])


def run_batch(run_dag, requests=PROMPTS, **arguments):
    with a_dag(**{"retries": arguments.pop("retries", 0)}) as dag:
        GenerateVideosOperator(task_id="generate", requests=requests, poll_interval=0.05, **arguments)
    return run_dag(dag)


@WAYS
def test_each_item_is_submitted_once_and_its_video_is_in_the_manifest(pictory, run_dag, deferrable):
    run = run_batch(run_dag, deferrable=deferrable, max_active_jobs=3)

    manifest = run.xcom("generate")
    jobs = {job["job_id"]: job["request"]["prompt"] for job in pictory.jobs()}
    assert run.states == {"generate": "success"}
    assert [line["key"] for line in manifest] == [str(number) for number in range(7)]
    assert {line["state"] for line in manifest} == {"completed"}
    assert [jobs[line["job_id"]] for line in manifest] == PROMPTS
    assert all(line["url"].startswith(pictory.url) for line in manifest)
    assert count(pictory, POST) == len(jobs) == 7
    assert run.xcom("generate", "summary") == {
        "total": 7,
        "completed": 7,
        "failed": 0,
        "estimated_credits": 56.0,
        "used_credits": 56.0,
    }


def test_all_faulty_items_are_named_before_the_first_is_paid_for(pictory, run_dag):
    requests = [
        PROMPTS[0],
        {"prompt": "A red fox in snow", "duration": 7},
        {"promt": "A red fox in snow"},
        42,
        {"prompt": "A blue whale sings", "key": "a/b"},
    ]

    run = run_batch(run_dag, requests)

    error = run.error("generate")
    assert isinstance(error, PictoryInvalidRequestError)
    for words in (
        "requests[1].duration: got 7, but",
        "requests[2].promt: got 'A red fox in snow', but there is no such field",
        "requests[2].prompt: got",
        "requests[3]: got 42, but a prompt is needed",
        "requests[4].key: got 'a/b', but",
    ):
        assert words in str(error)
    assert count(pictory, POST) == 0


def test_an_item_that_fails_does_not_touch_the_others_and_fails_the_task_at_the_end(pictory_at, run_dag):
    pictory = pictory_at(render_seconds=0.2)
    pictory.fail_next(error_code="5002", error_message="PROMPT_REFUSED")

    run = run_batch(run_dag, [{"prompt": prompt, "key": f"p{number}"} for number, prompt in enumerate(PROMPTS)])

    error = run.error("generate")
    assert isinstance(error, PictoryBatchFailedError)
    assert isinstance(error, AirflowFailException)
    assert "1 of 7 videos are missing: p0: 5002 (PROMPT_REFUSED)" in str(error)
    assert count(pictory, POST) == 7
    assert run.xcom("generate", "summary")["completed"] == 6
