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
    with a_dag(retries=arguments.pop("retries", 0)) as dag:
        GenerateVideosOperator(task_id="generate", requests=requests, poll_interval=0.05, **arguments)
    return run_dag(dag)


@WAYS
def test_each_item_is_submitted_once_and_its_video_is_in_the_manifest(pictory, run_dag, deferrable):
    run = run_batch(run_dag, deferrable=deferrable, max_active_jobs=3)

    manifest = run.xcom("generate")
    jobs = {job["job_id"]: job["request"]["prompt"] for job in pictory.jobs()}
    assert run.states == {"generate": "success"}
    assert run.log.count("Submitting 7 videos to Pictory: about 56 AI credits") == 1
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

    with a_dag() as dag:
        GenerateVideosOperator(task_id="generate", requests=task(task_id="plan")(lambda: requests)())
    run = run_dag(dag)

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
    pictory = pictory_at(faults=["job-fails:count=1"])

    run = run_batch(
        run_dag, [{"prompt": prompt, "key": f"p{number}"} for number, prompt in enumerate(PROMPTS)]
    )

    error = run.error("generate")
    assert isinstance(error, PictoryBatchFailedError)
    assert isinstance(error, AirflowFailException)
    assert "1 of 7 videos are missing: p0: 5001 (VIDEO_GENERATION_FAILED)" in str(error)
    assert "A clear of this task keeps the other videos, and submits and pays for these again" in str(error)
    assert count(pictory, POST) == 7
    assert run.xcom("generate", "summary")["completed"] == 6


@pytest.mark.parametrize("deferrable", [False, True])
def test_without_a_timeout_a_batch_waits_an_hour(pictory_at, run_dag, deferrable):
    pictory_at(render_seconds=1)

    run = run_batch(run_dag, PROMPTS[:1], timeout=None, deferrable=deferrable)

    assert run.states == {"generate": "success"}


@pytest.mark.parametrize("resubmits", [False, True])
def test_a_job_that_goes_on_is_waited_for_again_and_the_error_says_no_more(busy_pictory, run_dag, resubmits):
    run = run_batch(
        run_dag, PROMPTS[:1], timeout=1, deferrable=False, resubmit_failed=resubmits, retries=int(resubmits)
    )

    words = str(run.errors("generate")[-1])
    assert "waits again for the jobs of 1, which costs nothing" in words
    assert "again" not in words.replace("waits again", "")
    assert count(busy_pictory, POST) == 1


def test_with_resubmit_failed_a_retry_submits_only_what_failed(pictory_at, run_dag):
    pictory = pictory_at(faults=["job-fails:count=2"])

    run = run_batch(run_dag, retries=1, resubmit_failed=True)

    (error,) = run.errors("generate")
    assert type(error) is PictoryBatchError
    assert run.states == {"generate": "success"}
    assert {line["state"] for line in run.xcom("generate")} == {"completed"}
    assert count(pictory, POST) == 9


def test_with_skip_the_task_succeeds_and_the_manifest_says_what_is_missing(pictory_at, run_dag):
    pictory_at(faults=["job-fails:count=1"])

    run = run_batch(run_dag, on_item_failure="skip")

    first, *others = run.xcom("generate")
    assert run.states == {"generate": "success"}
    assert (first["state"], first["error_code"], first["url"]) == ("failed", "5001", None)
    assert {line["state"] for line in others} == {"completed"}


def test_a_lost_response_is_found_out_and_paid_for_once(pictory_at, run_dag):
    pictory = pictory_at(faults=["drop-after-processing:path=/v1/aistudio/videos,method=POST,count=2"])

    run = run_batch(run_dag, max_active_jobs=3)

    assert run.states == {"generate": "success"}
    assert {line["state"] for line in run.xcom("generate")} == {"completed"}
    assert len(pictory.jobs()) == 7


def test_the_limit_of_the_credits_is_that_of_the_whole_batch(pictory, run_dag):
    run = run_batch(run_dag, max_credits=55)

    assert isinstance(run.error("generate"), PictorySpendingLimitError)
    assert "max_credits: these 7 videos would cost about 56 AI credits, and at most 55" in str(
        run.error("generate")
    )
    assert count(pictory, POST) == 0


def test_each_video_has_a_limit_of_its_own(pictory, run_dag):
    requests = [PROMPTS[0], {"prompt": PROMPTS[1], "duration": 8, "key": "long"}]

    run = run_batch(run_dag, requests, max_credits_per_video=8)

    assert isinstance(run.error("generate"), PictorySpendingLimitError)
    assert "max_credits_per_video: item 'long' (model pixverse5.5, 8s" in str(run.error("generate"))
    assert count(pictory, POST) == 0


@pytest.mark.parametrize("limit", ["max_credits", "max_credits_per_video"])
def test_a_limit_that_comes_out_empty_is_no_open_door(pictory, run_dag, limit):
    run = run_batch(run_dag, **{limit: "{{ dag_run.conf.get('limit', '') }}"})

    assert isinstance(run.error("generate"), PictoryInvalidRequestError)
    assert f"{limit}: got ''" in str(run.error("generate"))
    assert count(pictory, POST) == 0


def test_the_list_may_come_from_tasks_mapped_or_not_and_go_on_to_mapped_ones(pictory, run_dag):
    with a_dag() as dag:

        @task
        def ask(number):
            return {"prompt": PROMPTS[number], "key": number}

        @task
        def use(line):
            return line["job_id"]

        videos = GenerateVideosOperator(
            task_id="generate", requests=ask.expand(number=[1, 0]), poll_interval=0.05
        )
        use.expand(line=videos.output)

    run = run_dag(dag)

    assert run.states == {"ask": ["success"] * 2, "generate": "success", "use": ["success"] * 2}
    assert [line["key"] for line in run.xcom("generate")] == ["1", "0"]
    assert run.xcom("use", map_index=0) == run.xcom("generate")[0]["job_id"]


def test_an_empty_list_is_an_empty_manifest(pictory, run_dag):
    run = run_batch(run_dag, [])

    assert run.states == {"generate": "success"}
    assert run.xcom("generate") == []


def test_the_manifest_is_a_file_of_json_lines_where_a_path_is_given(pictory, run_dag, tmp_path):
    path = tmp_path / "clips" / "manifest.jsonl"

    run = run_batch(run_dag, manifest_path=f"{tmp_path}/{{{{ 'clips' }}}}/manifest.jsonl")

    assert run.xcom("generate") == str(path)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["key"] for line in lines] == [str(number) for number in range(7)]
    assert {line["state"] for line in lines} == {"completed"}


def test_too_many_requests_slow_the_batch_down_and_fail_nothing(pictory_at, run_dag):
    pictory = pictory_at(faults=["rate-limit:path=/v1/aistudio/videos,method=POST,count=3,retry_after=none"])

    run = run_batch(run_dag, max_active_jobs=2)

    assert run.states == {"generate": "success"}
    assert len(pictory.jobs()) == 7
    assert count(pictory, JOB) >= 7
