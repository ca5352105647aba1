"""The operator in DAG runs: what reaches Pictory, what reaches XCom, what Airflow makes of an error."""

from __future__ import annotations

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowTaskTimeout, task

from airflow_provider_pictory.exceptions import (
    PictoryAPIError,
    PictoryAuthenticationError,
    PictoryConfigurationError,
    PictoryInsufficientCreditsError,
    PictoryInvalidRequestError,
    PictoryJobFailedError,
    PictoryJobTimedOutError,
    PictoryRateLimitedError,
    PictorySpendingLimitError,
    PictorySubmissionPendingError,
)
from airflow_provider_pictory.operators.pictory import GenerateVideoOperator
from airflow_provider_pictory.sensors.pictory import VideoJobSensor
from tests.conftest import RENDER_SECONDS
from tests.support.airflow_versions import LISTS_VARIABLES, needs_timeouts_in_dag_test
from tests.support.dag_runs import a_dag
from tests.support.pictory_words import JOB, POST, RESULT_KEYS, count, only_job

PROMPT = "A paper boat on a rainy street"


def test_it_submits_exactly_one_video_and_ends_with_the_job_id(busy_pictory, run_dag):
    with a_dag(retries=3) as dag:
        GenerateVideoOperator(task_id="generate", prompt=PROMPT)

    run = run_dag(dag)

    job = only_job(busy_pictory)
    assert run.states == {"generate": "success"}
    assert run.xcom("generate") == run.xcom("generate", "job_id") == job["job_id"]
    assert run.xcom("generate", "video") is None
    assert run.xcom("generate", "estimated_credits") == 8
    assert run.xcom("generate", "used_credits") is None
    assert job["request"] == {
        "prompt": PROMPT,
        "model": "pixverse5.5",
        "aspectRatio": "16:9",
        "duration": "5s",
    }
    assert count(busy_pictory, POST) == 1
    assert count(busy_pictory, JOB) == 0


@pytest.mark.parametrize("deferrable", [False, True], ids=["on the worker", "deferred"])
def test_with_wait_for_completion_the_result_is_xcom_video_and_the_job_id_still_the_return_value(
    pictory, run_dag, deferrable
):
    with a_dag(retries=3) as dag:
        GenerateVideoOperator(
            task_id="generate", prompt=PROMPT, duration=8, wait_for_completion=True, deferrable=deferrable
        )

    run = run_dag(dag)

    job = only_job(pictory)
    video = run.xcom("generate", "video")
    assert run.states == {"generate": "success"}
    assert run.xcom("generate") == run.xcom("generate", "job_id") == job["job_id"]
    assert run.xcom("generate", "estimated_credits") == run.xcom("generate", "used_credits") == 12.8
    assert list(video) == RESULT_KEYS
    assert video.pop("url").startswith(pictory.url)
    assert {name: str(video.pop(name)).startswith(pictory.url) for name in RESULT_KEYS if "_url" in name} == {
        "thumbnail_url": True,
        "preview_url": True,
        "last_frame_image_url": True,
    }
    assert video == {
        "job_id": job["job_id"],
        "status": "completed",
        "duration_seconds": 8,
        "width": 640,
        "height": 360,
        "ai_credits_used": 12.8,
    }
    assert count(pictory, POST) == count(pictory, JOB) == 1


