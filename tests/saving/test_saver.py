"""A finished video comes whole to its destination, or not at all."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_pictory.exceptions import (
    PictoryAPIError,
    PictoryDownloadError,
    PictoryError,
    PictoryFileExistsError,
    PictoryJobExpiredError,
    PictoryJobUnfinishedError,
    PictoryStorageError,
)
from tests.support.file_hosts import HEIGHT, SECONDS, WIDTH, content_of, film, gives, longer
from tests.support.loopback import after, keep_silent, response
from tests.support.pictory_words import JOB, count, submit

# More than one part of an upload, and of what is read to be hashed.
LARGE = 6_000_000


@pytest.fixture
def target(tmp_path):
    """Return a path in a folder that isn't there yet."""
    return tmp_path / "videos" / "film.mp4"


def names(folder):
    return sorted(path.name for path in folder.glob("*"))


def assert_nothing_is_there(place):
    assert place.read() is None
    assert place.others() == []


# What is there already


@pytest.mark.parametrize("overwrite", [False, True], ids=["refusing", "overwriting"])
def test_a_second_run_that_finds_the_video_writes_nothing(job_of, save, place, caplog, overwrite):
    content = longer(film(), LARGE)
    job_id = job_of(content)
    first = save(job_id, place.path)
    stamp = place.stamp()
    caplog.set_level("INFO")

    second = save(job_id, place.path, overwrite=overwrite)

    assert second == first
    assert (second["bytes"], second["sha256"]) == (len(content), content_of(content).sha256)
    assert place.stamp() == stamp
    assert place.read() == content
    assert place.others() == []
    assert f"The video of Pictory job {job_id} is at {place.path} already, nothing is written" in caplog.text


@pytest.mark.parametrize(
    "other",
    [
        b"",
        b"not a video",
        longer(film(), 200_000),
        longer(film(), 400_000),
        longer(film("A kite"), 300_000),
        longer(film(), 299_999) + b"!",
    ],
    ids=["empty", "no video", "shorter", "longer", "another video of the same size", "one byte at the end"],
)
def test_another_file_is_refused_and_overwriting_replaces_it(job_of, save, place, caplog, other):
    content = longer(film(), 300_000)
    job_id = job_of(content)
    place.put(other)
    caplog.set_level("INFO")

    with pytest.raises(PictoryFileExistsError) as caught:
        save(job_id, place.path)

    assert isinstance(caught.value, AirflowFailException)
    assert f"path: {place.path} is there already, with {len(other):,} bytes" in str(caught.value)
    assert "overwrite=True" in str(caught.value)
    assert place.read() == other
    assert place.others() == []

    manifest = save(job_id, place.path, overwrite=True)

    assert place.read() == content
    assert manifest["sha256"] == content_of(content).sha256
    assert place.others() == []
    assert f"Another file is at {place.path}; it will be replaced" in caplog.text


def test_a_file_of_another_size_is_not_read_to_be_compared(job_of, save, bucket):
    bucket.put("film.mp4", bytes(LARGE))
    path = f"s3://media@{bucket.name}/film.mp4"

    with pytest.raises(PictoryFileExistsError):
        save(job_of(film()), path)
    assert not any(line.startswith(f"GET /{bucket.name}/film.mp4") for line in bucket.server.requests)


def test_a_page_instead_of_the_video_does_not_make_the_video_that_is_there_another_file(
    finished_job, serve, save, place
):
    page = response(b"<!DOCTYPE html><title>We are back soon</title>", Content_Type="text/html")
    job_id = finished_job(serve(*[page] * 5, page, gives(film())).url)
    place.put(film())
    stamp = place.stamp()

    with pytest.raises(PictoryDownloadError, match="something else than an MP4"):
        save(job_id, place.path, overwrite=True)
    # The next page passes during the download.
    save(job_id, place.path, overwrite=True)

    assert place.stamp() == stamp


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666, 0o444])
def test_a_file_that_is_replaced_leaves_its_mode(job_of, save, tmp_path, mode):
    file = tmp_path / "film.mp4"
    file.write_bytes(b"older")
    file.chmod(mode)

    save(job_of(film()), file, overwrite=True)

    assert file.read_bytes() == film()
    assert file.stat().st_mode & 0o7777 == mode


