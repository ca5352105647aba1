"""The operator: a finished video comes whole to its path, or not at all."""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, ObjectStoragePath, task

from airflow_provider_pictory.exceptions import (
    PictoryAPIError,
    PictoryConfigurationError,
    PictoryDownloadError,
    PictoryError,
    PictoryFileExistsError,
    PictoryInvalidRequestError,
    PictoryJobExpiredError,
    PictoryJobFailedError,
    PictoryJobUnfinishedError,
    PictoryStorageError,
)
from airflow_provider_pictory.operators.pictory import GenerateVideoOperator
from airflow_provider_pictory.saving import download
from airflow_provider_pictory.sensors.pictory import VideoJobSensor
from airflow_provider_pictory.transfers.pictory_to_object_storage import PictoryToObjectStorageOperator
from tests.conftest import API_KEY
from tests.support.dag_runs import a_dag
from tests.support.file_hosts import HEIGHT, SECONDS, WIDTH, film, gives, longer
from tests.support.loopback import after, head, keep_silent, response
from tests.support.pictory_words import JOB, POST, count, only_job, submit

MANIFEST_KEYS = ["job_id", "path", "bytes", "sha256", "seconds", "width", "height", "ai_credits_used"]


@pytest.fixture
def target(tmp_path):
    """Return a path in a folder that isn't there yet."""
    return tmp_path / "videos" / "film.mp4"


def names(folder):
    return sorted(path.name for path in Path(folder).glob("*")) + sorted(
        path.name for path in Path(folder).glob(".*")
    )


# From DAGs


def test_generate_wait_save(pictory, run_dag, target):
    with a_dag(params={"folder": str(target.parent)}) as dag:
        generate = GenerateVideoOperator(task_id="generate", prompt="A paper boat")
        wait = VideoJobSensor(task_id="wait", job_id=generate.output, poke_interval=0.05)
        PictoryToObjectStorageOperator(task_id="save", video=wait.output, path="{{ params.folder }}/film.mp4")

    run = run_dag(dag)

    manifest = run.xcom("save")
    content = target.read_bytes()
    assert run.states == {"generate": "success", "wait": "success", "save": "success"}
    assert list(manifest) == MANIFEST_KEYS
    assert manifest == {
        "job_id": only_job(pictory)["job_id"],
        "path": str(target),
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "seconds": 5.0,
        "width": 640,
        "height": 360,
        "ai_credits_used": 8.0,
    }
    assert names(target.parent) == ["film.mp4"]
    assert f"Saved the video of Pictory job {manifest['job_id']} to {target}: " in run.log
    assert count(pictory, POST) == 1
    assert pictory.counts()["files_asked_with_key"] == 0


def test_a_job_id_from_a_task_or_a_template_is_enough(pictory, run_dag, target):
    with a_dag() as dag:
        generate = GenerateVideoOperator(
            task_id="generate", prompt="A boat", wait_for_completion=True, poll_interval=0.05
        )
        PictoryToObjectStorageOperator(
            task_id="from_output", job_id=generate.output, path=f"{target.parent}/"
        )
        template = "{{ ti.xcom_pull('generate', key='video') }}"
        from_template = PictoryToObjectStorageOperator(
            task_id="from_template", video=template, path=str(target)
        )
        generate >> from_template

    run = run_dag(dag)

    assert run.xcom("from_output")["path"] == f"{target.parent}/{only_job(pictory)['job_id']}.mp4"
    assert run.xcom("from_template")["sha256"] == run.xcom("from_output")["sha256"]


def test_mapped_over_jobs_each_gets_a_file_of_its_own_in_one_folder(pictory, run_dag, bucket):
    with a_dag() as dag:
        generate = GenerateVideoOperator.partial(task_id="generate").expand(prompt=["A boat", "A kite"])
        wait = VideoJobSensor.partial(task_id="wait", poke_interval=0.05).expand(job_id=generate.output)
        save = PictoryToObjectStorageOperator.partial(
            task_id="save", path=f"s3://media@{bucket.name}/{{{{ run_id[:6] }}}}/"
        ).expand(video=wait.output)

        @task
        def inspect(manifests):
            return [ObjectStoragePath(manifest["path"]).stat()["size"] for manifest in manifests]

        inspect(save.output)

    run = run_dag(dag)

    assert run.states["save"] == ["success", "success"]
    assert bucket.names() == sorted(f"manual/{job['job_id']}.mp4" for job in pictory.jobs())
    assert run.xcom("inspect") == [run.xcom("save", map_index=index)["bytes"] for index in range(2)]
    assert {bucket.media_type(key) for key in bucket.names()} == {"video/mp4"}


