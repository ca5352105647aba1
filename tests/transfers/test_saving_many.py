"""The saving operator with a list: all videos of a batch, a few at a time, each under a path of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_pictory.exceptions import (
    PictoryBatchError,
    PictoryBatchFailedError,
    PictoryInvalidRequestError,
)
from airflow_provider_pictory.operators.batch import GenerateVideosOperator
from airflow_provider_pictory.transfers.pictory_to_object_storage import PictoryToObjectStorageOperator
from tests.support.dag_runs import a_dag
from tests.support.pictory_words import submit

REQUESTS = [{"prompt": f"A paper boat, number {number}", "key": f"boat-{number}"} for number in range(5)]


def test_the_videos_of_a_batch_are_saved_under_their_keys(pictory, run_dag, tmp_path):
    with a_dag() as dag:
        videos = GenerateVideosOperator(task_id="generate", requests=REQUESTS, poll_interval=0.05)
        PictoryToObjectStorageOperator(
            task_id="save", video=videos.output, path=f"{tmp_path}/{{key}}/film.mp4", max_parallel_downloads=3
        )

    run = run_dag(dag)

    saved = run.xcom("save")
    assert run.states == {"generate": "success", "save": "success"}
    assert [line["key"] for line in saved] == [request["key"] for request in REQUESTS]
    assert [line["job_id"] for line in saved] == [line["job_id"] for line in run.xcom("generate")]
    for line in saved:
        assert line["path"] == f"{tmp_path}/{line['key']}/film.mp4"
        assert Path(line["path"]).stat().st_size == line["bytes"] > 1000


def test_a_folder_gets_a_file_for_each_key_and_those_without_a_video_are_left_out(
    pictory_at, run_dag, tmp_path
):
    pictory_at(faults=["job-fails:count=1"])
    with a_dag() as dag:
        videos = GenerateVideosOperator(
            task_id="generate", requests=REQUESTS, poll_interval=0.05, on_item_failure="skip"
        )
        PictoryToObjectStorageOperator(task_id="save", video=videos.output, path=f"{tmp_path}/clips/")

    run = run_dag(dag)

    assert sorted(path.name for path in (tmp_path / "clips").iterdir()) == [
        f"boat-{number}.mp4" for number in range(1, 5)
    ]
    assert "1 of 5 have no video and are left out: boat-0" in run.log


def save(run_dag, video, path, **arguments):
    with a_dag() as dag:
        PictoryToObjectStorageOperator(task_id="save", video=video, path=path, **arguments)
    return run_dag(dag)


def test_one_that_cannot_be_saved_does_not_touch_the_others(pictory, run_dag, tmp_path):
    job_ids = [submit() for _ in range(3)]
    pictory.set_job(job_ids[1], "cleaned")

    run = save(run_dag, [{"job_id": job_id} for job_id in job_ids], f"{tmp_path}/{{job_id}}.mp4")

    error = run.error("save")
    assert type(error) is PictoryBatchFailedError
    assert isinstance(error, AirflowFailException)
    assert f"1 of 3 videos can't be saved, all others are. 1: The video of Pictory job {job_ids[1]}" in str(
        error
    )
    assert sorted(path.stem for path in tmp_path.iterdir()) == sorted([job_ids[0], job_ids[2]])


def test_where_a_retry_may_help_one_of_them_airflow_makes_one(busy_pictory, run_dag, tmp_path):
    run = save(run_dag, [{"job_id": submit()}, {"job_id": submit()}], f"{tmp_path}/")

    error = run.error("save")
    assert type(error) is PictoryBatchError
    assert "2 of 2 videos can't be saved" in str(error)


@pytest.mark.parametrize(
    ("video", "path", "words"),
    [
        ([{"job_id": "one"}, {"job_id": "two"}], "film.mp4", "2 videos can't have one path: write {key}"),
        ([{"job_id": "one"}, "two"], "{key}.mp4", "video[1]: got 'two', but"),
        ([{"job_id": ""}, {"job": "two"}], "{key}.mp4", "video[1]: got {'job': 'two'}, but"),
        (
            [{"key": "kettle", "job_id": "one"}, {"key": "kettle", "job_id": "two"}],
            "",
            "kettle.mp4, which is that of video[0]. Nothing was saved",
        ),
        (
            [{"key": "kettle", "job_id": "one"}, {"key": "kettle", "job_id": "two"}],
            "{key}/film.mp4",
            "video[1]: its file would be",
        ),
    ],
)
def test_a_list_that_makes_no_sense_is_refused_before_anything_is_written(
    pictory, run_dag, tmp_path, video, path, words
):
    run = save(run_dag, video, f"{tmp_path}/{path}")

    assert isinstance(run.error("save"), PictoryInvalidRequestError)
    assert words in str(run.error("save"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", [None, "", 5])
def test_a_path_that_is_none_is_refused_as_for_one_video(pictory, run_dag, path):
    with a_dag() as dag:
        operator = PictoryToObjectStorageOperator(
            task_id="save", video=[{"job_id": "a"}, {"job_id": "b"}], path="x"
        )
        operator.path = path
    run = run_dag(dag)

    assert "but a path is needed" in str(run.error("save"))


ODD_KEYS = ["a::b", "a?versionId=1", "..%2f", "%2e%2e", "a/b", "日" * 100, "..", " ", "x" * 300, "a#b"]


def test_what_has_a_key_that_is_no_file_name_gets_one_of_its_own(pictory, run_dag, tmp_path):
    lines = [{"key": key, "job_id": submit()} for key in ODD_KEYS]

    run = save(run_dag, lines, f"{tmp_path}/")

    saved = run.xcom("save")
    assert [line["key"] for line in saved] == [key if key.strip() else "7" for key in ODD_KEYS]
    assert len({line["path"] for line in saved}) == len(ODD_KEYS)
    assert {Path(line["path"]).parent for line in saved} == {tmp_path}
    assert all(Path(line["path"]).stat().st_size for line in saved)


@pytest.mark.parametrize("key", [None, "", "None"])
def test_videos_without_keys_are_named_by_their_jobs(pictory, run_dag, tmp_path, key):
    job_ids = [submit(), submit()]

    save(run_dag, [{"key": key, "job_id": job_id} for job_id in job_ids], f"{tmp_path}/")

    assert {path.stem for path in tmp_path.iterdir()} == set(job_ids)