def test_every_argument_of_the_request_is_a_template(pictory_at, run_dag):
    pictory = pictory_at(fetch_sources=False)
    with a_dag(params={"model": "veo3.1_fast", "conn": "pictory_default"}) as dag:

        @task(multiple_outputs=True)
        def ask():
            return {
                "prompt": PROMPT,
                "duration": 6,
                "images": ["https://example.com/1.png", "https://example.com/2.png"],
                "hook": "https://example.com/done?of={{not_a_template}}",
                "extra": {"seed": 7},
            }

        asked = ask()
        GenerateVideoOperator(
            task_id="text",
            prompt="{{ ti.xcom_pull(task_ids='ask')['prompt'] }} in {{ params.model }}",
            model="{{ params.model }}",
            aspect_ratio="{{ '9:16' }}",
            duration="{{ ti.xcom_pull(task_ids='ask')['duration'] }}s",
            reference_image_urls="{{ ti.xcom_pull(task_ids='ask')['images'] }}",
            webhook="{{ ti.xcom_pull(task_ids='ask')['hook'] }}",
            extra_fields={"style": "{{ params.model }}"},
            pictory_conn_id="{{ params.conn }}",
        )
        GenerateVideoOperator(
            task_id="values",
            prompt=asked["prompt"],
            model="veo3.1_fast",
            duration=asked["duration"],
            reference_image_urls=asked["images"],
            extra_fields=asked["extra"],
        )
        GenerateVideoOperator(
            task_id="extend", prompt=PROMPT, extend_video_url="https://example.com/{{ params.model }}.mp4"
        )
        GenerateVideoOperator(
            task_id="first_frame",
            prompt=PROMPT,
            first_frame_image_url="https://example.com/{{ params.model }}.png",
        )
        dag.get_task("ask") >> [dag.get_task("text"), dag.get_task("extend"), dag.get_task("first_frame")]

    run = run_dag(dag)

    assert set(run.states.values()) == {"success"}
    requests = {job["job_id"]: job["request"] for job in pictory.jobs()}
    assert requests[run.xcom("text")] == {
        "prompt": f"{PROMPT} in veo3.1_fast",
        "model": "veo3.1_fast",
        "aspectRatio": "9:16",
        "duration": "6s",
        "referenceImageUrls": ["https://example.com/1.png", "https://example.com/2.png"],
        "webhook": "https://example.com/done?of={{not_a_template}}",
        "style": "veo3.1_fast",
    }
    assert requests[run.xcom("values")] == {
        "prompt": PROMPT,
        "model": "veo3.1_fast",
        "aspectRatio": "16:9",
        "duration": "6s",
        "referenceImageUrls": ["https://example.com/1.png", "https://example.com/2.png"],
        "seed": 7,
    }
    assert requests[run.xcom("extend")]["extendVideoUrl"] == "https://example.com/veo3.1_fast.mp4"
    assert requests[run.xcom("first_frame")]["firstFrameImageUrl"] == "https://example.com/veo3.1_fast.png"


def test_what_a_template_leaves_empty_counts_as_not_given(busy_pictory, run_dag):
    empty = "{{ dag_run.conf.get('nothing', '') }}"
    none = "{{ dag_run.conf.get('nothing') }}"
    with a_dag() as dag:

        @task
        def nothing():
            return None

        GenerateVideoOperator(
            task_id="generate",
            prompt=PROMPT,
            model=empty,
            aspect_ratio=none,
            duration=none,
            first_frame_image_url=empty,
            extend_video_url=none,
            reference_image_urls=nothing(),
            webhook=empty,
            extra_fields=None,
        )

    run = run_dag(dag, conf={"something": "else"})

    assert run.states["generate"] == "success"
    assert set(only_job(busy_pictory)["request"]) == {"prompt", "model", "aspectRatio", "duration"}


@pytest.mark.parametrize(
    "images", [[], "{{ dag_run.conf.get('images', []) }}", ["{{ dag_run.conf.get('image') }}"]]
)
def test_a_list_or_dict_that_a_template_leaves_empty_counts_as_not_given(busy_pictory, run_dag, images):
    with a_dag() as dag:
        GenerateVideoOperator(
            task_id="generate",
            prompt=PROMPT,
            first_frame_image_url="https://example.com/first.png",
            reference_image_urls=images,
            extra_fields="{{ dag_run.conf.get('more', {}) }}",
        )

    run = run_dag(dag, conf={"something": "else"})

    assert run.states["generate"] == "success"
    assert set(only_job(busy_pictory)["request"]) == {
        "prompt",
        "model",
        "aspectRatio",
        "duration",
        "firstFrameImageUrl",
    }


