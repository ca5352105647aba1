"""``@task.pictory_video`` in DAG runs: what the function returns, what is paid for, what survives a crash."""

from __future__ import annotations

import pytest
from airflow.providers.common.compat.sdk import Asset, task

from airflow_provider_pictory.exceptions import (
    PictoryError,
    PictoryInvalidRequestError,
    PictorySpendingLimitError,
)
from tests.support.airflow_versions import needs_retries_after_post_execute
from tests.support.dag_runs import a_dag
from tests.support.pictory_words import POST, RESULT_KEYS, count, only_job

PROMPT = "A paper boat on a rainy street"


def test_a_function_that_returns_a_prompt_becomes_a_video(busy_pictory, run_dag):
    with a_dag() as dag:

        @task.pictory_video
        def clip():
            return PROMPT

        clip()

    run = run_dag(dag)

    job = only_job(busy_pictory)
    assert run.states == {"clip": "success"}
    assert run.xcom("clip") == run.xcom("clip", "job_id") == job["job_id"]
    assert run.xcom("clip", "estimated_credits") == 8
    assert job["request"] == {
        "prompt": PROMPT,
        "model": "pixverse5.5",
        "aspectRatio": "16:9",
        "duration": "5s",
    }


def test_a_function_can_return_all_fields_of_a_request(busy_pictory, run_dag):
    with a_dag() as dag:
        # Airflow would split what a function with this annotation returns.
        @task.pictory_video(model="veo3.1", duration=4, aspect_ratio="9:16")
        def clip() -> dict[str, object]:
            return {
                "prompt": PROMPT,
                "model": "veo3.1_fast",
                "duration": 6,
                "aspect_ratio": None,
                "reference_image_urls": ("https://example.com/1.png",),
                "webhook": "",
                "extra_fields": {"seed": 7},
            }

        clip()

    run_dag(dag)

    assert only_job(busy_pictory)["request"] == {
        "prompt": PROMPT,
        "model": "veo3.1_fast",
        "aspectRatio": "9:16",
        "duration": "6s",
        "referenceImageUrls": ["https://example.com/1.png"],
        "seed": 7,
    }


def test_the_function_gets_its_arguments_and_what_it_wants_to_know_of_the_run(busy_pictory, run_dag):
    with a_dag(params={"colour": "red"}) as dag:

        @task
        def product():
            return {"name": "kettle"}

        @task.pictory_video
        def clip(colour, product, ti=None, params=None, **context):
            assert context["dag"].dag_id == dag.dag_id
            return f"A {colour} {product['name']} of {params['colour']} {ti}"

        # An argument may bear the name of what the operator itself needs of the context.
        clip("{{ params.colour }}", product=product(), ti="steel")

    run = run_dag(dag)

    assert run.states["clip"] == "success"
    assert only_job(busy_pictory)["prompt"] == "A red kettle of red steel"


def test_what_the_function_returns_is_no_template(busy_pictory, run_dag):
    with a_dag() as dag:

        @task.pictory_video
        def clip():
            return "A sign that says {{ conn.pictory_default.password }}"

        clip()

    run_dag(dag)

    assert only_job(busy_pictory)["prompt"] == "A sign that says {{ conn.pictory_default.password }}"


def test_a_batch_is_the_function_mapped_over_a_table(busy_pictory, run_dag):
    with a_dag() as dag:

        @task
        def products():
            return ["kettle", "teapot", "cup"]

        @task.pictory_video(model="veo3.1_fast", max_credits=50)
        def clip(product, colour):
            return f"A {colour} {product} on a table"

        clip.partial(colour="red").expand(product=products())

    run = run_dag(dag)

    jobs = {job["job_id"]: job["prompt"] for job in busy_pictory.jobs()}
    assert run.states["clip"] == ["success"] * 3
    assert [jobs[run.xcom("clip", map_index=index)] for index in range(3)] == [
        "A red kettle on a table",
        "A red teapot on a table",
        "A red cup on a table",
    ]
    assert count(busy_pictory, POST) == 3


