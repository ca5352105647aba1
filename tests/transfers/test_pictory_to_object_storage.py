"""The operator: what it takes, what it gives to the next task, and how it ends."""

from __future__ import annotations

import inspect
import json
import os
import signal
import time
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath, task

from airflow_provider_pictory.arguments import byte_limit, finished_job_id
from airflow_provider_pictory.exceptions import (
    PictoryConfigurationError,
    PictoryDownloadError,
    PictoryError,
    PictoryInvalidRequestError,
)
from airflow_provider_pictory.operators.pictory import GenerateVideoOperator
from airflow_provider_pictory.sensors.pictory import VideoJobSensor
from airflow_provider_pictory.transfers.pictory_to_object_storage import PictoryToObjectStorageOperator
from tests.conftest import API_KEY
from tests.support.dag_runs import a_dag
from tests.support.file_hosts import content_of, film, gives, longer
from tests.support.loopback import keep_silent, response
from tests.support.pictory_words import JOB, POST, count, only_job, submit

MANIFEST_KEYS = ["job_id", "path", "bytes", "sha256", "seconds", "width", "height", "ai_credits_used"]
JOB_ID = "4a09edf9-d071-4847-bda5-8dea913d80fe"


@pytest.fixture
def target(tmp_path):
    """Return a path in a folder that isn't there yet."""
    return tmp_path / "videos" / "film.mp4"


# From DAGs


def test_generate_wait_save(pictory, run_dag, target):
    with a_dag(params={"folder": str(target.parent), "most": 5_000_000}) as dag:
        generate = GenerateVideoOperator(
            task_id="generate", prompt="A paper boat", wait_for_completion=True, poll_interval=0.05
        )
        wait = VideoJobSensor(task_id="wait", job_id=generate.output, poke_interval=0.05)
        save = PictoryToObjectStorageOperator(
            task_id="save",
            video=wait.output,
            path="{{ params.folder }}/film.mp4",
            max_bytes="{{ params.most }}",
        )
        others = {
            "by_id": {"job_id": wait.output["job_id"]},
            "by_output": {"job_id": generate.output},
            "by_template": {"video": "{{ ti.xcom_pull('generate', key='video') }}"},
        }
        for name, source in others.items():
            generate >> PictoryToObjectStorageOperator(
                task_id=name, path=f"{target.parent}/{name}/", **source
            )

        @task
        def inspect(path, size, job_id):
            return [Path(path).stat().st_size == size, job_id]

        inspect(save.output["path"], save.output["bytes"], save.output["job_id"])

    run = run_dag(dag)

    manifest = run.xcom("save")
    content = content_of(target.read_bytes())
    job_id = only_job(pictory)["job_id"]
    assert set(run.states.values()) == {"success"}
    assert list(manifest) == MANIFEST_KEYS
    assert manifest == {
        "job_id": job_id,
        "path": str(target),
        "bytes": content.size,
        "sha256": content.sha256,
        "seconds": 5.0,
        "width": 640,
        "height": 360,
        "ai_credits_used": 8.0,
    }
    assert run.xcom("save", key="path") == str(target)
    assert run.xcom("inspect") == [True, job_id]
    for name in others:
        assert run.xcom(name) == {**manifest, "path": f"{target.parent}/{name}/{job_id}.mp4"}
    assert {path.name for path in target.parent.glob("*")} == {"film.mp4", *others}
    assert f"Saved the video of Pictory job {job_id} to {target}: " in run.log
    assert count(pictory, POST) == 1
    assert pictory.counts()["files_asked_with_key"] == 0


def test_mapped_over_jobs_each_gets_a_file_of_its_own_in_one_folder(pictory, run_dag, bucket):
    with a_dag(params={"name": "one"}) as dag:
        generate = GenerateVideoOperator.partial(task_id="generate").expand(prompt=["A boat", "A kite"])
        wait = VideoJobSensor.partial(task_id="wait", poke_interval=0.05).expand(job_id=generate.output)
        save = PictoryToObjectStorageOperator.partial(
            task_id="save", path=f"s3://media@{bucket.name}/{{{{ run_id[:6] }}}}/"
        ).expand(video=wait.output)
        PictoryToObjectStorageOperator(
            task_id="airflow_s_own_path",
            job_id=submit(),
            path=ObjectStoragePath(f"s3://media@{bucket.name}/{{{{ params.name }}}}.mp4"),
        )

        @task
        def inspect(manifests):
            return [ObjectStoragePath(manifest["path"]).stat()["size"] for manifest in manifests]

        @task
        def list_names(paths):
            return [Path(path).name for path in paths]

        inspect(save.output)
        list_names(save.output["path"])

    run = run_dag(dag)

    first, second = (run.xcom("save", map_index=index) for index in range(2))
    ours = [f"manual/{manifest['job_id']}.mp4" for manifest in (first, second)]
    assert run.states["save"] == ["success", "success"]
    assert sorted(bucket.files()) == sorted([*ours, "one.mp4"])
    assert {kind for _, kind in bucket.files().values()} == {"video/mp4"}
    assert run.xcom("inspect") == [first["bytes"], second["bytes"]]
    assert run.xcom("list_names") == [Path(name).name for name in ours]
    assert run.xcom("airflow_s_own_path")["path"] == f"s3://media@{bucket.name}/one.mp4"