def test_each_part_of_the_result_is_an_output_of_its_own(pictory, run_dag, target):
    with a_dag(params={"most": 5_000_000}) as dag:
        generate = GenerateVideoOperator(task_id="generate", prompt="A paper boat")
        wait = VideoJobSensor(task_id="wait", job_id=generate.output, poke_interval=0.05)
        save = PictoryToObjectStorageOperator(
            task_id="save", job_id=wait.output["job_id"], path=str(target), max_bytes="{{ params.most }}"
        )

        @task
        def inspect(path, size, job_id):
            return [Path(path).stat().st_size == size, job_id]

        inspect(save.output["path"], save.output["bytes"], save.output["job_id"])

    run = run_dag(dag)

    assert run.xcom("inspect") == [True, only_job(pictory)["job_id"]]
    assert run.xcom("save", key="path") == str(target)


@pytest.mark.parametrize("arguments", [{"do_xcom_push": False}, {"multiple_outputs": False}])
def test_nothing_is_pushed_that_nobody_wants(pictory, run_dag, target, arguments):
    with a_dag() as dag:
        PictoryToObjectStorageOperator(task_id="save", job_id=submit(), path=str(target), **arguments)

    run = run_dag(dag)

    assert run.states == {"save": "success"}
    assert run.xcom("save", key="path") is None


def test_mapped_tasks_have_their_outputs_too(pictory, run_dag, target):
    with a_dag() as dag:
        save = PictoryToObjectStorageOperator.partial(task_id="save", path=f"{target.parent}/").expand(
            job_id=[submit(), submit()]
        )

        @task
        def inspect(paths):
            return [Path(path).name for path in paths]

        inspect(save.output["path"])

    run = run_dag(dag)

    assert sorted(run.xcom("inspect")) == names(target.parent)


def test_airflow_s_own_path_is_a_template_too(pictory, run_dag, bucket):
    path = ObjectStoragePath(f"s3://media@{bucket.name}/{{{{ params.name }}}}.mp4")
    with a_dag(params={"name": "film"}) as dag:
        PictoryToObjectStorageOperator(task_id="save", job_id=submit(), path=path)

    run = run_dag(dag)

    assert run.xcom("save")["path"] == f"s3://media@{bucket.name}/film.mp4"
    assert bucket.names() == ["film.mp4"]


def test_a_retry_after_an_interruption_saves_the_video(finished_job, serve, run_dag, target, pauses):
    content = film()
    host = serve(*[response(status=503)] * 5, gives(content))
    with a_dag(retries=1) as dag:
        PictoryToObjectStorageOperator(task_id="save", job_id=finished_job(host.url), path=str(target))

    run = run_dag(dag)

    assert run.tries("save") == 2
    assert type(run.error("save")) is PictoryDownloadError
    assert target.read_bytes() == content


# What is there already


@pytest.fixture(params=["local", "s3"])
def place(request, tmp_path):
    """Return a place for one file, on the disk or in the bucket."""
    if request.param == "local":
        return LocalPlace(tmp_path / "film.mp4")
    return StoredPlace(request.getfixturevalue("bucket"))


class LocalPlace:
    def __init__(self, file):
        self.path = str(file)
        self._file = file

    def put(self, content):
        self._file.write_bytes(content)

    def read(self):
        return self._file.read_bytes()

    def leftovers(self):
        return [name for name in names(self._file.parent) if name != "film.mp4"]

    def stamp(self):
        """Return what changes whenever something is written."""
        status = self._file.stat()
        return status.st_ino, status.st_mtime_ns

    @property
    def is_there(self):
        return self._file.exists()


class StoredPlace:
    def __init__(self, bucket):
        self.path = f"s3://media@{bucket.name}/films/film.mp4"
        self.bucket = bucket

    def put(self, content):
        self.bucket.put("films/film.mp4", content)

    def read(self):
        return self.bucket.read("films/film.mp4")

    def leftovers(self):
        return [key for key in self.bucket.names() if key != "films/film.mp4"] + self.bucket.uploads()

    def stamp(self):
        return [line for line in self.bucket.server.requests if line.startswith(("PUT", "POST"))]

    @property
    def is_there(self):
        return "films/film.mp4" in self.bucket.names()


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("size", [None, 6_000_000], ids=["small", "large"])
def test_a_second_run_that_finds_the_video_does_nothing(finished_job, serve, save, place, overwrite, size):
    content = film() if size is None else longer(film(), size)
    host = serve(gives(content))
    job_id = finished_job(host.url)
    first = save(job_id=job_id, path=place.path)
    stamp, asked = place.stamp(), len(host.requests)

    second = save(job_id=job_id, path=place.path, overwrite=overwrite)

    assert second == first
    assert place.stamp() == stamp
    assert place.read() == content
    assert all(request.header("range") for request in host.requests[asked:])
    assert len(host.requests) - asked == (1 if size is None else 4)


