"""A DAG on a real Airflow that is scheduled on the assets of our tasks, and learns which video came."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tests.conftest import RENDER_SECONDS
from tests.e2e.stage import scenario
from tests.support.pictory_words import only_job

pytestmark = pytest.mark.end_to_end

PRODUCER, CONSUMER = "end_to_end_producer", "end_to_end_consumer"


@scenario
def assets(stage):
    pictory = stage.account("pictory_assets")
    stage.airflow.unpause(CONSUMER)
    run_id = stage.airflow.trigger(PRODUCER)
    stage.airflow.wait_for_state(PRODUCER, run_id, "generate", "deferred")
    pictory.advance(RENDER_SECONDS)
    assert stage.airflow.wait_for_run(PRODUCER, run_id) == "success"
    consumed = stage.airflow.wait_for_first_run(CONSUMER)
    state = stage.airflow.wait_for_run(CONSUMER, consumed)
    return SimpleNamespace(run_id=consumed, state=state, job_id=only_job(pictory)["job_id"])


def test_a_consumer_reads_which_video_came(airflow, assets):
    extra = {"job_id": assets.job_id, "seconds": 5, "credits": 8}

    assert assets.state == "success"
    assert airflow.xcoms(CONSUMER, assets.run_id, "read")["return_value"] == {
        "end_to_end_generated": [extra],
        "end_to_end_waited_for": [extra],
    }