def test_nothing_is_pushed_that_nobody_wants(pictory, run_dag, target):
    job_id = submit()
    with a_dag() as dag:
        for name, arguments in {
            "nothing": {"do_xcom_push": False},
            "result": {"multiple_outputs": False},
        }.items():
            PictoryToObjectStorageOperator(
                task_id=name, job_id=job_id, path=f"{target.parent}/{name}.mp4", **arguments
            )

    run = run_dag(dag)

    assert run.states == {"nothing": "success", "result": "success"}
    assert run.xcom("nothing", key="path") is run.xcom("result", key="path") is None
    assert run.xcom("nothing") is None
    assert list(run.xcom("result")) == MANIFEST_KEYS


def test_a_retry_after_an_interruption_saves_the_video(finished_job, serve, run_dag, target):
    # The pauses are real here.
    host = serve(*[response(status=503, Retry_After="0.01")] * 5, gives(film()))
    with a_dag(retries=1) as dag:
        PictoryToObjectStorageOperator(task_id="save", job_id=finished_job(host.url), path=str(target))

    run = run_dag(dag)

    assert run.tries("save") == 2
    assert type(run.error("save")) is PictoryDownloadError
    assert target.read_bytes() == film()


# Arguments


@pytest.mark.parametrize(
    ("job_id", "video", "words"),
    [
        (None, None, "job_id: got None, but a job id is needed"),
        ("None", None, "job_id: got 'None', but a job id is needed"),
        ("", "None", "job_id: got '', but a job id is needed"),
        ("a", {"job_id": "b"}, "got both, 'a' and {'job_id': 'b'}"),
        (None, "4a09edf9", "video: got '4a09edf9', but what a VideoJobSensor returned is needed"),
        (None, "[1, 2]", "video: got '[1, 2]', but what a VideoJobSensor returned is needed"),
        (None, {"url": "http://x"}, "but what a VideoJobSensor returned is needed"),
        (None, {"job_id": None}, "job_id: got None, but a job id is needed"),
        (None, None, "or video in its place: video=wait.output of a VideoJobSensor"),
        ({"job_id": "b"}, None, "a whole result: give it as video=wait.output"),
        ("{'job_id': 'b', 'url': None}", None, "the id alone as job_id=wait.output['job_id']"),
    ],
)
def test_what_is_no_job_is_refused_by_name(job_id, video, words):
    with pytest.raises(PictoryInvalidRequestError) as caught:
        finished_job_id(job_id, video)

    assert words in str(caught.value)


@pytest.mark.parametrize("value", [0, -1, "0", "", "None", None, True, "1e9", 1.5, float("inf"), "9" * 5000])
def test_what_is_no_limit_is_refused_by_name(value):
    with pytest.raises(PictoryInvalidRequestError) as caught:
        byte_limit(value, "max_bytes")

    assert str(caught.value).startswith("max_bytes: got ")
    assert "but a whole number of bytes is needed; leave it out for the default" in str(caught.value)


@pytest.mark.parametrize("value", [5, 5.0, "5", " 5\n"])
def test_a_limit_may_come_from_a_template(value):
    assert byte_limit(value, "max_bytes") == 5


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"job_id": "None"}, PictoryInvalidRequestError, "job_id: got 'None', but"),
        ({"max_bytes": ""}, PictoryInvalidRequestError, "max_bytes: got '', but"),
        ({"path": "s3://bucket"}, PictoryInvalidRequestError, "path: got 's3://bucket', but"),
        ({"path": "s3://nobody@b/film.mp4"}, PictoryConfigurationError, "no Airflow connection 'nobody'"),
    ],
)
def test_what_is_wrong_is_refused_before_pictory_is_asked(pictory, save, target, arguments, error, words):
    with pytest.raises(error) as caught:
        save(**{"job_id": JOB_ID, "path": str(target), **arguments})

    assert words in str(caught.value)
    assert count(pictory, JOB) == 0