@pytest.mark.parametrize(
    "other",
    [
        b"",
        b"not a video",
        longer(film(), 2_000_000),
        longer(film("A kite"), 3_000_000),
        longer(film(), 2_999_999) + b"!",
    ],
    ids=["empty", "no video", "shorter", "another video of the same size", "one byte at the end"],
)
def test_another_file_is_refused_before_anything_is_downloaded(finished_job, serve, save, place, other):
    host = serve(gives(longer(film(), 3_000_000)))
    place.put(other)

    with pytest.raises(PictoryFileExistsError) as caught:
        save(job_id=finished_job(host.url), path=place.path)

    assert isinstance(caught.value, AirflowFailException)
    assert f"path: {place.path} is there already, with {len(other):,} bytes" in str(caught.value)
    assert "overwrite=True" in str(caught.value)
    assert place.read() == other
    assert all(request.header("range") for request in host.requests)


@pytest.mark.parametrize("overwrite", [False, True], ids=["refusing", "overwriting"])
def test_a_page_instead_of_the_video_does_not_make_the_video_that_is_there_another_file(
    finished_job, serve, save, place, overwrite
):
    page = response(b"<!DOCTYPE html><title>We are back soon</title>", Content_Type="text/html")
    job_id = finished_job(serve(*[page] * 5, page, gives(film())).url)
    place.put(film())
    stamp = place.stamp()

    with pytest.raises(PictoryDownloadError, match="something else than an MP4"):
        save(job_id=job_id, path=place.path, overwrite=overwrite)
    # The next page passes while it is still being compared.
    save(job_id=job_id, path=place.path, overwrite=overwrite)

    assert place.stamp() == stamp


def test_overwrite_replaces_another_file(finished_job, serve, save, place):
    content = film()
    place.put(b"not a video")

    manifest = save(job_id=finished_job(serve(gives(content)).url), path=place.path, overwrite=True)

    assert place.read() == content
    assert manifest["sha256"] == hashlib.sha256(content).hexdigest()
    assert place.leftovers() == []


def test_of_a_host_that_knows_no_ranges_the_video_is_downloaded_and_compared(
    finished_job, serve, save, place
):
    content = longer(film(), 3_000_000)
    host = serve(gives(content, knows_ranges=False))
    place.put(content)
    stamp = place.stamp()

    save(job_id=finished_job(host.url), path=place.path)

    assert place.stamp() == stamp
    place.put(content[:-1] + b"!")
    with pytest.raises(PictoryFileExistsError):
        save(job_id=finished_job(host.url), path=place.path)
    assert place.leftovers() == []


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666, 0o444])
def test_a_file_that_is_replaced_leaves_its_mode(finished_job, serve, save, tmp_path, mode):
    file = tmp_path / "film.mp4"
    file.write_bytes(b"older")
    file.chmod(mode)

    save(job_id=finished_job(serve(gives(film())).url), path=str(file), overwrite=True)

    assert file.read_bytes() == film()
    assert file.stat().st_mode & 0o7777 == mode


def test_a_new_file_has_the_mode_that_the_worker_gives(finished_job, serve, save, target):
    before = os.umask(0o027)
    try:
        save(job_id=finished_job(serve(gives(film())).url), path=str(target))
    finally:
        os.umask(before)

    assert target.stat().st_mode & 0o7777 == 0o640


@pytest.mark.parametrize("is_there", [True, False])
def test_of_a_link_the_target_is_written(finished_job, serve, save, tmp_path, is_there):
    real, link = tmp_path / "real" / "film.mp4", tmp_path / "links" / "latest.mp4"
    link.parent.mkdir()
    link.symlink_to("../real/film.mp4")
    if is_there:
        real.parent.mkdir()
        real.write_bytes(b"older")
        real.chmod(0o600)

    manifest = save(job_id=finished_job(serve(gives(film())).url), path=str(link), overwrite=True)

    assert link.is_symlink()
    assert real.read_bytes() == film()
    assert manifest["path"] == str(link)
    assert names(link.parent) == ["latest.mp4"]
    assert names(real.parent) == ["film.mp4"]
    assert not is_there or real.stat().st_mode & 0o7777 == 0o600


