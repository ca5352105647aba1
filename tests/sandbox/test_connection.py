"""Airflow reads both forms of the connection as they are meant."""

from __future__ import annotations

import json
import subprocess
import sys

URL = "http://127.0.0.1:8765"
KEY = "pictai_a/b@c:d"

ASK_AIRFLOW = """
import json
from airflow.providers.common.compat.sdk import BaseHook
found = [BaseHook.get_connection(name) for name in ("as_json", "as_uri")]
print(json.dumps([[it.conn_type, it.host, it.password, it.port] for it in found]))
"""


def test_airflow_understands_both_forms(tmp_path):
    from airflow_provider_pictory.sandbox.connection import connection_json, connection_uri

    run = subprocess.run(
        [sys.executable, "-c", ASK_AIRFLOW],
        env={
            "AIRFLOW_HOME": str(tmp_path),
            "AIRFLOW_CONN_AS_JSON": connection_json(URL, KEY),
            "AIRFLOW_CONN_AS_URI": connection_uri(URL, KEY),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout.splitlines()[-1]) == [["pictory", URL, KEY, None]] * 2
