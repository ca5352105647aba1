"""The events that Airflow makes of a task's outlets, and what they tell the next DAG about the video."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import Asset, AssetAlias

from airflow_provider_pictory.assets import describe_video
from airflow_provider_pictory.operators.batch import GenerateVideosOperator
from airflow_provider_pictory.operators.pictory import GenerateVideoOperator
from airflow_provider_pictory.sensors.pictory import VideoJobSensor
from airflow_provider_pictory.transfers.pictory_to_object_storage import PictoryToObjectStorageOperator
from tests.support.airflow_versions import asset_events, needs_references_to_assets
from tests.support.dag_runs import a_dag
from tests.support.pictory_words import only_job

PROMPT = "A paper boat on a rainy street"

_numbers = itertools.count(1)


def an_asset():
    return Asset(f"pictory_clip_{next(_numbers)}")


def events_of(asset):
    """Return what Airflow has stored about an asset: which task made each event, and its extra."""
    return [(event.source_task_id, event.extra) for event in asset_events(asset)]


@pytest.mark.parametrize("deferrable", [False, True], ids=["on the worker", "deferred"])
def test_the_event_of_a_task_that_waits_says_which_video_came(pictory, run_dag, deferrable):
    generated, waited_for = an_asset(), an_asset()
    with a_dag() as dag:
        generate = GenerateVideoOperator(
            task_id="generate",
            prompt=PROMPT,
            duration=8,
            wait_for_completion=True,
            deferrable=deferrable,
            outlets=[generated],
        )
        VideoJobSensor(task_id="wait", job_id=generate.output, deferrable=deferrable, outlets=[waited_for])

    assert set(run_dag(dag).states.values()) == {"success"}

    extra = {"job_id": only_job(pictory)["job_id"], "seconds": 8, "credits": 12.8}
    assert events_of(generated) == [("generate", extra)]
    assert events_of(waited_for) == [("wait", extra)]


def test_the_event_of_a_task_that_only_submits_says_which_job_it_is(busy_pictory, run_dag):
    submitted = an_asset()
    with a_dag() as dag:
        GenerateVideoOperator(task_id="generate", prompt=PROMPT, outlets=[submitted])

    run_dag(dag)

    extra = {"job_id": only_job(busy_pictory)["job_id"], "seconds": None, "credits": None}
    assert events_of(submitted) == [("generate", extra)]


def test_all_assets_of_a_task_are_told(pictory, run_dag):
    one, other = an_asset(), an_asset()
    with a_dag() as dag:
        GenerateVideoOperator(task_id="generate", prompt=PROMPT, outlets=[one, other])

    run_dag(dag)

    assert events_of(one) == events_of(other) != []


def test_an_alias_is_left_to_the_author_of_the_dag(pictory, run_dag):
    chosen, alias = an_asset(), AssetAlias(f"pictory_alias_{next(_numbers)}")

    def choose(context, result=None):
        context["outlet_events"][alias].add(chosen, extra={"by": "the author"})

    with a_dag() as dag:
        GenerateVideoOperator(task_id="generate", prompt=PROMPT, outlets=[alias], post_execute=choose)

    assert run_dag(dag).states == {"generate": "success"}
    assert events_of(chosen) == [("generate", {"by": "the author"})]


def test_what_the_author_of_the_dag_adds_is_kept(pictory, run_dag):
    asset = an_asset()

    def add(context):
        context["outlet_events"][asset].extra["campaign"] = "spring"

    with a_dag() as dag:
        GenerateVideoOperator(task_id="generate", prompt=PROMPT, outlets=[asset], pre_execute=add)

    run_dag(dag)

    ((_, extra),) = events_of(asset)
    assert (extra["campaign"], extra["job_id"]) == ("spring", only_job(pictory)["job_id"])


def test_the_event_of_a_batch_says_how_many_videos_came_and_where_the_list_or_the_files_are(
    pictory, run_dag, tmp_path
):
    generated, saved = an_asset(), an_asset()
    with a_dag() as dag:
        batch = GenerateVideosOperator(
            task_id="batch",
            requests=[PROMPT, {"prompt": "An owl at dusk", "duration": 10}],
            outlets=[generated],
        )
        PictoryToObjectStorageOperator(
            task_id="save", video=batch.output, path=f"file://{tmp_path}/{{key}}.mp4", outlets=[saved]
        )

    assert set(run_dag(dag).states.values()) == {"success"}

    ((_, of_batch),) = events_of(generated)
    ((_, of_files),) = events_of(saved)
    assert of_batch == {"videos": 2, "seconds": 15, "credits": 24}
    assert of_files["path"] == f"file://{tmp_path}/{{key}}.mp4"
    assert (of_files["videos"], of_files["credits"]) == (2, 24)


@needs_references_to_assets
def test_a_reference_to_an_asset_is_as_good_as_the_asset(pictory, run_dag):
    asset = an_asset()
    with a_dag() as dag:
        first = GenerateVideoOperator(task_id="first", prompt=PROMPT, outlets=[asset])
        second = GenerateVideoOperator(task_id="second", prompt=PROMPT, outlets=[Asset.ref(uri=asset.uri)])
        first >> second

    run = run_dag(dag)

    assert [extra["job_id"] for _, extra in events_of(asset)] == [run.xcom("first"), run.xcom("second")]


@needs_references_to_assets
def test_a_reference_to_an_asset_that_is_not_there_costs_no_video(pictory, run_dag, caplog):
    with a_dag() as dag:
        GenerateVideoOperator(task_id="generate", prompt=PROMPT, outlets=[Asset.ref(name="nobody_made_it")])

    run = run_dag(dag)

    assert run.states == {"generate": "success"}
    assert "can't say what came" in caplog.text


def test_a_path_is_told_where_there_is_one_and_other_outlets_are_left_alone():
    asset, event = an_asset(), SimpleNamespace(extra={})

    class Events:
        def __getitem__(self, outlet):
            assert outlet is asset
            return event

    describe_video(
        [asset, "a table of somebody's lineage"],
        {"outlet_events": Events()},
        job_id="4711",
        seconds=8.0,
        ai_credits=12.8,
        path="s3://bucket/clip.mp4",
    )

    assert event.extra == {"job_id": "4711", "seconds": 8.0, "credits": 12.8, "path": "s3://bucket/clip.mp4"}