def test_links_in_a_circle_are_an_error_that_names_the_path(finished_job, serve, save, tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")

    with pytest.raises(PictoryStorageError, match=f"^{tmp_path}/a can't be polled"):
        save(job_id=finished_job(serve(gives(film())).url), path=f"{tmp_path}/a", overwrite=True)


def test_what_is_no_file_is_not_replaced(finished_job, serve, save, tmp_path):
    os.mkfifo(tmp_path / "pipe")

    for path in (f"{tmp_path}/pipe", "/dev/null"):
        with pytest.raises(PictoryInvalidRequestError, match=f"path: got '{path}', but that is no file"):
            save(job_id="4a09edf9-d071-4847-bda5-8dea913d80fe", path=path, overwrite=True)


def test_a_file_may_have_the_name_of_a_folder_in_a_bucket(finished_job, serve, save, bucket):
    bucket.put("film.mp4/older.mp4", b"older")

    save(job_id=finished_job(serve(gives(film())).url), path=f"s3://media@{bucket.name}/film.mp4")

    assert bucket.names() == ["film.mp4", "film.mp4/older.mp4"]


# Two at the same time


@pytest.mark.parametrize("overwrite", [False, True], ids=["refusing", "overwriting"])
def test_of_two_that_write_one_path_the_file_is_one_of_theirs_as_a_whole(
    finished_job, serve, save, place, overwrite
):
    ours, theirs = longer(film(), 400_000), longer(film("A kite"), 500_000)
    their_job = finished_job(serve(gives(theirs)).url)

    def be_faster():
        save(job_id=their_job, path=place.path)

    our_job = finished_job(serve(after(be_faster, gives(ours))).url)

    if overwrite:
        save(job_id=our_job, path=place.path, overwrite=True)
    else:
        with pytest.raises(PictoryFileExistsError):
            save(job_id=our_job, path=place.path)

    assert place.read() == (ours if overwrite else theirs)
    assert place.leftovers() == []


def test_of_two_that_save_the_same_video_the_second_finds_it(finished_job, serve, save, place):
    content = film()
    their_job = finished_job(serve(gives(content)).url)
    our_job = finished_job(serve(after(lambda: save(job_id=their_job, path=place.path), gives(content))).url)

    manifest = save(job_id=our_job, path=place.path)

    assert manifest["sha256"] == hashlib.sha256(content).hexdigest()
    assert place.read() == content


def test_many_at_once_leave_a_whole_file(finished_job, serve, save, place):
    contents = [longer(film(), 300_000 + number) for number in range(4)]
    jobs = [finished_job(serve(gives(content)).url) for content in contents]

    def try_to_save(job_id):
        # It may be that one's own upload is replaced before one can look at it.
        with suppress(PictoryStorageError):
            return save(job_id=job_id, path=place.path, overwrite=True)["bytes"]

    with ThreadPoolExecutor(len(jobs)) as executor:
        sizes = list(executor.map(try_to_save, jobs))

    assert place.read() in contents
    assert len(place.read()) in sizes
    assert place.leftovers() == []


# Jobs without a video


def test_an_unfinished_job_says_what_is_missing(busy_pictory, save, target):
    job_id = submit()

    with pytest.raises(PictoryJobUnfinishedError) as caught:
        save(job_id=job_id, path=str(target))

    assert f"Pictory job {job_id} has no video yet (status 'in-progress')" in str(caught.value)
    assert "Put a VideoJobSensor between" in str(caught.value)
    assert not isinstance(caught.value, AirflowFailException)
    assert not target.parent.exists()


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        ("failed", PictoryJobFailedError, "failed (5002: REFUSED)"),
        ("cleaned", PictoryJobExpiredError, "was deleted at Pictory"),
    ],
)
def test_a_job_without_a_video_is_an_error_also_with_the_result_of_better_times(
    pictory, save, target, status, error, words
):
    job_id = submit()
    url = f"{pictory.url}/files/gone/video.mp4"
    pictory.set_job(job_id, status, error_code="5002", error_message="REFUSED")

    with pytest.raises(error) as caught:
        save(video={"job_id": job_id, "url": url, "status": "completed"}, path=str(target))

    assert words in str(caught.value)
    assert not target.parent.exists()
    assert count(pictory, POST) == 1


def test_trouble_while_asking_about_the_job_is_ridden_out(pictory, save, target, pauses):
    job_id = submit()
    pictory.respond_next("/v1/jobs", status=503)
    pictory.respond_next("/v1/jobs", status=429, headers={"Retry-After": "7"})

    save(job_id=job_id, path=str(target))

    assert pauses == [2.0, 7.0]
    pictory.respond_next("/v1/jobs", status=503, times=3)
    with pytest.raises(PictoryAPIError):
        save(job_id=job_id, path=str(target))
    pictory.respond_next("/v1/jobs", status=429, headers={"Retry-After": "3600"})
    with pytest.raises(PictoryAPIError):
        save(job_id=job_id, path=str(target))
    assert count(pictory, JOB) == 3 + 3 + 1


