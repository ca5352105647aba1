"""Airflow reads both forms of the connection as they are meant."""

from __future__ import annotations

from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_pictory.sandbox.connection import connection_json, connection_uri

URL = "http://127.0.0.1:8765"
KEY = "pictai_a/b@c:d"


def test_airflow_understands_both_forms(monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_AS_JSON", connection_json(URL, KEY))
    monkeypatch.setenv("AIRFLOW_CONN_AS_URI", connection_uri(URL, KEY))

    for name in ("as_json", "as_uri"):
        found = BaseHook.get_connection(name)
        assert (found.conn_type, found.host, found.password, found.port) == ("pictory", URL, KEY, None)
