"""``@task.pictory_videos`` in DAG runs: a function returns the list, all else is the operator's."""

from __future__ import annotations

import pytest
from airflow.providers.common.compat.sdk import task

from airflow_provider_pictory.exceptions import PictoryInvalidRequestError
from tests.support.dag_runs import a_dag
from tests.support.pictory_words import POST, count


def test_what_the_function_returns_becomes_a_batch(pictory, run_dag):
    with a_dag(params={"animals": ["fox", "whale", "parrot"]}) as dag:

        @task.pictory_videos(max_active_jobs=2, poll_interval=0.05, duration=8)
        def films(animals, params):
            return [
                {"prompt": f"A {name} in {{{{ snow }}}}", "key": name}
                for name in animals or params["animals"]
            ]

        films([])

    run = run_dag(dag)

    assert run.states == {"films": "success"}
    assert [line["key"] for line in run.xcom("films")] == ["fox", "whale", "parrot"]
    requests = [job["request"] for job in pictory.jobs()]
    assert {request["prompt"] for request in requests} == {
        f"A {name} in {{{{ snow }}}}" for name in ("fox", "whale", "parrot")
    }
    assert {request["duration"] for request in requests} == {"8s"}


@pytest.mark.parametrize("returned", [None, "A red fox", 42, {"prompt": "A red fox"}])
def test_what_is_no_list_is_refused_before_anything_is_paid(pictory, run_dag, returned):
    with a_dag() as dag:

        @task.pictory_videos
        def films():
            return returned

        films()

    run = run_dag(dag)

    assert isinstance(run.error("films"), PictoryInvalidRequestError)
    assert "requests: got" in str(run.error("films"))
    assert count(pictory, POST) == 0
