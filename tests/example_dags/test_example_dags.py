"""The examples: reading them is free, and each runs to its end as it stands."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import av
import pytest
from PIL import ImageChops, ImageStat

from tests.support.airflow_versions import (
    HAS_APPROVALS,
    HAS_LOOPS,
    NO_LOGICAL_DATE,
    needs_approvals,
    needs_loops,
    read_dags,
)
from tests.support.pictory_words import POST, count, only_job

FOLDER = Path(__file__).parents[2] / "example_dags"
APPROVAL = FOLDER / "example_pictory_approval.py"
REVIEW_LOOP = FOLDER / "example_pictory_review_loop.py"
# What an Airflow may lack, and the test's mark that says so.
NEEDS = {APPROVAL: (HAS_APPROVALS, needs_approvals), REVIEW_LOOP: (HAS_LOOPS, needs_loops)}
ALL_FILES = sorted(FOLDER.glob("*.py"))
UNREADABLE = {path for path, (is_there, _) in NEEDS.items() if not is_there}
FILES = [path for path in ALL_FILES if path not in UNREADABLE]
# The film's one joins its clips besides, and a loop has its condition.
LONGEST = {"example_pictory_story": 90, "example_pictory_review_loop": 75}
# Those that this Airflow can't read are skipped with the reason.
EACH = [
    pytest.param(path, id=path.stem, marks=[NEEDS[path][1]] if path in NEEDS else []) for path in ALL_FILES
]

# Runs in a process of its own, where nothing is imported yet and what is done can be watched from the start.
READ_WATCHED = """
import importlib.util, json, sys

touched = []
watched = ("socket.connect", "socket.getaddrinfo", "sqlite3.connect")

def watch(event, arguments):
    if event in watched:
        touched.append([event, repr(arguments)])

import airflow.providers.common.compat.sdk as sdk
# What every DAG file needs, whatever it uses of ours.
sdk.DAG, sdk.BaseOperator, sdk.BaseSensorOperator, sdk.Param, sdk.task
import pendulum
with sdk.DAG("anybodys", schedule=None, start_date=pendulum.datetime(2026, 1, 1)):
    sdk.BaseOperator(task_id="one")
anybodys = set(sys.modules)