def test_an_invalid_request_names_every_fault_and_is_neither_submitted_nor_retried(pictory, run_dag):
    with a_dag(retries=3) as dag:
        GenerateVideoOperator(
            task_id="generate",
            prompt="{{ dag_run.conf.get('missing') }}",
            model="{{ 'veo3.1' }}",
            duration="{{ 5 }}",
            aspect_ratio="{{ '1:1' }}",
            extend_video_url="{{ 'https://example.com/1.mp4' }}",
            first_frame_image_url="https://example.com/1.png",
        )

    run = run_dag(dag)

    error = run.error("generate")
    assert isinstance(error, PictoryInvalidRequestError)
    assert str(error).startswith("Nothing was submitted: ")
    for field in ("prompt", "duration", "aspect_ratio", "first_frame_image_url + extend_video_url"):
        assert f"{field}: got" in str(error)
    assert (run.states["generate"], run.tries("generate")) == ("failed", 1)
    assert pictory.counts()["requests"] == {}


@pytest.mark.parametrize(
    "arguments",
    [{"poll_interval": 0}, {"poll_interval": "10"}, {"timeout": -1}, {"timeout": float("inf")}],
    ids=str,
)
def test_waiting_arguments_that_make_no_sense_are_found_when_the_dag_is_parsed(arguments):
    with pytest.raises(PictoryInvalidRequestError, match=next(iter(arguments))):
        GenerateVideoOperator(task_id="generate", prompt=PROMPT, wait_for_completion=True, **arguments)


def test_the_log_says_in_one_line_what_is_submitted_and_what_it_will_cost(busy_pictory, run_dag):
    with a_dag() as dag:
        GenerateVideoOperator(task_id="generate", prompt=PROMPT, model="veo3.1", duration=8)

    log = run_dag(dag).log

    (line,) = [line for line in log.splitlines() if "Submitting a video" in line]
    assert "model veo3.1, 8s, 16:9, about 160 AI credits" in line
    (line,) = [line for line in log.splitlines() if "Pictory accepted" in line]
    assert only_job(busy_pictory)["job_id"] in line


def test_it_warns_when_the_price_will_be_another_than_asked_for(busy_pictory, run_dag):
    with a_dag() as dag:
        GenerateVideoOperator(
            task_id="generate",
            prompt=PROMPT,
            model="veo3.1",
            duration=4,
            reference_image_urls=["https://example.com/1.png"],
        )

    log = run_dag(dag).log

    assert "probably makes 8 s of video whatever is asked" in log
    assert "about 160 AI credits" in log


@pytest.mark.parametrize("deferrable", [False, True], ids=["on the worker", "deferred"])
def test_a_failed_job_is_not_paid_for_again(busy_pictory, run_dag, deferrable):
    busy_pictory.respond_next(
        "/v1/jobs/",
        body={
            "success": False,
            "data": {"status": "failed", "error_code": "5002", "error_message": "Unsafe"},
        },
        times=9,
    )
    with a_dag(retries=3) as dag:
        GenerateVideoOperator(
            task_id="generate", prompt=PROMPT, wait_for_completion=True, deferrable=deferrable
        )

    run = run_dag(dag)

    error = run.error("generate")
    job_id = only_job(busy_pictory)["job_id"]
    assert isinstance(error, PictoryJobFailedError)
    assert f"Pictory job {job_id} failed (5002: Unsafe). For another video clear the task that" in str(error)
    assert (error.job_id, error.error_code) == (job_id, "5002")
    assert (run.states["generate"], run.tries("generate")) == ("failed", 1)
    assert run.xcom("generate", "job_id") == job_id
    assert count(busy_pictory, POST) == 1


