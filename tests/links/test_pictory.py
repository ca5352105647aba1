"""Where the buttons of a task lead, as Airflow's UI finds it out from what is stored."""

from __future__ import annotations

from datetime import timedelta

import pytest
from airflow.serialization import serialized_objects

from airflow_provider_pictory.links.pictory import OPERATOR_EXTRA_LINKS
from airflow_provider_pictory.operators.pictory import GenerateVideoOperator
from airflow_provider_pictory.sensors.pictory import VideoJobSensor
from tests.support.dag_runs import a_dag
from tests.support.pictory_words import submit

PROMPT = "A paper boat on a rainy street"
DASHBOARD = "https://app.pictory.ai/"


def links(dag, run, task_id, map_index=-1):
    """Return a task's links as the UI does: from the stored DAG and the XComs, wherever it ran."""
    stored = getattr(serialized_objects, "DagSerialization", serialized_objects.SerializedDAG)
    # A scheduler, and so a test that lets one read a DAG, switches them off for its whole process.
    stored._load_operator_extra_links = True
    task = stored.from_dict(stored.to_dict(dag)).get_task(task_id)
    instance = run.dag_run.get_task_instance(task_id, map_index=map_index)
    return {name: task.get_extra_links(instance, name) for name in task.extra_links}


@pytest.mark.parametrize("deferrable", [False, True], ids=["on the worker", "deferred"])
def test_both_kinds_of_waiting_task_lead_to_the_video_and_to_pictory(pictory, run_dag, deferrable):
    with a_dag() as dag:
        generate = GenerateVideoOperator(
            task_id="generate", prompt=PROMPT, wait_for_completion=True, deferrable=deferrable
        )
        VideoJobSensor(task_id="wait", job_id=generate.output, deferrable=deferrable)

    run = run_dag(dag)

    url = run.xcom("wait")["url"]
    assert url.startswith(pictory.url)
    assert links(dag, run, "generate") == {"Play video": url, "Pictory dashboard": DASHBOARD}
    assert links(dag, run, "wait") == links(dag, run, "generate")


def test_a_mapped_task_leads_to_the_video_of_its_index(pictory, run_dag):
    with a_dag() as dag:
        VideoJobSensor.partial(task_id="wait").expand(job_id=[submit(), submit()])

    run = run_dag(dag)

    first, second = (run.xcom("wait", map_index=index)["url"] for index in (0, 1))
    assert first != second
    assert links(dag, run, "wait", 0)["Play video"] == first
    assert links(dag, run, "wait", 1)["Play video"] == second


def test_a_task_that_only_submits_leads_to_no_video(busy_pictory, run_dag):
    with a_dag() as dag:
        GenerateVideoOperator(task_id="generate", prompt=PROMPT)

    run = run_dag(dag)

    assert links(dag, run, "generate") == {"Play video": "", "Pictory dashboard": DASHBOARD}


def test_a_task_without_a_video_in_the_end_leads_to_none(busy_pictory, run_dag):
    job_id = submit()
    busy_pictory.set_job(job_id, "failed")
    with a_dag() as dag:
        VideoJobSensor(task_id="wait", job_id=job_id, timeout=timedelta(seconds=5))

    run = run_dag(dag)

    assert run.states == {"wait": "failed"}
    assert links(dag, run, "wait")["Play video"] == ""


def test_a_task_that_pushes_no_result_leads_to_none(pictory, run_dag):
    with a_dag() as dag:
        VideoJobSensor(task_id="wait", job_id=submit(), do_xcom_push=False)

    run = run_dag(dag)

    assert run.states == {"wait": "success"}
    assert links(dag, run, "wait")["Play video"] == ""


@pytest.mark.parametrize("url", [None, 7, "javascript:alert(1)", "file:///etc/passwd"])
def test_what_is_no_address_of_a_video_is_not_led_to(monkeypatch, url):
    from airflow.providers.common.compat import sdk

    monkeypatch.setattr(sdk.XCom, "get_value", lambda *, ti_key, key: {"url": url})
    play, _ = OPERATOR_EXTRA_LINKS

    assert play.get_link(object(), ti_key=None) == ""
