"""Each kind of object store takes the video whole, under the very key, and knows that it is one."""

from __future__ import annotations

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_pictory.exceptions import PictoryInvalidRequestError
from tests.support.azure_server import AzureServer
from tests.support.file_hosts import film, gives, longer
from tests.support.google_server import UNIT, GoogleServer

try:
    from airflow.sdk.io.fs import _register_filesystems
    from airflow.sdk.io.store import _STORE_CACHE
except ImportError:
    from airflow.io import _register_filesystems
    from airflow.io.store import _STORE_CACHE


@pytest.fixture(scope="module")
def google_server():
    with GoogleServer() as server:
        yield server


@pytest.fixture(scope="module")
def azure_server():
    with AzureServer() as server:
        yield server


@pytest.fixture
def google(google_server, monkeypatch):
    """Let ``gs://`` lead to the server here, as Google's provider does to Google's; without all of it."""
    # Not the package's own name for it, which asks for a kind of bucket over gRPC first.
    core = pytest.importorskip("gcsfs.core")
    file_system = core.GCSFileSystem(endpoint_url=google_server.url, token="anon", project="p")
    for scheme in ("gs", "gcs"):
        monkeypatch.setitem(_register_filesystems(), scheme, lambda conn_id, options: file_system)
    google_server.objects.clear()
    google_server.ranges.clear()
    yield google_server
    # Airflow keeps what a scheme once led to.
    for scheme in ("gs", "gcs"):
        _STORE_CACHE.pop(scheme, None)


@pytest.fixture
def azure(azure_server, monkeypatch):
    """Let ``abfs://`` lead to the server here, as Azure's provider does to Azure's; without all of it."""
    adlfs = pytest.importorskip("adlfs")
    file_system = adlfs.AzureBlobFileSystem(connection_string=azure_server.connection_string)
    monkeypatch.setitem(_register_filesystems(), "abfs", lambda conn_id, options: file_system)
    azure_server.blobs.clear()
    yield azure_server
    _STORE_CACHE.pop("abfs", None)


PART = 5 * 1024 * 1024


@pytest.mark.parametrize(
    "size",
    [
        None,
        UNIT - 1,
        UNIT,
        UNIT + 1,
        3 * UNIT + 5,
        PART - 1,
        PART,
        PART + 1,
        PART + UNIT - 1,
        PART + UNIT,
        PART + UNIT + 1,
        2 * PART - 1,
        2 * PART + 4 * UNIT + 77,
    ],
)
def test_google_takes_a_video_of_any_size(finished_job, serve, save, google, size):
    content = film() if size is None else longer(film(), size)

    manifest = save(job_id=finished_job(serve(gives(content)).url), path="gs://videos/a/film.mp4")

    assert google.objects == {("videos", "a/film.mp4"): (content, "video/mp4")}
    assert google.uploads == {}
    assert manifest["path"] == "gs://videos/a/film.mp4"
    assert manifest["bytes"] == len(content)


def test_google_gets_large_parts(finished_job, serve, save, google):
    content = longer(film(), 3 * PART + UNIT + 9)

    save(job_id=finished_job(serve(gives(content)).url), path="gs://videos/film.mp4")

    assert len(google.ranges) == 4
    assert google.ranges[-1].endswith(f"/{len(content)}")


def test_a_video_that_google_has_is_found_and_another_file_is_not_touched(finished_job, serve, save, google):
    job_id = finished_job(serve(gives(film())).url)
    first = save(job_id=job_id, path="gcs://videos/film.mp4")
    google.ranges.clear()

    assert save(job_id=job_id, path="gcs://videos/film.mp4") == first
    assert google.ranges == []


def test_azure_takes_a_video(finished_job, serve, save, azure):
    content = longer(film(), 2 * PART + 77)

    manifest = save(job_id=finished_job(serve(gives(content)).url), path="abfs://videos/a/film.mp4")

    assert azure.blobs == {("videos", "a/film.mp4"): (content, "video/mp4")}
    assert manifest["path"] == "abfs://videos/a/film.mp4"


@pytest.mark.parametrize("name", ["film", "film.bin", "FILM.MP4.part", "film.mp4"])
@pytest.mark.parametrize("store", ["s3", "google", "azure"])
def test_whatever_its_name_a_video_is_called_one(finished_job, serve, save, request, store, name):
    place = request.getfixturevalue("bucket" if store == "s3" else store)
    path = {
        "s3": f"s3://media@{getattr(place, 'name', '')}",
        "google": "gs://videos",
        "azure": "abfs://videos",
    }

    save(job_id=finished_job(serve(gives(film())).url), path=f"{path[store]}/{name}")

    if store == "s3":
        assert place.media_type(name) == "video/mp4"
    else:
        kinds = place.objects if store == "google" else place.blobs
        assert kinds["videos", name][1] == "video/mp4"


USUAL_NAMES = ["100%/%41.mp4", "a b+c&d;e=f~[g]*.mp4", "\u200c\u200d\u00a0\u202f\u3000 é.mp4"]
ODD_NAMES = [
    "talk::part 1.mp4",
    "a?versionId=3/film.mp4",
    "a?versionid=3/film.mp4",
    "film.mp4?versionId=3",
    "film.mp4#1612",
    "film.mp4?generation=1612",
    "a?b#c.mp4",
    "film?",
    "film#",
    "a/./film.mp4",
    "zip://film.mp4::other.mp4",
    "a//film.mp4",
]


@pytest.mark.parametrize("name", [*ODD_NAMES, *USUAL_NAMES])
@pytest.mark.parametrize("store", ["s3", "google", "azure"])
def test_a_name_is_kept_to_the_letter_or_refused(finished_job, serve, save, request, store, name):
    place = request.getfixturevalue("bucket" if store == "s3" else store)
    root = {
        "s3": f"s3://media@{getattr(place, 'name', '')}",
        "google": "gs://videos",
        "azure": "abfs://videos",
    }
    path = f"{root[store]}/{name}"

    stored = []
    try:
        manifest = save(job_id=finished_job(serve(gives(film())).url), path=path)
    except PictoryInvalidRequestError as error:
        refusal = str(error)
        assert name not in USUAL_NAMES
    else:
        refusal = None
        assert manifest["path"] == path
        assert ObjectStoragePath(manifest["path"]).stat()["size"] == len(film())
        stored.append(name)
    assert refusal is None or refusal.startswith(f"path: got {path!r}")
    if store == "s3":
        assert place.names() == stored
    else:
        assert [key for _, key in (place.objects if store == "google" else place.blobs)] == stored


def test_parts_of_one_talk_do_not_replace_each_other(finished_job, serve, save, bucket):
    for number in (1, 2):
        with pytest.raises(PictoryInvalidRequestError, match="means something else"):
            save(
                job_id=finished_job(serve(gives(film())).url),
                path=f"s3://media@{bucket.name}/talk::part {number}.mp4",
                overwrite=True,
            )

    assert bucket.names() == []