# Arguments


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "job_id: got None, but a job id is needed"),
        ({"job_id": "None"}, "job_id: got 'None', but a job id is needed"),
        ({"video": "None", "job_id": ""}, "job_id: got '', but a job id is needed"),
        ({"job_id": "a", "video": {"job_id": "b"}}, "got both, 'a' and {'job_id': 'b'}"),
        ({"video": "4a09edf9"}, "video: got '4a09edf9', but what a VideoJobSensor returned is needed"),
        ({"video": "[1, 2]"}, "video: got '[1, 2]', but what a VideoJobSensor returned is needed"),
        ({"video": {"url": "http://x"}}, "but what a VideoJobSensor returned is needed"),
        ({"video": {"job_id": None}}, "job_id: got None, but a job id is needed"),
        ({}, "or video in its place: video=wait.output of a VideoJobSensor"),
        ({"job_id": {"job_id": "b"}}, "a whole result: give it as video=wait.output"),
        ({"job_id": "{'job_id': 'b', 'url': None}"}, "the id alone as job_id=wait.output['job_id']"),
        ({"job_id": "b", "max_bytes": 0}, "max_bytes: got 0, but a whole number of bytes is needed"),
        ({"job_id": "b", "max_bytes": ""}, "max_bytes: got '', but"),
        ({"job_id": "b", "max_bytes": "None"}, "max_bytes: got 'None', but"),
        ({"job_id": "b", "max_bytes": None}, "max_bytes: got None, but"),
        ({"job_id": "b", "max_bytes": True}, "max_bytes: got True, but"),
        ({"job_id": "b", "max_bytes": "1e9"}, "max_bytes: got '1e9', but"),
        ({"job_id": "b", "max_bytes": float("inf")}, "max_bytes: got inf, but"),
    ],
)
def test_what_is_no_job_is_refused_by_name(pictory, save, target, arguments, words):
    with pytest.raises(PictoryInvalidRequestError) as caught:
        save(path=str(target), **arguments)

    assert words in str(caught.value)
    assert count(pictory, JOB) == 0


@pytest.mark.parametrize("path", [None, "", "None", "s3://bucket", 7])
def test_what_is_no_path_is_refused_by_name_before_pictory_is_asked(pictory, save, path):
    with pytest.raises(PictoryInvalidRequestError, match=r"^path: got "):
        save(job_id="4a09edf9-d071-4847-bda5-8dea913d80fe", path=path)

    assert count(pictory, JOB) == 0


def test_a_path_over_a_connection_that_does_not_exist_is_refused(pictory, save, bucket):
    with pytest.raises(PictoryConfigurationError) as caught:
        save(job_id="4a09edf9-d071-4847-bda5-8dea913d80fe", path=f"s3://nobody@{bucket.name}/film.mp4")

    assert "There is no Airflow connection 'nobody'" in str(caught.value)
    assert count(pictory, JOB) == 0


def test_the_connection_can_stand_beside_the_path(finished_job, serve, save, bucket):
    host = serve(gives(film()))

    manifest = save(
        job_id=finished_job(host.url), path=f"s3://{bucket.name}/film.mp4", object_storage_conn_id="media"
    )

    assert manifest["path"] == f"s3://media@{bucket.name}/film.mp4"
    assert bucket.read("film.mp4") == film()


def test_a_path_without_a_connection_says_so_when_the_bucket_refuses(finished_job, serve, save, bucket):
    bucket.refuse("HEAD", "film.mp4", 403, "AccessDenied")

    with pytest.raises(PictoryStorageError) as caught:
        save(job_id=finished_job(serve(gives(film())).url), path=f"s3://{bucket.name}/film.mp4")

    assert f"s3://{bucket.name}/film.mp4 can't be polled: PermissionError" in str(caught.value)
    assert "The path names no connection" in str(caught.value)


