"""Time limits, certificates, proxies and the environment mean the same on both sides of the hook."""

from __future__ import annotations

import asyncio
import base64
import socket
import time

import pytest

from airflow_provider_pictory.api import JobStatus
from airflow_provider_pictory.client.session import asynchronous_transport
from airflow_provider_pictory.client.settings import ConnectionSettings
from airflow_provider_pictory.exceptions import PictoryAPIError, PictoryConfigurationError, PictoryError
from airflow_provider_pictory.hooks.pictory import PictoryHook
from airflow_provider_pictory.sandbox.testing import PictorySandbox
from tests.support.clients import IN_PROGRESS, JOB_ID, KEY
from tests.support.loopback import keep_silent, response, stop_talking

# A host that exists for nobody (RFC 2606), so that only a proxy can know it.
NOWHERE = "pictory.invalid"


def assert_is_seen(client):
    assert client.poll().status is JobStatus.IN_PROGRESS


# Time


@pytest.mark.parametrize(
    "silence", [keep_silent, stop_talking], ids=["before the response", "within the response"]
)
def test_a_server_that_falls_silent_is_given_up_after_the_timeout(client, serve, connect, silence):
    server = serve(silence)
    connect(server.url, extra={"timeout": 0.3})

    started = time.monotonic()
    error = client.error(PictoryAPIError)

    assert 0.3 <= time.monotonic() - started < 3
    assert error.status_code is None
    assert f"No response from Pictory at {server.url}" in str(error)
    assert "imeout" in str(error) or "timed out" in str(error)
    assert len(server.requests) == 1


def test_a_handshake_that_never_ends_is_given_up_after_the_timeout(client, connect):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connect(f"https://127.0.0.1:{listener.getsockname()[1]}", extra={"timeout": 0.2})

        started = time.monotonic()
        client.error(PictoryAPIError)

        assert time.monotonic() - started < 3


# Certificates


def test_a_server_that_no_known_authority_vouches_for_is_not_told_the_key(
    client, serve, connect, certificates
):
    server = serve(response(IN_PROGRESS), tls=certificates.context())
    connect(server.url)

    error = client.error(PictoryAPIError)

    assert "certificate" in str(error).lower()
    assert server.requests == []


def test_a_server_of_plain_http_is_recognised_where_the_host_has_no_scheme(client, connect):
    with PictorySandbox() as sandbox:
        connect(sandbox.url.removeprefix("http://"))

        assert "put http:// in front of the connection's host" in str(client.error(PictoryAPIError))


def test_the_connection_can_name_an_authority_to_trust(client, serve, connect, certificates):
    server = serve(response(IN_PROGRESS), tls=certificates.context())
    connect(server.url, extra={"verify": str(certificates.authority)})

    assert_is_seen(client)
    assert server.request.header("authorization") == KEY


@pytest.mark.parametrize("value", [False, "false"])
@pytest.mark.parametrize("scheme", ["https", "HTTPS"])
def test_the_connection_can_switch_verification_off(client, serve, connect, certificates, value, scheme):
    server = serve(response(IN_PROGRESS), tls=certificates.context(certificates.elsewhere))
    connect(server.url.replace("https", scheme), extra={"verify": value})

    assert_is_seen(client)


def test_a_certificate_for_another_host_is_refused(client, serve, connect, certificates):
    server = serve(response(IN_PROGRESS), tls=certificates.context(certificates.elsewhere))
    connect(server.url, extra={"verify": str(certificates.authority)})

    client.error(PictoryAPIError)
    assert server.requests == []


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_the_environment_can_name_an_authority_to_trust(
    client, serve, connect, certificates, monkeypatch, variable
):
    server = serve(response(IN_PROGRESS), tls=certificates.context())
    connect(server.url)
    monkeypatch.setenv(variable, str(certificates.authority))

    assert_is_seen(client)


def test_the_connection_wins_over_the_environments_authorities(
    client, serve, connect, certificates, monkeypatch
):
    server = serve(response(IN_PROGRESS), tls=certificates.context())
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificates.elsewhere[0]))

    connect(server.url, extra={"verify": str(certificates.authority)})
    assert_is_seen(client)
    connect(server.url, extra={"verify": False})
    assert_is_seen(client)
    connect(server.url)
    client.error(PictoryAPIError)


def test_a_server_may_ask_for_a_client_certificate(client, serve, connect, certificates):
    server = serve(response(IN_PROGRESS), tls=certificates.context(client_needed=True))
    verify = str(certificates.authority)

    connect(server.url, extra={"verify": verify, "cert": [str(path) for path in certificates.client]})
    assert_is_seen(client)
    connect(server.url, extra={"verify": verify})
    client.error(PictoryAPIError)

    assert len(server.requests) == 1