def test_a_new_file_has_the_mode_that_the_worker_gives(job_of, save, target):
    before = os.umask(0o027)
    try:
        save(job_of(film()), target)
    finally:
        os.umask(before)

    assert target.stat().st_mode & 0o7777 == 0o640


@pytest.mark.parametrize("is_there", [True, False])
def test_of_a_link_the_target_is_written(job_of, save, tmp_path, is_there):
    real, link = tmp_path / "real" / "film.mp4", tmp_path / "links" / "latest.mp4"
    link.parent.mkdir()
    link.symlink_to("../real/film.mp4")
    if is_there:
        real.parent.mkdir()
        real.write_bytes(b"older")
        real.chmod(0o600)

    manifest = save(job_of(film()), link, overwrite=True)

    assert link.is_symlink()
    assert real.read_bytes() == film()
    assert manifest["path"] == str(link)
    assert names(link.parent) == ["latest.mp4"]
    assert names(real.parent) == ["film.mp4"]
    assert not is_there or real.stat().st_mode & 0o7777 == 0o600


def test_a_file_may_have_the_name_of_a_folder_in_a_bucket(job_of, save, bucket):
    bucket.put("film.mp4/older.mp4", b"older")

    save(job_of(film()), f"s3://media@{bucket.name}/film.mp4")

    assert bucket.names() == ["film.mp4", "film.mp4/older.mp4"]


# Two at the same time


@pytest.mark.parametrize("overwrite", [False, True], ids=["refusing", "overwriting"])
def test_of_two_that_write_one_path_the_file_is_one_of_theirs_as_a_whole(
    finished_job, job_of, serve, save, place, overwrite
):
    ours, theirs = longer(film(), 400_000), longer(film("A kite"), 500_000)
    their_job = job_of(theirs)
    our_job = finished_job(serve(after(lambda: save(their_job, place.path), gives(ours))).url)

    if overwrite:
        save(our_job, place.path, overwrite=True)
    else:
        with pytest.raises(PictoryFileExistsError):
            save(our_job, place.path)

    assert place.read() == (ours if overwrite else theirs)
    assert place.others() == []


def test_of_two_that_save_the_same_video_the_second_finds_it(finished_job, job_of, serve, save, place):
    their_job = job_of(film())
    our_job = finished_job(serve(after(lambda: save(their_job, place.path), gives(film()))).url)

    manifest = save(our_job, place.path)

    assert manifest["sha256"] == content_of(film()).sha256
    assert place.read() == film()


def test_many_at_once_leave_a_whole_file(job_of, save, place):
    contents = [longer(film(), 300_000 + number) for number in range(4)]
    jobs = [job_of(content) for content in contents]

    def try_to_save(job_id):
        # It may be that one's own upload is replaced before one can check it.
        with suppress(PictoryStorageError):
            return save(job_id, place.path, overwrite=True)["bytes"]

    with ThreadPoolExecutor(len(jobs)) as executor:
        sizes = list(executor.map(try_to_save, jobs))

    assert place.read() in contents
    assert len(place.read()) in sizes
    assert place.others() == []


# Jobs without a video


def test_an_unfinished_job_says_what_is_missing(busy_pictory, save, target):
    job_id = submit()

    with pytest.raises(PictoryJobUnfinishedError) as caught:
        save(job_id, target)

    assert f"Pictory job {job_id} has no video yet (status 'in-progress')" in str(caught.value)
    assert "Put a VideoJobSensor between" in str(caught.value)
    assert not isinstance(caught.value, AirflowFailException)
    assert not target.parent.exists()


