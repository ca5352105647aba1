"""A user's path becomes a place, or an error that names it."""

from __future__ import annotations

import os
import traceback
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_pictory.exceptions import (
    PictoryConfigurationError,
    PictoryInvalidRequestError,
    PictoryStorageError,
)
from airflow_provider_pictory.saving.local_file import LocalFile
from airflow_provider_pictory.saving.object_store import StoredObject
from airflow_provider_pictory.saving.path import find_destination
from tests.support.airflow_versions import register_filesystems


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


def test_what_is_no_file_is_not_taken_for_one(tmp_path):
    os.mkfifo(tmp_path / "pipe")

    for path in (f"{tmp_path}/pipe", "/dev/null"):
        assert refusal(path).startswith(f"path: got '{path}', but that is no file")


def test_links_in_a_circle_are_an_error_that_names_the_path(tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")

    with pytest.raises(PictoryStorageError, match=f"^{tmp_path}/a can't be accessed"):
        find_destination(tmp_path / "a", None, "")


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


WRONG = {
    "a path is needed, such as 's3://media@videos/": [None, "", "  ", "None", 7, ["a"], b"film.mp4"],
    "it must name a bucket and a file": ["s3://bucket", "s3://", "s3:///film.mp4", "s3://media@/film.mp4"],
    "a part of it is None, as a template makes": [
        "None/",
        "/videos/None/film.mp4",
        "s3://media@v/None/f.mp4",
    ],
    "is a value missing before the / at its end?": ["/", "//", "file:///", "file://"],
    # Neither a bucket, a host nor a connection becomes a local folder.
    "two slashes follow a scheme": [Path("s3://media@videos/film.mp4"), "gs:/videos/film.mp4"],
    "an absolute path follows file://": [
        "file://localhost/a/film.mp4",
        "file://media@/film.mp4",
        "file://x/",
    ],
    "renders in a text, not in a pathlib.Path": [Path("/videos/{{ ds }}/film.mp4")],
}


@pytest.mark.parametrize(
    ("path", "words"), [(path, words) for words, paths in WRONG.items() for path in paths], ids=repr
)
def test_what_is_no_path_says_what_is_wrong_with_it(path, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    assert words in refusal(path)


def test_a_scheme_of_local_files_needs_no_two_slashes(tmp_path):
    assert name(Path(f"file://{tmp_path}/film.mp4")) == f"{tmp_path}/film.mp4"


def test_a_password_before_the_host_is_not_repeated():
    path = "s3://somebody:very-secret@bucket/film.mp4"

    with pytest.raises(PictoryConfigurationError) as caught:
        find_destination(path, None, "")

    said = "".join(traceback.format_exception(caught.value))
    assert "There is no Airflow connection 'somebody:***'" in said
    assert "very-secret" not in said


def test_a_name_that_is_too_long_is_named_as_the_path():
    with pytest.raises(PictoryStorageError, match=r"^/tmp/a+\.mp4 can't be accessed: OSError: "):
        find_destination(f"/tmp/{'a' * 300}.mp4", None, "")


def test_a_store_that_cannot_be_reached_without_a_connection_is_not_called_unknown(monkeypatch):
    def get_fs(conn_id, options):
        raise ValueError("Must provide either a connection_string or account_name with credentials!!")

    monkeypatch.setitem(register_filesystems(), "abfs", get_fs)

    with pytest.raises(PictoryConfigurationError) as caught:
        find_destination("abfs://videos/film.mp4", None, "")

    assert str(caught.value).startswith("path: abfs://videos/film.mp4 can't be reached: Must provide either")
    assert "The path names no connection" in str(caught.value)


@pytest.mark.parametrize("mark", ["\n", "\t", "\0", "\x1b", "\x7f", "\x85", "\udc80"])
@pytest.mark.parametrize("root", ["/tmp", "s3://media@videos"])
def test_control_characters_are_no_part_of_a_path(root, mark):
    assert "a path has no control characters" in refusal(f"{root}/film{mark}.mp4")


@pytest.mark.parametrize(
    "mark", ["\u200c", "\u200d", "\u00a0", "\u202f", "\u3000", "\u2028", "\u00ad", "\ufeff"]
)
def test_whatever_else_unicode_has_may_be_in_a_name(bucket, tmp_path, mark):
    for path in (f"{tmp_path}/a{mark}b{mark}", f"s3://media@{bucket.name}/{mark}a/b{mark}"):
        assert name(path) == path


@pytest.mark.parametrize(
    "path",
    [
        "/data/../etc/",
        "/data/..",
        "../film.mp4",
        "/data/a/../../film.mp4",
        "file:///data/../film.mp4",
        "s3://media@videos/../x.mp4",
        "s3://media@videos/a/../../x/",
        "s3://media@videos/a/%2e%2e/x.mp4",
        "s3://media@videos/%2E./x.mp4",
        "s3://media@videos/a%2f..%2fx.mp4",
        "/data/%252e%252e/x.mp4",
        "abfs://videos/..\\x.mp4",
        "abfs://videos/a/..%5cx.mp4",
        "gs://videos/a\\..\\x.mp4",
        Path("/data/../etc/film.mp4"),
    ],
)
def test_no_part_of_a_path_leads_out_of_the_folder_before_it(path):
    said = refusal(path)

    assert said.startswith(f"path: got {str(path)!r}, but a part of it is '..'")


@pytest.mark.parametrize(
    "path", ["/data/a..b/film..mp4", "/data/...", "/data/.hidden/film.mp4", "/data/50%/x"]
)
def test_dots_in_names_are_only_dots(path):
    assert name(path) == path