def test_it_maps_over_prompts_and_so_do_the_waiting_and_what_follows(pictory, run_dag):
    prompts = ["A red fox in snow", "A blue whale at dawn", "A green parrot asleep"]
    with a_dag() as dag:
        generate = GenerateVideoOperator.partial(task_id="generate", model="veo3.1_fast").expand(
            prompt=prompts
        )
        wait = VideoJobSensor.partial(task_id="wait").expand(job_id=generate.output)

        @task
        def urls(videos):
            return [video["url"] for video in videos]

        urls(wait.output)

    run = run_dag(dag)

    assert run.states == {"generate": ["success"] * 3, "wait": ["success"] * 3, "urls": "success"}
    by_prompt = {job["prompt"]: job["job_id"] for job in pictory.jobs()}
    assert [run.xcom("generate", map_index=index) for index in range(3)] == [
        by_prompt[prompt] for prompt in prompts
    ]
    videos = [run.xcom("wait", map_index=index) for index in range(3)]
    assert [video["job_id"] for video in videos] == [by_prompt[prompt] for prompt in prompts]
    assert run.xcom("urls") == [video["url"] for video in videos]
    assert count(pictory, POST) == 3


def test_mapped_and_deferred_each_instance_resumes_with_its_own_job(pictory, run_dag):
    prompts = ["A red fox in snow", "A blue whale at dawn"]
    with a_dag() as dag:
        GenerateVideoOperator.partial(task_id="generate", wait_for_completion=True, deferrable=True).expand(
            prompt=prompts
        )

    run = run_dag(dag)

    by_prompt = {job["prompt"]: job["job_id"] for job in pictory.jobs()}
    for index, prompt in enumerate(prompts):
        assert run.xcom("generate", map_index=index) == by_prompt[prompt]
        assert run.xcom("generate", "video", map_index=index)["job_id"] == by_prompt[prompt]


@pytest.mark.parametrize(
    ("response", "posts"),
    [
        ({"status": 500, "body": {"message": "Internal Server Error"}}, 2),
        ({"status": 500, "body": {"message": "Internal Server Error"}, "is_processed": True}, 1),
        ({"status": 504, "body": "<html>", "headers": {"Content-Type": "text/html"}}, 2),
        ({"status": 200, "body": {"success": True, "data": {}}, "is_processed": True}, 1),
        ({"status": 200, "body": "", "is_processed": True}, 1),
        ({"status": 302, "headers": {"Location": "/elsewhere"}}, 2),
        ({"status": 408, "is_processed": True}, 1),
    ],
    ids=["500", "500 though accepted", "504", "no job id", "nothing", "redirect", "408 though accepted"],
)
def test_when_nobody_knows_whether_it_was_accepted_the_retry_finds_out(pictory, run_dag, response, posts):
    pictory.respond_next("/v1/aistudio/videos", method="POST", **response)
    with a_dag(retries=2) as dag:
        GenerateVideoOperator(task_id="generate", prompt=PROMPT)

    run = run_dag(dag)

    error = run.error("generate")
    assert isinstance(error, PictorySubmissionPendingError)
    assert "It is not known whether" in str(error)
    assert "finds out what became of it" in str(error)
    assert (run.states["generate"], run.tries("generate")) == ("success", 2)
    assert run.xcom("generate") == run.xcom("generate", "job_id") == only_job(pictory)["job_id"]
    assert count(pictory, POST) == posts


@pytest.mark.parametrize("deferrable", [False, True], ids=["on the worker", "deferred"])
@pytest.mark.parametrize(
    ("fault", "posts", "why"),
    [
        ("drop-after-processing", 1, "The submission did arrive"),
        ("drop-before-processing", 2, "The submission never arrived"),
    ],
)
def test_a_connection_that_breaks_costs_a_try_and_no_second_video(
    pictory, run_dag, fault, posts, why, deferrable
):
    pictory.set_faults([f"{fault}:method=POST,count=1"])
    with a_dag(retries=2) as dag:
        GenerateVideoOperator(
            task_id="generate", prompt=PROMPT, wait_for_completion=True, deferrable=deferrable
        )

    run = run_dag(dag)

    assert isinstance(run.error("generate"), PictorySubmissionPendingError)
    assert (run.states["generate"], run.tries("generate")) == ("success", 2)
    assert run.xcom("generate", "video")["job_id"] == only_job(pictory)["job_id"]
    assert why in run.log
    assert count(pictory, POST) == posts