sys.addaudithook(watch)
dag_ids = []
for number, path in enumerate(sys.argv[1:]):
    specification = importlib.util.spec_from_file_location(f"example_{number}", path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    dag_ids.append(module.dag.dag_id)

from airflow_provider_pictory.operators.pictory import GenerateVideoOperator
from airflow_provider_pictory.sensors.pictory import VideoJobSensor
GenerateVideoOperator(task_id="generate", prompt="A paper boat", pictory_conn_id="nowhere", deferrable=True)
VideoJobSensor(task_id="wait", job_id="{{ some.id }}", pictory_conn_id="nowhere")

heavy = {"aiohttp", "airflow_provider_pictory.hooks.pictory"}
loaded = sorted(heavy & set(sys.modules) - anybodys)
print(json.dumps({"dag_ids": dag_ids, "touched": touched, "loaded": loaded}))
"""


@cache
def read(path):
    """Return the DAG of an example, which nobody changes."""
    (dag,) = load(path).dags.values()
    return dag


def load(path):
    bag = read_dags(path)
    assert {Path(file).stem for file in bag.import_errors} <= {path.stem for path in UNREADABLE}
    return bag


def frames(content):
    """Decode an MP4."""
    with av.open(io.BytesIO(content)) as container:
        return [frame.to_image() for frame in container.decode(video=0)]


def difference(one, other):
    """The mean difference of two pictures, from 0 to 255."""
    return max(ImageStat.Stat(ImageChops.difference(one, other)).mean)


@pytest.fixture
def example(run_dag):
    """Run an example as it stands in its file, as somebody who starts it by hand does."""

    def run(path, conf=None, arguments=NO_LOGICAL_DATE, retries=3):
        (dag,) = load(path).dags.values()
        for task in dag.tasks:
            task.retries = retries
        return run_dag(dag, conf, **arguments)

    return run


def test_reading_them_touches_neither_network_nor_database_and_loads_nothing_heavy(tmp_path):
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_CONN_")},
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path}/never-there/airflow.db",
    }

    reading = subprocess.run(
        [sys.executable, "-c", READ_WATCHED, *map(str, FILES)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert reading.returncode == 0, reading.stderr
    found = json.loads(reading.stdout.splitlines()[-1])
    assert found == {"dag_ids": [path.stem for path in FILES], "touched": [], "loaded": []}


def test_airflow_finds_no_fault_in_any(airflow_database):
    bag = load(FOLDER)

    assert sorted(bag.dags) == [path.stem for path in FILES]


@pytest.mark.skipif(HAS_APPROVALS, reason="this Airflow has the ApprovalOperator")
def test_where_there_are_no_approvals_the_example_says_in_one_line_what_it_needs():
    (error,) = read_dags(APPROVAL).import_errors.values()

    assert error.splitlines()[-1] == (
        "ImportError: This example needs the ApprovalOperator: Airflow 3.1 or later with "
        "apache-airflow-providers-standard"
    )


@pytest.mark.skipif(HAS_LOOPS, reason="this Airflow has loops")
def test_where_there_are_no_loops_the_example_says_in_one_line_what_it_needs():
    (error,) = read_dags(REVIEW_LOOP).import_errors.values()

    assert error.splitlines()[-1] == (
        "ImportError: This example needs loops and the HITLOperator: Airflow 3.4 or later"
    )


@needs_approvals
def test_the_time_to_approve_ends_as_each_release_of_the_operator_calls_it():
    approve = read(APPROVAL).get_task("approve")

    assert timedelta(days=3) in (getattr(approve, "response_timeout", None), approve.execution_timeout)


@pytest.mark.parametrize("path", EACH)
def test_each_has_a_docstring_and_tags_to_be_found_by(path):
    assert path.read_text().startswith('"""')
    assert {"example", "pictory"} <= set(read(path).tags)


@pytest.mark.parametrize("path", EACH)
def test_each_is_short_and_tries_again_what_may_pass(path):
    assert len(path.read_text().splitlines()) < LONGEST.get(path.stem, 60)
    assert all(task.retries == 3 for task in read(path).tasks)


def test_generate_video_saves_the_video_under_the_jobs_name(pictory, example, tmp_path):
    folder = tmp_path / "videos" / "of today"

    run = example(
        FOLDER / "example_pictory_generate_video.py", {"folder": str(folder), "prompt": "A red fox"}
    )

    job = only_job(pictory)
    (file,) = folder.iterdir()
    assert run.states == dict.fromkeys(("generate", "wait", "save"), "success")
    assert run.xcom("save")["path"] == str(file)
    assert file.name == f"{job['job_id']}.mp4"
    assert frames(file.read_bytes())
    assert job["request"]["prompt"] == "A red fox"
    assert count(pictory, POST) == 1


def test_generate_video_saves_into_a_bucket_as_well(pictory, example, bucket):
    run = example(FOLDER / "example_pictory_generate_video.py", {"folder": f"s3://media@{bucket.name}/clips"})

    key = f"clips/{only_job(pictory)['job_id']}.mp4"
    assert run.xcom("save")["path"] == f"s3://media@{bucket.name}/{key}"
    assert bucket.names() == [key]
    assert frames(bucket.read(key))


NIGHTLY = FOLDER / "example_pictory_nightly_batch.py"
CLIP = ("clip.generate", "clip.wait", "clip.save")


def test_nightly_batch_makes_a_clip_for_each_product_into_a_bucket(pictory, example, bucket):
    run = example(NIGHTLY, {"bucket": f"s3://media@{bucket.name}"})

    named = {
        (it.task_id, it.rendered_map_index) for it in run.dag_run.get_task_instances() if it.map_index >= 0
    }
    saved = [run.xcom("clip.save", map_index=index) for index in range(3)]
    assert run.states == {"products": "success", **dict.fromkeys(CLIP, ["success"] * 3)}
    assert {Path(it["path"]).parent.name for it in saved} == {f"{datetime.now(UTC):%Y-%m-%d}"}
    assert sorted(bucket.names()) == sorted(it["path"].partition(f"@{bucket.name}/")[2] for it in saved)
    assert [(it["width"], it["height"], it["seconds"]) for it in saved] == [(360, 640, 5.0)] * 3
    assert {job["request"]["prompt"] for job in pictory.jobs()} == {
        "A red enamel kettle on a wooden table, steam in the morning light",
        "A brass desk lamp that is switched on in a dark study",
        "A green city bicycle leaning on a brick wall, leaves blowing past",
    }
    # Each instance bears its product's name.
    assert named == {(task_id, name) for task_id in CLIP for name in ("kettle", "lamp", "bicycle")}
    assert count(pictory, POST) == 3


def test_a_nightly_batch_whose_folder_cant_be_rendered_fails_before_anything_is_paid(
    pictory, example, tmp_path
):
    broken = tmp_path / "broken.py"
    broken.write_text(
        NIGHTLY.read_text().replace("dag_run.run_after | default(data_interval_end)", "no.such")
    )

    run = example(
        broken, {"table": str(NIGHTLY.with_name("products.csv")), "bucket": str(tmp_path)}, retries=0
    )

    assert run.states["products"] == "failed"
    assert count(pictory, POST) == 0


def test_a_nightly_batch_whose_products_have_no_names_fails_before_anything_is_paid(
    pictory, example, tmp_path
):
    table = tmp_path / "products.csv"
    table.write_text("sku,description\n7,A brass desk lamp\n")

    run = example(NIGHTLY, {"table": str(table), "bucket": str(tmp_path)}, retries=0)

    assert run.states["products"] == "failed"
    assert count(pictory, POST) == 0


def test_of_a_nightly_batch_one_bad_product_fails_alone(pictory, example, tmp_path):
    table = tmp_path / "products.csv"
    table.write_text("name,description\nlamp,A brass desk lamp\nkettle,\nbicycle,A green city bicycle\n")

    run = example(NIGHTLY, {"bucket": str(tmp_path / "clips"), "table": str(table)})

    assert run.states["clip.generate"] == ["success", "failed", "success"]
    assert run.states["clip.save"] == ["success", "upstream_failed", "success"]
    assert "prompt: got nothing" in run.log
    assert len(list((tmp_path / "clips").rglob("*.mp4"))) == 2
    assert count(pictory, POST) == 2


def test_the_product_batch_makes_and_saves_a_clip_for_each_product_in_two_tasks(pictory, example, bucket):
    run = example(FOLDER / "example_pictory_product_batch.py", {"bucket": f"s3://media@{bucket.name}"})

    day = f"{datetime.now(UTC):%Y-%m-%d}"
    names = [f"{day}/{name}.mp4" for name in ("kettle", "lamp", "bicycle")]
    assert run.states == {"products": "success", "generate": "success", "save": "success"}
    paths = [f"s3://media@{bucket.name}/{name}" for name in names]
    assert [line["path"] for line in run.xcom("save")] == paths
    assert sorted(bucket.names()) == sorted(names)
    assert [line["state"] for line in run.xcom("generate")] == ["completed"] * 3
    assert count(pictory, POST) == 3


def test_continued_clip_begins_with_the_picture_that_the_first_one_ends_with(pictory, example, tmp_path):
    run = example(FOLDER / "example_pictory_continued_clip.py", {"folder": str(tmp_path)})

    beginning, continuation = (
        frames(Path(run.xcom(task)["path"]).read_bytes()) for task in ("save_beginning", "save_continuation")
    )
    assert set(run.states.values()) == {"success"}
    assert difference(beginning[-1], continuation[0]) < 6
    assert difference(beginning[-1], continuation[-1]) > 10
    assert count(pictory, POST) == 2


CONSUMER = FOLDER / "example_pictory_asset_consumer.py"


def test_asset_consumer_that_somebody_starts_by_hand_has_nothing_to_say(pictory, example):
    run = example(CONSUMER)

    assert run.states == {"announce": "success"}
    assert run.xcom("announce") == []


def test_asset_consumer_says_of_each_video_what_is_known():
    saved = {"job_id": "4711", "path": "s3://clips/film.mp4", "seconds": 8.0, "credits": None}
    events = {"pictory-videos": [SimpleNamespace(extra=saved), SimpleNamespace(extra={})]}

    lines = read(CONSUMER).get_task("announce").python_callable(triggering_asset_events=events)

    assert lines == ["s3://clips/film.mp4, 8 seconds", "A video"]


@pytest.mark.parametrize("arguments", [NO_LOGICAL_DATE, {}], ids=["by hand", "with a logical date"])
def test_daily_video_greets_with_the_date(pictory, example, arguments):
    run = example(FOLDER / "example_pictory_daily_video.py", arguments=arguments)

    (job,) = pictory.jobs()
    assert run.states == dict.fromkeys(("generate", "wait"), "success")
    assert run.xcom("wait")["job_id"] == job["job_id"]
    assert (run.xcom("wait")["width"], run.xcom("wait")["height"]) == (360, 640)
    assert f"{datetime.now(UTC):%B}" in job["request"]["prompt"]
    assert "{{" not in job["request"]["prompt"]


GOOD_FOLDERS = [
    "clips",
    "clips/of today",
    "/data/clips",
    "s3://media@bucket",
    "s3://media@bucket/day=1/a.b",
    "Völker",
]
BAD_FOLDERS = [
    "",
    "/",
    "..",
    "../x",
    "clips/../../x",
    "s3://media@b/../x",
    "a/..",
    "a/",
    "a\n",
    "a\n/../b",
    "a::b",
    "{{ ds }}",
]


@pytest.mark.parametrize("path", EACH)
def test_what_a_person_types_can_be_saved_to_and_leads_out_of_no_folder(path):
    from airflow.exceptions import ParamValidationError

    dag = read(path)
    for name in {"folder", "bucket"} & set(dag.params):
        param = dag.params.get_param(name)
        assert [param.resolve(folder) for folder in GOOD_FOLDERS] == GOOD_FOLDERS
        for folder in BAD_FOLDERS:
            with pytest.raises(ParamValidationError):
                param.resolve(folder)
