"""
At most one POST, and the truth about what became of it.

Whatever happens, the server sees at most one request; what isn't known to be refused may have been paid.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time

import pytest
import urllib3
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowTaskTimeout

from airflow_provider_pictory import __version__
from airflow_provider_pictory.api import VideoRequest
from airflow_provider_pictory.client import submitting
from airflow_provider_pictory.client.submitting import SUBMIT_ATTEMPTS, submit_once
from airflow_provider_pictory.exceptions import (
    PictoryAPIError,
    PictoryAuthenticationError,
    PictoryConfigurationError,
    PictoryInsufficientCreditsError,
    PictoryInvalidRequestError,
    PictoryRateLimitedError,
    PictoryRecordError,
    PictorySubmissionIndeterminateError,
)
from airflow_provider_pictory.hooks.pictory import PictoryHook
from tests.support.clients import IN_PROGRESS, JOB_ID, KEY, assert_keeps_the_key, submit
from tests.support.loopback import (
    after,
    cut_short,
    echo,
    hang_up,
    hang_up_before_the_body,
    head,
    keep_silent,
    raw,
    response,
    stop_talking,
)

REQUEST = VideoRequest("A red fox walks through fresh snow", "veo3.1_fast", duration=6)
ACCEPTED = {"success": True, "data": {"jobId": JOB_ID}}
HTML = b"<!DOCTYPE html><html><body>Blocked</body></html>"
NO_CREDITS = {"code": "INSUFFICIENT_CREDITS", "message": "Not enough AI credits"}


def error_of(kind, pauses=None):
    with pytest.raises(kind) as caught:
        submit(REQUEST, pauses=pauses)
    assert type(caught.value) is kind
    assert_keeps_the_key(caught.value)
    return caught.value


def assert_one_post(server, attempts=1):
    server.wait_for_a_request()
    assert [(request.method, request.target) for request in server.requests] == [
        ("POST", "/pictoryapis/v1/aistudio/videos")
    ] * attempts


# Accepted


def test_an_accepted_video_gives_its_job_id(serve, connect):
    server = serve(response(ACCEPTED))
    connect(server.url)

    assert submit(REQUEST) == JOB_ID
    assert_one_post(server)


def test_what_is_sent_is_what_pictory_documents(serve, connect):
    server = serve(response(ACCEPTED))
    connect(server.url)
    submit(REQUEST)

    assert server.request.header("authorization") == KEY
    assert server.request.header("user-agent") == f"airflow-provider-pictory/{__version__}"
    assert server.request.header("content-type") == "application/json"
    assert server.request.header("content-length") == str(len(server.request.body))
    assert server.request.header("transfer-encoding") is None
    assert (
        server.request.document
        == REQUEST.payload
        == {
            "prompt": "A red fox walks through fresh snow",
            "model": "veo3.1_fast",
            "aspectRatio": "16:9",
            "duration": "6s",
        }
    )


def test_a_long_prompt_in_any_script_arrives_whole(serve, connect):
    server = serve(response(ACCEPTED))
    connect(server.url)
    submit(VideoRequest('🦊狐ü\n"' * 1000))

    assert server.request.document["prompt"] == '🦊狐ü\n"' * 1000


def test_each_call_submits_another_video(serve, connect):
    server = serve(response(ACCEPTED), response({"data": {"jobId": "another"}}))
    connect(server.url)
    hook = PictoryHook()

    assert [hook.submit_video(REQUEST), hook.submit_video(REQUEST)] == [JOB_ID, "another"]
    assert [request.document for request in server.requests] == [REQUEST.payload] * 2


def test_a_connection_that_went_stale_meanwhile_is_replaced_before_anything_is_sent(serve, connect):
    server = serve(raw(head(200, {"Content-Length": 2}) + b"{}"), response(ACCEPTED))
    connect(server.url)
    hook = PictoryHook()
    hook.test_connection()
    time.sleep(0.05)

    assert hook.submit_video(REQUEST) == JOB_ID
    assert [request.method for request in server.requests] == ["GET", "POST"]


# Refused: nothing was paid


@pytest.mark.parametrize("body", [b"", HTML, b'{"message": "No"}', b"{"], ids=["-", "html", "json", "broken"])
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, PictoryInvalidRequestError),
        (401, PictoryAuthenticationError),
        *((status, PictoryAPIError) for status in (402, 403, 404, 405, 409, 413, 415, 422, 451)),
        (429, PictoryRateLimitedError),
    ],
)
def test_every_4xx_means_that_nothing_was_submitted(serve, connect, status, kind, body):
    server = serve(response(body, status))
    connect(server.url)

    error = error_of(kind)

    assert f"HTTP {status}" in str(error)
    assert server.url in str(error)
    assert status == 400 or error.status_code == status
    assert_one_post(server, attempts=SUBMIT_ATTEMPTS if status == 429 else 1)


def test_a_refused_request_is_told_with_pictorys_words_for_each_field(serve, connect):
    fields = [{"name": "duration", "errors": "must be one of 4s, 6s, 8s"}]
    document = {"code": "INVALID_REQUEST_BODY", "message": "Invalid body", "fields": fields}
    connect(serve(response(document, 400)).url)

    assert "INVALID_REQUEST_BODY: Invalid body); duration: must be one of 4s, 6s, 8s" in str(
        error_of(PictoryInvalidRequestError)
    )


@pytest.mark.parametrize("status", [200, 400, 402, 403, 429])
def test_want_of_credits_is_an_error_of_its_own_that_no_retry_mends(serve, connect, status):
    server = serve(response(NO_CREDITS, status))
    connect(server.url)

    error = error_of(PictoryInsufficientCreditsError)

    assert isinstance(error, AirflowFailException)
    assert error.code == "INSUFFICIENT_CREDITS"
    assert_one_post(server)


def test_a_rate_limit_tells_how_long_to_wait(serve, connect):
    connect(serve(response(b"", 429, Retry_After=7)).url)

    assert error_of(PictoryRateLimitedError).retry_after == 7


def test_a_refused_key_is_not_tried_again_even_if_it_was_changed_meanwhile(serve, connect):
    server = serve(
        after(lambda: connect(server.url, "pictai_new"), response({"message": "Unauthorized"}, 401))
    )
    connect(server.url)

    error_of(PictoryAuthenticationError)
    assert_one_post(server)


# Not connected: nothing was paid


def assert_not_submitted(error):
    assert "nothing was submitted, nothing is paid" in str(error)
    assert error.status_code is None
    assert not isinstance(error, AirflowFailException)


def test_a_server_that_is_not_there_was_not_sent_anything(connect):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    connect(f"http://127.0.0.1:{port}")

    assert_not_submitted(error_of(PictoryAPIError))


def test_a_host_name_that_cannot_be_one_was_not_sent_anything(connect):
    connect("http://pictory..invalid")

    assert_not_submitted(error_of(PictoryAPIError))


def test_a_server_that_hangs_up_in_the_handshake_was_not_sent_anything(serve, connect):
    server = serve(in_tls_handshake=lambda: None)
    connect(server.url)

    assert_not_submitted(error_of(PictoryAPIError))
    assert server.connections == SUBMIT_ATTEMPTS


def test_a_server_that_does_not_speak_tls_was_not_sent_anything(serve, connect):
    server = serve(response(ACCEPTED))
    connect(server.url.replace("http:", "https:"), extra={"timeout": 0.5})

    assert_not_submitted(error_of(PictoryAPIError))
    assert "POST" not in [request.method for request in server.requests]


def test_a_server_without_a_trusted_certificate_was_not_sent_anything(serve, connect, certificates):
    server = serve(response(ACCEPTED), tls=certificates.context())
    connect(server.url)

    assert_not_submitted(error_of(PictoryAPIError))
    assert server.requests == []


def test_a_proxy_that_gives_no_tunnel_passed_nothing_on(serve, connect):
    proxy = serve(response(ACCEPTED))
    connect("https://pictory.invalid", extra={"proxies": proxy.url})

    assert_not_submitted(error_of(PictoryAPIError))
    assert [request.method for request in proxy.requests] == ["CONNECT"] * SUBMIT_ATTEMPTS


def test_a_handshake_that_never_ends_was_not_followed_by_anything(connect):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connect(f"https://127.0.0.1:{listener.getsockname()[1]}", extra={"timeout": 0.2})

        assert_not_submitted(error_of(PictoryAPIError))


@pytest.mark.parametrize(
    "fields", [{"password": ""}, {"password": f"Bearer {KEY}"}, {"extra": {"timeout": 0}}]
)
def test_a_connection_that_cannot_be_used_is_not_used(serve, connect, fields):
    server = serve(response(ACCEPTED))
    connect(server.url, **fields)

    error_of(PictoryConfigurationError)
    assert server.connections == 0


def limited(retry_after):
    return response({"message": "Too Many Requests"}, 429, Retry_After=retry_after)


def test_a_429_is_submitted_again_after_the_pause_that_pictory_asks_for(serve, connect):
    server = serve(limited(7), limited(20), response(ACCEPTED))
    connect(server.url)
    pauses = []

    assert submit(REQUEST, pauses=pauses) == JOB_ID
    assert_one_post(server, attempts=3)
    assert len(pauses) == 2
    assert 7 <= pauses[0] <= 9
    assert 20 <= pauses[1] <= 24


@pytest.mark.parametrize("header", ["0", "0.503", "Thu, 01 Jan 1970 00:00:00 GMT"])
def test_a_429_is_never_submitted_again_without_a_pause(serve, connect, header):
    connect(serve(limited(header), response(ACCEPTED)).url)
    pauses = []

    assert submit(REQUEST, pauses=pauses) == JOB_ID
    assert 1 <= pauses[0] < 2


@pytest.mark.parametrize("header", ["600", "600, 600", "{in_ten_minutes}"])
def test_a_429_that_asks_for_a_long_pause_is_left_to_airflows_retries(serve, connect, header):
    server = serve(limited(header.format(in_ten_minutes=int(time.time()) + 600)))
    connect(server.url)

    assert 500 < error_of(PictoryRateLimitedError).retry_after <= 600
    assert_one_post(server)


def test_no_connection_at_first_is_tried_again(connect, caplog):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    connect(f"http://127.0.0.1:{port}")

    pauses = []

    assert_not_submitted(error_of(PictoryAPIError, pauses))
    assert pauses[1] > pauses[0] >= 2
    assert caplog.text.count("Nothing was submitted yet, the next attempt is in") == SUBMIT_ATTEMPTS - 1


def test_an_unknown_outcome_after_a_refusal_ends_it(serve, connect):
    server = serve(limited(1), response(b"", 502), response(ACCEPTED))
    connect(server.url)

    error_of(PictorySubmissionIndeterminateError)
    assert_one_post(server, attempts=2)


def test_an_interruption_after_the_response_tells_the_job_that_is_paid_for(serve, connect, monkeypatch):
    """A signal may strike between the response and the return; tenacity's code stands in for that moment."""
    server = serve(response(ACCEPTED))
    connect(server.url)

    def interrupt(self, *_):
        raise AirflowTaskTimeout("Timeout")

    monkeypatch.setattr("tenacity.AttemptManager.__exit__", interrupt)

    error = error_of(PictorySubmissionIndeterminateError)
    assert f"accepted the video as job {JOB_ID}, which goes on and is paid for" in str(error)
    assert error.job_id == JOB_ID
    assert isinstance(error.interruption, AirflowTaskTimeout)
    assert_one_post(server)


