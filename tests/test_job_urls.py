"""Whoever reads a job copes with an address of its video that is none."""

from __future__ import annotations

import asyncio

import pytest

from airflow_provider_pictory.api.jobs import read_url
from airflow_provider_pictory.exceptions import PictoryAPIError
from airflow_provider_pictory.hooks.pictory import PictoryHook
from airflow_provider_pictory.operators.pictory import GenerateVideoOperator
from airflow_provider_pictory.sensors.pictory import VideoJobSensor
from tests.support.dag_runs import a_dag
from tests.support.pictory_words import submit

BROKEN = [
    "http://[::1/x",
    "http://[zz]/x",
    "http://",
    "https:///x",
    "http://:80/x",
    "http://host:99999999/x",
    "http://host:0/x",
    "http://host:port/x",
    "http://a b/x",
    "http://a\\@b/x",
    f"http://{'a' * 64}.example/x",
    "http://a..b/x",
    f"https://host/{'x' * 900_000}",
    "ftp://host/x",
    "javascript:alert(1)",
    "//host/x",
    " https://host/x",
    7,
    ["https://host/x"],
]


def completed(job_id, url):
    return {"job_id": job_id, "success": True, "data": {"status": "completed", "url": url}}


@pytest.mark.parametrize("url", BROKEN, ids=lambda url: str(url)[:30])
def test_a_job_with_such_an_address_is_an_error_that_names_the_job(pictory, url):
    job_id = submit()
    words = f"job {job_id} is completed but has no URL to its video, or none that can be asked"

    async def poll():
        async with PictoryHook() as hook:
            await hook.aget_job(job_id)

    pictory.respond_next(f"/v1/jobs/{job_id}", body=completed(job_id, url), times=2)
    with pytest.raises(PictoryAPIError, match=words):
        PictoryHook().get_job(job_id)
    with pytest.raises(PictoryAPIError, match=words):
        asyncio.run(poll())


@pytest.mark.parametrize(
    "url",
    [
        "https://host/film.mp4",
        "HTTPS://host/film.mp4?X-Amz-Signature=a'b)c&d=%20#t=1",
        "http://user:password@host:8080/",
        "http://[::1]:80/x",
        "http://bücher.example/x",
        f"https://host/?{'x' * 8000}",
    ],
)
def test_an_address_that_can_be_asked_is_kept_as_it_is(url):
    assert read_url(url) == url


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_wait_goes_on_until_the_address_can_be_asked(pictory, run_dag, deferrable):
    job_id = submit()
    pictory.respond_next(f"/v1/jobs/{job_id}", body=completed(job_id, "http://[::1/x"), times=2)
    with a_dag() as dag:
        VideoJobSensor(task_id="wait", job_id=job_id, poke_interval=0.05, deferrable=deferrable)

    run = run_dag(dag)

    assert run.xcom("wait")["url"].startswith(pictory.url)
    assert run.xcom("wait", key="job_id") == job_id


def test_a_generator_that_waits_does_too(pictory, run_dag):
    pictory.respond_next("/v1/jobs/", body=completed("any", "http://h:99999999/"), times=2)
    with a_dag() as dag:
        GenerateVideoOperator(
            task_id="generate", prompt="A paper boat", wait_for_completion=True, poll_interval=0.05
        )

    assert run_dag(dag).xcom("generate", key="video")["url"].startswith(pictory.url)