def test_a_client_certificate_and_its_key_may_be_in_one_file(client, serve, connect, certificates, tmp_path):
    server = serve(response(IN_PROGRESS), tls=certificates.context(client_needed=True))
    both = tmp_path / "both.pem"
    both.write_bytes(b"".join(path.read_bytes() for path in certificates.client))
    connect(server.url, extra={"verify": str(certificates.authority), "cert": str(both)})

    assert_is_seen(client)


@pytest.mark.parametrize("extra", ["verify", "cert"])
@pytest.mark.parametrize("content", [None, b"", b"nonsense"], ids=["missing", "empty", "nonsense"])
def test_a_file_that_cannot_be_used_is_the_connections_fault(
    client, serve, connect, tmp_path, extra, content
):
    server = serve(response(IN_PROGRESS), in_tls_handshake=lambda: None)
    path = tmp_path / "file.pem"
    if content is not None:
        path.write_bytes(content)
    connect(server.url, extra={extra: str(path)})

    error = client.error(PictoryConfigurationError)

    assert extra in str(error)
    assert server.connections == 0


def test_an_authority_of_the_environment_that_is_missing_is_named(client, connect, monkeypatch, tmp_path):
    connect("https://127.0.0.1:1")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "missing.pem"))

    assert "missing.pem" in str(client.error(PictoryConfigurationError))


def test_without_tls_no_certificate_is_looked_at(client, serve, connect, tmp_path):
    connect(serve(response(IN_PROGRESS)).url, extra={"verify": str(tmp_path / "missing.pem")})

    assert_is_seen(client)


# Proxies


def assert_came_through(proxy, target):
    assert proxy.request.method == "GET"
    assert proxy.request.target == f"{target}/pictoryapis/v1/jobs/{JOB_ID}"
    assert proxy.request.header("authorization") == KEY
    assert proxy.request.header("proxy-authorization") is None


@pytest.mark.parametrize("form", ["{url}", "127.0.0.1:{port}"])
def test_the_connection_can_name_one_proxy_for_everything(client, serve, connect, form):
    proxy = serve(response(IN_PROGRESS))
    connect(f"http://{NOWHERE}", extra={"proxies": form.format(url=proxy.url, port=proxy.port)})

    assert_is_seen(client)
    assert_came_through(proxy, f"http://{NOWHERE}")


def test_the_connection_can_name_a_proxy_for_each_scheme(client, serve, connect):
    proxy, other = serve(response(IN_PROGRESS)), serve(response(IN_PROGRESS))
    connect(f"http://{NOWHERE}:81", extra={"proxies": {"http": proxy.url, "https": other.url}})

    assert_is_seen(client)
    assert_came_through(proxy, f"http://{NOWHERE}:81")
    assert other.connections == 0


def test_a_proxy_sees_no_key_when_the_target_is_encrypted(client, serve, connect, certificates):
    proxy = serve(response(IN_PROGRESS), tunnel_tls=certificates.context())
    connect(f"https://{NOWHERE}", extra={"proxies": proxy.url, "verify": str(certificates.authority)})

    assert_is_seen(client)
    tunnel, look = proxy.requests
    assert (tunnel.method, tunnel.target) == ("CONNECT", f"{NOWHERE}:443")
    assert KEY not in str(tunnel)
    assert look.header("authorization") == KEY


def test_certificates_are_checked_through_a_proxy_as_well(client, serve, connect, certificates):
    proxy = serve(response(IN_PROGRESS), tunnel_tls=certificates.context(certificates.elsewhere))
    connect(f"https://{NOWHERE}", extra={"proxies": proxy.url, "verify": str(certificates.authority)})

    client.error(PictoryAPIError)
    assert [request.method for request in proxy.requests] == ["CONNECT"]


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
def test_the_environment_can_name_a_proxy(client, serve, connect, monkeypatch, variable):
    proxy = serve(response(IN_PROGRESS))
    connect(f"http://{NOWHERE}")
    monkeypatch.setenv(variable, proxy.url)

    assert_is_seen(client)
    assert_came_through(proxy, f"http://{NOWHERE}")


def test_the_environment_can_name_a_proxy_for_encrypted_targets(
    client, serve, connect, certificates, monkeypatch
):
    proxy = serve(response(IN_PROGRESS), tunnel_tls=certificates.context())
    connect(f"https://{NOWHERE}")
    monkeypatch.setenv("https_proxy", proxy.url)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificates.authority))

    assert_is_seen(client)


@pytest.mark.parametrize("exempt", ["127.0.0.1", "127.0.0.0/8", "*"])
def test_the_environment_can_exempt_a_host_from_its_proxy(client, serve, connect, monkeypatch, exempt):
    server, proxy = serve(response(IN_PROGRESS)), serve(response(IN_PROGRESS))
    connect(server.url)
    monkeypatch.setenv("http_proxy", proxy.url)
    monkeypatch.setenv("no_proxy", exempt)

    assert_is_seen(client)
    assert (len(server.requests), proxy.connections) == (1, 0)


