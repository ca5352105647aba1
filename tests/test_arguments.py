"""Switches and limits as users and templates give them: what can't be meant stops a task before it acts."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from fractions import Fraction

import jinja2
import pytest
from airflow.providers.common.compat.sdk import task

from airflow_provider_pictory.decorators.pictory import pictory_video_task
from airflow_provider_pictory.exceptions import PictoryInvalidRequestError, PictorySpendingLimitError
from airflow_provider_pictory.operators.pictory import GenerateVideoOperator
from airflow_provider_pictory.sensors.pictory import VideoJobSensor
from airflow_provider_pictory.transfers.pictory_to_object_storage import PictoryToObjectStorageOperator
from tests.support.bare_tasks import BareTask
from tests.support.dag_runs import a_dag
from tests.support.pictory_words import POST, count, only_job, submit

PROMPT = "A paper boat on a rainy street"
JOB_ID = "4a09edf9-d071-4847-bda5-8dea913d80fe"

NO_BOOLEANS = [
    *("False", "True", "false", "true", "no", "yes", "No", "off", "on", "n", "y", "f", "t", "0", "1", "2"),
    *("", " ", "None", "null", "nil", "False ", "0.0", "FALSE", "falsch", "\u200b", "{{ params.on }}"),
    *(0, 1, -1, 2, 0.0, 1.0, float("nan"), 0j, Decimal(0), Fraction(0), None, b"", b"False", b"0"),
    *([], [False], (), (False,), {}, {"no": 0}, set(), frozenset(), object(), bool, jinja2.Undefined("on")),
    ...,
]


def generate(**arguments):
    return GenerateVideoOperator(task_id="generate", prompt=PROMPT, **arguments)


def decorated(**arguments):
    def clip():
        return PROMPT

    return pictory_video_task(clip, **arguments)().operator


def wait(**arguments):
    return VideoJobSensor(task_id="wait", job_id=JOB_ID, **arguments)


def save(**arguments):
    return PictoryToObjectStorageOperator(task_id="save", path="films/", job_id=JOB_ID, **arguments)


SWITCHES = [
    *((make, name) for make in (generate, decorated) for name in ("wait_for_completion", "deferrable")),
    *((make, name) for make in (generate, decorated) for name in ("check_quota", "resubmit_failed")),
    *((wait, name) for name in ("deferrable", "start_from_trigger", "soft_fail", "never_fail")),
    *((wait, name) for name in ("silent_fail", "exponential_backoff")),
    *((save, name) for name in ("overwrite", "check_video")),
]


@pytest.mark.parametrize(("make", "switch"), SWITCHES, ids=lambda value: getattr(value, "__name__", value))
def test_a_switch_is_true_or_false_and_nothing_else_while_the_dag_is_parsed(make, switch):
    for value in (True, False):
        with a_dag():
            make(**{switch: value})
    for value in NO_BOOLEANS:
        with a_dag(), pytest.raises(PictoryInvalidRequestError) as caught:
            make(**{switch: value})
        assert str(caught.value).startswith(f"{switch}: got ")
        assert "but it must be True or False" in str(caught.value)


def test_a_switch_in_default_args_is_no_other():
    with a_dag(check_quota="no"), pytest.raises(PictoryInvalidRequestError, match="check_quota: got 'no'"):
        generate()


@pytest.mark.parametrize("value", ["False", "no", None, 0, []], ids=repr)
def test_a_switch_that_comes_out_of_a_mapping_is_refused_before_anything_is_paid(pictory, run_dag, value):
    with a_dag() as dag:

        @task
        def plan():
            return [{"check_quota": value}, {"wait_for_completion": value}, {"deferrable": value}]

        GenerateVideoOperator.partial(task_id="generate", prompt=PROMPT).expand_kwargs(plan())

    run = run_dag(dag)

    assert run.states["generate"] == ["failed"] * 3
    assert {str(error).partition(":")[0] for error in run.errors("generate")} == {
        "check_quota",
        "wait_for_completion",
        "deferrable",
    }
    assert all(isinstance(error, PictoryInvalidRequestError) for error in run.errors("generate"))
    assert pictory.counts()["requests"] == {}


def test_nothing_is_touched_for_a_switch_of_a_mapped_sensor_or_transfer(pictory, run_dag, tmp_path):
    job_id = submit()
    asked = pictory.counts()["requests"]
    path = tmp_path / "film.mp4"
    path.write_bytes(b"somebody else's")
    with a_dag() as dag:
        VideoJobSensor.partial(task_id="wait", soft_fail="no").expand(job_id=[job_id])
        PictoryToObjectStorageOperator.partial(task_id="save", path=str(path), overwrite="False").expand(
            job_id=[job_id]
        )

    run = run_dag(dag)

    assert run.states == {"wait": ["failed"], "save": ["failed"]}
    assert "soft_fail: got 'no'" in str(run.error("wait"))
    assert "overwrite: got 'False'" in str(run.error("save"))
    assert path.read_bytes() == b"somebody else's"
    assert pictory.counts()["requests"] == asked


class Templated(GenerateVideoOperator):
    template_fields = (*GenerateVideoOperator.template_fields, "check_quota", "wait_for_completion")


@pytest.mark.parametrize("words", [("True", "False"), ("t", "f"), ("1", "0"), (" TRUE ", "FALSE")], ids=repr)
def test_where_a_template_gives_a_switch_the_words_of_airflow_are_taken(pictory, run_dag, words):
    with a_dag(params={"yes": words[0], "no": words[1]}) as dag:
        Templated(
            task_id="generate",
            prompt=PROMPT,
            check_quota="{{ params.yes }}",
            wait_for_completion="{{ params.no }}",
        )

    run = run_dag(dag)

    assert run.states == {"generate": "success"}
    assert run.xcom("generate", "video") is None
    assert count(pictory, "GET /pictoryapis/v1/quota") == 1


@pytest.mark.parametrize("word", ["no", "yes", "", "None", "2", "off"])
def test_where_a_template_gives_a_switch_no_other_words_are_guessed_at(pictory, run_dag, word):
    with a_dag(params={"word": word}) as dag:
        Templated(task_id="generate", prompt=PROMPT, check_quota="{{ params.word }}")

    run = run_dag(dag)

    assert f"check_quota: got {word!r}, but it must be True or False, or a template" in str(
        run.error("generate")
    )
    assert pictory.counts()["requests"] == {}


# The limit of what a video may cost


@pytest.mark.parametrize(
    "limit",
    [
        *("", " ", "\n", "None", "null", "nan", "inf", "-inf", "-1", "8s", "1_000", "\u0668", "many", "0x10"),
        *(-1, -0.1, float("nan"), float("inf"), True, False, 10**400, [20], {}, b"20", Decimal(20)),
    ],
    ids=repr,
)
def test_a_limit_that_is_none_is_refused_while_the_dag_is_parsed(limit):
    for make in (generate, decorated):
        with a_dag(), pytest.raises(PictoryInvalidRequestError, match=r"max_credits: got .*, but a number"):
            make(max_credits=limit)


@pytest.mark.parametrize("is_native", [False, True], ids=["text", "native"])
@pytest.mark.parametrize(
    "template",
    [
        "{{ dag_run.conf.get('limt') }}",
        "{{ dag_run.conf.get('limt', '') }}",
        "{{ params.empty }}",
        "{{ params.none }}",
        "  {{ params.empty }}  ",
        "{% if false %}20{% endif %}",
        "{{ 'null' }}",
        "{{ 'nan' }}",
    ],
)
def test_a_limit_that_a_template_leaves_empty_is_no_open_door(pictory, run_dag, is_native, template):
    with a_dag(params={"empty": "", "none": None}, retries=1) as dag:
        dag.render_template_as_native_obj = is_native
        generate(max_credits=template)
        Templated(task_id="templated", prompt=PROMPT, max_credits=template)

        @task.pictory_video(max_credits=template)
        def clip():
            return PROMPT

        clip()

    run = run_dag(dag, conf={"limit": 20})

    assert run.states == {"generate": "failed", "templated": "failed", "clip": "failed"}
    for name in run.states:
        assert isinstance(run.error(name), PictoryInvalidRequestError)
        assert "max_credits: got " in str(run.error(name))
    assert pictory.counts()["requests"] == {}


@pytest.mark.parametrize("is_native", [False, True], ids=["text", "native"])
def test_what_a_misspelt_name_leaves_is_no_open_door(pictory, run_dag, is_native):
    # As a DAG may ask Airflow to render it; by default Airflow refuses it itself.
    with a_dag() as dag:
        dag.template_undefined = jinja2.Undefined
        dag.render_template_as_native_obj = is_native
        generate(max_credits="{{ dag_run.conf.limt }}")

    run = run_dag(dag, conf={"limit": 20})

    # Airflow 3.1 can't show what it leaves, and refuses it as well.
    assert re.search("max_credits: got |no attribute 'limt'", str(run.error("generate")))
    assert pictory.counts()["requests"] == {}


def test_a_limit_that_a_task_or_a_mapping_leaves_empty_is_no_open_door(pictory, run_dag):
    with a_dag() as dag:

        @task
        def nothing():
            return None

        @task
        def plan():
            return [{"max_credits": None}, {"max_credits": ""}, {"max_credits": 20}, {}]

        limit = nothing()
        generate(max_credits=limit)

        @task.pictory_video(max_credits=limit)
        def clip(subject):
            return f"A {subject} on a rainy street"

        clip.expand(subject=["paper boat"])
        GenerateVideoOperator.partial(task_id="planned", prompt=PROMPT).expand_kwargs(plan())
        GenerateVideoOperator.partial(task_id="listed", prompt=PROMPT).expand(max_credits=[None, 20])

    run = run_dag(dag)

    assert run.states["generate"] == "failed"
    assert run.states["clip"] == ["failed"]
    assert run.states["planned"] == ["failed", "failed", "success", "success"]
    assert run.states["listed"] == ["failed", "success"]
    for name in ("generate", "clip", "planned", "listed"):
        assert all("max_credits: got " in str(error) for error in run.errors(name))
    assert count(pictory, POST) == 3


def test_a_mapping_that_takes_a_default_limit_away_is_no_open_door(pictory, run_dag):
    with a_dag(max_credits=20) as dag:
        GenerateVideoOperator.partial(task_id="generate", prompt=PROMPT).expand(max_credits=[None])

    assert "max_credits: got None" in str(run_dag(dag).error("generate"))
    assert pictory.counts()["requests"] == {}


def test_an_absent_limit_is_no_limit_mapped_or_not(pictory, run_dag):
    with a_dag(max_credits=None) as dag:
        generate()
        GenerateVideoOperator(task_id="none", prompt=PROMPT, max_credits=None)
        GenerateVideoOperator.partial(task_id="mapped", max_credits=None).expand(prompt=[PROMPT])
        GenerateVideoOperator.partial(task_id="defaults").expand(prompt=[PROMPT])

        @task.pictory_video(max_credits=None)
        def clip(subject):
            return f"A {subject} on a rainy street"

        clip.expand(subject=["paper boat"])

    run = run_dag(dag)

    assert run.states == {
        "generate": "success",
        "none": "success",
        "mapped": ["success"],
        "defaults": ["success"],
        "clip": ["success"],
    }


@pytest.mark.parametrize("limit", [7, 7.9, "7", "7.9", 0, "0"], ids=repr)
def test_a_limit_is_kept(pictory, limit):
    video = BareTask(lambda: generate(max_credits=limit))

    with pytest.raises(PictorySpendingLimitError):
        video.execute()
    assert count(pictory, POST) == 0


def test_a_limit_that_is_set_later_is_no_open_door_either(pictory):
    def make():
        operator = generate()
        # As a policy of the cluster does, and what rendering makes of it.
        operator.max_credits = "{{ var.value.limit }}"
        operator.max_credits = None
        return operator

    with pytest.raises(PictoryInvalidRequestError, match="max_credits: got None"):
        BareTask(make).execute()
    assert pictory.counts()["requests"] == {}


# A whole result in the place of a job's id


@pytest.mark.parametrize("as_text", [None, json.dumps, str], ids=["dict", "JSON", "Python"])
def test_a_whole_result_given_as_a_job_id_names_what_works(pictory, as_text):
    result = {"job_id": JOB_ID, "status": "completed", "url": "https://example.com/1.mp4"}
    given = as_text(result) if as_text else result

    with pytest.raises(PictoryInvalidRequestError) as caught:
        VideoJobSensor(task_id="wait", job_id=given)

    assert "job_id=generate.output" in str(caught.value)
    assert "wait.output['job_id']" in str(caught.value)
    assert pictory.counts()["requests"] == {}


def test_the_output_of_a_sensor_given_as_a_job_id_names_what_works(pictory, run_dag):
    with a_dag() as dag:
        first = VideoJobSensor(task_id="first", job_id=submit())
        VideoJobSensor(task_id="second", job_id=first.output)
        VideoJobSensor(task_id="template", job_id="{{ ti.xcom_pull(task_ids='first')['job_id'] }}")
        first >> dag.get_task("template")

    run = run_dag(dag)

    assert "wait.output['job_id']" in str(run.error("second"))
    assert run.states["template"] == "success"
    assert run.xcom("template")["job_id"] == only_job(pictory)["job_id"]