def test_without_retries_a_lost_response_is_found_again_within_the_only_try(pictory, run_dag):
    pictory.set_faults(["drop-after-processing:method=POST,count=1"])
    with a_dag(retries=0) as dag:
        GenerateVideoOperator(task_id="generate", prompt=PROMPT)

    run = run_dag(dag)

    assert (run.states["generate"], run.tries("generate")) == ("success", 1)
    assert run.xcom("generate") == only_job(pictory)["job_id"]
    assert count(pictory, POST) == 1


def test_a_wrong_key_is_not_tried_again(pictory_at, run_dag, connect):
    pictory = pictory_at()
    connect(pictory.url, "pictai_revoked")
    with a_dag(retries=3) as dag:
        GenerateVideoOperator(task_id="generate", prompt=PROMPT)

    run = run_dag(dag)

    error = run.error("generate")
    assert isinstance(error, PictoryAuthenticationError)
    assert "the API key is wrong or was revoked" in str(error)
    assert "pictai_revoked" not in run.log
    assert (run.states["generate"], run.tries("generate")) == ("failed", 1)
    assert pictory.counts()["jobs_created"] == 0


def test_an_account_out_of_credits_is_not_tried_again(pictory_at, run_dag):
    pictory = pictory_at(credits=7)
    with a_dag(retries=3) as dag:
        GenerateVideoOperator(task_id="generate", prompt=PROMPT)

    run = run_dag(dag)

    assert isinstance(run.error("generate"), PictoryInsufficientCreditsError)
    assert (run.states["generate"], run.tries("generate")) == ("failed", 1)
    assert pictory.counts()["jobs_created"] == 0


def test_a_missing_connection_says_how_to_create_it(pictory, run_dag):
    with a_dag(retries=3) as dag:
        GenerateVideoOperator(task_id="generate", prompt=PROMPT, pictory_conn_id="nowhere")

    run = run_dag(dag)

    error = run.error("generate")
    assert isinstance(error, PictoryConfigurationError)
    assert "There is no Airflow connection 'nowhere'" in str(error)
    assert run.tries("generate") == 1


def test_too_many_requests_are_retried_as_airflow_is_told_to(busy_pictory, run_dag):
    busy_pictory.respond_next("/v1/aistudio/videos", method="POST", status=429, headers={"Retry-After": "77"})
    with a_dag(retries=1) as dag:
        GenerateVideoOperator(task_id="generate", prompt=PROMPT)

    run = run_dag(dag)

    error = run.error("generate")
    assert isinstance(error, PictoryRateLimitedError)
    assert not isinstance(error, AirflowFailException)
    assert error.retry_after == 77
    assert (run.states["generate"], run.tries("generate")) == ("success", 2)
    assert run.xcom("generate") == only_job(busy_pictory)["job_id"]
    assert count(busy_pictory, POST) == 2


def test_a_server_that_is_not_there_is_tried_again(pictory_at, run_dag, monkeypatch):
    monkeypatch.setattr(
        "airflow_provider_pictory.client.submitting.pause_before_submitting_again", lambda state: 0.01
    )
    gone = pictory_at()
    gone.stop()
    with a_dag(retries=1) as dag:
        GenerateVideoOperator(task_id="generate", prompt=PROMPT)

    run = run_dag(dag)

    errors = run.errors("generate")
    assert [type(error) for error in errors] == [PictoryAPIError, PictoryAPIError]
    assert all("nothing was submitted, nothing is paid" in str(error) for error in errors)
    assert all(gone.api_key not in str(error) for error in errors)


