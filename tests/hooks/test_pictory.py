"""The hook asks Pictory with the connection's key and gives a job, or one kind of error; both sides alike."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import airflow
import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_pictory import __version__
from airflow_provider_pictory.api import JobStatus, Quota, ResponseErrorKind
from airflow_provider_pictory.client import asynchronous
from airflow_provider_pictory.exceptions import (
    PictoryAPIError,
    PictoryAuthenticationError,
    PictoryConfigurationError,
    PictoryError,
    PictoryInsufficientCreditsError,
    PictoryInvalidRequestError,
    PictoryJobNotFoundError,
    PictoryRateLimitedError,
    PictoryRedirectedError,
)
from airflow_provider_pictory.hooks import pictory as module
from airflow_provider_pictory.hooks.pictory import PictoryHook
from tests.support.airflow_versions import WORDS_OF_A_BROKEN_EXTRA, needs_old_connection_form
from tests.support.clients import (
    IN_PROGRESS,
    JOB_ID,
    KEY,
    assert_keeps_the_key,
    assert_no_key,
)
from tests.support.loopback import after, cut_short, echo, hang_up, head, raw, response

NEW_KEY = "pictai_rotated"
PATH = f"/pictoryapis/v1/jobs/{JOB_ID}"
UNAUTHORIZED = {"message": "Unauthorized"}
NOT_FOUND = {"success": False, "error_code": "5000", "error_message": "JOB_NOT_FOUND"}
QUOTA = {"aiCredits": {"used": 690, "limit": 22000}}
HTML = b"<!DOCTYPE html><html><body>Blocked</body></html>"


# What is sent


def test_a_look_is_one_get_with_the_raw_key(client, serve, connect):
    server = serve(response(IN_PROGRESS))
    connect(server.url)

    job = client.poll()

    assert (job.job_id, job.status) == (JOB_ID, JobStatus.IN_PROGRESS)
    assert (server.request.method, server.request.target, server.request.body) == ("GET", PATH, b"")
    assert server.request.header("authorization") == KEY


def test_the_provider_names_itself(client, serve, connect):
    server = serve(response(IN_PROGRESS))
    connect(server.url)
    client.poll()

    assert server.request.header("user-agent") == f"airflow-provider-pictory/{__version__}"
    assert server.request.header("accept") == "application/json"


@pytest.mark.parametrize(
    ("form", "path"),
    [
        ("http://127.0.0.1:{port}", ""),
        ("http://127.0.0.1:{port}/", ""),
        ("http://127.0.0.1:{port}/pictoryapis", ""),
        ("http://127.0.0.1:{port}/pictoryapis/", ""),
        ("HTTP://127.0.0.1:{port}", ""),
        ("http://127.0.0.1:{port}/team/a", "/team/a"),
    ],
)
def test_every_form_of_the_base_url_leads_to_the_same_path(client, serve, connect, form, path):
    server = serve(response(IN_PROGRESS))
    connect(form.format(port=server.port))
    client.poll()

    assert server.request.target == f"{path}{PATH}"


def test_host_schema_and_port_may_stand_in_fields_of_their_own(client, serve, connect):
    server = serve(response(IN_PROGRESS))
    connect("127.0.0.1", schema="http", port=server.port)
    client.poll()

    assert server.request.target == PATH


@pytest.mark.parametrize(
    "job_id",
    [
        *("abc", "a.b_c-d", "abc:1", "a/b", "../quota", "a/../../quota", "%2F", "a%2Fb", "%2e%2e", "a?b=c"),
        *("a#b", "a b", "a\\b", "ä", "a+b&c", "a~", "x" * 3000),
    ],
)
def test_an_unusual_job_id_reaches_the_same_path_from_both_sides(client, serve, connect, job_id):
    server = serve(response({"data": {"status": "in-progress"}}))
    connect(server.url)

    assert client.poll(job_id).job_id == job_id
    assert server.request.target == f"/pictoryapis/v1/jobs/{quote(job_id, safe='')}"


def test_white_space_around_a_job_id_is_not_sent(client, serve, connect):
    server = serve(response(IN_PROGRESS))
    connect(server.url)

    assert client.poll(f" {JOB_ID}\n").job_id == JOB_ID
    assert server.request.target == PATH


@pytest.mark.parametrize(
    "job_id", [None, "None", "", "  ", {"job_id": JOB_ID}, [JOB_ID], 7, "..", "a\nb", "x" * 5000]
)
def test_what_is_no_job_id_is_not_asked_for(client, serve, connect, job_id):
    server = serve(response(IN_PROGRESS))
    connect(server.url)

    error = client.error(PictoryInvalidRequestError, job_id)

    assert str(error).startswith("job_id: got ")
    assert server.connections == 0


IGNORED = "has extras that mean nothing to Pictory's hook and are ignored"


def test_unknown_extras_are_named_in_a_warning_and_are_no_headers(client, serve, connect, capfd):
    server = serve(response(IN_PROGRESS))
    connect(
        server.url, extra={"X-Extra": "x", "Authorization": "y", "headers": {"X-More": "z"}, "timeout": 5}
    )
    client.poll()

    assert server.request.header("authorization") == KEY
    assert not {"x-extra", "x-more", "headers", "timeout"} & set(server.request.headers)
    log = "".join(capfd.readouterr())
    assert log.count(IGNORED) == 1
    assert f"Connection 'pictory_default' {IGNORED}: Authorization, X-Extra, headers" in log
    assert_no_key(log)


def test_known_extras_warn_of_nothing(client, serve, connect, capfd):
    connect(serve(response(IN_PROGRESS)).url, extra={"timeout": 5, "verify": True, "proxies": {}, "cert": ""})
    client.poll()

    assert IGNORED not in "".join(capfd.readouterr())


def test_a_netrc_file_does_not_replace_the_key(client, serve, connect, monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\ndefault login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    server = serve(response(IN_PROGRESS))
    connect(server.url)
    client.poll()

    assert server.request.header("authorization") == KEY


def test_a_login_in_the_connection_is_not_sent(client, serve, connect):
    server = serve(response(IN_PROGRESS))
    connect(server.url, login="somebody")
    client.poll()

    assert server.request.header("authorization") == KEY


# What comes back


@pytest.mark.parametrize(
    "data",
    [
        {"status": "failed", "error_code": "5001", "error_message": "No"},
        {"status": "cleaned"},
        {"status": "completed", "url": "https://video.example/a.mp4"},
        {"status": "queued"},
    ],
)
def test_a_job_is_given_however_it_stands(client, serve, connect, data):
    connect(serve(response({"job_id": JOB_ID, "success": data["status"] != "failed", "data": data})).url)

    assert client.poll().status == data["status"]


@pytest.mark.parametrize(
    "body", [b"", HTML, b'{"message": "No"}', b"{", b"[1]"], ids=["-", "html", "json", "{", "[]"]
)
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, PictoryInvalidRequestError),
        (401, PictoryAuthenticationError),
        (402, PictoryAPIError),
        (403, PictoryAPIError),
        (404, PictoryAPIError),
        (408, PictoryAPIError),
        (429, PictoryRateLimitedError),
        (500, PictoryAPIError),
        (502, PictoryAPIError),
        (503, PictoryAPIError),
        (204, PictoryAPIError),
        (304, PictoryAPIError),
        (600, PictoryAPIError),
    ],
)
def test_every_other_status_is_one_kind_of_error(client, serve, connect, status, kind, body):
    server = serve(response(b"" if status in (204, 304) else body, status))
    connect(server.url)

    error = client.error(kind)

    assert f"HTTP {status}" in str(error)
    assert server.url in str(error)
    assert status == 400 or error.status_code == status
    assert JOB_ID not in str(error)
    assert len(server.requests) == 1


def test_a_403_is_not_blamed_on_the_key(client, serve, connect):
    connect(serve(response(HTML, 403)).url)

    message = str(client.error(PictoryAPIError))

    assert "a page of HTML" in message
    assert "CDN or a proxy" in message
    assert "API key" not in message


@pytest.mark.parametrize("status", [404, 200])
@pytest.mark.parametrize("document", [NOT_FOUND, {"data": NOT_FOUND}])
def test_an_unknown_job_is_an_error_of_its_own(client, serve, connect, document, status):
    connect(serve(response(document, status)).url)

    error = client.error(PictoryJobNotFoundError)

    assert f"is job '{JOB_ID}' one of this connection's account" in str(error)
    assert "UUID" not in str(error)
    assert (error.status_code, error.code) == (status, "5000")


def test_an_unknown_job_whose_id_is_unusual_gets_a_hint(client, serve, connect):
    connect(serve(response(NOT_FOUND, 404)).url)

    assert "Pictory's job ids are UUIDs, this is none" in str(client.error(PictoryJobNotFoundError, "job-1"))


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7),
        ("0.503", 0.503),
        ("120, 120", 120),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("Thu, 01 Jan 2200 00:00:00 GMT", 86400),
        ("soon", None),
        ("-1", None),
        ("nan", None),
    ],
)
@pytest.mark.parametrize(("status", "kind"), [(429, PictoryRateLimitedError), (503, PictoryAPIError)])
def test_how_long_pictory_asks_to_wait_is_part_of_the_error(
    client, serve, connect, status, kind, header, seconds
):
    connect(serve(response(b"", status, Retry_After=header)).url)

    assert client.error(kind).retry_after == seconds


@pytest.mark.parametrize("form", ["{}", "{}000"])
def test_a_moment_since_1970_is_no_pause_of_years(client, serve, connect, form):
    connect(serve(response(b"", 429, Retry_After=form.format(int(time.time()) + 120))).url)

    assert 100 < client.error(PictoryRateLimitedError).retry_after <= 120


def test_a_retry_after_that_came_twice_is_read(client, serve, connect):
    connect(
        serve(raw(b"HTTP/1.1 429 ?\r\nRetry-After: 120\r\nRetry-After: 120\r\nContent-Length: 0\r\n\r\n")).url
    )

    assert client.error(PictoryRateLimitedError).retry_after == 120


def test_want_of_credits_is_an_error_of_its_own(client, serve, connect):
    connect(serve(response({"code": "INSUFFICIENT_CREDITS", "message": "None left"}, 402)).url)

    assert client.error(PictoryInsufficientCreditsError).code == "INSUFFICIENT_CREDITS"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        HTML,
        b"[]",
        b"NaN",
        b'{"job_id": "4a09',
        b'{"success": true}',
        b'{"data": {"status": "completed"}}',
        b'{"job_id": "00000000-0000-4000-8000-000000000000", "data": {"status": "in-progress"}}',
        b"\xff",
        b"[" * 100_000,
    ],
    ids=range(10),
)
def test_a_response_that_says_nothing_about_the_job_is_an_error(client, serve, connect, body):
    connect(serve(response(body)).url)

    error = client.error(PictoryAPIError)

    assert "can't be read" in str(error)
    assert error.status_code == 200
    assert not isinstance(error, AirflowFailException)


@pytest.mark.parametrize(
    "end",
    [
        hang_up,
        cut_short(IN_PROGRESS),
        raw(b"HTTP/1.1 200 OK\r\nContent-Le"),
        raw(b"nonsense\r\n\r\n"),
        raw(b"\x16\x03\x01\x00"),
        raw(b"HTTP/1.1 banana OK\r\n\r\n"),
        raw(head(200, {"Transfer-Encoding": "chunked"}) + b"5\r\n{"),
        raw(head(200, {"Transfer-Encoding": "chunked"}) + b"zzz\r\n{}\r\n0\r\n\r\n"),
        raw(head(200, {"Content-Encoding": "gzip", "Content-Length": 2}) + b"{}"),
        raw(head(200, {f"X-{number}": number for number in range(40_000)}) + b"{}"),
        raw(head(200, {"X-Long": "x" * 200_000, "Content-Length": 2}) + b"{}"),
    ],
    ids=range(11),
)
def test_what_is_no_http_is_no_response(client, serve, connect, end):
    server = serve(end)
    connect(server.url)

    error = client.error(PictoryAPIError)

    assert "Pictory" in str(error)
    # aiohttp asks once more by itself when a connection is dropped, which for a poll does no harm.
    assert len(server.requests) in (1, 2)


def test_a_server_that_is_not_there_is_named(client, serve, connect):
    server = serve()
    server.__exit__()
    connect(server.url)

    error = client.error(PictoryAPIError)

    assert f"No response from Pictory at {server.url}" in str(error)
    assert str(error).endswith(")")
    assert error.status_code is None


def test_a_host_name_that_cannot_be_one_is_named(client, connect):
    connect("http://pictory..invalid")

    assert "No response from Pictory at http://pictory..invalid" in str(client.error(PictoryAPIError))


# Redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_and_the_key_goes_nowhere_else(client, serve, connect, status):
    other = serve(response(IN_PROGRESS))
    server = serve(response(b"", status, Location=f"{other.url}{PATH}"))
    connect(server.url)

    error = client.error(PictoryRedirectedError)

    assert f"a redirect to '{other.url}" in str(error)
    assert f"put '{other.url}' into the connection's host" in str(error)
    assert isinstance(error, PictoryConfigurationError)
    assert error.status_code == status
    assert (len(server.requests), other.connections) == (1, 0)


# Keys that change


@pytest.fixture
def fetched(monkeypatch):
    """The ids of all connections that were fetched from Airflow."""
    ids = []
    synchronous, asynchronous = PictoryHook.get_connection, module.get_async_connection

    def get_connection(conn_id):
        ids.append(conn_id)
        return synchronous(conn_id)

    async def get_async_connection(conn_id):
        before = len(ids)
        connection = await asynchronous(conn_id)
        # Depending on the version of Airflow, one uses the other.
        ids[before:] = [conn_id]
        return connection

    monkeypatch.setattr(PictoryHook, "get_connection", staticmethod(get_connection))
    monkeypatch.setattr(module, "get_async_connection", get_async_connection)
    return ids


@pytest.mark.parametrize(("status", "times"), [(200, 1), (403, 1), (500, 1), (401, 2)])
def test_only_a_refused_key_makes_the_hook_fetch_the_connection_again(
    client, serve, connect, fetched, status, times
):
    connect(serve(response(IN_PROGRESS, status)).url)
    client.look_often(1)

    assert fetched == ["pictory_default"] * times


def test_a_refused_key_is_asked_for_once_more_and_believed_if_it_is_the_same(client, serve, connect):
    server = serve(response(UNAUTHORIZED, 401))
    connect(server.url)

    error = client.error(PictoryAuthenticationError)

    assert "the API key is wrong or was revoked" in str(error)
    assert isinstance(error, AirflowFailException)
    assert len(server.requests) == 1


def test_a_key_that_was_rotated_is_used_at_once(client, serve, connect):
    server = serve(
        after(lambda: connect(server.url, NEW_KEY), response(UNAUTHORIZED, 401)), response(IN_PROGRESS)
    )
    connect(server.url)

    first, second = client.look_often(2)

    assert (first.status, second.status) == (JobStatus.IN_PROGRESS, JobStatus.IN_PROGRESS)
    assert [request.header("authorization") for request in server.requests] == [KEY, NEW_KEY, NEW_KEY]


def test_a_rotated_key_that_is_refused_too_ends_it(client, serve, connect):
    server = serve(after(lambda: connect(server.url, NEW_KEY), response(UNAUTHORIZED, 401)))
    connect(server.url)

    error = client.error(PictoryAuthenticationError)

    assert NEW_KEY not in str(error)
    assert [request.header("authorization") for request in server.requests] == [KEY, NEW_KEY]


def test_a_connection_that_was_moved_is_followed(client, serve, connect):
    server, other = serve(response(UNAUTHORIZED, 401)), serve(response(IN_PROGRESS))
    server.responses = [after(lambda: connect(other.url, NEW_KEY), response(UNAUTHORIZED, 401))]
    connect(server.url)

    client.poll()

    assert other.request.header("authorization") == NEW_KEY


def test_a_connection_that_was_removed_meanwhile_is_missed(client, serve, connect, monkeypatch):
    server = serve(
        after(lambda: monkeypatch.delenv("AIRFLOW_CONN_PICTORY_DEFAULT"), response(UNAUTHORIZED, 401))
    )
    connect(server.url)

    client.error(PictoryConfigurationError)


def only(key):
    """Accept one key."""

    def send(server, connection, request):
        is_right = request.header("authorization") == key
        return (response(IN_PROGRESS) if is_right else response(UNAUTHORIZED, 401))(
            server, connection, request
        )

    return send


def test_after_a_refused_key_the_next_look_starts_afresh(client, serve, connect, monkeypatch):
    monkeypatch.setattr(asynchronous, "SHORTEST_TIME_TO_READ_AGAIN", 0.0)
    server = serve(only(NEW_KEY))
    connect(server.url)

    error, job = client.look_often(2, between=lambda: connect(server.url, NEW_KEY))

    assert isinstance(error, PictoryAuthenticationError)
    assert job.status is JobStatus.IN_PROGRESS


# Sessions


def test_many_looks_share_one_connection_in_both_senses(client, serve, connect, monkeypatch):
    server = serve(response(IN_PROGRESS))
    connect(server.url)

    def remove():
        monkeypatch.delenv("AIRFLOW_CONN_PICTORY_DEFAULT", raising=False)

    seen = client.look_often(5, between=remove)

    assert [job.status for job in seen] == [JobStatus.IN_PROGRESS] * 5
    assert server.connections == 1


def test_a_closed_hook_reads_the_connection_again(serve, connect):
    server = serve(response(QUOTA))
    connect(server.url)
    hook = PictoryHook()
    hook.get_quota()
    hook.close()
    hook.close()
    connect(server.url, NEW_KEY)
    hook.get_quota()

    assert [request.header("authorization") for request in server.requests] == [KEY, NEW_KEY]


def test_an_asynchronously_closed_hook_reads_the_connection_again(serve, connect):
    server = serve(response(IN_PROGRESS))
    connect(server.url)

    async def look_twice():
        async with PictoryHook() as hook:
            await hook.aget_job(JOB_ID)
            await hook.aclose()
            connect(server.url, NEW_KEY)
            await hook.aget_job(JOB_ID)

    asyncio.run(look_twice())

    assert [request.header("authorization") for request in server.requests] == [KEY, NEW_KEY]


@pytest.fixture
def transports(monkeypatch):
    """All that were opened."""
    opened = []
    original = asynchronous.asynchronous_transport

    async def noting(*arguments):
        opened.append(await original(*arguments))
        return opened[-1]

    monkeypatch.setattr(asynchronous, "asynchronous_transport", noting)
    return opened


def test_looks_at_the_same_time_share_one_session_which_is_closed_in_the_end(serve, connect, transports):
    connect(serve(response(IN_PROGRESS)).url)

    async def poll():
        async with PictoryHook() as hook:
            return await asyncio.gather(*(hook.aget_job(JOB_ID) for _ in range(20)))

    assert len(asyncio.run(poll())) == 20
    assert len(transports) == 1
    assert transports[0].session.closed


def test_looks_at_the_same_time_survive_a_rotated_key(serve, connect, transports):
    server = serve(after(lambda: connect(server.url, NEW_KEY), only(NEW_KEY)))
    connect(server.url)

    async def poll():
        async with PictoryHook() as hook:
            return await asyncio.gather(*(hook.aget_job(JOB_ID) for _ in range(20)))

    assert {job.status for job in asyncio.run(poll())} == {JobStatus.IN_PROGRESS}
    assert len(transports) == 2
    assert all(transport.session.closed for transport in transports)


def test_looks_that_are_refused_at_the_same_time_fetch_the_connection_once_more_for_all(
    serve, connect, fetched
):
    server = serve(response(UNAUTHORIZED, 401))
    connect(server.url)

    async def poll():
        async with PictoryHook() as hook:
            return await asyncio.gather(*(hook.aget_job(JOB_ID) for _ in range(20)), return_exceptions=True)

    assert {type(error) for error in asyncio.run(poll())} == {PictoryAuthenticationError}
    assert len(server.requests) == 20
    assert fetched == ["pictory_default"] * 2


def test_while_the_connection_is_read_again_for_one_look_the_others_go_on(serve, connect, monkeypatch):
    server = serve(response(IN_PROGRESS), response(UNAUTHORIZED, 401), response(IN_PROGRESS))
    connect(server.url)
    original = module.get_async_connection

    async def poll():
        is_reading, may_read = asyncio.Event(), asyncio.Event()

        async def read_slowly(connection_id):
            is_reading.set()
            await may_read.wait()
            return await original(connection_id)

        async with PictoryHook() as hook:
            await hook.aget_job(JOB_ID)
            monkeypatch.setattr(module, "get_async_connection", read_slowly)
            connect(server.url, NEW_KEY)
            refused = asyncio.create_task(hook.aget_job(JOB_ID))
            await is_reading.wait()
            async with asyncio.timeout(5):
                job = await hook.aget_job(JOB_ID)
            assert not refused.done()
            may_read.set()
            return [job, await refused]

    assert {job.status for job in asyncio.run(poll())} == {JobStatus.IN_PROGRESS}
    assert [request.header("authorization") for request in server.requests] == [KEY, KEY, KEY, NEW_KEY]


def test_a_look_can_be_cancelled(serve, connect):
    connect(serve(response(IN_PROGRESS)).url)

    async def poll():
        async with PictoryHook() as hook:
            task = asyncio.create_task(hook.aget_job(JOB_ID))
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert task.cancelled()
            return await hook.aget_job(JOB_ID)

    assert asyncio.run(poll()).status is JobStatus.IN_PROGRESS


# Connections that can't be used


def test_a_missing_connection_is_named_with_the_way_to_make_it(client, monkeypatch):
    monkeypatch.delenv("AIRFLOW_CONN_PICTORY_DEFAULT", raising=False)

    error = client.error(PictoryConfigurationError)

    assert str(error).startswith("There is no Airflow connection 'pictory_default'.")
    assert "airflow connections add pictory_default --conn-type pictory --conn-password <key>" in str(error)
    assert isinstance(error, AirflowFailException)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"password": None}, "has no password"),
        ({"password": f"Bearer {KEY}"}, "without 'Bearer'"),
        ({"password": f"{KEY}\nX-Injected: yes"}, "no Pictory API key has"),
        ({"extra": "{"}, WORDS_OF_A_BROKEN_EXTRA),
        ({"extra": {"timeout": "soon"}}, "'timeout' must be a positive number"),
        ({"extra": {"verify": []}}, "'verify' must be"),
        ({"extra": {"proxies": 5}}, "'proxies' must be"),
        ({"extra": {"cert": 5}}, "'cert' must be"),
        ({"schema": "ftp"}, "host must be a base URL"),
    ],
)
def test_a_connection_that_cannot_be_used_is_not_used(client, serve, connect, fields, words):
    server = serve(response(IN_PROGRESS))
    connect("127.0.0.1" if "schema" in fields else server.url, **{"password": KEY, **fields})

    error = client.error(PictoryConfigurationError)

    assert words in str(error)
    assert "'pictory_default'" in str(error)
    assert server.connections == 0


def test_a_hook_touches_nothing_before_it_is_asked(monkeypatch):
    monkeypatch.delenv("AIRFLOW_CONN_PICTORY_DEFAULT", raising=False)

    hook = PictoryHook("no_such_connection")

    assert hook.pictory_conn_id == "no_such_connection"
    assert PictoryHook().pictory_conn_id == PictoryHook.default_conn_name == "pictory_default"


# The key stays secret


@pytest.mark.parametrize("status", [200, 302, 400, 401, 404, 429, 500])
@pytest.mark.parametrize(
    "document",
    [
        None,
        lambda key: {"fields": [{"name": key, "errors": f"not {key}"}]},
        lambda key: f"{'x' * 280}{key}".encode(),
        lambda key: {"message": f"{'x' * 280}{key}", "job_id": f"{'x' * 60}{key}"},
        lambda key: key.encode(),
        lambda key: f"<html>{key}</html>".encode(),
        lambda key: f'{{"message": "{key}"}}'.replace("/", "\\/").replace("+", "\\u002b").encode(),
        lambda key: {"error_code": key, "error_message": "JOB_NOT_FOUND"},
        lambda key: {"job_id": key, "data": {"status": "in-progress"}},
    ],
    ids=["codes", "fields", "cut text", "cut words", "text", "html", "escaped", "not found", "as job id"],
)
def test_a_key_that_the_server_sends_back_is_not_shown(client, serve, connect, status, document):
    connect(serve(echo(status, document)).url)

    with pytest.raises(PictoryError) as caught:
        client.poll()
    assert_keeps_the_key(caught.value)


@pytest.mark.parametrize("status", ["failed", "no such status {key}"])
def test_a_key_in_the_words_of_a_failed_job_is_not_shown(client, serve, connect, status):
    def said(key):
        data = {"status": status.format(key=key), "error_code": key, "error_message": f"{key} is odd"}
        return json.dumps({"job_id": JOB_ID, "success": False, "data": data}).replace("/", "\\/").encode()

    connect(serve(echo(200, said)).url)

    assert_no_key(str(client.poll()))


@pytest.mark.parametrize(
    "line", ["{key}", "HTTP/1.1 {key}", "HTTP/1.1 200 {key}", "HTTP/1.1 200 OK\r\n{key}: \0{key}"]
)
def test_a_key_that_the_server_sends_back_in_broken_http_is_not_shown(client, serve, connect, line):
    def send(_server, connection, request):
        connection.sendall(f"{line.format(key=request.header('authorization'))}\r\n\r\n".encode())
        return False

    connect(serve(send).url)

    with pytest.raises(PictoryError) as caught:
        client.poll()
    assert_keeps_the_key(caught.value)


def test_a_hook_does_not_show_the_key(serve, connect):
    connect(serve(response(QUOTA)).url)
    hook = PictoryHook()
    hook.get_quota()

    assert_no_key(f"{hook!r} {hook} {vars(hook)!r} {hook.get_conn()!r}")


# Quota and the connection test


def test_the_quota_is_asked_for_and_read(serve, connect):
    server = serve(response(QUOTA))
    connect(server.url)

    assert PictoryHook().get_quota() == Quota(ai_credits_used=690, ai_credits_limit=22000)
    assert (server.request.method, server.request.target) == ("GET", "/pictoryapis/v1/quota")
    assert server.request.header("authorization") == KEY


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, PictoryAuthenticationError),
        (403, PictoryAPIError),
        (429, PictoryRateLimitedError),
        (500, PictoryAPIError),
    ],
)
def test_a_quota_that_is_not_told_is_an_error(serve, connect, status, kind):
    connect(serve(response(b"", status)).url)

    with pytest.raises(kind):
        PictoryHook().get_quota()


@pytest.mark.parametrize(
    ("used", "limit", "sentence"),
    [
        (690, 22000, "690 of 22,000 AI credits are used, 21,310 are left."),
        (12.8, 100, "12.8 of 100 AI credits are used, 87.2 are left."),
        (1234567.8, 9876543, "1,234,567.8 of 9,876,543 AI credits are used, 8,641,975.2 are left."),
        (0, 0, "0 of 0 AI credits are used, 0 are left."),
    ],
)
def test_a_good_connection_is_told_with_its_credits(requests_mock, connect, used, limit, sentence):
    connect("https://pictory.invalid")
    requests_mock.get(
        "https://pictory.invalid/pictoryapis/v1/quota", json={"aiCredits": {"used": used, "limit": limit}}
    )

    assert PictoryHook().test_connection() == (True, f"Pictory accepts the key: {sentence}")


@pytest.mark.parametrize(
    ("end", "words"),
    [
        (
            response(UNAUTHORIZED, 401),
            "the API key is wrong or was revoked; put the right one into the connection's",
        ),
        (response(HTML, 403), "something in front of Pictory"),
        (response(HTML), "a page of HTML"),
        (response({"aiCredits": {}}), "there are no AI credits in it"),
        (response(b"", 302, Location="/login"), "a redirect to '/login', which is not followed"),
        (hang_up, "No response from Pictory at http://127.0.0.1"),
    ],
    ids=[str(kind) for kind in ResponseErrorKind][:6],
)
def test_a_bad_connection_is_told_with_what_is_wrong(serve, connect, end, words):
    connect(serve(end).url)

    succeeded, sentence = PictoryHook().test_connection()

    assert not succeeded
    assert words in sentence


@pytest.mark.parametrize("fields", [{"password": ""}, {"extra": "["}, {"host": "ftp://x"}])
def test_a_broken_connection_is_told_and_not_raised(connect, fields):
    connect(**{"host": "https://pictory.invalid", **fields})

    succeeded, sentence = PictoryHook().test_connection()

    assert not succeeded
    assert "Airflow connection 'pictory_default'" in sentence


def test_the_connection_test_tries_a_rotated_key_as_well(serve, connect):
    server = serve(after(lambda: connect(server.url, NEW_KEY), response(UNAUTHORIZED, 401)), response(QUOTA))
    connect(server.url)

    assert PictoryHook().test_connection()[0]


# Calls of one's own, through what HttpHook offers


def test_run_sends_the_key_to_any_path_of_pictorys(serve, connect):
    server = serve(response({"items": []}))
    connect(f"{server.url}/pictoryapis")

    responded = PictoryHook().run("/pictoryapis/v1/jobs", headers={"X-More": "x"})

    assert responded.json() == {"items": []}
    assert server.request.target == "/pictoryapis/v1/jobs"
    assert server.request.header("authorization") == KEY
    assert server.request.header("user-agent") == f"airflow-provider-pictory/{__version__}"
    assert server.request.header("x-more") == "x"


def test_run_follows_no_redirects_and_keeps_the_time_limit(serve, connect):
    other = serve(response({}))
    server = serve(response(b"", 307, Location=other.url))
    connect(server.url, extra={"timeout": 7})
    hook = PictoryHook()

    assert hook.run("/pictoryapis/v1/jobs").status_code == 307
    assert hook.merged_extra["timeout"] == 7
    assert other.connections == 0


def test_a_session_of_the_hook_sends_the_key_to_pictory_alone(serve, connect, monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    server, other = serve(response(QUOTA)), serve(response(b"video"))
    connect(server.url)

    with PictoryHook().get_conn() as session:
        session.get(f"{server.url}/pictoryapis/v1/quota")
        session.get(f"{other.url}/a.mp4")
        session.get(f"{other.url}/a.mp4", allow_redirects=True)

    assert server.request.header("authorization") == KEY
    assert [request.header("authorization") for request in other.requests] == [None, None]


def test_a_session_loses_the_key_when_it_is_redirected_as_asked_for(serve, connect):
    other = serve(response(b"video"))
    server = serve(response(b"", 302, Location=f"{other.url}/a.mp4"))
    connect(server.url)

    with PictoryHook().get_conn() as session:
        session.get(f"{server.url}/pictoryapis/v1/quota", allow_redirects=True)

    assert other.request.header("authorization") is None


# What Airflow shows


def test_airflow_knows_the_hook_by_its_names():
    assert (PictoryHook.conn_type, PictoryHook.hook_name) == ("pictory", "Pictory")
    assert PictoryHook.conn_name_attr == "pictory_conn_id"
    assert PictoryHook.default_host == "https://api.pictory.ai"


def test_the_connection_form_speaks_of_key_and_base_url():
    behaviour = PictoryHook.get_ui_field_behaviour()

    assert behaviour["relabeling"] == {"password": "API key", "host": "Base URL"}
    assert behaviour["placeholders"]["password"] == "pictai_..."
    assert behaviour["placeholders"]["host"] == "https://api.pictory.ai"
    # Airflow 3.3's Test button works for connections with a port alone.
    assert behaviour["placeholders"]["port"].startswith("443")
    assert set(behaviour["hidden_fields"]) == {"schema", "login"}


def test_the_connection_form_is_one_that_airflow_accepts():
    import jsonschema

    schema = Path(airflow.__path__[0], "customized_form_field_behaviours.schema.json").read_text()

    jsonschema.validate(PictoryHook.get_ui_field_behaviour(), json.loads(schema))


@needs_old_connection_form
def test_the_old_connection_form_has_a_field_for_the_timeout():
    from flask import Flask
    from flask_babel import Babel

    application = Flask(__name__)
    Babel(application)
    with application.test_request_context():
        widgets = PictoryHook.get_connection_form_widgets()
        assert list(widgets) == ["timeout"]
        assert widgets["timeout"].kwargs["description"] == (
            "Seconds that one call to Pictory may take; 30 when empty."
        )


def in_threads(calls):
    """Make calls in a thread each, with an event loop each, at the same time."""

    async def make(call):
        async with asyncio.timeout(20):
            return await call()

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(lambda call: asyncio.run(make(call)), calls))


def test_one_hook_serves_one_event_loop_after_another(serve, connect, transports, caplog):
    server = serve(response(IN_PROGRESS))
    connect(server.url)
    hook = PictoryHook()

    async def poll():
        return await asyncio.gather(*(hook.aget_job(JOB_ID) for _ in range(5)))

    async def poll_and_close():
        async with hook:
            return await poll()

    jobs = [job for call in (poll, poll, poll_and_close, poll_and_close) for job in asyncio.run(call())]

    assert {job.status for job in jobs} == {JobStatus.IN_PROGRESS}
    assert len(transports) == 4
    assert all(transport.session.closed for transport in transports)
    gc.collect()
    assert "Unclosed" not in caplog.text


def test_one_hook_serves_the_event_loops_of_several_threads_at_once(serve, connect, transports):
    connect(serve(response(IN_PROGRESS)).url)
    hook = PictoryHook()
    all_have_looked, one_has_closed = threading.Barrier(3), threading.Event()

    async def poll_and_close():
        async with hook:
            await hook.aget_job(JOB_ID)
            await asyncio.to_thread(all_have_looked.wait, 10)
        one_has_closed.set()

    async def look_on():
        async with hook:
            await hook.aget_job(JOB_ID)
            await asyncio.to_thread(all_have_looked.wait, 10)
            await asyncio.to_thread(one_has_closed.wait, 10)
            return await hook.aget_job(JOB_ID)

    jobs = in_threads([poll_and_close, look_on, look_on])

    assert [job.status for job in jobs[1:]] == [JobStatus.IN_PROGRESS] * 2
    assert len(transports) == 3
    assert all(transport.session.closed for transport in transports)


def test_each_event_loop_of_a_hook_picks_up_a_rotated_key(serve, connect):
    server = serve(only(NEW_KEY))
    connect(server.url, NEW_KEY)
    hook = PictoryHook()

    async def poll():
        return await hook.aget_job(JOB_ID)

    asyncio.run(poll())
    server.responses[:] = [only(KEY)]
    connect(server.url, KEY)

    assert asyncio.run(poll()).status is JobStatus.IN_PROGRESS

    async def look_before_and_after():
        await hook.aget_job(JOB_ID)
        server.responses[:] = [only(NEW_KEY)]
        connect(server.url, NEW_KEY)
        async with hook:
            return await hook.aget_job(JOB_ID)

    assert asyncio.run(look_before_and_after()).status is JobStatus.IN_PROGRESS