def test_trouble_while_asking_about_the_job_is_tolerated(pictory, job_of, save, target, pauses):
    pictory.respond_next("/v1/jobs", status=503, times=3)
    with pytest.raises(PictoryAPIError):
        save("a-job", target)
    pictory.respond_next("/v1/jobs", status=429, headers={"Retry-After": "3600"})
    with pytest.raises(PictoryAPIError):
        save("a-job", target)
    pictory.respond_next("/v1/jobs", status=503)
    pictory.respond_next("/v1/jobs", status=429, headers={"Retry-After": "7"})

    save(job_of(film()), target)

    assert target.read_bytes() == film()
    assert pauses == [2.0, 2.0, 2.0, 7.0]
    assert count(pictory, JOB) == 3 + 1 + 3


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
def test_what_is_no_whole_mp4_is_never_saved(job_of, save, place, content, words):
    kind = "text/html" if content.startswith(b"<!") else "video/mp4"

    with pytest.raises(PictoryDownloadError) as caught:
        save(job_of(content, **{"Content-Type": kind}), place.path, check_video=False)

    assert words in str(caught.value)
    assert_nothing_is_there(place)


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
    job_id = finished_job(serve(gives(film())).url, **facts)

    with pytest.raises(PictoryDownloadError) as caught:
        save(job_id, target)

    assert words in str(caught.value)
    assert "check_video=False saves it all the same" in str(caught.value)
    assert names(target.parent) == []

    manifest = save(job_id, target, check_video=False)

    assert (manifest["seconds"], manifest["width"], manifest["height"]) == (SECONDS, WIDTH, HEIGHT)
    assert target.read_bytes() == film()
    assert f"The MP4 of Pictory job {job_id} isn't what the job says: {words}" in caplog.text


def test_a_job_that_says_little_is_believed(finished_job, serve, save, target):
    facts = {"duration": None, "width": None, "height": None}

    manifest = save(finished_job(serve(gives(film())).url, **facts), target)

    assert (manifest["seconds"], manifest["width"], manifest["height"]) == (SECONDS, WIDTH, HEIGHT)


# URLs that expire


def test_pictory_is_asked_for_a_fresh_url_when_one_has_expired(finished_job, serve, save, target, pictory):
    content = longer(film(), 300_000)
    stale = serve(gives(content, cuts_after=100_000), response(status=403))
    fresh = serve(gives(content))

    save(finished_job(f"{stale.url}/film?token=1", f"{fresh.url}/film?token=2"), target)

    assert target.read_bytes() == content
    assert [request.header("range") for request in stale.requests] == [None, "bytes=100000-"]
    assert fresh.request.header("range") == "bytes=100000-"
    assert count(pictory, JOB) == 2


def test_the_sandbox_s_expiring_urls_are_renewed(pictory_at, save, target):
    pictory = pictory_at(faults=["expiring-urls:seconds=0,count=1"])

    save(submit(), target)

    assert target.stat().st_size > 0
    assert count(pictory, JOB) == 2


def test_a_job_that_is_cleaned_meanwhile_is_an_error(serve, save, target, pictory):
    job_id = submit()
    expired = serve(after(lambda: pictory.set_job(job_id, "cleaned"), response(status=404)))
    body = {"job_id": job_id, "success": True, "data": {"status": "completed", "url": expired.url}}
    pictory.respond_next(f"/v1/jobs/{job_id}", body=body)

    with pytest.raises(PictoryJobExpiredError):
        save(job_id, target)

    assert names(target.parent) == []


# Places that refuse


def test_a_full_disk_is_named_and_nothing_is_left(job_of, save, target):
    job_id = job_of(longer(film(), 3_000_000))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, before[1]))
    try:
        with pytest.raises(PictoryStorageError) as caught:
            save(job_id, target)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert f"can't be written to {target.parent}: File too large" in str(caught.value)
    assert names(target.parent) == []


@pytest.mark.parametrize(
    ("size", "error", "words"),
    [
        (10**15, PictoryStorageError, "The video has 1,000,000,000,000,000 bytes, and only "),
        (
            3_000_000_000,
            PictoryDownloadError,
            "gives 3,000,000,000 bytes or more, and max_bytes allows 2,000,000,000",
        ),
    ],
    ids=["than the disk", "than allowed"],
)
def test_a_larger_video_is_refused_before_it_comes(job_of, save, place, size, error, words):
    with pytest.raises(error) as caught:
        save(job_of(film(), declares=size), place.path)

    assert words in str(caught.value)
    assert_nothing_is_there(place)


def test_a_folder_that_cannot_be_made_is_named(job_of, save, tmp_path):
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(PictoryStorageError) as caught:
        save(job_of(film()), f"{tmp_path}/file/film.mp4")

    assert f"{tmp_path}/file/film.mp4 can't be " in str(caught.value)


