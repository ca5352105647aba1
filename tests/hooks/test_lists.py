"""The hook reads Pictory's lists page by page, and looks at the newest job without ever being in the way."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import signal
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from airflow.providers.common.compat.sdk import AirflowTaskTimeout

from airflow_provider_pictory.api import JobStatus, VideoRequest
from airflow_provider_pictory.api.listings import Baseline, JobListPage, ListedJob, NewestJob, VideoListPage
from airflow_provider_pictory.client import baseline as looking
from airflow_provider_pictory.client import calls
from airflow_provider_pictory.exceptions import (
    PictoryAPIError,
    PictoryAuthenticationError,
    PictoryConfigurationError,
    PictoryInvalidRequestError,
    PictoryRateLimitedError,
    PictoryRedirectedError,
)
from airflow_provider_pictory.hooks.pictory import USER_AGENT, PictoryHook
from tests.support.clients import IN_PROGRESS, JOB_ID, KEY, assert_keeps_the_key, assert_no_key
from tests.support.loopback import (
    after,
    cut_short,
    echo,
    hang_up,
    head,
    keep_silent,
    raw,
    response,
    stop_talking,
)
from tests.support.pictory_words import count

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
    connect(serve(response({"items": [BIG_ITEM] * 10 + [ITEM]})).url)

    assert [job.job_id for job in hook.list_jobs().jobs] == ["big"] * 10 + [JOB_ID]


def limited(call):
    """Make a call with a limit that doesn't take megabytes to reach."""
    small = replace(call, largest=call.largest // 1000)
    return lambda hook: hook._client.get(small)


def test_the_limits_are_far_above_what_is_usual():
    assert calls.QUOTA.largest == calls.job(JOB_ID).largest == 2**20
    assert calls.job_list().largest == calls.video_list("key").largest == 32 * 2**20


def sized(document, length, **headers):
    """Response with a document filled up with white space to a length."""
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


# The newest job


@pytest.fixture
def pauses(monkeypatch):
    """Note for how long a poll of the newest job would have paused, and don't."""
    pauses = []
    monkeypatch.setattr(looking.time, "sleep", pauses.append)
    return pauses


@pytest.fixture
def budget(monkeypatch):
    """Return a poll of the newest job less time, to spare the test's."""
    monkeypatch.setattr(looking, "NEWEST_JOB_SECONDS", 0.5)
    return 0.5


@contextlib.contextmanager
def within(seconds):
    started = time.monotonic()
    yield
    assert time.monotonic() - started < seconds


def unknown(server_time=None):
    return NewestJob(Baseline.UNKNOWN, None, server_time)


def test_the_newest_job_is_the_one_submitted_last(pictory, hook):
    before = datetime.now(UTC) - timedelta(seconds=2)
    empty = hook.newest_job()
    submitted = submit(hook, 25)
    newest = hook.newest_job()

    assert (empty.kind, empty.job_id) == (Baseline.EMPTY, None)
    assert (newest.kind, newest.job_id) == (Baseline.FOUND, submitted[-1])
    assert before < empty.server_time <= newest.server_time <= datetime.now(UTC)
    assert count(pictory, "GET /pictoryapis/v1/jobs") == 2


def test_the_newest_job_is_asked_for_with_one_get_with_the_raw_key(serve, connect, hook):
    server = serve(response(JOBS, Date=DATE))
    connect(server.url)

    assert hook.newest_job() == NewestJob(Baseline.FOUND, JOB_ID, SERVER_TIME)
    assert (server.request.method, server.request.target) == ("GET", "/pictoryapis/v1/jobs")
    assert server.request.header("authorization") == KEY
    assert server.request.header("user-agent") == USER_AGENT


def test_no_submission_goes_over_the_connection_of_the_look_before_it(serve, connect, hook):
    """A server that closes a connection in the moment of the POST would leave its outcome unknown."""
    server = serve(response(JOBS), response({"data": {"jobId": JOB_ID}}))
    connect(server.url)
    hook.newest_job()
    hook.submit_video(VideoRequest("A red fox"))

    assert [request.method for request in server.requests] == ["GET", "POST"]
    assert server.connections == 2


def test_only_the_beginning_of_a_long_list_is_read(serve, connect, hook):
    sent = []

    def pour(_server, connection, _request):
        connection.sendall(head(200, {"Content-Length": 2**30, "Date": DATE}))
        connection.sendall(json.dumps({"items": [ITEM, BIG_ITEM]}).encode()[:-2])
        while True:
            sent.append(connection.sendall(b" " * 10_000))

    connect(serve(pour).url)

    with within(3):
        assert hook.newest_job() == NewestJob(Baseline.FOUND, JOB_ID, SERVER_TIME)
    assert len(sent) < 2000


def test_a_newest_job_that_is_too_long_is_unknown(serve, connect, hook, capfd):
    server = serve(response({"items": [BIG_ITEM, ITEM]}, Date=DATE))
    connect(server.url)

    assert hook.newest_job() == unknown(SERVER_TIME)
    assert len(server.requests) == 1
    assert "not known: it takes more than the first 262,144 bytes of the list" in "".join(capfd.readouterr())


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "not JSON: it is empty"),
        (HTML, "a page of HTML"),
        (b"[]", "not a JSON object"),
        (b"{}", "no list of items"),
        (b'{"items": [', "not JSON"),
        (b'{"items": [{}, {"job_id": "older"}]}', "the first item of the list has no id that can be read"),
    ],
)
def test_a_response_that_does_not_tell_the_newest_job_leaves_it_unknown(
    serve, connect, hook, capfd, body, words
):
    server = serve(response(body, Date=DATE))
    connect(server.url)

    assert hook.newest_job() == unknown(SERVER_TIME)
    assert len(server.requests) == 1
    assert words in "".join(capfd.readouterr())


