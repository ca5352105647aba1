"""Finished files are made when somebody wants them, once, without anybody else having to wait."""

from __future__ import annotations

import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from airflow_provider_pictory.sandbox import files
from airflow_provider_pictory.sandbox.background import PictorySandbox
from airflow_provider_pictory.sandbox.wire import IMAGE_FILES, VIDEO_FILE
from tests.sandbox.client import Client

FILE_NAMES = (VIDEO_FILE, *IMAGE_FILES.values())
CONTENT_TYPES = {
    "url": "video/mp4",
    "lastFrameImageUrl": "image/png",
    "thumbnailImageUrl": "image/jpeg",
    "previewImageUrl": "image/jpeg",
}


def test_many_jobs_that_nobody_watches_cost_nothing(pictory_sandbox, client):
    begin = time.process_time()
    for _ in range(200):
        client.submitted(duration="8s")

    assert time.process_time() - begin < 2
    counts = pictory_sandbox.counts()
    assert (counts["jobs_created"], counts["jobs_rendered"]) == (200, 0)


def test_all_files_are_there_without_a_key_and_come_from_one_rendering(pictory_sandbox, client):
    data = client.data(client.submitted())

    for name, content_type in CONTENT_TYPES.items():
        response = requests.get(data[name], timeout=10)
        assert response.status_code == 200
        assert response.headers["Content-Type"] == content_type
        assert int(response.headers["Content-Length"]) == len(response.content) > 1000
    assert pictory_sandbox.counts()["jobs_rendered"] == 1


def test_many_at_once_get_the_same_rendering(pictory_sandbox, client):
    url = client.data(client.submitted())["url"]

    with ThreadPoolExecutor(8) as threads:
        responses = list(threads.map(lambda _: requests.get(url, timeout=10).content, range(8)))

    assert len(set(responses)) == 1
    assert pictory_sandbox.counts()["jobs_rendered"] == 1


@pytest.fixture
def quick_rendering(monkeypatch):
    """Files of nothing in no time, for what doesn't depend on their content."""

    def render(scene, folder):
        for name in FILE_NAMES:
            (folder / name).write_bytes(bytes(range(256)))

    monkeypatch.setattr(files, "render", render)


@pytest.mark.usefixtures("quick_rendering")
def test_a_part_can_be_asked_for(client):
    url = client.data(client.submitted())["url"]
    whole = requests.get(url, timeout=10).content

    response = requests.get(url, headers={"Range": "bytes=100-199"}, timeout=10)
    assert response.status_code == 206
    assert response.content == whole[100:200]
    assert response.headers["Content-Range"] == f"bytes 100-199/{len(whole)}"

    assert requests.get(url, headers={"Range": "bytes=99999999-"}, timeout=10).status_code == 416


@pytest.mark.usefixtures("quick_rendering")
def test_head_tells_size_and_type(client):
    url = client.data(client.submitted())["url"]

    response = requests.head(url, timeout=10)

    assert response.status_code == 200
    assert response.content == b""
    assert response.headers["Content-Type"] == "video/mp4"
    assert response.headers["Accept-Ranges"] == "bytes"
    assert int(response.headers["Content-Length"]) == len(requests.get(url, timeout=10).content)


@pytest.mark.usefixtures("quick_rendering")
@pytest.mark.parametrize("status", ["in-progress", "failed", "cleaned", "queued"])
def test_there_are_files_only_while_a_job_is_completed(pictory_sandbox, client, status):
    job_id = client.submitted()
    data = client.data(job_id)
    requests.get(data["url"], timeout=10)

    pictory_sandbox.set_job(job_id, status)

    for name in CONTENT_TYPES:
        assert requests.get(data[name], timeout=10).status_code == 404


def test_unknown_files_are_a_404(pictory_sandbox, client):
    url = client.data(client.submitted())["url"]

    outside = f"{pictory_sandbox.url}/files/..%2f..%2fetc/passwd"
    for wrong in (f"{url}x", url.replace("/files/", "/files/0"), outside):
        assert requests.get(wrong, timeout=10).status_code == 404
    assert pictory_sandbox.counts()["jobs_rendered"] == 0


def test_the_api_responds_fast_while_a_video_is_rendered(client):
    url = client.data(client.submitted(duration="10s"))["url"]
    client.ai_credits()
    waits = []
    with ThreadPoolExecutor(1) as threads:
        download = threads.submit(requests.get, url, timeout=20)
        while not download.done():
            begin = time.perf_counter()
            client.ai_credits()
            waits.append(time.perf_counter() - begin)
            time.sleep(0.01)

    # The rendering takes many times as long as the slowest of these may.
    assert len(waits) > 10
    assert sorted(waits)[len(waits) // 2] < 0.05
    assert max(waits) < 0.3


@pytest.fixture
def temporary_folder(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.mark.usefixtures("quick_rendering")
def test_the_folder_is_bounded_and_what_is_gone_is_rendered_again(
    monkeypatch, temporary_folder, pictory_sandbox_factory, client_of
):
    monkeypatch.setattr(files, "MOST_JOBS_KEPT", 2)
    sandbox = pictory_sandbox_factory()
    client = client_of(sandbox)
    urls = [client.data(client.submitted(model="veo3.1"))["thumbnailImageUrl"] for _ in range(3)]

    for url in urls:
        assert requests.get(url, timeout=10).status_code == 200
    assert len(list(temporary_folder.glob("*/*"))) == 2

    assert requests.get(urls[0], timeout=10).status_code == 200
    assert sandbox.counts()["jobs_rendered"] == 4


def test_nothing_is_left_behind(temporary_folder):
    others = own_threads()
    with PictorySandbox() as sandbox, Client(sandbox.url, sandbox.api_key) as client:
        requests.get(client.data(client.submitted())["url"], timeout=10)
        assert list(temporary_folder.glob("*/*/video.mp4"))
        assert own_threads() - others

    assert not own_threads() - others
    assert list(temporary_folder.iterdir()) == []


def own_threads():
    return {thread for thread in threading.enumerate() if thread.name.startswith("pictory-sandbox")}


def test_a_rendering_that_fails_is_a_500_and_tried_again(monkeypatch, pictory_sandbox, client):
    url = client.data(client.submitted())["url"]

    def fail(*arguments):
        raise OSError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(files, "render", fail)
        assert requests.get(url, timeout=10).status_code == 500
    assert requests.get(url, timeout=10).status_code == 200