# What comes isn't the video


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<!DOCTYPE html><title>Please log in</title>", "something else than an MP4 (text/html"),
        (film()[:-1000], "is no whole MP4: it is cut short: its mdat box"),
        (film() + b"12345", "is no whole MP4: it ends within a box"),
        (b"", "is no whole MP4: it is empty"),
    ],
    ids=["a page", "cut short", "too long", "nothing"],
)
def test_what_is_no_whole_mp4_is_never_saved(finished_job, serve, save, place, content, words):
    kind = "text/html" if content.startswith(b"<!") else "video/mp4"
    host = serve(gives(content, **{"Content-Type": kind}))

    with pytest.raises(PictoryDownloadError) as caught:
        save(job_id=finished_job(host.url), path=place.path, check_video=False)

    assert words in str(caught.value)
    assert not place.is_there
    assert place.leftovers() == []


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"duration": "8s"}, f"it is {SECONDS} s long instead of 8 s"),
        ({"width": 1280, "height": 720}, f"it is {WIDTH}x{HEIGHT} instead of 1280x720"),
    ],
)
def test_another_video_than_the_jobs_is_refused_unless_told_otherwise(
    finished_job, serve, save, target, facts, words, caplog
):
    host = serve(gives(film()))

    with pytest.raises(PictoryDownloadError) as caught:
        save(job_id=finished_job(host.url, **facts), path=str(target))

    assert words in str(caught.value)
    assert "check_video=False saves it all the same" in str(caught.value)
    assert names(target.parent) == []

    manifest = save(job_id=finished_job(host.url, **facts), path=str(target), check_video=False)

    assert (manifest["seconds"], manifest["width"], manifest["height"]) == (SECONDS, WIDTH, HEIGHT)
    assert target.read_bytes() == film()


def test_a_job_that_says_little_is_believed(finished_job, serve, save, target):
    facts = {"duration": None, "width": None, "height": None}

    manifest = save(job_id=finished_job(serve(gives(film())).url, **facts), path=str(target))

    assert (manifest["seconds"], manifest["width"], manifest["height"]) == (SECONDS, WIDTH, HEIGHT)


# URLs that expire


@pytest.mark.parametrize("status", [403, 404, 410])
def test_pictory_is_asked_for_a_fresh_url_when_one_has_expired(
    finished_job, serve, save, target, pictory, status
):
    content = longer(film(), 300_000)
    stale = serve(gives(content, cuts_after=100_000), response(status=status))
    fresh = serve(gives(content))

    save(job_id=finished_job(f"{stale.url}/film?token=1", f"{fresh.url}/film?token=2"), path=str(target))

    assert target.read_bytes() == content
    assert [request.header("range") for request in stale.requests] == [None, "bytes=100000-"]
    assert fresh.request.header("range") == "bytes=100000-"
    assert count(pictory, JOB) == 2


def test_a_url_that_expires_twice_in_a_row_is_an_error_without_its_secrets(
    finished_job, serve, save, target, pictory
):
    host = serve(response(status=403))

    with pytest.raises(PictoryDownloadError) as caught:
        save(job_id=finished_job(f"{host.url}/film.mp4?signature=very-secret"), path=str(target))

    assert f"{host.url}/film.mp4 responded 403" in str(caught.value)
    assert "expired twice in a row" in str(caught.value)
    assert "very-secret" not in str(caught.value)
    # Four more times each, since the file may not be there yet.
    assert (count(pictory, JOB), len(host.requests)) == (2, 10)
    assert names(target.parent) == []


def test_the_sandbox_s_expiring_urls_are_renewed(pictory_at, save, target):
    pictory = pictory_at(faults=["expiring-urls:seconds=0,count=1"])

    save(job_id=submit(), path=str(target))

    assert target.stat().st_size > 0
    assert count(pictory, JOB) == 2


def test_a_job_that_is_cleaned_meanwhile_is_an_error(finished_job, serve, save, target, pictory):
    job_id = submit()
    expired = serve(after(lambda: pictory.set_job(job_id, "cleaned"), response(status=404)))
    body = {"job_id": job_id, "success": True, "data": {"status": "completed", "url": expired.url}}
    pictory.respond_next(f"/v1/jobs/{job_id}", body=body)

    with pytest.raises(PictoryJobExpiredError):
        save(job_id=job_id, path=str(target))

    assert names(target.parent) == []


@pytest.mark.parametrize(
    "url", ["http://[::1/x", "http://", "http://h:99999999/x", f"http://h/{'x' * 900_000}", "http://a b/x"]
)
def test_a_url_that_is_none_is_an_error_that_names_the_job(pictory, finished_job, save, target, url):
    job_id = finished_job(url)

    with pytest.raises(PictoryAPIError) as caught:
        save(job_id=job_id, path=str(target))

    assert f"job {job_id} is completed but has no URL to its video, or none that can be asked" in str(
        caught.value
    )
    assert len(str(caught.value)) < 1000


# Secrets


def test_the_key_reaches_nobody_but_pictory(finished_job, serve, save, target, caplog):
    other = serve(gives(film()))
    first = serve(response(status=302, Location=f"{other.url}/film"))

    save(job_id=finished_job(f"{first.url}/film"), path=str(target))

    for request in (first.request, other.request):
        assert request.header("authorization") is None
        assert API_KEY not in repr(request)


