"""Each kind of object store takes a file whole, under the very key, and knows that it is a video."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_pictory.exceptions import PictoryInvalidRequestError
from airflow_provider_pictory.saving.path import find_destination
from tests.support.airflow_versions import STORE_CACHE, register_filesystems
from tests.support.azure_server import AzureServer
from tests.support.file_hosts import content_of, film, gives
from tests.support.google_server import UNIT, GoogleServer

if TYPE_CHECKING:
    from collections.abc import Callable

PART = 5 * 1024 * 1024


@pytest.fixture(scope="module")
def google_server():
    with GoogleServer() as server:
        yield server


@pytest.fixture(scope="module")
def azure_server():
    with AzureServer() as server:
        yield server


@pytest.fixture
def lead_to(monkeypatch):
    """Let schemes lead to a store here, as a provider's would to the real one; without all of it."""
    led = []

    def lead(file_system, *schemes):
        for scheme in schemes:
            monkeypatch.setitem(register_filesystems(), scheme, lambda conn_id, options: file_system)
        led.extend(schemes)

    yield lead
    # Airflow keeps what a scheme once led to.
    for scheme in led:
        STORE_CACHE.pop(scheme, None)


@pytest.fixture
def google(google_server, lead_to):
    # Not the package's own name for it, which asks for a kind of bucket over gRPC first.
    core = pytest.importorskip("gcsfs.core")
    lead_to(core.GCSFileSystem(endpoint_url=google_server.url, token="anon", project="p"), "gs", "gcs")
    google_server.clear()
    return google_server


@pytest.fixture
def azure(azure_server, lead_to):
    adlfs = pytest.importorskip("adlfs")
    lead_to(adlfs.AzureBlobFileSystem(connection_string=azure_server.connection_string), "abfs")
    azure_server.clear()
    return azure_server


@dataclass
class Store:
    """
    One kind of store.

    :param root: of all paths in it.
    :param files: gives content and media type of each file by name.
    """

    root: str
    files: Callable[[], dict[str, tuple[bytes, str]]]


@pytest.fixture(params=["s3", "google", "azure"])
def store(request):
    if request.param == "s3":
        bucket = request.getfixturevalue("bucket")
        return Store(f"s3://media@{bucket.name}", bucket.files)
    server = request.getfixturevalue(request.param)
    return Store(
        {"google": "gs", "azure": "abfs"}[request.param] + "://videos", lambda: server.files("videos")
    )


def put(path, content):
    """Put a file where a path says, and give that place."""
    destination = find_destination(path, None, "")
    with destination.new_file() as file:
        file.write(content)
        destination.publish(file, len(content))
    return destination


def noise(size):
    return random.Random(size).randbytes(size)


@pytest.mark.parametrize(
    "size",
    [
        *(size + more for size in (UNIT, PART, PART + UNIT) for more in (-1, 0, 1)),
        *(4321, 3 * UNIT + 5, 2 * PART - 1, 2 * PART + 4 * UNIT + 77),
    ],
)
def test_google_takes_a_file_of_any_size(google, size):
    put("gs://videos/a/film.mp4", noise(size))

    assert google.files("videos") == {"a/film.mp4": (noise(size), "video/mp4")}
    assert google.uploads == {}


def test_google_gets_large_parts(google):
    put("gs://videos/film.mp4", noise(3 * PART + UNIT + 9))

    assert len(google.ranges) == 4
    assert google.ranges[-1].endswith(f"/{3 * PART + UNIT + 9}")


def test_a_large_file_comes_in_parts_and_is_read_as_it_came(store):
    content = noise(2 * PART + 77)

    destination = put(f"{store.root}/a/film.mp4", content)

    assert store.files() == {"a/film.mp4": (content, "video/mp4")}
    assert destination.size() == len(content)
    assert destination.content(len(content)) == content_of(content)


@pytest.mark.parametrize(("store", "root"), [("google", "gcs://videos"), ("azure", "abfs://videos")])
def test_a_second_run_finds_the_video_and_writes_nothing(finished_job, serve, save, request, store, root):
    server = request.getfixturevalue(store)
    job_id = finished_job(serve(gives(film())).url)
    first = save(job_id, f"{root}/film.mp4")
    server.writes.clear()

    assert save(job_id, f"{root}/film.mp4") == first
    assert server.writes == []
    assert server.files("videos") == {"film.mp4": (film(), "video/mp4")}


USUAL_NAMES = [
    "film",
    "film.bin",
    "FILM.MP4.part",
    "film.mp4",
    "100%/%41.mp4",
    "a b+c&d;e=f~[g]*.mp4",
    "\u200c\u200d\u00a0\u202f\u3000 é.mp4",
]
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


def test_a_name_is_kept_to_the_letter_and_the_file_is_a_video_whatever_it_is(store):
    for name in USUAL_NAMES:
        destination = put(f"{store.root}/{name}", name.encode())

        assert destination.name == f"{store.root}/{name}"
        assert ObjectStoragePath(destination.name).stat()["size"] == len(name.encode())
    assert store.files() == {name: (name.encode(), "video/mp4") for name in USUAL_NAMES}


@pytest.mark.parametrize("name", ODD_NAMES)
def test_an_odd_name_is_kept_to_the_letter_or_refused(store, name):
    path, refusal = f"{store.root}/{name}", None
    try:
        put(path, b"a film")
    except PictoryInvalidRequestError as error:
        refusal = str(error)

    if refusal:
        assert refusal.startswith(f"path: got {path!r}")
        assert store.files() == {}
    else:
        assert ObjectStoragePath(path).stat()["size"] == len(b"a film")
        assert store.files() == {name: (b"a film", "video/mp4")}


def test_parts_of_one_talk_do_not_replace_each_other(bucket):
    for number in (1, 2):
        with pytest.raises(PictoryInvalidRequestError, match="means something else"):
            find_destination(f"s3://media@{bucket.name}/talk::part {number}.mp4", None, "")
