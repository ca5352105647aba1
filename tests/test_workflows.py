"""The workflow that publishes: only a person starts it, and what it publishes was checked."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.y*ml"))
# YAML takes the bare word for a truth value.
ON = True


def read(path):
    return yaml.safe_load(path.read_text())


@pytest.fixture
def publishing():
    return read(ROOT / ".github/workflows/publish.yml")


def steps_that_use(job, action):
    return [step for step in job["steps"] if step.get("uses", "").startswith(f"{action}@")]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_each_is_yaml_whose_jobs_have_all_that_they_need(path):
    workflow = read(path)

    assert workflow["name"]
    for name, job in workflow["jobs"].items():
        assert job["runs-on"], name
        assert {job["needs"]} <= set(workflow["jobs"]) if "needs" in job else True
        # One of the two, and an action never without its version.
        assert [step for step in job["steps"] if ("uses" in step) == ("run" in step)] == []
        assert [step for step in job["steps"] if "@" not in step.get("uses", "@")] == []


def test_only_a_person_starts_it(publishing):
    assert publishing[ON] == {"workflow_dispatch": None}


def test_what_is_published_was_built_and_checked_for_that(publishing):
    build, publish = publishing["jobs"]["build"], publishing["jobs"]["publish"]
    (made,) = steps_that_use(build, "actions/upload-artifact")
    (taken,) = steps_that_use(publish, "actions/download-artifact")

    assert [step["run"] for step in build["steps"] if "run" in step] == ["make dist PUBLISH=1"]
    assert publish["needs"] == "build"
    assert (made["with"]["name"], made["with"]["path"]) == (taken["with"]["name"], taken["with"]["path"])


def test_only_the_job_without_our_code_may_publish(publishing):
    build, publish = publishing["jobs"]["build"], publishing["jobs"]["publish"]

    assert publishing["permissions"] == {}
    assert build["permissions"] == {"contents": "read"}
    assert publish["permissions"]["id-token"] == "write"
    assert [step for step in publish["steps"] if "run" in step] == []
    assert steps_that_use(publish, "actions/checkout") == []


def test_the_index_trusts_it_without_a_token_and_gets_attestations(publishing):
    publish = publishing["jobs"]["publish"]
    (upload,) = steps_that_use(publish, "pypa/gh-action-pypi-publish")

    assert publish["environment"] == "pypi"
    assert upload["with"] == {"attestations": True}
    assert steps_that_use(publish, "actions/attest-build-provenance")
    assert "secrets." not in (ROOT / ".github/workflows/publish.yml").read_text()
