"""A sandbox runs beside the code that uses it, for as long as it is wanted."""

from __future__ import annotations

import socket
import time
from email.utils import parsedate_to_datetime

import pytest
import requests

from airflow_provider_pictory.sandbox.background import PictorySandbox
from tests.sandbox.client import Client


def test_it_responds_inside_the_with_statement_and_no_longer_after():
    with PictorySandbox() as sandbox:
        url = sandbox.url
        assert requests.get(f"{url}/sandbox/counts", timeout=5).status_code == 200

    with pytest.raises(requests.ConnectionError):
        requests.get(f"{url}/sandbox/counts", timeout=5)


def test_it_can_only_be_reached_from_this_machine():
    with PictorySandbox() as sandbox:
        assert sandbox.url.startswith("http://127.0.0.1:")


@pytest.mark.parametrize("host", ["0.0.0.0", "localhost"])
def test_its_url_can_be_used_whatever_host_it_listens_on(host):
    with PictorySandbox(host=host) as sandbox:
        assert requests.get(f"{sandbox.url}/sandbox/counts", timeout=5).status_code == 200


def test_a_port_that_is_taken_is_an_error_and_nothing_is_left_running():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        sandbox = PictorySandbox(port=taken.getsockname()[1])
        with pytest.raises(OSError, match="in use"):
            sandbox.start()

    sandbox.start()
    sandbox.stop()


def test_a_port_that_can_t_be_is_an_error():
    with pytest.raises(ValueError, match="less than or equal to 65535"):
        PictorySandbox(port=70_000)


def test_it_can_be_started_again_and_has_forgotten_everything():
    sandbox = PictorySandbox()
    for _ in range(2):
        with sandbox, Client(sandbox.url, sandbox.api_key) as client:
            client.submitted()
            assert len(sandbox.jobs()) == 1


def test_starting_twice_is_an_error():
    with PictorySandbox() as sandbox, pytest.raises(RuntimeError):
        sandbox.start()


def test_one_that_isn_t_running_says_so():
    sandbox = PictorySandbox()
    sandbox.stop()

    for question in (lambda: sandbox.url, sandbox.counts, sandbox.jobs, lambda: sandbox.advance(1)):
        with pytest.raises(RuntimeError, match="isn't running"):
            question()


def test_two_of_them_know_nothing_of_each_other(pictory_sandbox_factory, client_of):
    one, other = pictory_sandbox_factory(), pictory_sandbox_factory()
    client_of(one).submitted()

    assert one.url != other.url
    assert (len(one.jobs()), len(other.jobs())) == (1, 0)


def test_the_documented_defaults(client):
    assert client.ai_credits() == {"used": 0, "limit": 22000}
    assert client.data(client.submitted())["status"] == "completed"


@pytest.mark.parametrize("ahead", [0, 7_200])
def test_each_response_is_dated_by_its_own_time_unless_a_test_says_otherwise(pictory_sandbox_factory, ahead):
    sandbox = pictory_sandbox_factory()
    sandbox.advance(ahead)
    scripted = "Sat, 01 Jan 2028 00:00:00 GMT"
    sandbox.respond_next("/v1/quota", headers={"date": scripted})

    with Client(sandbox.url, sandbox.api_key) as client:
        dates = [client.get(path).headers["Date"] for path in ("/v1/quota", "/v1/quota", "/nowhere")]

    assert dates[0] == scripted
    for date in dates[1:]:
        assert parsedate_to_datetime(date).timestamp() == pytest.approx(time.time() + ahead, abs=10)
