"""A video's URL, and each redirect of it, leads to the open internet, unless the connection says more."""

from __future__ import annotations

import json
import socket

import pytest

from airflow_provider_pictory.client.private_hosts import is_private
from airflow_provider_pictory.exceptions import PictoryConfigurationError, PictoryDownloadError
from airflow_provider_pictory.hooks.pictory import PictoryHook
from tests.support.loopback import Loopback, response


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def host():
    with Loopback(response(b"a secret of the network")) as server:
        yield server


@pytest.fixture
def names(monkeypatch):
    """Let names stand for addresses, each time for the next one, the last one for ever."""
    known = {}
    ask = socket.getaddrinfo

    def response_for(name, *arguments, **named):
        if name not in known:
            return ask(name, *arguments, **named)
        addresses = known[name]
        return ask(addresses.pop(0) if len(addresses) > 1 else addresses[0], *arguments, **named)

    monkeypatch.setattr(socket, "getaddrinfo", response_for)
    return known


@pytest.fixture
def open_file(monkeypatch):
    """Ask for a file over a connection whose host is public, unless the test says another one."""

    def open_file(url, host="https://8.8.8.8", **extra):
        connection = {"conn_type": "pictory", "password": "pictai_a", "host": host, "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_PICTORY_DEFAULT", json.dumps(connection))
        hook = PictoryHook()
        try:
            with hook.open_file(url, {}) as response:
                return response.content
        finally:
            hook.close()

    return open_file


def refusal(open_file, url, **arguments):
    with pytest.raises(PictoryDownloadError) as caught:
        open_file(url, **arguments)
    assert "which isn't on the open internet" in str(caught.value)
    assert '{"allow_private_hosts": true}' in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "name",
    ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f.0.0.1", "0.0.0.0", "[::ffff:127.0.0.1]", "[::1]"],
)
def test_no_name_of_this_machine_is_asked(open_file, host, name):
    refusal(open_file, f"http://{name}:{host.port}/film.mp4")

    assert host.connections == 0


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "10.0.0.1", "192.168.1.1", "[fe80::1]", "[fd00:ec2::254]"]
)
def test_nothing_of_the_network_is_asked(open_file, address):
    refusal(open_file, f"http://{address}/latest/meta-data/")


def test_a_name_that_stands_for_a_private_address_is_not_asked(open_file, host, names):
    names["files.example"] = ["127.0.0.1"]

    said = refusal(open_file, f"http://files.example:{host.port}/film.mp4?signature=very-secret")

    assert "leads to files.example (127.0.0.1), which" in said
    assert "very-secret" not in said
    assert host.connections == 0


def test_a_name_that_means_something_else_a_moment_later_is_told_nothing(open_file, host, names):
    names["files.example"] = ["8.8.8.8", "127.0.0.1"]

    refusal(open_file, f"http://files.example:{host.port}/film.mp4")

    assert host.requests == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_into_the_network(open_file, host, names, monkeypatch, status):
    # One address of this machine plays the internet.
    monkeypatch.setattr(
        "airflow_provider_pictory.client.private_hosts.is_private", lambda a: a != "127.0.0.1"
    )
    with Loopback(response(b"", status, Location=f"http://localhost.example:{host.port}/")) as first:
        names["localhost.example"] = ["127.0.0.2"]

        refusal(open_file, f"http://127.0.0.1:{first.port}/film.mp4")

    assert len(first.requests) == 1
    assert host.connections == 0


def test_a_connection_may_allow_it(open_file, host):
    assert open_file(f"{host.url}/film.mp4", allow_private_hosts=True) == b"a secret of the network"
    assert open_file(f"{host.url}/film.mp4", allow_private_hosts="true") == b"a secret of the network"
    refusal(open_file, f"{host.url}/film.mp4", allow_private_hosts=False)
    refusal(open_file, f"{host.url}/film.mp4", allow_private_hosts="")


@pytest.mark.parametrize("value", ["yes please", 1, 0, "1", ["true"], {}])
def test_whatever_else_it_says_is_refused(open_file, host, value):
    with pytest.raises(PictoryConfigurationError, match="extra 'allow_private_hosts' must be true or false"):
        open_file(f"{host.url}/film.mp4", allow_private_hosts=value)


@pytest.mark.parametrize("own", ["http://127.0.0.1:8765", "http://localhost:8765", "http://[::1]:8765"])
def test_a_sandbox_has_its_files_where_it_is_itself(open_file, host, own):
    assert open_file(f"{host.url}/film.mp4", host=own) == b"a secret of the network"


def test_a_sandbox_under_a_name_of_the_network_has_too(open_file, host, names):
    names["pictory-sandbox"] = ["172.18.0.3"]

    assert open_file(f"{host.url}/film.mp4", host="http://pictory-sandbox:8765") == b"a secret of the network"


def test_a_proxy_may_be_private_and_looks_names_up_itself(open_file, host):
    proxy = {"http": host.url}

    assert open_file("http://files.example/film.mp4", proxies=proxy) == b"a secret of the network"
    assert host.requests[0].target == "http://files.example/film.mp4"


@pytest.mark.parametrize(
    "name", ["127.0.0.1", "localhost", "LOCALHOST.", "a.localhost", "[::1]", "0x7f.1", "10.1"]
)
def test_a_proxy_is_not_asked_for_what_is_private_by_its_very_name(open_file, host, name):
    refusal(open_file, f"http://{name}/film.mp4", proxies={"http": host.url})

    assert host.connections == 0


@pytest.mark.parametrize(
    "address",
    [
        *["127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"],
        *["224.0.0.1", "255.255.255.255", "198.18.0.1", "240.0.0.1", "192.0.0.1"],
        *["::", "::1", "fe80::1", "fe80::1%eth0", "fec0::1", "fd00:ec2::254", "ff02::1", "2001:db8::1"],
        *[
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "2002:7f00:1::1",
            "2001::1",
        ],
    ],
)
def test_these_are_private(address):
    assert is_private(address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "::ffff:8.8.8.8", "2606:4700::1111", "64:ff9b::808:808", "2002:808:808::1"]
)
def test_these_are_of_the_open_internet(address):
    assert not is_private(address)


def test_a_host_that_hardly_begins_is_not_waited_for(open_file):
    def drip(server, connection, _request):
        while not server.ended.wait(0.1):
            connection.sendall(b"H")
        return False

    with Loopback(drip) as host, pytest.raises(OSError, match=r"no complete response within 0\.5 s"):
        open_file(f"{host.url}/film.mp4", host=host.url, timeout=0.5)
