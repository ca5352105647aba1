"""Files of results are asked for like anything else on the internet: without the key."""

from __future__ import annotations

import pytest
import requests

from airflow_provider_pictory.exceptions import PictoryConfigurationError
from airflow_provider_pictory.hooks.pictory import USER_AGENT, PictoryHook
from tests.support.clients import assert_no_key
from tests.support.loopback import keep_silent, response


@pytest.fixture
def hook():
    hook = PictoryHook()
    yield hook
    hook.close()


def test_the_key_is_not_sent_not_even_to_the_host_of_the_api(serve, connect, hook):
    server = serve(response(b"film", ETag='"one"'))
    connect(server.url)

    with hook.open_file(f"{server.url}/film?token=1", {"Range": "bytes=0-3"}) as opened:
        assert opened.raw.read() == b"film"

    assert server.request.header("range") == "bytes=0-3"
    assert server.request.header("user-agent") == USER_AGENT
    assert server.request.header("authorization") is None
    assert_no_key(repr(server.request))


def test_neither_a_netrc_nor_a_url_becomes_an_authorization_also_after_a_redirect(
    serve, connect, hook, monkeypatch, tmp_path
):
    other = serve(response(b"film"))
    first = serve(response(status=302, Location=f"{other.url}/film"))
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    connect(first.url)

    with hook.open_file(first.url.replace("//", "//me:secret@"), {"Range": "bytes=0-"}) as opened:
        assert opened.status_code == 200

    assert first.request.header("authorization") is other.request.header("authorization") is None
    assert other.request.header("range") == "bytes=0-"


def test_the_connection_s_proxy_and_timeout_count(serve, connect, hook):
    proxy = serve(response(b"film"))
    connect("https://api.pictory.invalid", extra={"proxies": {"http": proxy.url}, "timeout": 0.3})

    with hook.open_file("http://files.pictory.invalid/film", {}) as opened:
        assert opened.raw.read() == b"film"
    assert proxy.request.target == "http://files.pictory.invalid/film"

    connect("https://api.pictory.invalid", extra={"timeout": 0.3, "allow_private_hosts": True})
    hook.close()
    with pytest.raises(requests.RequestException, match="timed out"):
        hook.open_file(serve(keep_silent).url, {})


def test_the_connection_can_do_without_the_environments_proxy_also_after_a_redirect(
    serve, connect, hook, monkeypatch
):
    proxy, last = serve(response(status=502)), serve(response(b"film"))
    first = serve(response(status=302, Location=f"{last.url}/film"))
    connect(first.url, extra={"proxies": {"http": None}})
    monkeypatch.setenv("http_proxy", proxy.url)

    with hook.open_file(first.url, {}) as opened:
        assert opened.raw.read() == b"film"
    assert proxy.connections == 0


def test_a_missing_connection_is_named():
    with pytest.raises(PictoryConfigurationError, match="no Airflow connection 'nobody'"):
        PictoryHook("nobody").open_file("http://127.0.0.1:9/film", {})