def test_a_result_of_better_times_is_not_believed(pictory, save, target):
    job_id = submit()
    result = {"job_id": job_id, "url": f"{pictory.url}/files/gone/video.mp4", "status": "completed"}
    pictory.set_job(job_id, "failed", error_code="5002", error_message="REFUSED")

    with pytest.raises(PictoryError, match=r"failed \(5002: REFUSED\)"):
        save(video=result, path=str(target))

    assert count(pictory, POST) == 1


def test_the_connection_can_stand_beside_the_path(job_of, save, bucket):
    manifest = save(
        job_id=job_of(film()), path=f"s3://{bucket.name}/film.mp4", object_storage_conn_id="media"
    )

    assert manifest["path"] == f"s3://media@{bucket.name}/film.mp4"
    assert bucket.read("film.mp4") == film()


@pytest.mark.parametrize("overwrite", [False, True])
def test_switches_and_limits_reach_those_who_save(job_of, save, tmp_path, overwrite):
    path = tmp_path / "film.mp4"
    path.write_bytes(b"older")

    with pytest.raises(PictoryDownloadError, match="max_bytes allows 100"):
        save(job_id=job_of(film()), path=path, max_bytes="100")
    if overwrite:
        save(job_id=job_of(film()), path=path, overwrite=True)
        assert path.read_bytes() == film()
    else:
        with pytest.raises(PictoryError, match="is there already"):
            save(job_id=job_of(film()), path=path)


# Secrets


def test_the_key_reaches_nobody_but_pictory(finished_job, serve, save, target):
    other = serve(gives(film()))
    first = serve(response(status=302, Location=f"{other.url}/film"))

    save(job_id=finished_job(f"{first.url}/film"), path=str(target))

    for request in (first.request, other.request):
        assert request.header("authorization") is None
        assert API_KEY not in repr(request)


def test_a_url_into_the_network_is_not_asked(finished_job, serve, save, target, pictory, monkeypatch):
    host = serve(gives(film()))
    job_id = finished_job(host.url)
    # As if Pictory were on the internet, behind a proxy.
    connection = {"conn_type": "pictory", "password": API_KEY, "host": "http://pictory.example"}
    monkeypatch.setenv("AIRFLOW_CONN_PICTORY_DEFAULT", json.dumps(connection))
    monkeypatch.setenv("HTTP_PROXY", pictory.url)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    with pytest.raises(PictoryDownloadError, match=r"leads to 127\.0\.0\.1, which isn't on the"):
        save(job_id=job_id, path=str(target))

    assert host.connections == 0
    assert list(target.parent.glob("*")) == []

    connection["extra"] = {"allow_private_hosts": True}
    monkeypatch.setenv("AIRFLOW_CONN_PICTORY_DEFAULT", json.dumps(connection))
    save(job_id=job_id, path=str(target))

    assert target.read_bytes() == film()


# Tasks that Airflow ends


def test_a_task_that_airflow_ends_leaves_nothing(finished_job, serve, target):
    def stall(server, connection, request):
        gives(longer(film(), 400_000), cuts_after=100_000)(server, connection, request)
        os.kill(os.getpid(), signal.SIGTERM)
        return keep_silent(server, connection, request)

    operator = PictoryToObjectStorageOperator(
        task_id="save", job_id=finished_job(serve(stall).url), path=str(target)
    )
    # Airflow's own signal calls it.
    before = signal.signal(signal.SIGTERM, lambda *_: operator.on_kill())
    began = time.monotonic()
    try:
        with pytest.raises(PictoryError, match="is being killed, so the video isn't saved"):
            inspect.unwrap(type(operator).execute)(operator, {})
    finally:
        signal.signal(signal.SIGTERM, before)

    # So long after the signal Airflow kills a task that goes on.
    assert time.monotonic() - began < 5
    assert list(target.parent.glob("*")) == []
    # It isn't saving any more.
    operator.on_kill()


# In the DAG file


def test_making_it_asks_nobody_for_anything(target):
    operator = PictoryToObjectStorageOperator(task_id="save", path=str(target))

    assert operator.job_id is None
    assert "hook" not in vars(operator)
    assert set(operator.template_fields) <= set(vars(operator))