def test_an_interruption_after_the_response_is_never_taken_for_a_lost_connection(serve, connect):
    """A user's own alarm may raise an OSError, such as TimeoutError; a video is paid for all the same."""
    server = serve(response(ACCEPTED))
    connect(server.url)

    class InterruptedOnArrival(list):
        def append(self, job_id):
            super().append(job_id)
            raise TimeoutError("the alarm")

    accepted = InterruptedOnArrival()
    with pytest.raises(TimeoutError, match="the alarm"):
        submit_once(PictoryHook()._client, REQUEST, accepted)
    assert accepted == [JOB_ID]
    assert_one_post(server)


def test_a_response_that_drips_is_given_up_at_the_total_deadline(serve, connect):
    """Each byte comes well within the time that requests allows between two of them."""

    def drip(_server, connection, _request):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(100):
            connection.sendall(b" ")
            time.sleep(0.05)

    server = serve(drip)
    connect(server.url, extra={"timeout": 0.5})

    started = time.monotonic()
    error = error_of(PictorySubmissionIndeterminateError)

    assert 0.4 < time.monotonic() - started < 2
    assert "timed out, no complete response within 0.5 s" in str(error)
    assert_one_post(server)


def test_what_was_given_up_before_it_was_sent_is_not_sent_later(serve, connect, monkeypatch):
    """A handshake outlasts the deadline and ends well; the abandoned thread must not submit then."""
    going_on = threading.Event()
    original = urllib3.connection.HTTPConnection.connect

    def slow_connect(self):
        going_on.wait(5)
        original(self)

    monkeypatch.setattr(urllib3.connection.HTTPConnection, "connect", slow_connect)
    monkeypatch.setattr(submitting, "SUBMIT_ATTEMPTS", 1)
    server = serve(response(ACCEPTED))
    connect(server.url, extra={"timeout": 0.3})

    assert_not_submitted(error_of(PictoryAPIError))
    going_on.set()
    for thread in threading.enumerate():
        if thread.name == "pictory-call":
            thread.join(5)
    assert [request.body for request in server.requests] in ([], [b""])


