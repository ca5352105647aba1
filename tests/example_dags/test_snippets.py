"""The Python in README and docs runs as it stands there, imports included."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.airflow_versions import IS_BEFORE_3_2, needs_airflow_3, needs_approvals, read_dags

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
# What a test of somebody's own is, rather than a DAG; the page says into which files it goes.
TESTS = {"# conftest.py", "# test_my_dags.py"}
NOBODY_APPROVES = {"approved_lighthouse"}

pytestmark = needs_airflow_3


def snippets(page):
    return re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)


ALL = [(page.stem, text) for page in PAGES for text in snippets(page)]
DAGS = [
    pytest.param(text, id=f"{stem}-{number}", marks=[needs_approvals] if "ApprovalOperator" in text else [])
    for number, (stem, text) in enumerate(ALL)
    if text.split("\n")[0] not in TESTS and stem != "quickstart"
]
FIRST_DAG = ALL[0][1]


def test_each_page_that_shows_code_is_found():
    assert {stem for stem, _ in ALL} == {
        "README",
        "approve-and-publish",
        "continue-a-clip",
        "decorator",
        "generate",
        "generate-wait-save",
        "nightly-batch",
        "product-batch",
        "quickstart",
        "react-to-videos",
        "sandbox",
    }
    assert {text.split("\n")[0] for _, text in ALL} >= TESTS


def test_the_quickstart_shows_the_same_dag_as_the_readme():
    (shown,) = (text for stem, text in ALL if stem == "quickstart")
    assert shown == FIRST_DAG


@pytest.mark.parametrize("text", [text for _, text in ALL])
def test_none_needs_a_logical_date(text):
    assert not re.search(
        r"\b(ds|ts|logical_date|data_interval_(start|end))(_nodash)?\s*[|}.]", re.sub(r"\| ds\b", "", text)
    )


@pytest.fixture
def clips(bucket, s3_server):
    """Make the bucket that the pages save into."""
    return s3_server.make_bucket("clips")


@pytest.fixture
def tidy():
    """Leave nothing of what the README's first DAG saves."""
    folder = Path("/tmp/product_clip")
    before = set(folder.rglob("*.mp4"))
    yield
    for file in set(folder.rglob("*.mp4")) - before:
        file.unlink(missing_ok=True)


@pytest.mark.parametrize("text", DAGS)
def test_each_dag_is_read_and_runs_without_a_logical_date(pictory, run_dag, clips, tidy, tmp_path, text):
    (tmp_path / "snippet.py").write_text(text)
    bag = read_dags(tmp_path / "snippet.py")

    assert bag.import_errors == {}
    assert bag.dags
    for dag_id, dag in bag.dags.items():
        if dag_id in NOBODY_APPROVES:
            continue
        run = run_dag(dag, logical_date=None)
        assert {str(it.state) for it in run.dag_run.get_task_instances()} == {"success"}
        named = [it.rendered_map_index for it in run.dag_run.get_task_instances() if it.map_index >= 0]
        assert all(named), named


@pytest.mark.skipif(IS_BEFORE_3_2, reason="this Airflow has its DagBag elsewhere, as the page says")
def test_the_test_runs_in_a_project_of_somebody_s_own(airflow_database, tmp_path, tidy):
    """As docs/sandbox.md has it: a DAG under ``$AIRFLOW_HOME/dags``, a migrated database, and two files."""
    home, project = tmp_path / "airflow", tmp_path / "project"
    for folder in (home / "dags", project):
        folder.mkdir(parents=True)
    (home / "dags" / "product_clip.py").write_text(FIRST_DAG)
    shutil.copy(airflow_database, home / "airflow.db")
    for _, text in ALL:
        if (name := text.split("\n")[0]) in TESTS:
            (project / name.removeprefix("# ")).write_text(text)
    environment = {
        **{
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("AIRFLOW", "_AIRFLOW", "PYTEST"))
        },
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "PYTHONPATH": str(ROOT),
    }

    finished = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert "1 passed" in finished.stdout, finished.stdout + finished.stderr