def test_a_url_into_the_network_is_not_asked(finished_job, serve, save, target, pictory, monkeypatch):
    host = serve(gives(film()))
    job_id = finished_job(host.url)
    # As if Pictory were on the internet, behind a proxy.
    connection = {"conn_type": "pictory", "password": API_KEY, "host": "http://pictory.example"}
    monkeypatch.setenv("AIRFLOW_CONN_PICTORY_DEFAULT", json.dumps(connection))
    monkeypatch.setenv("HTTP_PROXY", pictory.url)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    with pytest.raises(PictoryDownloadError, match=r"leads to 127\.0\.0\.1, which isn't on the"):
        save(job_id=job_id, path=str(target))

    assert host.connections == 0
    assert names(target.parent) == []

    connection["extra"] = {"allow_private_hosts": True}
    monkeypatch.setenv("AIRFLOW_CONN_PICTORY_DEFAULT", json.dumps(connection))
    save(job_id=job_id, path=str(target))

    assert target.read_bytes() == film()


# Places that refuse


def test_a_full_disk_is_named_and_nothing_is_left(finished_job, serve, save, target):
    host = serve(gives(longer(film(), 3_000_000)))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, before[1]))
    try:
        with pytest.raises(PictoryStorageError) as caught:
            save(job_id=finished_job(host.url), path=str(target))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert f"can't be written to {target.parent}: File too large" in str(caught.value)
    assert names(target.parent) == []


def test_a_video_larger_than_the_disk_is_refused_before_it_comes(finished_job, serve, save, place):
    host = serve(gives(film(), declares=10**15))

    with pytest.raises(PictoryStorageError) as caught:
        save(job_id=finished_job(host.url), path=place.path)

    assert "The video has 1,000,000,000,000,000 bytes, and only " in str(caught.value)
    assert not place.is_there
    assert place.leftovers() == []


def test_a_video_of_more_bytes_than_allowed_is_refused_before_it_comes(finished_job, serve, save, place):
    host = serve(gives(film(), declares=3_000_000_000))

    with pytest.raises(PictoryDownloadError) as caught:
        save(job_id=finished_job(host.url), path=place.path)

    assert "gives 3,000,000,000 bytes or more, and max_bytes allows 2,000,000,000" in str(caught.value)
    assert not place.is_there
    assert place.leftovers() == []


def test_a_video_that_says_no_length_is_refused_at_the_limit(finished_job, serve, save, place):
    def endless(_server, connection, _request):
        connection.sendall(head(200, {"Content-Type": "video/mp4"}) + film())
        while True:
            connection.sendall(bytes(100_000))

    with pytest.raises(PictoryDownloadError, match="max_bytes allows 1,000,000"):
        save(job_id=finished_job(serve(endless).url), path=place.path, max_bytes=1_000_000)

    assert not place.is_there
    assert place.leftovers() == []


def test_a_folder_that_cannot_be_made_is_named(finished_job, serve, save, tmp_path):
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(PictoryStorageError) as caught:
        save(job_id=finished_job(serve(gives(film())).url), path=f"{tmp_path}/file/film.mp4")

    assert f"{tmp_path}/file/film.mp4 can't be " in str(caught.value)


@pytest.mark.parametrize(
    "refused",
    [("POST", "uploads"), ("PUT", "partNumber=1"), ("PUT", "partNumber=2"), ("POST", "uploadId")],
    ids=["at the start", "at the first part", "at the second part", "at the commit"],
)
def test_a_bucket_that_refuses_keeps_nothing_of_the_upload(finished_job, serve, save, bucket, refused):
    bucket.refuse(*refused)

    with pytest.raises(PictoryStorageError) as caught:
        save(
            job_id=finished_job(serve(gives(longer(film(), 12_000_000))).url),
            path=f"s3://media@{bucket.name}/film.mp4",
        )

    assert f"s3://media@{bucket.name}/film.mp4 can't be written: PermissionError" in str(caught.value)
    assert bucket.names() == bucket.uploads() == []


def test_a_bucket_that_refuses_keeps_the_file_that_was_there(finished_job, serve, save, bucket):
    bucket.put("film.mp4", b"older")
    bucket.refuse("PUT", "partNumber=2")

    with pytest.raises(PictoryStorageError):
        save(
            job_id=finished_job(serve(gives(longer(film(), 12_000_000))).url),
            path=f"s3://media@{bucket.name}/film.mp4",
            overwrite=True,
        )

    assert bucket.read("film.mp4") == b"older"
    assert bucket.uploads() == []


def test_a_bucket_that_does_not_exist_is_named(finished_job, serve, save, bucket):
    with pytest.raises(PictoryStorageError) as caught:
        save(job_id=finished_job(serve(gives(film())).url), path="s3://media@no-such-bucket/film.mp4")

    assert "s3://media@no-such-bucket/film.mp4 can't be written: " in str(caught.value)
    assert "bucket does not exist" in str(caught.value)


