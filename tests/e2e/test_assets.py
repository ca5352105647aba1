"""A DAG on a real Airflow that is scheduled on the assets of our tasks, and learns which video came."""

from __future__ import annotations

import pytest

from tests.conftest import RENDER_SECONDS
from tests.support.pictory_words import only_job

pytestmark = pytest.mark.end_to_end

PRODUCER, CONSUMER = "end_to_end_producer", "end_to_end_consumer"


def test_a_consumer_reads_which_video_came(airflow, pictory):
    airflow.wait_for(
        "the consumer to be read",
        lambda: [dag["dag_id"] for dag in airflow.request("GET", "/dags?limit=100")["dags"]],
        lambda dag_ids: CONSUMER in dag_ids,
        60,
    )
    airflow.request("PATCH", f"/dags/{CONSUMER}", {"is_paused": False})
    run_id = airflow.trigger(PRODUCER)
    airflow.wait_for_state(PRODUCER, run_id, "generate", "deferred")
    pictory.advance(RENDER_SECONDS)
    assert airflow.wait_for_run(PRODUCER, run_id) == "success"

    (run,) = airflow.wait_for(
        "the consumer to run",
        lambda: airflow.request("GET", f"/dags/{CONSUMER}/dagRuns")["dag_runs"],
        lambda runs: len(runs) == 1,
        60,
    )
    assert airflow.wait_for_run(CONSUMER, run["dag_run_id"]) == "success"

    extra = {"job_id": only_job(pictory)["job_id"], "seconds": 5, "credits": 8}
    assert airflow.xcoms(CONSUMER, run["dag_run_id"], "read")["return_value"] == {
        "end_to_end_generated": [extra],
        "end_to_end_waited_for": [extra],
    }
