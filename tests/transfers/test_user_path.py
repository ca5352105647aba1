"""A user's path becomes a place, or an error that names it."""

from __future__ import annotations

from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_pictory.exceptions import PictoryConfigurationError, PictoryInvalidRequestError
from airflow_provider_pictory.transfers.local_file import LocalFile
from airflow_provider_pictory.transfers.object_store import StoredObject
from airflow_provider_pictory.transfers.user_path import find_destination


def name(path, conn_id=None):
    return find_destination(path, conn_id, "job.mp4").name


def refusal(path, conn_id=None):
    with pytest.raises(PictoryInvalidRequestError) as caught:
        find_destination(path, conn_id, "job.mp4")
    return str(caught.value)


def test_local_paths_are_absolute_and_keep_their_scheme(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    assert name("film.mp4") == name(Path("film.mp4")) == f"{tmp_path}/film.mp4"
    assert name(f" {tmp_path}/film.mp4 ") == f"{tmp_path}/film.mp4"
    assert name(f"file://{tmp_path}/film.mp4") == f"file://{tmp_path}/film.mp4"
    assert name(f"{tmp_path}/videos/") == f"{tmp_path}/videos/job.mp4"
    assert name(ObjectStoragePath(f"file://{tmp_path}/film.mp4")) == f"file://{tmp_path}/film.mp4"
    assert isinstance(find_destination(tmp_path / "film.mp4", "media", ""), LocalFile)


def test_a_local_folder_is_not_taken_for_a_file(tmp_path):
    assert refusal(tmp_path) == (
        f"path: got {str(tmp_path)!r}, but that is a folder; end it with / to put <job id>.mp4 into it, or "
        "name a file in it"
    )


def test_the_connection_is_in_the_path_or_beside_it(bucket):
    expected = f"s3://media@{bucket.name}/films/a.mp4"

    assert name(expected) == name(expected, "media") == name(expected, "") == expected
    assert name(f"s3://{bucket.name}/films/a.mp4", "media") == expected
    assert name(f"s3://media@{bucket.name}/films/") == f"s3://media@{bucket.name}/films/job.mp4"
    assert name(f"s3://media@{bucket.name}/") == f"s3://media@{bucket.name}/job.mp4"
    assert name(f"s3://{bucket.name}/a.mp4", "None") == f"s3://{bucket.name}/a.mp4"
    assert isinstance(find_destination(expected, None, ""), StoredObject)


def test_airflow_s_own_path_keeps_its_connection(bucket):
    path = ObjectStoragePath(f"s3://media@{bucket.name}/films/a.mp4")

    assert name(path) == f"s3://media@{bucket.name}/films/a.mp4"


def test_two_connections_are_one_too_many(bucket):
    said = refusal(f"s3://media@{bucket.name}/a.mp4", "other")

    assert "object_storage_conn_id names another connection, 'other'" in said


def test_a_connection_that_does_not_exist_is_named():
    with pytest.raises(PictoryConfigurationError, match="There is no Airflow connection 'nobody'"):
        find_destination("s3://nobody@bucket/a.mp4", None, "")


def test_a_scheme_that_nobody_knows_says_what_to_install():
    said = refusal("gs://bucket/film.mp4")

    assert "got 'gs://bucket/film.mp4', but no installed provider of Airflow knows gs://" in said
    assert "apache-airflow-providers-google" in said


@pytest.mark.parametrize("path", [None, "", "  ", "None", 7, ["a"], b"film.mp4"])
def test_what_is_no_path_says_what_one_looks_like(path):
    assert "a path is needed, such as 's3://media@videos/" in refusal(path)


@pytest.mark.parametrize("path", ["s3://bucket", "s3://", "s3:///film.mp4", "s3://media@/film.mp4"])
def test_a_path_without_bucket_or_file_says_what_is_missing(path):
    assert "it must name a bucket and a file, or a folder with / at the end" in refusal(path)


def test_control_characters_are_no_part_of_a_path():
    assert "a path has no control characters" in refusal("/tmp/film\n.mp4")
