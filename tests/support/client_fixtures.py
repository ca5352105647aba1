"""Hooks here reach a server on this machine, with a key that must not be seen anywhere else."""

from __future__ import annotations

import json
import logging
import os

import pytest

from tests.support.certificates import make_certificates
from tests.support.clients import KEY, AsynchronousClient, SynchronousClient, assert_no_key

PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def no_surroundings(monkeypatch):
    """Let nothing of this machine's own setup reach the clients."""
    for name in PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", os.devnull)


@pytest.fixture(autouse=True)
def no_key_in_any_log(caplog, capfd):
    """Look through everything that was logged or printed, whatever the test was about."""
    caplog.set_level(logging.DEBUG)
    yield
    for phase in ("setup", "call"):
        for record in caplog.get_records(phase):
            assert_no_key(record.getMessage())
            assert_no_key(repr(vars(record)))
    for text in capfd.readouterr():
        assert_no_key(text)


@pytest.fixture
def connect(monkeypatch):
    """Set the connection ``pictory_default``, with the right key unless told otherwise."""

    def set_connection(host, password=KEY, **fields):
        connection = {"conn_type": "pictory", "host": host, "password": password, **fields}
        monkeypatch.setenv(
            "AIRFLOW_CONN_PICTORY_DEFAULT",
            json.dumps({name: value for name, value in connection.items() if value is not None}),
        )

    return set_connection


@pytest.fixture(params=[SynchronousClient, AsynchronousClient], ids=["synchronous", "asynchronous"])
def client(request):
    """Both sides of the hook, which behave the same."""
    return request.param()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("certificates"))
