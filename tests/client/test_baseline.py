"""The account's newest job is read before a paid POST without ever being in its way."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from airflow.providers.common.compat.sdk import AirflowTaskTimeout

from airflow_provider_pictory.api import VideoRequest
from airflow_provider_pictory.api.listings import Baseline, BaselineKind
from airflow_provider_pictory.client import baseline as module
from airflow_provider_pictory.client.baseline import read_baseline
from airflow_provider_pictory.exceptions import PictoryConfigurationError, PictoryRedirectedError
from airflow_provider_pictory.hooks.pictory import USER_AGENT, PictoryHook
from tests.support.clients import JOB_ID, KEY, assert_keeps_the_key, assert_no_key
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

HTML = b"<!DOCTYPE html><html><body>Blocked</body></html>"
ITEM = {"success": True, "data": {"jobId": JOB_ID, "status": "in-progress"}}
JOBS = {"items": [ITEM], "nextPageKey": None}
BIG_ITEM = {"success": True, "data": {"jobId": "big", "status": "completed", "scenes": "x" * 1_000_000}}
DATE = "Thu, 01 Jan 2026 12:00:30 GMT"
SERVER_TIME = datetime(2026, 1, 1, 12, 0, 30, tzinfo=UTC)
FOUND = Baseline(BaselineKind.FOUND, JOB_ID, SERVER_TIME)
# Enough for a server on this machine, and soon over.
BUDGET = 0.4


class Reader:
    """Reads the baseline as the hook does, but notes what it would log, and pauses instead of making them."""

    def __init__(self):
        self.lines = []
        self.pauses = []

    def __call__(self, longest=module.BASELINE_SECONDS):
        hook = PictoryHook()
        return read_baseline(
            hook._client.settings,
            hook.default_headers,
            report=lambda line, *arguments: self.lines.append(line % arguments),
            longest=longest,
            sleep=self.pauses.append,
        )


@pytest.fixture
def read():
    return Reader()


@contextlib.contextmanager
def within(seconds):
    started = time.monotonic()
    yield
    assert time.monotonic() - started < seconds


def unknown(server_time=None):
    return Baseline(server_time=server_time)


def test_it_is_the_job_submitted_last(pictory_sandbox_factory, connect):
    pictory = pictory_sandbox_factory(api_key=KEY)
    connect(pictory.url)
    hook = PictoryHook()
    before = datetime.now(UTC) - timedelta(seconds=2)
    empty = hook.get_baseline()
    submitted = [hook.submit_video(VideoRequest(f"Video number {number}")) for number in range(3)]
    newest = hook.get_baseline()

    assert (empty.kind, empty.job_id) == (BaselineKind.EMPTY, None)
    assert (newest.kind, newest.job_id) == (BaselineKind.FOUND, submitted[-1])
    assert before < empty.server_time <= newest.server_time <= datetime.now(UTC)
    assert count(pictory, "GET /pictoryapis/v1/jobs") == 2


def test_it_is_asked_for_with_one_get_with_the_raw_key(serve, connect):
    server = serve(response(JOBS, Date=DATE))
    connect(server.url)

    assert PictoryHook().get_baseline() == FOUND
    assert (server.request.method, server.request.target) == ("GET", "/pictoryapis/v1/jobs")
    assert server.request.header("authorization") == KEY
    assert server.request.header("user-agent") == USER_AGENT


def test_no_submission_goes_over_its_connection(serve, connect):
    """A server that closes a connection in the moment of the POST would leave its outcome unknown."""
    server = serve(response(JOBS), response({"data": {"jobId": JOB_ID}}))
    connect(server.url)
    hook = PictoryHook()
    hook.get_baseline()
    hook.submit_video(VideoRequest("A red fox"))

    assert [request.method for request in server.requests] == ["GET", "POST"]
    assert server.connections == 2


def test_a_long_first_job_is_one_too(serve, connect, read):
    connect(serve(response({"items": [BIG_ITEM, ITEM]}, Date=DATE)).url)

    assert read() == Baseline(BaselineKind.FOUND, "big", SERVER_TIME)


def test_a_list_that_is_too_long_is_left_and_tells_nothing(serve, connect, read, monkeypatch):
    monkeypatch.setattr(module, "LARGEST_LIST", 50_000)
    sent = []

    def pour(_server, connection, _request):
        connection.sendall(head(200, {"Content-Length": 2**30, "Date": DATE}))
        connection.sendall(json.dumps({"items": [ITEM, BIG_ITEM]}).encode()[:-2])
        while True:
            sent.append(connection.sendall(b" " * 10_000))

    server = serve(pour)
    connect(server.url)

    with within(3):
        assert read() == unknown(SERVER_TIME)
    assert len(sent) < 2000
    assert len(server.requests) == 1
    assert read.lines == ["The newest job of the account is not known: the list takes more than 50,000 bytes"]


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
def test_a_response_that_does_not_tell_it_leaves_it_unknown(serve, connect, read, body, words):
    server = serve(response(body, Date=DATE))
    connect(server.url)

    assert read() == unknown(SERVER_TIME)
    assert len(server.requests) == 1
    assert words in read.lines[0]


@pytest.mark.parametrize("status", [201, 204, 300, 304, 400, 401, 402, 403, 404])
def test_a_refusal_leaves_it_unknown_at_once(serve, connect, read, status):
    server = serve(response(JOBS if status not in (204, 304) else b"", status, Date=DATE, Location="/login"))
    connect(server.url)

    assert read() == unknown(SERVER_TIME)
    assert (len(server.requests), read.pauses) == (1, [])


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
        (cut_short({"items": [ITEM, {"text": "x" * 100_000}]}), 0.5),
    ],
    ids=range(11),
)
def test_trouble_that_may_pass_is_given_a_second_chance(serve, connect, read, trouble, pause):
    server = serve(trouble, response(JOBS, Date=DATE))
    connect(server.url)

    assert read() == FOUND
    assert (len(server.requests), read.pauses) == (2, [pause])


@pytest.mark.parametrize(
    "trouble", [response(b"", 503), response(b"", 429), hang_up], ids=["503", "429", "nothing"]
)
def test_trouble_that_stays_leaves_it_unknown(serve, connect, read, trouble):
    server = serve(response(b"", 500, Date=DATE), trouble)
    connect(server.url)

    assert read() == unknown(SERVER_TIME)
    assert (len(server.requests), read.pauses) == (2, [0.5])
    assert len(read.lines) == 2


@pytest.mark.parametrize("status", [429, 503])
def test_a_pause_that_does_not_fit_into_the_budget_is_not_made(serve, connect, read, status):
    server = serve(response(b"", status, Retry_After=30))
    connect(server.url)

    assert read() == unknown()
    assert (len(server.requests), read.pauses) == (1, [])


def test_a_server_that_is_not_there_leaves_it_unknown(serve, connect, read):
    server = serve()
    server.__exit__()
    connect(server.url)

    assert read() == unknown()
    assert read.pauses == [0.5]
    assert "not known: ConnectionError" in read.lines[0]


def drip(beginning, status=200):
    """Send the beginning of a response, and then a byte now and then, for longer than anybody waits."""

    def send(server, connection, _request):
        headers = {"Content-Length": 2**20, "Date": DATE, "Location": "https://elsewhere.example/"}
        connection.sendall(head(status, headers) + beginning)
        while not server.ended.wait(0.02):
            connection.sendall(b" ")
        return False

    return send


@pytest.mark.parametrize(
    ("silence", "server_time"),
    [
        (keep_silent, None),
        (stop_talking, None),
        (drip(b""), SERVER_TIME),
        (drip(json.dumps({"items": [ITEM, BIG_ITEM]}).encode()[:50_000]), SERVER_TIME),
    ],
    ids=["silent", "stops", "drips", "drips after the first job"],
)
def test_a_server_that_takes_too_long_is_left_when_the_budget_is_used_up(
    serve, connect, read, silence, server_time
):
    server = serve(silence)
    connect(server.url)

    with within(BUDGET + 1):
        assert read(longest=BUDGET) == unknown(server_time)
    assert len(server.requests) == 1


def test_the_connections_timeout_counts_where_it_is_shorter(serve, connect, read):
    connect(serve(keep_silent).url, extra={"timeout": 0.3})

    with within(1.5):
        assert read() == unknown()


def test_a_second_chance_has_only_what_the_first_has_left_over(serve, connect, read):
    server = serve(response(b"", 500), keep_silent)
    connect(server.url)

    with within(1.8):
        assert read(longest=0.8) == unknown()
    assert len(server.requests) == 2


def test_a_call_that_was_left_does_not_disturb_the_next_one(serve, connect, read):
    server = serve(keep_silent, response(JOBS))
    connect(server.url)

    assert read(longest=BUDGET) == unknown()
    assert PictoryHook().list_jobs().jobs
    assert server.connections == 2


@pytest.mark.parametrize("alarm", [AirflowTaskTimeout, KeyboardInterrupt, OSError])
def test_a_task_that_is_ended_meanwhile_ends(serve, connect, read, alarm):
    def raise_it(*_):
        raise alarm

    connect(serve(after(lambda: os.kill(os.getpid(), signal.SIGUSR1), keep_silent)).url)
    before = signal.signal(signal.SIGUSR1, raise_it)
    try:
        with within(3), pytest.raises(alarm):
            read()
    finally:
        signal.signal(signal.SIGUSR1, before)


@pytest.mark.parametrize(
    "fields",
    [None, {"password": ""}, {"extra": {"timeout": 0}}, {"extra": {"verify": "/missing.pem"}}],
    ids=["missing", "no key", "timeout", "verify"],
)
def test_a_connection_that_cannot_be_used_is_no_trouble_with_the_call(connect, monkeypatch, fields):
    if fields is None:
        monkeypatch.delenv("AIRFLOW_CONN_PICTORY_DEFAULT", raising=False)
    else:
        connect("https://pictory.invalid", **fields)

    with pytest.raises(PictoryConfigurationError):
        PictoryHook().get_baseline()


@pytest.mark.parametrize("end", [response(b"", 302, Location="https://elsewhere.example/"), drip(b"", 302)])
def test_a_redirect_is_told_before_anything_is_paid(serve, connect, read, end):
    connect(serve(end).url)

    with pytest.raises(PictoryRedirectedError, match="nothing was submitted, nothing is paid"):
        read(longest=BUDGET)


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
def test_a_key_in_the_response_is_not_shown(serve, connect, read, status, document):
    connect(serve(echo(status, document)).url)

    if status == 302:
        with pytest.raises(PictoryRedirectedError) as caught:
            read()
        assert_keeps_the_key(caught.value)
    else:
        assert_no_key(repr(read()))
    assert_no_key(repr(read.lines))


def test_abandoned_calls_end_when_their_server_does(serve, connect, read):
    server = serve(drip(b""))
    connect(server.url)
    read(longest=BUDGET)
    server.__exit__()

    for thread in threading.enumerate():
        if thread.name == "pictory-call":
            thread.join(5)
            assert not thread.is_alive()
