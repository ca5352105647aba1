"""The hook reads Pictory's lists page by page, and looks at the newest job without ever being in the way."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from airflow_provider_pictory.api import JobStatus, VideoRequest
from airflow_provider_pictory.api.listings import JobListPage, ListedJob, VideoListPage
from airflow_provider_pictory.client import calls
from airflow_provider_pictory.exceptions import (
    PictoryAPIError,
    PictoryAuthenticationError,
    PictoryInvalidRequestError,
    PictoryRateLimitedError,
    PictoryRedirectedError,
)
from airflow_provider_pictory.hooks.pictory import PictoryHook
from tests.support.clients import IN_PROGRESS, JOB_ID, KEY, assert_keeps_the_key, assert_no_key
from tests.support.loopback import (
    after,
    cut_short,
    echo,
    hang_up,
    head,
    raw,
    response,
)

NEW_KEY = "pictai_rotated"
HTML = b"<!DOCTYPE html><html><body>Blocked</body></html>"
ITEM = {"success": True, "data": {"jobId": JOB_ID, "status": "in-progress"}}
JOBS = {"items": [ITEM], "nextPageKey": None}
BIG_ITEM = {"success": True, "data": {"jobId": "big", "status": "completed", "scenes": "x" * 1_000_000}}
DATE = "Thu, 01 Jan 2026 12:00:30 GMT"
SERVER_TIME = datetime(2026, 1, 1, 12, 0, 30, tzinfo=UTC)
READ = {
    "jobs": ("/pictoryapis/v1/jobs", PictoryHook.list_jobs),
    "videos": ("/pictoryapis/v1/aistudio/videos", PictoryHook.list_videos),
}
both_lists = pytest.mark.parametrize(("path", "read"), READ.values(), ids=READ)


@pytest.fixture
def pictory(pictory_sandbox_factory, connect):
    """Start a Pictory whose jobs are finished at once."""
    sandbox = pictory_sandbox_factory(api_key=KEY)
    connect(sandbox.url)
    return sandbox


@pytest.fixture
def hook():
    hook = PictoryHook()
    yield hook
    hook.close()


def submit(hook, times):
    return [hook.submit_video(VideoRequest(f"Video number {number}")) for number in range(times)]


def error_of(kind, read, *arguments):
    with pytest.raises(kind) as caught:
        read(PictoryHook(), *arguments)
    assert type(caught.value) is kind
    assert_keeps_the_key(caught.value)
    return caught.value


def pages_of(read):
    pages = [read(None)]
    while pages[-1].next_page_key:
        pages.append(read(pages[-1].next_page_key))
    return pages


# Pages


def test_all_jobs_are_read_page_by_page_newest_first(pictory, hook):
    submitted = submit(hook, 45)

    pages = pages_of(hook.list_jobs)

    assert [len(page.jobs) for page in pages] == [20, 20, 5]
    jobs = [job for page in pages for job in page.jobs]
    assert [job.job_id for job in jobs] == submitted[::-1]
    assert {job.status for job in jobs} == {JobStatus.COMPLETED}
    assert all(job.url.startswith(pictory.url) for job in jobs)


def test_all_videos_are_read_page_by_page_newest_first(pictory, hook):
    submit(hook, 105)
    before = datetime.now(UTC) - timedelta(minutes=1)

    pages = pages_of(hook.list_videos)

    assert [len(page.videos) for page in pages] == [100, 5]
    videos = [video for page in pages for video in page.videos]
    assert [video.prompt for video in videos] == [f"Video number {number}" for number in range(104, -1, -1)]
    assert {(video.model, video.aspect_ratio, video.duration_seconds) for video in videos} == {
        ("pixverse5.5", "16:9", 5)
    }
    assert all(before < video.created_at <= datetime.now(UTC) for video in videos)


def test_a_videos_source_is_read_as_it_was_sent(pictory, hook):
    hook.submit_video(VideoRequest("A red fox", "veo3.1", reference_image_urls=["https://a.example/1.png"]))

    (video,) = hook.list_videos().videos
    assert video.sources == {"referenceImageUrls": ("https://a.example/1.png",)}


def test_an_account_without_jobs_has_empty_lists(pictory, hook):
    assert hook.list_jobs() == JobListPage(())
    assert hook.list_videos() == VideoListPage(())


@both_lists
def test_a_page_is_one_get_with_the_raw_key(serve, connect, hook, path, read):
    server = serve(response({"items": []}))
    connect(server.url)
    read(hook)

    assert (server.request.method, server.request.target, server.request.body) == ("GET", path, b"")
    assert server.request.header("authorization") == KEY


@both_lists
@pytest.mark.parametrize(
    ("key", "quoted"),
    [
        ("abc", "abc"),
        ("a/b+c=d&e?f#g h%20", "a%2Fb%2Bc%3Dd%26e%3Ff%23g%20h%2520"),
        ('{"id": {"S": "é"}}', "%7B%22id%22%3A%20%7B%22S%22%3A%20%22%C3%A9%22%7D%7D"),
        ("\ud800", "%ED%A0%80"),
    ],
)
def test_a_page_key_comes_back_as_it_was_whatever_it_holds(serve, connect, hook, path, read, key, quoted):
    server = serve(response({"items": [], "nextPageKey": key}))
    connect(server.url)

    assert read(hook, read(hook).next_page_key).next_page_key == key
    assert [request.target for request in server.requests] == [path, f"{path}?nextPageKey={quoted}"]


# What goes wrong with a page


@both_lists
@pytest.mark.parametrize("body", [b"", HTML, b'{"message": "No"}'], ids=["-", "html", "json"])
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, PictoryInvalidRequestError),
        (401, PictoryAuthenticationError),
        (403, PictoryAPIError),
        (404, PictoryAPIError),
        (429, PictoryRateLimitedError),
        (500, PictoryAPIError),
        (503, PictoryAPIError),
        (302, PictoryRedirectedError),
        (304, PictoryAPIError),
    ],
)
def test_a_page_that_is_not_given_is_one_kind_of_error(serve, connect, path, read, status, kind, body):
    server = serve(response(body, status))
    connect(server.url)

    error = error_of(kind, read)

    assert f"HTTP {status}" in str(error)
    assert len(server.requests) == 1


@both_lists
@pytest.mark.parametrize("body", [b"", HTML, b"[]", b'{"items": {}}', b'{"items": ['], ids=range(5))
def test_a_response_without_a_list_is_an_error(serve, connect, path, read, body):
    connect(serve(response(body)).url)

    assert "can't be read" in str(error_of(PictoryAPIError, read))


@both_lists
@pytest.mark.parametrize("end", [hang_up, cut_short(JOBS), raw(b"nonsense\r\n\r\n")], ids=range(3))
def test_a_page_that_does_not_come_is_an_error(serve, connect, path, read, end):
    connect(serve(end).url)

    assert "No response from Pictory" in str(error_of(PictoryAPIError, read))


def test_a_page_key_that_pictory_does_not_know_is_refused(pictory, hook):
    with pytest.raises(PictoryInvalidRequestError, match="nextPageKey"):
        hook.list_jobs("no key")


def test_a_rotated_key_is_used_at_once_also_for_lists(serve, connect, hook):
    server = serve(
        after(lambda: connect(server.url, NEW_KEY), response({"message": "Unauthorized"}, 401)),
        response(JOBS),
    )
    connect(server.url)

    assert hook.list_jobs("more").jobs == (ListedJob(JOB_ID, JobStatus.IN_PROGRESS),)
    assert [request.header("authorization") for request in server.requests] == [KEY, NEW_KEY]
    assert len({request.target for request in server.requests}) == 1


@both_lists
@pytest.mark.parametrize("status", [200, 400, 404, 429, 500])
@pytest.mark.parametrize(
    "document",
    [
        None,
        lambda key: {"fields": [{"name": key, "errors": f"not {key}"}]},
        lambda key: f"{'x' * 280}{key}".encode(),
        lambda key: f'{{"message": "{key}"}}'.replace("/", "\\/").replace("+", "\\u002b").encode(),
    ],
    ids=["codes", "fields", "cut text", "escaped"],
)
def test_a_key_that_the_server_sends_back_is_not_shown(serve, connect, path, read, status, document):
    connect(serve(echo(status, document)).url)

    with pytest.raises(PictoryAPIError if status != 400 else PictoryInvalidRequestError) as caught:
        read(PictoryHook())
    assert_keeps_the_key(caught.value)


@both_lists
def test_a_key_inside_of_a_list_is_not_given_on(serve, connect, hook, path, read):
    def said(key):
        job = {"jobId": key, "status": f"odd {key}", "url": f"https://video.example/{key}"}
        item = {"data": job, "prompt": key, "model": key, "url": key, "extendVideoUrl": key}
        return json.dumps({"items": [item], "nextPageKey": key}).replace("/", "\\/").encode()

    connect(serve(echo(200, said)).url)

    assert_no_key(repr(read(hook)))


# Large responses


def test_large_items_of_other_kinds_are_read_over(serve, connect, hook):
    connect(serve(response({"items": [BIG_ITEM] * 3 + [ITEM]})).url)

    assert [job.job_id for job in hook.list_jobs().jobs] == ["big"] * 3 + [JOB_ID]


def limited(call):
    """Make a call with a limit that doesn't take megabytes to reach."""
    small = replace(call, largest=call.largest // 1000)
    return lambda hook: hook._client.get(small)


def test_the_limits_are_far_above_what_is_usual():
    assert calls.QUOTA.largest == calls.job(JOB_ID).largest == 2**20
    assert calls.job_list().largest == calls.video_list("key").largest == 32 * 2**20


def sized(document, length, **headers):
    """Respond with a document filled up with white space to a length."""
    body = json.dumps(document).encode().ljust(length)
    return response(gzip.compress(body) if headers else body, **headers)


@pytest.mark.parametrize(
    ("read", "document", "limit"),
    [
        (limited(calls.job_list()), JOBS, 33_554),
        (limited(calls.video_list()), JOBS, 33_554),
        (limited(calls.job(JOB_ID)), IN_PROGRESS, 1_048),
        (limited(calls.QUOTA), {"aiCredits": {"used": 1, "limit": 2}}, 1_048),
    ],
    ids=["jobs", "videos", "job", "quota"],
)
@pytest.mark.parametrize("headers", [{}, {"Content_Encoding": "gzip"}], ids=["plain", "gzip"])
def test_a_response_above_its_limit_is_no_response(serve, connect, read, document, limit, headers):
    server = serve(sized(document, limit, **headers), sized(document, limit + 1, **headers))
    connect(server.url)

    assert read(PictoryHook())
    error = error_of(PictoryAPIError, read)

    assert f"the response is larger than {limit:,} bytes" in str(error)
    assert error.status_code is None


def test_an_endless_response_is_left_at_the_limit(serve, connect):
    sent = []

    def pour(_server, connection, _request):
        connection.sendall(head(200, {"Transfer-Encoding": "chunked"}))
        while True:
            sent.append(connection.sendall(b"2710\r\n" + b" " * 10_000 + b"\r\n"))

    connect(serve(pour).url)

    assert "is larger than 33,554 bytes" in str(error_of(PictoryAPIError, limited(calls.job_list())))
    assert len(sent) < 2000


def test_the_next_call_works_after_a_response_above_the_limit(serve, connect, hook):
    connect(serve(sized(JOBS, 60_000), response(JOBS)).url)

    with pytest.raises(PictoryAPIError):
        limited(calls.job_list())(hook)
    assert hook.list_jobs().jobs