@pytest.mark.parametrize(
    ("refused", "older"),
    [
        (("POST", "uploads"), []),
        (("PUT", "partNumber=1"), []),
        (("PUT", "partNumber=2"), [b"older"]),
        (("POST", "uploadId"), []),
        (("POST", "uploadId"), [b"older"]),
    ],
)
def test_a_bucket_that_refuses_keeps_what_was_there_and_nothing_of_the_upload(
    job_of, save, bucket, refused, older
):
    for content in older:
        bucket.put("film.mp4", content)
    bucket.refuse(*refused)

    with pytest.raises(PictoryStorageError) as caught:
        save(job_of(longer(film(), LARGE)), f"s3://media@{bucket.name}/film.mp4", overwrite=True)

    assert f"s3://media@{bucket.name}/film.mp4 can't be written: PermissionError" in str(caught.value)
    assert [bucket.read(name) for name in bucket.names()] == older
    assert bucket.uploads() == []


def test_a_bucket_that_does_not_exist_is_named(job_of, save, bucket):
    with pytest.raises(PictoryStorageError) as caught:
        save(job_of(film()), "s3://media@no-such-bucket/film.mp4")

    assert "s3://media@no-such-bucket/film.mp4 can't be written: " in str(caught.value)
    assert "bucket does not exist" in str(caught.value)


def test_a_path_without_a_connection_says_so_when_the_bucket_refuses(job_of, save, bucket):
    bucket.refuse("HEAD", "film.mp4", 403, "AccessDenied")

    with pytest.raises(PictoryStorageError) as caught:
        save(job_of(film()), f"s3://{bucket.name}/film.mp4")

    assert f"s3://{bucket.name}/film.mp4 can't be accessed: PermissionError" in str(caught.value)
    assert "The path names no connection" in str(caught.value)


# Tasks that are stopped


class StoppedError(BaseException):
    """As Airflow's time limits stop tasks: no Exception."""


@pytest.fixture(params=[StoppedError, PictoryError])
def stop(request):
    """Raise ``stop.error`` on this thread, in the midst of whatever it does, as Airflow's signals do."""

    def stop():
        os.kill(os.getpid(), signal.SIGALRM)

    def raise_it(*_):
        raise request.param

    stop.error = request.param
    before = signal.signal(signal.SIGALRM, raise_it)
    yield stop
    signal.signal(signal.SIGALRM, before)


def test_a_task_that_is_stopped_while_it_downloads_leaves_nothing(finished_job, serve, save, place, stop):
    def stall(server, connection, request):
        gives(longer(film(), 400_000), cuts_after=100_000)(server, connection, request)
        stop()
        return keep_silent(server, connection, request)

    job_id = finished_job(serve(stall).url)

    with pytest.raises(stop.error):
        save(job_id, place.path)

    assert_nothing_is_there(place)


@pytest.mark.parametrize("part", [1, 2], ids=["in the middle", "at the last part"])
def test_a_task_that_is_stopped_while_it_uploads_leaves_nothing(job_of, save, bucket, stop, part):
    has_begun, has_ended = threading.Event(), threading.Event()

    def stall(method, target):
        # A client sends a part again and again, also when nobody waits for it any more, even in a later test.
        is_ours = target.startswith(f"/{bucket.name}/") and f"partNumber={part}" in target
        if method == "PUT" and is_ours and not has_begun.is_set():
            has_begun.set()
            stop()
            has_ended.wait(10)

    bucket.server.faults.append(stall)
    job_id = job_of(longer(film(), LARGE))

    with pytest.raises(stop.error):
        save(job_id, f"s3://media@{bucket.name}/film.mp4")
    has_ended.set()

    assert bucket.names() == bucket.uploads() == []


def test_a_task_that_is_killed_leaves_no_file_under_the_name_and_a_retry_saves_it(
    finished_job, job_of, serve, save, target
):
    content = longer(film(), 2_000_000)
    has_stalled = threading.Event()

    def stall(server, connection, request):
        gives(content, cuts_after=1_500_000)(server, connection, request)
        has_stalled.set()
        return keep_silent(server, connection, request)

    job_id = finished_job(serve(stall).url)
    process = multiprocessing.get_context("fork").Process(target=save, args=(job_id, target))
    process.start()
    assert has_stalled.wait(10)
    process.kill()
    process.join()

    (partial,) = names(target.parent)
    assert partial.startswith(".pictory-")
    save(job_of(content), target)
    assert target.read_bytes() == content
