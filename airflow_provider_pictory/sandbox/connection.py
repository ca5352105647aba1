"""The Airflow connection that leads to a sandbox, in the two forms that Airflow reads, without Airflow."""

from __future__ import annotations

import json
from urllib.parse import quote


def connection_json(url: str, api_key: str) -> str:
    """
    Return the connection as JSON, for ``AIRFLOW_CONN_PICTORY_DEFAULT``.

    :param url: the sandbox's base URL.
    :param api_key: a key that it accepts.
    """
    return json.dumps({"conn_type": "pictory", "host": url, "password": api_key})


def connection_uri(url: str, api_key: str) -> str:
    """
    Return the connection as a URI, for ``AIRFLOW_CONN_PICTORY_DEFAULT`` or ``airflow connections add``.

    :param url: the sandbox's base URL.
    :param api_key: a key that it accepts.
    """
    return f"pictory://:{quote(api_key, safe='')}@{quote(url, safe='')}"