@pytest.mark.parametrize("deferrable", [False, True], ids=["on the worker", "deferred"])
def test_it_waits_and_tells_of_the_video_as_the_operator_does(pictory, run_dag, deferrable):
    calls = []
    with a_dag() as dag:

        @task.pictory_video(
            wait_for_completion=True, deferrable=deferrable, outlets=[Asset("pictory_decorated")]
        )
        def clip():
            calls.append(1)
            return PROMPT

        clip()

    run = run_dag(dag)

    job_id = only_job(pictory)["job_id"]
    assert run.states == {"clip": "success"}
    assert run.xcom("clip") == job_id
    assert list(run.xcom("clip", "video")) == RESULT_KEYS
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        (None, ["prompt: clip() returned None", "return statement missing"]),
        ("", ["prompt: got nothing ('')", "5 to 5,000 characters"]),
        ("Boat", ["prompt: got 4 characters"]),
        ([PROMPT, PROMPT], ["clip() returned ['A paper", "expand()"]),
        (7, ["clip() returned 7", "{'prompt': 'A red fox in snow', 'duration': 8}"]),
        ({}, ["prompt: got nothing"]),
        ({"prompt": None}, ["prompt: got nothing (None)"]),
        ({"prompt": PROMPT, "aspectRatio": "16:9"}, ["'aspectRatio'", "called aspect_ratio here"]),
        ({"prompt": PROMPT, "max_credits": 7}, ["'max_credits'", "argument of @task.pictory_video()"]),
        ({"prompt": PROMPT, "colour": "red", 7: 8}, ["'colour'", "the field 7", "extra_fields"]),
        ({"prompt": PROMPT, "duration": 7}, ["duration: got 7"]),
        ({"prompt": PROMPT, "extra_fields": {"seed": {7, 8}}}, ["extra_fields", "JSON"]),
    ],
    ids=str,
)
def test_what_is_no_request_is_refused_with_a_way_out_and_never_paid_for(pictory, run_dag, returned, words):
    with a_dag(retries=2) as dag:

        @task.pictory_video
        def clip():
            return returned

        clip()

    run = run_dag(dag)

    error = run.error("clip")
    assert isinstance(error, PictoryInvalidRequestError)
    assert str(error).startswith("Nothing was submitted: ")
    assert [word for word in words if word not in str(error)] == []
    assert count(pictory, POST) == 0


def test_an_async_function_is_refused(pictory, run_dag, recwarn):
    with a_dag() as dag:

        @task.pictory_video
        async def clip():
            return PROMPT

        clip()

    run = run_dag(dag)

    assert "can't be an async function" in str(run.error("clip"))
    assert [it for it in recwarn if "never awaited" in str(it.message)] == []


def test_what_the_function_raises_fails_the_try_before_anything_is_paid_and_is_retried(pictory, run_dag):
    tries = []
    with a_dag(retries=1) as dag:

        @task.pictory_video
        def clip():
            tries.append(1)
            if len(tries) == 1:
                raise LookupError("the table is away")
            return PROMPT

        clip()

    run = run_dag(dag)

    assert isinstance(run.error("clip"), LookupError)
    assert run.states == {"clip": "success"}
    assert count(pictory, POST) == 1


def test_it_has_the_guard_of_the_credits(pictory, run_dag):
    with a_dag() as dag:

        @task.pictory_video(max_credits=20)
        def clip():
            return {"prompt": PROMPT, "model": "veo3.1", "duration": 8}

        clip()

    assert isinstance(run_dag(dag).error("clip"), PictorySpendingLimitError)
    assert count(pictory, POST) == 0


@needs_retries_after_post_execute
@pytest.mark.parametrize("deferrable", [False, True], ids=["on the worker", "deferred"])
def test_a_retry_after_the_acceptance_keeps_the_job_whatever_the_function_returns_by_then(
    pictory, run_dag, deferrable
):
    returned = iter([PROMPT, "Something else altogether"])
    with a_dag(retries=1) as dag:

        def crash(context, result=None):
            if context["ti"].try_number == 1:
                raise PictoryError("The worker stumbled")

        @task.pictory_video(wait_for_completion=True, deferrable=deferrable, post_execute=crash)
        def clip():
            return next(returned)

        clip()

    run = run_dag(dag)

    assert run.states == {"clip": "success"}
    assert run.xcom("clip") == only_job(pictory)["job_id"]
    assert only_job(pictory)["prompt"] == PROMPT
    assert count(pictory, POST) == 1
    assert "This task now asks for something else than job" in run.log


@needs_retries_after_post_execute
def test_a_retry_after_the_acceptance_keeps_the_job_even_if_the_function_fails_by_then(pictory, run_dag):
    tries = []
    with a_dag(retries=1) as dag:

        def crash(context, result=None):
            if context["ti"].try_number == 1:
                raise PictoryError("The worker stumbled")

        @task.pictory_video(post_execute=crash)
        def clip():
            tries.append(1)
            if len(tries) > 1:
                raise LookupError("the table is away")
            return PROMPT

        clip()

    run = run_dag(dag)

    assert run.states == {"clip": "success"}
    assert run.xcom("clip") == only_job(pictory)["job_id"]
    assert "the table is away" in run.log


@pytest.mark.parametrize(
    ("arguments", "words"),
    [({"prompt": PROMPT}, "prompt: got 'A paper"), ({"multiple_outputs": True}, "multiple_outputs: ")],
)
def test_arguments_that_make_no_sense_are_found_while_the_dag_is_read(arguments, words):
    with pytest.raises(TypeError, match=words):
        task.pictory_video(**arguments)
