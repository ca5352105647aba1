"""The fixtures work in a user's own tests, imported or as a plugin."""

from __future__ import annotations

import subprocess
import sys

import pytest

USERS_TEST = """
import requests

def test_with_the_fixture(pictory_sandbox):
    assert requests.get(pictory_sandbox.url + "/sandbox/counts").json()["jobs_created"] == 0

def test_with_arguments(pictory_sandbox_factory):
    sandbox = pictory_sandbox_factory(render_seconds=5, credits=10, api_key="pictai_mine")
    assert "pictai_mine" in sandbox.connection_json
    headers = {"Authorization": sandbox.api_key}
    quota = requests.get(sandbox.url + "/pictoryapis/v1/quota", headers=headers).json()
    assert quota["aiCredits"]["limit"] == 10

def test_with_faults(pictory_sandbox_factory):
    sandbox = pictory_sandbox_factory(faults=["server-error:status=503,count=1"], seed=7)
    statuses = [requests.get(sandbox.url + "/pictoryapis/v1/quota").status_code for _ in range(2)]
    assert statuses == [503, 401]
"""


USERS_SESSION = """
import pytest
import requests

@pytest.fixture(scope="session")
def busy(pictory_sandbox_session_factory):
    return pictory_sandbox_session_factory(render_seconds=60, credits=10)

@pytest.fixture(scope="module", autouse=True)
def connection(pictory_sandbox_session):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_CONN_PICTORY_DEFAULT", pictory_sandbox_session.connection_json)
        yield

@pytest.mark.parametrize("number", [1, 2])
def test_all_share_one(pictory_sandbox_session, busy, number):
    for sandbox in (pictory_sandbox_session, busy):
        body, headers = {"prompt": "A red fox"}, {"Authorization": sandbox.api_key}
        requests.post(sandbox.url + "/pictoryapis/v1/aistudio/videos", json=body, headers=headers)
    assert len(pictory_sandbox_session.jobs()) == number
    assert len(busy.jobs()) == 1

def test_a_test_s_own_is_another(pictory_sandbox):
    assert pictory_sandbox.jobs() == []
"""


@pytest.mark.parametrize(
    "conftest",
    [
        "from airflow_provider_pictory.sandbox.testing import ("
        "pictory_sandbox, pictory_sandbox_factory, "
        "pictory_sandbox_session, pictory_sandbox_session_factory)",
        'pytest_plugins = ["airflow_provider_pictory.sandbox.testing"]',
    ],
    ids=["imported", "plugin"],
)
def test_they_work_in_a_user_s_own_tests(tmp_path, pytestconfig, conftest):
    (tmp_path / "conftest.py").write_text(conftest)
    (tmp_path / "test_mine.py").write_text(USERS_TEST)
    (tmp_path / "test_session.py").write_text(USERS_SESSION)

    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        cwd=tmp_path,
        env={"PYTHONPATH": str(pytestconfig.rootpath), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert "6 passed" in run.stdout, run.stdout + run.stderr