def test_the_connection_wins_over_the_environments_proxy(client, serve, connect, monkeypatch):
    proxy, other = serve(response(IN_PROGRESS)), serve(response(IN_PROGRESS))
    connect(f"http://{NOWHERE}", extra={"proxies": proxy.url})
    monkeypatch.setenv("http_proxy", other.url)

    assert_is_seen(client)
    assert (len(proxy.requests), other.connections) == (1, 0)


@pytest.mark.parametrize("form", [{"http": None}, {"http": ""}, '{"http": null}'], ids=repr)
def test_the_connection_can_do_without_the_environments_proxy(client, serve, connect, monkeypatch, form):
    server, proxy = serve(response(IN_PROGRESS)), serve(response(IN_PROGRESS))
    connect(server.url, extra={"proxies": form})
    monkeypatch.setenv("http_proxy", proxy.url)
    client.poll()

    assert (len(server.requests), proxy.connections) == (1, 0)


@pytest.mark.parametrize("empty", [None, "", " ", {}, "null"], ids=repr)
def test_no_proxies_in_the_connection_leave_it_to_the_environment(client, serve, connect, monkeypatch, empty):
    proxy = serve(response(IN_PROGRESS))
    connect(f"http://{NOWHERE}", extra={"proxies": empty})
    monkeypatch.setenv("http_proxy", proxy.url)
    client.poll()

    assert_came_through(proxy, f"http://{NOWHERE}")


def test_a_proxys_own_password_is_used_and_not_shown(client, serve, connect, caplog):
    proxy = serve(response(IN_PROGRESS), response(b"", 407))
    connect(f"http://{NOWHERE}", extra={"proxies": proxy.url.replace("://", "://user:pass-word@")})

    assert_is_seen(client)
    error = client.error(PictoryAPIError)

    expected = "Basic " + base64.b64encode(b"user:pass-word").decode()
    assert [request.header("proxy-authorization") for request in proxy.requests] == [expected] * 2
    assert error.status_code == 407
    assert "pass-word" not in str(error)
    assert "pass-word" not in caplog.text


def test_a_proxy_that_is_gone_is_trouble_with_the_way_and_not_with_the_key(client, connect):
    connect(f"http://{NOWHERE}", extra={"proxies": "http://127.0.0.1:1"})

    assert "No response from Pictory" in str(client.error(PictoryAPIError))


def test_a_kind_of_proxy_that_is_not_supported_is_refused_before_anything_is_sent(client, serve, connect):
    # What speaks no HTTP says nothing that this server would understand, so it hangs up soon.
    server = serve(response(IN_PROGRESS), patience=0.2)
    connect(server.url, extra={"proxies": f"socks5://127.0.0.1:{server.port}"})

    with pytest.raises(
        PictoryError, match=r"SOCKS|Only http and https proxies work while a task is deferred"
    ):
        client.poll()
    assert server.requests == []


# Asynchronous only


def test_a_look_without_a_response_is_given_up_alone(serve, connect):
    server = serve(keep_silent, stop_talking, response(IN_PROGRESS))
    connect(server.url, extra={"timeout": 2})

    async def poll():
        async with PictoryHook() as hook:
            seen = await asyncio.gather(*(hook.aget_job(JOB_ID) for _ in range(20)), return_exceptions=True)
            return [*seen, await hook.aget_job(JOB_ID)]

    *seen, afterwards = asyncio.run(poll())

    failed = [error for error in seen if isinstance(error, PictoryAPIError)]
    assert len(failed) == 2
    assert all("TimeoutError: no complete response within 2 s" in str(error) for error in failed)
    assert {job.status for job in seen if job not in failed} == {JobStatus.IN_PROGRESS}
    assert afterwards.status is JobStatus.IN_PROGRESS


def test_a_look_that_is_cancelled_is_no_look_without_a_response(serve, connect):
    server = serve(keep_silent)
    connect(server.url, extra={"timeout": 5})

    async def poll():
        async with PictoryHook() as hook:
            task = asyncio.create_task(hook.aget_job(JOB_ID))
            while not server.requests:  # noqa: ASYNC110  (the server has no event of this loop)
                await asyncio.sleep(0.01)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            return task.cancelled()

    assert asyncio.run(poll())


def test_a_transport_does_not_show_the_passwords_of_proxies():
    async def shown():
        settings = ConnectionSettings(api_key=KEY, proxies={"https": "http://user:pass-word@127.0.0.1:1"})
        transport = await asynchronous_transport(settings, {})
        await transport.session.close()
        return repr(transport)

    shown = asyncio.run(shown())

    assert "pass-word" not in shown
    assert KEY not in shown