def test_a_certificate_that_cannot_be_read_is_the_connections_fault(serve, connect, tmp_path):
    server = serve(in_tls_handshake=lambda: None)
    connect(server.url, extra={"verify": str(tmp_path / "missing.pem")})

    error_of(PictoryConfigurationError)
    assert server.connections == 0


# Written down before


def test_each_attempt_is_told_before_it_is_made_and_with_the_seconds_after_which_it_is_over(serve, connect):
    server = serve(limited(1), response(ACCEPTED))
    connect(server.url, extra={"timeout": 7})
    told = []

    def tell(time_limit):
        told.append((time_limit, len(server.requests)))

    assert submit(REQUEST, before_attempt=tell) == JOB_ID
    assert told == [(7.0, 0), (7.0, 1)]


@pytest.mark.parametrize(
    "error", [PictoryRecordError("full"), OSError("disk"), KeyboardInterrupt()], ids=repr
)
def test_what_cannot_be_written_down_is_not_submitted(serve, connect, error):
    server = serve(response(ACCEPTED))
    connect(server.url)

    def fail(over_at):
        raise error

    with pytest.raises(type(error)) as caught:
        PictoryHook().submit_video(REQUEST, before_attempt=fail)
    assert caught.value is error
    assert server.connections == 0


# Unknown: perhaps it was paid