def test_lasting_trouble_after_the_acceptance_never_submits_again(busy_pictory, run_dag):
    busy_pictory.respond_next("/v1/jobs/", status=503, times=1000)
    with a_dag(retries=3, poll_interval=0.03, timeout=0.1, wait_for_completion=True) as dag:
        GenerateVideoOperator(task_id="on_the_worker", prompt=PROMPT)
        GenerateVideoOperator(task_id="deferred", prompt=PROMPT, deferrable=True)

    run = run_dag(dag)

    for task_id in ("on_the_worker", "deferred"):
        assert isinstance(run.error(task_id), PictoryJobTimedOutError)
        assert run.xcom(task_id, "job_id") in str(run.error(task_id))
        assert (run.states[task_id], run.tries(task_id)) == ("failed", 1)
    assert count(busy_pictory, POST) == 2


def test_a_timeout_says_how_to_go_on_without_paying_again(busy_pictory, run_dag):
    with a_dag(retries=3) as dag:
        GenerateVideoOperator(
            task_id="generate", prompt=PROMPT, wait_for_completion=True, poll_interval=0.05, timeout=0.1
        )

    run = run_dag(dag)

    error = run.error("generate")
    assert isinstance(error, PictoryJobTimedOutError)
    assert "it goes on and is paid for" in str(error)
    assert "Clear this task to go on waiting for it" in str(error)


@needs_timeouts_in_dag_test
def test_an_execution_timeout_after_the_acceptance_is_retried_with_the_same_job(
    busy_pictory, run_dag, execution_timeout
):
    with a_dag(retries=1, execution_timeout=execution_timeout) as dag:
        GenerateVideoOperator(task_id="generate", prompt=PROMPT, wait_for_completion=True, poll_interval=30)

    run = run_dag(dag)

    job_id = only_job(busy_pictory)["job_id"]
    assert [type(error) for error in run.errors("generate")] == [AirflowTaskTimeout] * 2
    for error in run.errors("generate"):
        assert f"The wait for Pictory job {job_id} is over" in str(error)
        assert "its execution_timeout of 2.5 s" in str(error)
    assert (run.states["generate"], run.tries("generate")) == ("failed", 2)
    assert f"Going on with job {job_id}, which was submitted before; nothing is paid again" in run.log
    assert count(busy_pictory, POST) == 1


@needs_timeouts_in_dag_test
def test_an_execution_timeout_while_pictory_responds_is_retried_and_finds_the_job(
    pictory, run_dag, execution_timeout
):
    pictory.set_faults(["no-response:method=POST,is-processed=yes,count=1"])
    with a_dag(retries=6, execution_timeout=execution_timeout) as dag:
        GenerateVideoOperator(task_id="generate", prompt=PROMPT)

    run = run_dag(dag)

    assert type(run.errors("generate")[0]) is AirflowTaskTimeout
    assert run.states["generate"] == "success"
    # Where Variables can't be listed the job is taken when its window is over, which may take another try.
    assert run.tries("generate") == 2 or not LISTS_VARIABLES
    assert run.xcom("generate") == only_job(pictory)["job_id"]
    assert count(pictory, POST) == 1


def test_when_airflow_cannot_keep_the_job_id_the_retry_goes_on_with_the_job(pictory, run_dag, monkeypatch):
    execute, broken = GenerateVideoOperator.execute, ["job_id"]

    def execute_once_without_xcoms(self, context):
        instance = context["ti"]
        push = type(instance).xcom_push

        def fail_once(self, key, value, *arguments, **more):
            if key in broken:
                broken.remove(key)
                raise ConnectionError("no API server")
            return push(self, key, value, *arguments, **more)

        monkeypatch.setattr(type(instance), "xcom_push", fail_once)
        return execute(self, context)

    monkeypatch.setattr(GenerateVideoOperator, "execute", execute_once_without_xcoms)
    with a_dag(retries=1) as dag:
        GenerateVideoOperator(task_id="generate", prompt=PROMPT)

    run = run_dag(dag)

    assert isinstance(run.error("generate"), ConnectionError)
    assert (run.states["generate"], run.tries("generate")) == ("success", 2)
    assert run.xcom("generate", "job_id") == only_job(pictory)["job_id"]
    assert count(pictory, POST) == 1


