"""The examples that need more than one process: somebody who approves, and a DAG that waits for an asset."""

from __future__ import annotations

import re

import pytest

from tests.conftest import RENDER_SECONDS
from tests.support.pictory_words import POST, count, only_job

pytestmark = pytest.mark.end_to_end

APPROVAL = "example_pictory_approval"
PRODUCER = "example_pictory_generate_video"
CONSUMER = "example_pictory_asset_consumer"


@pytest.mark.parametrize("response", ["Approve", "Reject"])
def test_what_somebody_approves_is_published_and_nothing_else(airflow, pictory, tmp_path, response):
    run_id = airflow.trigger(APPROVAL, {"folder": str(tmp_path), "prompt": "A lighthouse in a storm"})
    airflow.wait_for_state(APPROVAL, run_id, "wait", "deferred")
    pictory.advance(RENDER_SECONDS)
    airflow.wait_for(
        "the question",
        lambda: [it for it in airflow.task_instances(APPROVAL, run_id) if it["task_id"] == "approve"],
        lambda seen: bool(seen) and seen[0]["state"] in ("deferred", "awaiting_input"),
        120,
    )
    # Nobody responds within a second, before Airflow has noticed that the worker which asked has ended: it
    # would fail the task and ask again.
    ended = re.compile(rf"event with state success .*task_id='approve', run_id='{re.escape(run_id)}'")
    airflow.wait_for(
        "the worker's end to be noticed", lambda: airflow.log_files()["scheduler.out"], ended.search, 60
    )
    path = f"/dags/{APPROVAL}/dagRuns/{run_id}/taskInstances/approve/-1/hitlDetails"
    question = airflow.request("GET", path)
    video = airflow.xcoms(APPROVAL, run_id, "wait")["return_value"]
    assert f"[Play it]({video['url']})" in question["body"]
    assert list(tmp_path.iterdir()) == []

    airflow.request("PATCH", path, {"chosen_options": [response], "params_input": {}})

    assert airflow.wait_for_run(APPROVAL, run_id) == "success"
    (publish,) = (it for it in airflow.task_instances(APPROVAL, run_id) if it["task_id"] == "publish")
    job_id = only_job(pictory)["job_id"]
    expected = ("success", [f"{job_id}.mp4"]) if response == "Approve" else ("skipped", [])
    assert (publish["state"], [file.name for file in tmp_path.iterdir()]) == expected
    assert count(pictory, POST) == 1


def test_the_consumer_runs_when_a_video_was_saved_and_knows_which(airflow, pictory, tmp_path):
    airflow.wait_for(
        "the consumer to be read",
        lambda: [dag["dag_id"] for dag in airflow.request("GET", "/dags?limit=100")["dags"]],
        lambda dag_ids: CONSUMER in dag_ids,
        60,
    )
    airflow.request("PATCH", f"/dags/{CONSUMER}", {"is_paused": False})
    run_id = airflow.trigger(PRODUCER, {"folder": str(tmp_path)})
    airflow.wait_for_state(PRODUCER, run_id, "wait", "deferred")
    pictory.advance(RENDER_SECONDS)
    assert airflow.wait_for_run(PRODUCER, run_id) == "success"

    (consumed,) = airflow.wait_for(
        "the consumer to start",
        lambda: airflow.request("GET", f"/dags/{CONSUMER}/dagRuns")["dag_runs"],
        lambda runs: len(runs) == 1,
        60,
    )
    assert airflow.wait_for_run(CONSUMER, consumed["dag_run_id"]) == "success"
    (line,) = airflow.xcoms(CONSUMER, consumed["dag_run_id"], "announce")["return_value"]
    path = tmp_path / f"{only_job(pictory)['job_id']}.mp4"
    assert line == f"{path}, 5 seconds, 8 credits"