def assert_unknown(error, server):
    assert "It is not known whether Pictory" in str(error)
    assert "may be in the making and paid for" in str(error)
    assert isinstance(error, AirflowFailException)
    assert_one_post(server)


@pytest.mark.parametrize(
    "end",
    [
        hang_up,
        hang_up_before_the_body,
        raw(b"HTTP/1.1 200 OK\r\nContent-Le"),
        raw(b"nonsense\r\n\r\n"),
        raw(head(200, {"Content-Length": 5000}) + b'{"data": {"jobId": "4a09'),
        cut_short(ACCEPTED),
        raw(head(200, {"Transfer-Encoding": "chunked"}) + b"5\r\n{"),
        raw(head(200, {"Content-Encoding": "gzip", "Content-Length": 2}) + b"{}"),
    ],
    ids=[
        "nothing",
        "body unread",
        "half a head",
        "no HTTP",
        "half a body",
        "too short",
        "half a chunk",
        "no gzip",
    ],
)
def test_a_response_that_got_lost_may_have_been_a_yes(serve, connect, end):
    server = serve(end, response(ACCEPTED))
    connect(server.url)

    error = error_of(PictorySubmissionIndeterminateError)

    assert "the response was lost" in str(error) or "can't be read" in str(error)
    assert_unknown(error, server)


@pytest.mark.parametrize(
    "silence", [keep_silent, stop_talking], ids=["before the response", "within the response"]
)
def test_a_response_that_does_not_come_in_time_may_be_a_yes(serve, connect, silence):
    server = serve(silence)
    connect(server.url, extra={"timeout": 0.2})

    assert_unknown(error_of(PictorySubmissionIndeterminateError), server)


@pytest.mark.parametrize("body", [b"", HTML, b'{"message": "Internal error"}'], ids=["-", "html", "json"])
@pytest.mark.parametrize("status", [408, 425, 499, 500, 501, 502, 503, 504, 520, 599])
def test_a_server_in_trouble_may_have_accepted_first(serve, connect, status, body):
    server = serve(response(body, status, Retry_After=1))
    connect(server.url)

    error = error_of(PictorySubmissionIndeterminateError)

    assert f"HTTP {status}" in str(error)
    assert_unknown(error, server)


