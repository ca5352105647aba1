"""``@task.pictory_video`` on a real Airflow: mapped, deferred, resumed."""

from __future__ import annotations

import pytest

from tests.conftest import RENDER_SECONDS
from tests.support.pictory_words import POST, count

pytestmark = pytest.mark.end_to_end

DAG_ID = "end_to_end_decorated"


def test_each_row_becomes_a_video_and_the_function_is_called_once_for_it(airflow, pictory):
    run_id = airflow.trigger(DAG_ID)
    airflow.wait_for_state(DAG_ID, run_id, "products", "success")
    assert len(airflow.wait_for_state(DAG_ID, run_id, "clip", "deferred")) == 2
    pictory.advance(RENDER_SECONDS)

    assert airflow.wait_for_run(DAG_ID, run_id) == "success"

    jobs = {job["prompt"]: job["job_id"] for job in pictory.jobs()}
    clips = [it for it in airflow.task_instances(DAG_ID, run_id) if it["task_id"] == "clip"]
    assert [it["operator_name"] for it in clips] == ["@task.pictory_video"] * 2
    for index, product in enumerate(["kettle", "teapot"]):
        prompt = f"A red {product} on a table"
        xcoms = airflow.xcoms(DAG_ID, run_id, "clip", index)
        assert xcoms["return_value"] == xcoms["video"]["job_id"] == jobs[prompt]
        assert airflow.links(DAG_ID, run_id, "clip", index)["Play video"] == xcoms["video"]["url"]
        assert clips[index]["rendered_fields"]["prompt"] == prompt
        assert clips[index]["rendered_fields"]["duration"] == 6
        logs = [text for name, text in airflow.log_files().items() if f"map_index={index}/" in name]
        assert sum(text.count(f"The function was called for a {product}") for text in logs) == 1
    assert count(pictory, POST) == 2