@pytest.mark.parametrize("deferrable", [False, True], ids=["on the worker", "deferred"])
def test_with_resubmit_failed_the_retry_pays_for_another_video(pictory_at, run_dag, deferrable):
    pictory = pictory_at(faults=["job-fails:count=1"])
    with a_dag(retries=2) as dag:
        GenerateVideoOperator(
            task_id="generate",
            prompt=PROMPT,
            wait_for_completion=True,
            deferrable=deferrable,
            resubmit_failed=True,
        )

    run = run_dag(dag)

    assert [job["status"] for job in pictory.jobs()] == ["failed", "completed"]
    assert "with resubmit_failed the next try submits another" in str(run.error("generate"))
    assert (run.states["generate"], run.tries("generate")) == ("success", 2)
    assert run.xcom("generate") == pictory.jobs()[1]["job_id"]


@pytest.mark.parametrize("deferrable", [False, True], ids=["on the worker", "deferred"])
def test_a_task_that_is_cleared_while_its_job_runs_goes_on_with_it(
    busy_pictory, run_dag, clear_during_run, deferrable
):
    with a_dag(poll_interval=0.05, timeout=0.2) as dag:
        GenerateVideoOperator(
            task_id="generate", prompt=PROMPT, wait_for_completion=True, deferrable=deferrable
        )
    clear_during_run(dag, "generate")

    run = run_dag(dag)

    assert [type(error) for error in run.errors("generate")] == [PictoryJobTimedOutError] * 2
    assert (run.states["generate"], run.tries("generate")) == ("failed", 2)
    assert run.xcom("generate", "job_id") == only_job(busy_pictory)["job_id"]
    assert count(busy_pictory, POST) == 1


@pytest.mark.parametrize(
    ("on_clear", "jobs"), [("auto", 2), ("new", 2), ("reattach", 1)], ids=["auto", "new", "reattach"]
)
@pytest.mark.parametrize("retries", [0, 2], ids=["no retries", "retries"])
def test_what_a_clear_after_the_end_of_the_job_means(
    pictory, run_dag, clear_during_run, on_clear, jobs, retries
):
    with a_dag(retries=retries) as dag:
        GenerateVideoOperator(task_id="generate", prompt=PROMPT, wait_for_completion=True, on_clear=on_clear)
    clear_during_run(dag, "generate")

    run = run_dag(dag)

    assert (run.states["generate"], run.tries("generate")) == ("success", 2)
    assert len(pictory.jobs()) == count(pictory, POST) == jobs
    assert run.xcom("generate") == pictory.jobs()[-1]["job_id"]


def test_what_is_no_longer_waited_for_is_looked_at_before_a_clear_pays_again(
    busy_pictory, run_dag, clear_during_run
):
    with a_dag() as dag:
        GenerateVideoOperator(task_id="generate", prompt=PROMPT)
    clear_during_run(dag, "generate", meanwhile=lambda: busy_pictory.advance(RENDER_SECONDS))

    run = run_dag(dag)

    assert run.states["generate"] == "success"
    assert count(busy_pictory, POST) == 2


def test_max_credits_is_a_template_and_what_costs_more_is_not_submitted(pictory, run_dag):
    with a_dag(retries=3) as dag:
        GenerateVideoOperator(task_id="generate", prompt=PROMPT, max_credits="{{ 3 + 4 }}")

    run = run_dag(dag)

    assert isinstance(run.error("generate"), PictorySpendingLimitError)
    assert "at most 7 AI credits may be spent" in str(run.error("generate"))
    assert (run.states["generate"], run.tries("generate")) == ("failed", 1)
    assert count(pictory, POST) == 0