def test_a_server_in_trouble_is_not_even_believed_that_credits_are_missing(serve, connect):
    server = serve(response(NO_CREDITS, 500))
    connect(server.url)

    assert_unknown(error_of(PictorySubmissionIndeterminateError), server)


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
def test_a_redirect_is_not_followed(serve, connect, status):
    other = serve(response(ACCEPTED))
    server = serve(response(b"", status, Location=f"{other.url}/pictoryapis/v1/aistudio/videos"))
    connect(server.url)

    error = error_of(PictorySubmissionIndeterminateError)

    assert "not followed" in str(error)
    assert_unknown(error, server)
    assert other.connections == 0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        HTML,
        b"{",
        b"[]",
        b"null",
        b'{"success": true}',
        b'{"success": true, "data": {}}',
        b'{"success": true, "data": {"jobId": null}}',
        b'{"success": false, "message": "Something went wrong"}',
        b'{"success": false, "code": "JOB_NOT_FOUND"}',
        b'\xff{"data": {"jobId": "x"}}',
    ],
)
def test_a_yes_without_a_job_id_is_no_yes(serve, connect, body):
    server = serve(response(body))
    connect(server.url)

    assert_unknown(error_of(PictorySubmissionIndeterminateError), server)


@pytest.mark.parametrize("status", [201, 202, 204, 206])
def test_another_yes_than_the_documented_one_is_not_trusted(serve, connect, status):
    server = serve(response(b"", status))
    connect(server.url)

    assert_unknown(error_of(PictorySubmissionIndeterminateError), server)


@pytest.mark.parametrize("alarm", [AirflowTaskTimeout, KeyboardInterrupt, SystemExit, MemoryError])
def test_a_task_that_is_ended_while_it_waits_for_the_response_leaves_the_outcome_unknown(
    serve, connect, alarm
):
    server = serve(after(ring, keep_silent))
    connect(server.url)

    with raising(alarm):
        error = error_of(PictorySubmissionIndeterminateError)

    assert alarm.__name__ in str(error)
    assert error.job_id is None
    # What is an Exception is an error of the call's, whoever raised it; only what is none ends the task.
    assert error.interruption is None if issubclass(alarm, Exception) else type(error.interruption) is alarm
    assert_unknown(error, server)


@pytest.mark.parametrize("alarm", [AirflowTaskTimeout, KeyboardInterrupt])
def test_a_task_that_is_ended_before_anything_was_sent_may_be_retried(serve, connect, alarm):
    server = serve(in_tls_handshake=lambda: ring() or time.sleep(0.2))
    connect(server.url)

    with raising(alarm), pytest.raises(alarm):
        submit(REQUEST)

    # Airflow's time limit rings only once: whoever went on after it would have none any more.
    assert server.connections == 1


@contextlib.contextmanager
def raising(alarm):
    """Raise something in the main thread when the bell rings, as Airflow does."""

    def raise_it(*_):
        raise alarm

    before = signal.signal(signal.SIGUSR1, raise_it)
    try:
        yield
    finally:
        signal.signal(signal.SIGUSR1, before)


def ring():
    os.kill(os.getpid(), signal.SIGUSR1)


# The key


@pytest.mark.parametrize("status", [200, 302, 400, 401, 404, 429, 500])
@pytest.mark.parametrize(
    "document",
    [
        None,
        lambda key: {"fields": [{"name": key, "errors": f"not {key}"}]},
        lambda key: f"{'x' * 280}{key}".encode(),
        lambda key: {"message": f"{'x' * 280}{key}"},
        lambda key: key.encode(),
        lambda key: f'{{"message": "{key}"}}'.replace("/", "\\/").replace("+", "\\u002b").encode(),
        lambda key: {"code": "INSUFFICIENT_CREDITS", "message": key},
    ],
    ids=["codes", "fields", "cut text", "cut words", "text", "escaped", "credits"],
)
def test_a_key_that_the_server_sends_back_is_not_shown(serve, connect, status, document):
    server = serve(echo(status, document))
    connect(server.url)

    with pytest.raises(Exception) as caught:  # noqa: PT011
        submit(REQUEST)
    assert_keeps_the_key(caught.value)
    assert_one_post(server, SUBMIT_ATTEMPTS if isinstance(caught.value, PictoryRateLimitedError) else 1)


def test_watching_a_job_and_submitting_can_share_a_hook(serve, connect):
    server = serve(response(ACCEPTED), response(IN_PROGRESS))
    connect(server.url)
    hook = PictoryHook()

    assert not hook.get_job(hook.submit_video(REQUEST)).has_ended
    assert server.connections == 1