@pytest.mark.parametrize("status", [201, 204, 300, 304, 400, 401, 402, 403, 404])
def test_a_refused_look_leaves_the_newest_job_unknown_at_once(serve, connect, hook, pauses, status):
    server = serve(response(JOBS if status not in (204, 304) else b"", status, Date=DATE, Location="/login"))
    connect(server.url)

    assert hook.newest_job() == unknown(SERVER_TIME)
    assert (len(server.requests), pauses) == (1, [])


@pytest.mark.parametrize(
    ("trouble", "pause"),
    [
        (response(b"", 500), 0.5),
        (response(HTML, 503), 0.5),
        (response(JOBS, 502, Retry_After=0), 0.5),
        (response(b"", 503, Retry_After=2), 2),
        (response(b"", 429), 0.5),
        (response(b"", 429, Retry_After="soon"), 0.5),
        (response(b"", 429, Retry_After=1), 1),
        (hang_up, 0.5),
        (raw(b"nonsense\r\n\r\n"), 0.5),
        (raw(head(200, {"Content-Length": 100}) + b'{"items": [{'), 0.5),
    ],
    ids=range(10),
)
def test_trouble_that_may_pass_is_given_a_second_chance(serve, connect, hook, pauses, trouble, pause):
    server = serve(trouble, response(JOBS, Date=DATE))
    connect(server.url)

    assert hook.newest_job() == NewestJob(Baseline.FOUND, JOB_ID, SERVER_TIME)
    assert (len(server.requests), pauses) == (2, [pause])


@pytest.mark.parametrize(
    "trouble", [response(b"", 503), response(b"", 429), hang_up], ids=["503", "429", "nothing"]
)
def test_trouble_that_stays_leaves_the_newest_job_unknown(serve, connect, hook, pauses, capfd, trouble):
    server = serve(response(b"", 500, Date=DATE), trouble)
    connect(server.url)

    assert hook.newest_job() == unknown(SERVER_TIME)
    assert (len(server.requests), pauses) == (2, [0.5])
    assert "".join(capfd.readouterr()).count("The newest job of the account is not known") == 2


@pytest.mark.parametrize("status", [429, 503])
def test_a_pause_that_does_not_fit_into_the_budget_is_not_made(serve, connect, hook, pauses, status):
    server = serve(response(b"", status, Retry_After=30))
    connect(server.url)

    assert hook.newest_job() == unknown()
    assert (len(server.requests), pauses) == (1, [])


def test_a_list_that_was_cut_short_after_its_first_item_tells_the_newest_job(serve, connect, hook, pauses):
    server = serve(cut_short({"items": [ITEM, {"text": "x" * 100_000}]}))
    connect(server.url)

    assert hook.newest_job().job_id == JOB_ID
    assert (len(server.requests), pauses) == (1, [])


def test_a_server_that_is_not_there_leaves_the_newest_job_unknown(serve, connect, hook, pauses, capfd):
    server = serve()
    server.__exit__()
    connect(server.url)

    assert hook.newest_job() == unknown()
    assert pauses == [0.5]
    assert "not known: ConnectionError" in "".join(capfd.readouterr())


