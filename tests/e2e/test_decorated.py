"""``@task.pictory_video`` on a real Airflow: mapped, deferred, resumed."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tests.conftest import RENDER_SECONDS
from tests.e2e.stage import scenario
from tests.support.pictory_words import POST, count

pytestmark = pytest.mark.end_to_end

DAG_ID = "end_to_end_decorated"


@scenario
def decorated(stage):
    pictory = stage.account("pictory_decorated")
    run_id = stage.airflow.trigger(DAG_ID)
    stage.airflow.wait_for_state(DAG_ID, run_id, "products", "success")
    waiting = stage.airflow.wait_for_state(DAG_ID, run_id, "clip", "deferred")
    pictory.advance(RENDER_SECONDS)
    state = stage.airflow.wait_for_run(DAG_ID, run_id)
    return SimpleNamespace(run_id=run_id, state=state, waiting=waiting, pictory=pictory)


def test_each_row_becomes_a_video_and_the_function_is_called_once_for_it(airflow, decorated):
    run_id = decorated.run_id
    assert len(decorated.waiting) == 2
    assert decorated.state == "success"

    jobs = {job["prompt"]: job["job_id"] for job in decorated.pictory.jobs()}
    clips = [it for it in airflow.task_instances(DAG_ID, run_id) if it["task_id"] == "clip"]
    assert [it["operator_name"] for it in clips] == ["@task.pictory_video"] * 2
    for index, product in enumerate(["kettle", "teapot"]):
        prompt = f"A red {product} on a table"
        xcoms = airflow.xcoms(DAG_ID, run_id, "clip", index)
        assert xcoms["return_value"] == xcoms["video"]["job_id"] == jobs[prompt]
        assert airflow.links(DAG_ID, run_id, "clip", index)["Play video"] == xcoms["video"]["url"]
        assert clips[index]["rendered_fields"]["prompt"] == prompt
        assert clips[index]["rendered_fields"]["duration"] == 6
        logs = airflow.log_files(f"dag_id={DAG_ID}/run_id={run_id}/task_id=clip/map_index={index}/*")
        assert sum(text.count(f"The function was called for a {product}") for text in logs.values()) == 1
    assert count(decorated.pictory, POST) == 2