# Tasks that are stopped


class StoppedError(BaseException):
    """As Airflow stops tasks: no Exception."""


def test_a_task_that_is_stopped_while_it_downloads_leaves_nothing(
    finished_job, serve, save, place, monkeypatch
):
    def stop(*_):
        raise StoppedError

    monkeypatch.setattr(download, "_write", stop)

    with pytest.raises(StoppedError):
        save(job_id=finished_job(serve(gives(film())).url), path=place.path)

    assert not place.is_there
    assert place.leftovers() == []


def test_a_task_that_is_stopped_while_it_uploads_leaves_nothing(
    finished_job, serve, save, bucket, monkeypatch
):
    from s3fs.core import S3File

    def stop(_):
        raise StoppedError

    monkeypatch.setattr(S3File, "commit", stop)

    with pytest.raises(StoppedError):
        save(
            job_id=finished_job(serve(gives(longer(film(), 12_000_000))).url),
            path=f"s3://media@{bucket.name}/film.mp4",
        )

    assert bucket.names() == bucket.uploads() == []


@pytest.fixture
def save_until_killed():
    """Run a task that ends as Airflow ends one: with a signal, which calls ``on_kill``."""

    def run(**arguments):
        operator = PictoryToObjectStorageOperator(task_id="save", **arguments)
        before = signal.signal(signal.SIGTERM, lambda *_: operator.on_kill())
        began = time.monotonic()
        try:
            with pytest.raises(PictoryError, match="is being killed, so the video isn't saved"):
                inspect.unwrap(type(operator).execute)(operator, {})
        finally:
            signal.signal(signal.SIGTERM, before)
        # So long after the signal Airflow kills a task that goes on.
        assert time.monotonic() - began < 5

    return run


def test_a_task_that_airflow_ends_while_it_downloads_leaves_nothing(
    finished_job, serve, save_until_killed, place
):
    def stall(server, connection, request):
        gives(longer(film(), 400_000), cuts_after=100_000)(server, connection, request)
        os.kill(os.getpid(), signal.SIGTERM)
        return keep_silent(server, connection, request)

    save_until_killed(job_id=finished_job(serve(stall).url), path=place.path)

    assert not place.is_there
    assert place.leftovers() == []


def test_a_task_that_airflow_ends_while_it_uploads_leaves_nothing(
    finished_job, serve, save_until_killed, bucket
):
    has_begun, has_ended = threading.Event(), threading.Event()

    def stall(method, target):
        # The client sends the part again and again, also when nobody waits for it any more.
        if method == "PUT" and "partNumber=2" in target and not has_begun.is_set():
            has_begun.set()
            os.kill(os.getpid(), signal.SIGTERM)
            has_ended.wait(10)

    bucket.server.faults.append(stall)
    host = serve(gives(longer(film(), 12_000_000)))

    save_until_killed(job_id=finished_job(host.url), path=f"s3://media@{bucket.name}/film.mp4")
    has_ended.set()

    assert bucket.names() == bucket.uploads() == []


def test_a_task_that_is_not_saving_any_more_is_not_disturbed(target):
    PictoryToObjectStorageOperator(task_id="save", path=str(target)).on_kill()


def test_a_task_that_is_killed_leaves_no_file_under_the_name_and_a_retry_saves_it(
    finished_job, serve, save, target
):
    content = longer(film(), 2_000_000)

    def stall(server, connection, request):
        gives(content, cuts_after=1_500_000)(server, connection, request)
        return keep_silent(server, connection, request)

    host = serve(stall)
    program = (
        "import os, sys\n"
        "from airflow_provider_pictory.transfers.pictory_to_object_storage import *\n"
        f"PictoryToObjectStorageOperator(task_id='save', job_id={finished_job(host.url)!r}, "
        f"path={str(target)!r}).execute({{}})"
    )
    with subprocess.Popen([sys.executable, "-W", "ignore", "-c", program], env=dict(os.environ)) as process:
        end = time.monotonic() + 60
        while not any(path.stat().st_size > 1_000_000 for path in target.parent.glob(".*")):
            assert time.monotonic() < end
            assert process.poll() is None
            threading.Event().wait(0.05)
        process.send_signal(signal.SIGKILL)

    assert not target.exists()
    save(job_id=finished_job(serve(gives(content)).url), path=str(target))
    assert target.read_bytes() == content


# In the DAG file


def test_making_it_asks_nobody_for_anything(target):
    operator = PictoryToObjectStorageOperator(task_id="save", path=str(target))

    assert operator.job_id is None
    assert "hook" not in vars(operator)
    assert set(operator.template_fields) <= set(vars(operator))
