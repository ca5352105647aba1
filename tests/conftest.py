"""
What all tests share: an Airflow home of their own, a Pictory of their own, and DAG runs in this process.

Airflow reads its environment when it is first imported, so that is set while pytest loads this file. All else
is made when a test asks for it: tests that need no database don't wait for one.
"""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import tempfile
import uuid
import zlib
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from airflow_provider_pictory.sandbox.connection import connection_json
from airflow_provider_pictory.sandbox.testing import pictory_sandbox, pictory_sandbox_factory
from tests.support.summary import lines

if TYPE_CHECKING:
    from airflow_provider_pictory.sandbox.background import PictorySandbox

__all__ = ["pictory_sandbox", "pictory_sandbox_factory"]

# No other text contains it, so that it is seen wherever it leaks to.
API_KEY = "pictai_7c1e-never-to-be-seen-93ab"

RENDER_SECONDS = 24 * 60 * 60

TESTS = Path(__file__).parent
# What takes longest begins early, so that nobody waits for it alone in the end.
LONG = ("tests/submission/test_state_machine.py", "tests/example_dags/test_snippets.py")
# The folders, and the files beside this one, whose tests are unit tests unless they run DAGs.
UNIT_TESTS = {(), ("api",), ("batch",), ("client",), ("docs",), ("hooks",), ("sandbox",), ("submission",)}

# Property tests have no time limit for a single example, since slow machines exist, and few examples.
settings.register_profile("unhurried", deadline=None, max_examples=40)
settings.load_profile("unhurried")

_home = tempfile.TemporaryDirectory(prefix="airflow-home-", ignore_cleanup_errors=True)

# The developer's own settings and connections would decide what the tests find.
for name in [name for name in os.environ if name.startswith(("AIRFLOW_", "_AIRFLOW_"))]:
    del os.environ[name]
os.environ.update(
    {
        "AIRFLOW_HOME": _home.name,
        "AIRFLOW__CORE__DAGS_FOLDER": str(Path(_home.name) / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        # Airflow 2 would turn poking sensors into rescheduled ones for its default executor.
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "_AIRFLOW__SKIP_DATABASE_EXECUTOR_COMPATIBILITY_CHECK": "1",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    }
)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    from tests.support.distribution import Scheduling

    return Scheduling(config, log)


def pytest_addoption(parser):
    parser.addoption("--share", metavar="K/N", help="run one of N shares of the tests, K from 0 to N - 1")


def pytest_collection_modifyitems(config, items):
    if share := config.option.share:
        number, count = map(int, share.split("/"))
        config.hook.pytest_deselected(items=[item for item in items if share_of(item, count) != number])
        items[:] = [item for item in items if share_of(item, count) == number]
    for item in items:
        folder = item.path.parent.relative_to(TESTS).parts[:1]
        if folder in UNIT_TESTS and "airflow_database" not in item.fixturenames:
            item.add_marker("unit")
    # They wait most of their time, and others can run meanwhile.
    items.sort(key=lambda item: (not item.get_closest_marker("end_to_end"), not item.nodeid.startswith(LONG)))


def share_of(item, count):
    """Return the number of the share that a test is in, the same on each machine."""
    return zlib.crc32(item.nodeid.encode()) % count


def pytest_terminal_summary(terminalreporter):
    """End with what was run, and with what was not."""
    if terminalreporter.config.option.collectonly:
        return
    terminalreporter.section("summary", bold=True)
    for line in lines(terminalreporter):
        terminalreporter.line(line)


def pytest_unconfigure() -> None:
    _home.cleanup()


@pytest.fixture
def connect(monkeypatch):
    """Let the connection ``pictory_default`` lead to a base URL with a key."""

    def connect(url: str, api_key: str) -> None:
        monkeypatch.setenv("AIRFLOW_CONN_PICTORY_DEFAULT", connection_json(url, api_key))

    return connect


@pytest.fixture
def pictory_at(pictory_sandbox_factory, connect):
    """Start a Pictory, with the sandbox's arguments, that the connection ``pictory_default`` leads to."""

    def start(**arguments) -> PictorySandbox:
        sandbox = pictory_sandbox_factory(**{"api_key": API_KEY, **arguments})
        connect(sandbox.url, sandbox.api_key)
        return sandbox

    return start


@pytest.fixture
def pictory(pictory_at) -> PictorySandbox:
    """Start a Pictory whose jobs are finished at once."""
    return pictory_at()


@pytest.fixture
def busy_pictory(pictory_at) -> PictorySandbox:
    """Start a Pictory whose jobs are in progress until the test says otherwise, or moves its time ahead."""
    return pictory_at(render_seconds=RENDER_SECONDS)


@pytest.fixture(scope="session")
def airflow_database() -> Path:
    """Give the session's Airflow home a metadata database, and return a copy of it that nobody uses."""
    from airflow import settings
    from airflow.utils.db import initdb
    from sqlalchemy import event

    from tests.support import airflow_versions, dag_runs

    airflow_versions.give_callbacks_the_exception()
    airflow_versions.keep_one_api_server()
    # Nobody needs it after a crash: a commit need not wait for the disk.
    event.listen(settings.engine, "connect", lambda made, _: made.execute("PRAGMA synchronous=OFF"))

    dag_runs.write_dags_folder(Path(os.environ["AIRFLOW__CORE__DAGS_FOLDER"]))
    # Airflow's migrations put a handler of their own for this moment's stderr in the place of those that are
    # there, and later tests would see no log.
    handlers, level = logging.root.handlers[:], logging.root.level
    initdb()
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    home = Path(os.environ["AIRFLOW_HOME"])
    used, unused = sqlite3.connect(home / "airflow.db"), sqlite3.connect(home / "empty.db")
    with closing(used), closing(unused):
        used.backup(unused)
    return home / "empty.db"


@pytest.fixture
def run_dag(airflow_database, capfd):
    """Run a DAG to its end, with Airflow's own ``dag.test()`` and a real database."""
    from tests.support import dag_runs

    # A task tidies up what others have left, of tests before this one as well.
    dag_runs.forget_submissions()

    def run(dag, conf=None, **arguments) -> dag_runs.FinishedRun:
        finished = dag_runs.run(dag, capfd, conf, **arguments)
        assert API_KEY not in finished.log
        return finished

    return run


@pytest.fixture
def serve():
    """Start servers that end with the test; takes what :class:`tests.support.loopback.Loopback` takes."""
    from tests.support.loopback import Loopback

    running = []

    def start(*responses, **arguments):
        server = Loopback(*responses, **arguments)
        running.append(server)
        return server.__enter__()

    yield start
    for server in running:
        server.__exit__()


@pytest.fixture(scope="session")
def s3_server():
    """Start an S3 server on this machine, the only one, since Airflow keeps what a connection led to."""
    from tests.support.s3_server import S3Server

    with S3Server() as server:
        yield server


@pytest.fixture
def bucket(s3_server, monkeypatch):
    """Make a bucket that the connection ``media``, or none, leads to."""
    s3_server.faults.clear()
    extra = {"endpoint_url": s3_server.url, "region_name": "us-east-1"}
    connection = {"conn_type": "aws", "login": "somebody", "password": "some-secret-key", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_MEDIA", json.dumps(connection))
    # For paths without a connection; Airflow keeps what it once found for them.
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server.url)
    return s3_server.make_bucket(f"videos-{uuid.uuid4()}")