def drip(beginning):
    """Send the beginning of a response, and then a byte now and then, for longer than anybody waits."""

    def send(server, connection, _request):
        connection.sendall(head(200, {"Content-Length": 2**20, "Date": DATE}) + beginning)
        while not server.ended.wait(0.02):
            connection.sendall(b" ")
        return False

    return send


@pytest.mark.parametrize("silence", [keep_silent, stop_talking, drip(b"")], ids=["silent", "stops", "drips"])
def test_a_server_that_takes_too_long_is_left_when_the_budget_is_used_up(
    serve, connect, hook, budget, silence
):
    server = serve(silence)
    connect(server.url)

    with within(budget + 1):
        assert hook.newest_job().kind is Baseline.UNKNOWN
    assert len(server.requests) == 1


def test_the_connections_timeout_counts_where_it_is_shorter(serve, connect, hook):
    connect(serve(keep_silent).url, extra={"timeout": 0.3})

    with within(1.5):
        assert hook.newest_job() == unknown()


def test_a_second_chance_has_only_what_the_first_has_left_over(serve, connect, hook, monkeypatch):
    monkeypatch.setattr(looking, "NEWEST_JOB_SECONDS", 0.8)
    server = serve(response(b"", 500), keep_silent)
    connect(server.url)

    with within(1.8):
        assert hook.newest_job() == unknown()
    assert len(server.requests) == 2


def test_what_came_in_time_counts_although_the_rest_drips(serve, connect, hook, budget):
    connect(serve(drip(json.dumps({"items": [ITEM, BIG_ITEM]}).encode()[:50_000])).url)

    with within(budget + 1):
        assert hook.newest_job() == NewestJob(Baseline.FOUND, JOB_ID, SERVER_TIME)


def test_a_look_that_was_left_does_not_disturb_the_next_call(serve, connect, hook, budget):
    server = serve(keep_silent, response(JOBS))
    connect(server.url)

    assert hook.newest_job() == unknown()
    assert hook.list_jobs().jobs
    assert server.connections == 2


@pytest.mark.parametrize("alarm", [AirflowTaskTimeout, KeyboardInterrupt, OSError])
def test_a_task_that_is_ended_while_it_looks_ends(serve, connect, hook, alarm):
    def raise_it(*_):
        raise alarm

    connect(serve(after(lambda: os.kill(os.getpid(), signal.SIGUSR1), keep_silent)).url)
    before = signal.signal(signal.SIGUSR1, raise_it)
    try:
        with within(3), pytest.raises(alarm):
            hook.newest_job()
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_missing_connection_is_no_trouble_with_the_call(hook, monkeypatch):
    monkeypatch.delenv("AIRFLOW_CONN_PICTORY_DEFAULT", raising=False)

    with pytest.raises(PictoryConfigurationError):
        hook.newest_job()


@pytest.mark.parametrize(
    "fields", [{"password": ""}, {"extra": {"timeout": 0}}, {"extra": {"verify": "/missing.pem"}}]
)
def test_a_broken_connection_is_no_trouble_with_the_call(connect, hook, fields):
    connect("https://pictory.invalid", **fields)

    with pytest.raises(PictoryConfigurationError):
        hook.newest_job()


@pytest.mark.parametrize("status", [200, 302, 400, 401, 429, 500])
@pytest.mark.parametrize(
    "document",
    [
        None,
        lambda key: f"{'x' * 280}{key}".encode(),
        lambda key: {"message": f"{'x' * 280}{key}"},
        lambda key: f'{{"message": "{key}"}}'.replace("/", "\\/").encode(),
        lambda key: {"items": [{"job_id": f"job {key}"}]},
    ],
    ids=["codes", "cut text", "cut words", "escaped", "as job id"],
)
def test_a_key_in_the_response_to_a_look_is_not_shown(serve, connect, hook, pauses, capfd, status, document):
    connect(serve(echo(status, document)).url)

    if status == 302:
        with pytest.raises(PictoryRedirectedError) as caught:
            hook.newest_job()
        assert_keeps_the_key(caught.value)
    else:
        assert_no_key(repr(hook.newest_job()))
    assert_no_key("".join(capfd.readouterr()))


def test_abandoned_calls_end_when_their_server_does(serve, connect, hook, budget):
    server = serve(drip(b""))
    connect(server.url)
    hook.newest_job()
    server.__exit__()

    for thread in threading.enumerate():
        if thread.name == "pictory-call":
            thread.join(5)
            assert not thread.is_alive()
