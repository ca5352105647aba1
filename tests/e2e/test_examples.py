"""The examples as they stand, which all use one account: generate, wait, save; approve; consume an asset."""

from __future__ import annotations

import re
from types import SimpleNamespace

import av
import pytest

from tests.conftest import API_KEY
from tests.e2e.conftest import CONSUMER, EXAMPLE
from tests.e2e.stage import scenario
from tests.support.pictory_words import POST, RESULT_KEYS, count, the_job

pytestmark = pytest.mark.end_to_end

APPROVAL = "example_pictory_approval"
PRODUCT_BATCH = "example_pictory_product_batch"
TRIGGER = "airflow_provider_pictory.triggers.without_worker.VideoJobTaskTrigger"


def approval(stage, response):
    """Somebody is asked whether a video shall be published, and responds."""
    airflow, pictory, folder = stage.airflow, stage.account(), stage.folder(response)
    prompt = f"A lighthouse in a storm, to see whether they {response}"
    run_id = airflow.trigger(APPROVAL, {"folder": str(folder), "prompt": prompt})
    airflow.wait_for_state(APPROVAL, run_id, "wait", "deferred")
    pictory.set_job(the_job(pictory, prompt)["job_id"], "completed")
    path = f"/dags/{APPROVAL}/dagRuns/{run_id}/taskInstances/approve/-1/hitlDetails"
    # Nobody responds within a second, before Airflow has noticed that the worker which asked has ended: it
    # would fail the task and ask again.
    ended = re.compile(rf"event with state success .*task_id='approve', run_id='{re.escape(run_id)}'")
    airflow.wait_for(
        "the worker that asks to end, and that to be noticed",
        lambda: airflow.log_files("scheduler.out")["scheduler.out"],
        ended.search,
        300,
    )
    question = airflow.request("GET", path)
    published_before = list(folder.iterdir())
    airflow.request("PATCH", path, {"chosen_options": [response], "params_input": {}})
    return SimpleNamespace(
        run_id=run_id,
        state=airflow.wait_for_run(APPROVAL, run_id),
        pictory=pictory,
        job=the_job(pictory, prompt),
        folder=folder,
        question=question,
        published_before=published_before,
    )


@scenario
def approved(stage):
    return approval(stage, "Approve")


@scenario
def rejected(stage):
    return approval(stage, "Reject")


@scenario
def product_batch(stage):
    """Three clips in one task, awaited in the triggerer."""
    airflow, pictory, folder = stage.airflow, stage.account(), stage.folder("products")
    # Once it isn't paused, last night's run makes the example's own products.
    prompts = {name: f"A {name} that somebody orders by name" for name in ("kettle", "lamp", "bicycle")}
    table = folder / "products.csv"
    table.write_text("\n".join(["name,description", *(",".join(row) for row in prompts.items())]))
    run_id = airflow.trigger(PRODUCT_BATCH, {"table": str(table), "bucket": str(folder)})
    airflow.wait_for_state(PRODUCT_BATCH, run_id, "generate", "deferred")
    for prompt in prompts.values():
        pictory.set_job(the_job(pictory, prompt)["job_id"], "completed")
    return SimpleNamespace(
        run_id=run_id, state=airflow.wait_for_run(PRODUCT_BATCH, run_id), folder=folder, pictory=pictory
    )


def test_the_batch_example_generates_and_saves_a_clip_for_each_product(airflow, product_batch):
    manifest = airflow.xcoms(PRODUCT_BATCH, product_batch.run_id, "generate")["return_value"]
    saved = airflow.xcoms(PRODUCT_BATCH, product_batch.run_id, "save")["return_value"]

    assert product_batch.state == "success"
    assert [line["key"] for line in manifest] == ["kettle", "lamp", "bicycle"]
    assert {line["state"] for line in manifest} == {"completed"}
    assert [line["job_id"] for line in saved] == [line["job_id"] for line in manifest]
    assert sorted(path.stem for path in product_batch.folder.rglob("*.mp4")) == ["bicycle", "kettle", "lamp"]


def test_the_example_waits_deferred_and_what_is_stored_of_the_wait_is_no_secret(generated):
    classpath, kwargs = generated.trigger

    assert generated.deferred["trigger"]["classpath"] == classpath == TRIGGER
    assert "xcom_pull" in kwargs
    assert API_KEY not in kwargs


def test_the_example_generates_waits_and_saves_a_video_that_plays(airflow, generated):
    run_id, job_id = generated.run_id, generated.job["job_id"]
    assert generated.state == "success"
    assert airflow.xcoms(EXAMPLE, run_id, "generate") == {
        "job_id": job_id,
        "estimated_credits": 40,
        "return_value": job_id,
    }
    video = airflow.xcoms(EXAMPLE, run_id, "wait")["return_value"]
    assert list(video) == RESULT_KEYS
    assert (video["job_id"], video["status"], video["ai_credits_used"]) == (job_id, "completed", 40)
    assert video["url"].startswith(generated.pictory.url)
    path = generated.folder / f"{job_id}.mp4"
    assert airflow.xcoms(EXAMPLE, run_id, "save")["return_value"]["path"] == str(path)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = sum(1 for _ in container.decode(stream))
        assert (stream.width, stream.height) == (video["width"], video["height"])
        assert frames / stream.average_rate == video["duration_seconds"] == 4
    assert generated.job["request"]["prompt"] == "A red fox in snow"


def test_the_consumer_runs_when_a_video_was_saved_and_knows_which(airflow, generated):
    path = generated.folder / f"{generated.job['job_id']}.mp4"

    (line,) = airflow.xcoms(CONSUMER, generated.consumed, "announce")["return_value"]
    assert line == f"{path}, 4 seconds, 40 credits"
    assert generated.consumer_state == "success"
    assert len(airflow.request("GET", f"/dags/{CONSUMER}/dagRuns")["dag_runs"]) == 1


@pytest.mark.parametrize("response", ["approved", "rejected"])
def test_what_somebody_approves_is_published_and_nothing_else(airflow, approved, rejected, response):
    seen = {"approved": approved, "rejected": rejected}[response]
    video = airflow.xcoms(APPROVAL, seen.run_id, "wait")["return_value"]
    (publish,) = (it for it in airflow.task_instances(APPROVAL, seen.run_id) if it["task_id"] == "publish")
    expected = ("success", [f"{seen.job['job_id']}.mp4"]) if response == "approved" else ("skipped", [])

    assert f"[Play it]({video['url']})" in seen.question["body"]
    assert seen.published_before == []
    assert seen.state == "success"
    assert (publish["state"], [file.name for file in seen.folder.iterdir()]) == expected


def test_each_of_their_videos_was_paid_for_once(generated, approved, rejected, product_batch):
    prompts = [job["prompt"] for job in generated.pictory.jobs()]

    assert count(generated.pictory, POST) == len(prompts) == len(set(prompts))
