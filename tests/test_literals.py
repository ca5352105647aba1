"""What is refused while a DAG file is parsed, and what is left to the run of its task."""

from __future__ import annotations

import importlib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import DAG, task
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_pictory.api import MODEL_LIMITS, InvalidRequestError, VideoModel, VideoRequest
from airflow_provider_pictory.api.checks import job_id as checked_job_id
from airflow_provider_pictory.api.video_request import REQUEST_FIELDS
from airflow_provider_pictory.decorators.pictory import pictory_video_task
from airflow_provider_pictory.exceptions import PictoryInvalidRequestError
from airflow_provider_pictory.literals import is_plain_job_id, is_plain_request
from airflow_provider_pictory.operators.batch import GenerateVideosOperator
from airflow_provider_pictory.operators.pictory import REQUEST_ARGUMENTS, GenerateVideoOperator
from airflow_provider_pictory.sensors.pictory import VideoJobSensor
from airflow_provider_pictory.transfers.pictory_to_object_storage import PictoryToObjectStorageOperator
from tests.support.airflow_versions import read_dags
from tests.support.bare_tasks import BareTask
from tests.support.dag_runs import a_dag
from tests.support.pictory_words import POST, count, only_job

PROMPT = "A paper boat on a rainy street"
JOB_ID = "4a09edf9-d071-4847-bda5-8dea913d80fe"
ONE, TWO = "https://example.com/1.png", "https://example.com/2.png"

# What is wrong whatever the run brings, and a template that gives the same.
WRONG = [
    {"duration": 7},
    {"duration": "7s"},
    {"duration": 4},
    {"duration": -8},
    {"duration": True},
    {"duration": [8]},
    {"duration": float("nan")},
    {"model": "veo9"},
    {"model": 3.1},
    {"aspect_ratio": "2:1"},
    {"aspect_ratio": 16},
    {"model": "veo3.1", "duration": 5},
    {"model": "veo3.1", "aspect_ratio": "1:1"},
    {"first_frame_image_url": "file:///1.png"},
    {"webhook": "example.com"},
    {"webhook": 7},
    {"first_frame_image_url": ONE, "extend_video_url": TWO},
    {"first_frame_image_url": ONE, "reference_image_urls": [TWO]},
    {"reference_image_urls": [ONE] * 4},
    {"reference_image_urls": 7},
    {"extra_fields": "seed"},
    {"extra_fields": {"aspect_ratio": "16:9"}},
    {"extra_fields": {"seed": float("nan")}},
    {"extra_fields": {"prompt": "\0\0\0\0\0\0"}},
    {"prompt": ""},
    {"prompt": None},
    {"prompt": "Boat"},
    {"prompt": 12345},
    {"prompt": b"A paper boat"},
    {"prompt": "a" * 5001},
    {"prompt": "\0\0\0\0\0\0"},
    {"prompt": "\ufeff\u200b\u2060\u200d\u00ad\u200e"},
    {"on_clear": "always"},
    {"on_clear": None},
    {"on_unknown_submission": "pay"},
    {"multiple_outputs": True},
]


def why(make):
    with pytest.raises(PictoryInvalidRequestError) as caught:
        make()
    return str(caught.value)


@pytest.mark.parametrize("arguments", WRONG, ids=str)
def test_what_can_never_be_right_is_refused_while_the_dag_is_parsed_in_the_words_of_a_run(pictory, arguments):
    arguments = {"prompt": PROMPT, **arguments}
    with a_dag():
        refusal = why(lambda: GenerateVideoOperator(task_id="generate", **arguments))
        operator = GenerateVideoOperator(task_id="run", prompt=PROMPT)
    for name, value in arguments.items():
        setattr(operator, name, value)

    assert refusal == why(BareTask(lambda: operator).execute)
    assert pictory.counts()["requests"] == {}


@pytest.mark.parametrize("arguments", [{"duration": 7}, {"on_clear": "always"}], ids=str)
def test_so_are_arguments_that_come_from_default_args(arguments):
    with a_dag(**arguments):
        assert next(iter(arguments)) in why(lambda: GenerateVideoOperator(task_id="generate", prompt=PROMPT))


def test_a_dag_file_with_such_a_literal_is_an_import_error_with_our_words(tmp_path):
    (tmp_path / "films.py").write_text(
        "from airflow.providers.common.compat.sdk import DAG\n"
        "from airflow_provider_pictory.operators.pictory import GenerateVideoOperator\n"
        "with DAG('films', schedule=None) as dag:\n"
        "    GenerateVideoOperator(task_id='generate', prompt='A red fox', duration=7)\n"
    )
    bag = read_dags(tmp_path)

    (error,) = bag.import_errors.values()
    assert "Nothing was submitted: duration: got 7, but model pixverse5.5 makes 5, 8 or 10 seconds" in error


def test_templates_and_outputs_of_tasks_are_left_to_the_run():
    with a_dag():

        @task
        def plan():
            return None

        output = plan()
        for name in ("prompt", "duration", "model", "aspect_ratio", "extra_fields", "max_credits", "webhook"):
            for number, value in enumerate(
                ["{{ params.x }}", "{% if x %}7{% endif %}", "{# nothing #}", output, output["x"]]
            ):
                GenerateVideoOperator(task_id=f"{name}_{number}", **{"prompt": PROMPT, name: value})
        # Each of these can be right, depending on what becomes of the other.
        for number, arguments in enumerate(
            [
                {"model": "{{ params.model }}", "duration": 4, "aspect_ratio": "4:3"},
                {"extra_fields": output, "duration": 7, "model": "veo9"},
                {"extra_fields": {"model": "tomorrow1.0"}, "duration": 7},
                {"extra_fields": {"seed": "{{ params.seed }}"}, "duration": 8},
                {"extra_fields": {"duration": "{{ params.seconds }}"}, "duration": 7},
                {"first_frame_image_url": ONE, "extend_video_url": "{{ params.url }}"},
                {"first_frame_image_url": ONE, "reference_image_urls": [output, TWO]},
                {"prompt": "A {{ params.x }}"},
                {"prompt": "{{"},
            ]
        ):
            GenerateVideoOperator(task_id=f"mixed_{number}", **{"prompt": PROMPT, **arguments})
        VideoJobSensor(task_id="wait", job_id="{{ params.id }}")
        PictoryToObjectStorageOperator(task_id="save", job_id=output, video=output, path="films/")


@pytest.mark.parametrize(
    "arguments",
    [
        {"model": "{{ params.model }}", "duration": -4},
        {"prompt": "{{ params.x }}", "duration": 7},
        {"extra_fields": {"seed": "{{ params.seed }}"}, "duration": 7},
        {"first_frame_image_url": ONE, "extend_video_url": TWO, "duration": "{{ params.x }}"},
    ],
    ids=str,
)
def test_what_is_wrong_whatever_a_template_gives_is_refused(arguments):
    with a_dag():
        why(lambda: GenerateVideoOperator(task_id="generate", **{"prompt": PROMPT, **arguments}))


def test_templates_are_told_by_the_marks_of_their_dag():
    with DAG("own_marks", schedule=None, jinja_environment_kwargs={"variable_start_string": "<<"}):
        GenerateVideoOperator(task_id="generate", prompt="<< x", duration="<< params.seconds >>")
        assert "on_clear" in why(
            lambda: GenerateVideoOperator(task_id="other", prompt=PROMPT, on_clear="<< x >>")
        )


def test_mapped_tasks_are_left_to_the_run_and_nothing_is_paid(pictory, run_dag):
    with a_dag() as dag:
        GenerateVideoOperator.partial(task_id="generate", prompt=PROMPT).expand(duration=[7, 8])
        GenerateVideoOperator.partial(task_id="partial", duration=7).expand(prompt=[PROMPT])

    run = run_dag(dag)

    assert run.states == {"generate": ["failed", "success"], "partial": ["failed"]}
    assert "Nothing was submitted: duration: got 7" in str(run.error("generate"))
    assert count(pictory, POST) == 1


def test_a_subclass_with_a_constructor_of_its_own_may_change_what_it_hands_over(pictory, run_dag):
    class Fox(GenerateVideoOperator):
        def __init__(self, **arguments):
            super().__init__(prompt="", **arguments)
            self.prompt = "A red fox in snow"

    class Same(GenerateVideoOperator):
        pass

    with a_dag() as dag:
        Fox(task_id="fox")
        assert "prompt: got nothing" in why(lambda: Same(task_id="same", prompt=""))

    run = run_dag(dag)

    assert run.states["fox"] == "success"
    assert only_job(pictory)["prompt"] == "A red fox in snow"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"duration": 7}, "duration: got 7"),
        ({"model": "veo9"}, "model: got 'veo9'"),
        ({"aspect_ratio": "2:1"}, "aspect_ratio: got '2:1'"),
        ({"model": "veo3.1", "duration": 7}, "model veo3.1 makes 4, 6 or 8 seconds"),
        ({"first_frame_image_url": ONE, "extend_video_url": TWO}, "2 sources"),
        ({"on_clear": "always"}, "on_clear: got 'always'"),
        ({"max_credits": ""}, "max_credits: got ''"),
    ],
    ids=str,
)
def test_a_decorated_function_has_no_arguments_that_can_never_be_right(arguments, words):
    with a_dag():
        assert words in why(lambda: pictory_video_task(lambda: PROMPT, task_id="clip", **arguments)())


def test_a_decorated_function_may_choose_another_model_than_its_arguments_are_for():
    with a_dag():
        for number, arguments in enumerate([{"duration": 4}, {"model": "veo3.1", "aspect_ratio": "4:3"}, {}]):
            pictory_video_task(lambda: PROMPT, task_id=f"clip_{number}", **arguments)()


@pytest.mark.parametrize("job_id", [None, "", "None", 7, {"job_id": JOB_ID}, [JOB_ID], b"id"], ids=repr)
def test_a_job_id_that_can_be_none_is_refused(job_id):
    with a_dag():
        assert "job_id: got " in why(lambda: VideoJobSensor(task_id="wait", job_id=job_id))
        if job_id is not None:
            why(lambda: PictoryToObjectStorageOperator(task_id="save", job_id=job_id, path="films/"))


NO_PATHS = ("a/../b", "", None, 5, b"x", "/", "s3://b", "s3:///x", "s3:/b/x", "a/None/b")
PATHS = (
    *("films/", "s3://media@videos/{key}.mp4", "s3://videos/", "gs://b/a b.mp4", "{{ ds }}/../x"),
    *("file:///films/x.mp4", "日/x.mp4", Path("films/x.mp4"), "a%20b.mp4", "/films/x.mp4"),
)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("path", path) for path in NO_PATHS],
        *[("max_bytes", limit) for limit in (-1, "x", float("nan"), None)],
        *[("max_parallel_downloads", limit) for limit in (None, 0, True, "4")],
    ],
)
def test_where_a_video_can_never_be_saved_is_told_before_it_is_paid(name, value):
    arguments = {"task_id": "save", "job_id": JOB_ID, "path": "films/", name: value}
    with a_dag():
        assert f"{name}: got " in why(lambda: PictoryToObjectStorageOperator(**arguments))


@pytest.mark.parametrize("path", PATHS, ids=str)
def test_where_a_video_may_be_saved_is_left_to_the_run(path):
    with a_dag():
        PictoryToObjectStorageOperator(task_id="save", job_id=JOB_ID, path=path)
        GenerateVideosOperator(task_id="batch", requests="{{ x }}", manifest_path=path)


def test_two_sources_of_a_transfer_are_refused():
    with a_dag():
        assert "job_id and video: got both" in why(
            lambda: PictoryToObjectStorageOperator(
                task_id="save", job_id=JOB_ID, video={"job_id": JOB_ID}, path="films/"
            )
        )


def test_a_serialized_dag_is_read_without_any_of_this(monkeypatch):
    with DAG("stored", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)) as dag:
        GenerateVideoOperator(task_id="generate", prompt=PROMPT, max_credits=20)
        VideoJobSensor(task_id="wait", job_id=JOB_ID)
        PictoryToObjectStorageOperator(task_id="save", job_id=JOB_ID, path="films/")
    module = importlib.import_module("airflow.serialization.serialized_objects")
    serialized = getattr(module, "DagSerialization", None) or module.SerializedDAG
    stored = serialized.to_dict(dag)

    def never(*arguments, **more):
        raise AssertionError("a constructor of ours ran")

    for operator_class in (GenerateVideoOperator, VideoJobSensor, PictoryToObjectStorageOperator):
        monkeypatch.setattr(operator_class, "__init__", never)
    read = serialized.from_dict(stored)

    assert set(read.task_ids) == {"generate", "wait", "save"}
    assert str(read.get_task("generate").max_credits) == "20"


# What is plain is seen without the checks, so it must be what they find right.

texts = st.one_of(
    st.none(),
    st.text(max_size=8),
    st.sampled_from([PROMPT, "a\nb c\td", "A red fox", "\0" * 6, "\u3164" * 6]),
)
urls = st.one_of(
    st.none(),
    st.sampled_from([ONE, "http://", "https://[::1", "https://a:99999/", "https://a/b c", "https://\u00e9/"]),
    st.text(alphabet="htps:/[]@.a1 \\?#\n", max_size=14).map(lambda text: f"https://{text}"),
)
requests = st.fixed_dictionaries(
    {},
    optional={
        "prompt": texts,
        "model": st.one_of(st.none(), st.sampled_from([*VideoModel, "veo3.1", "veo9", 7])),
        "duration": st.one_of(st.none(), st.integers(3, 11), st.booleans(), st.sampled_from(["8s", 8.0])),
        "aspect_ratio": st.one_of(st.none(), st.sampled_from(["16:9", "1:1", "2:1", "", 16])),
        "first_frame_image_url": urls,
        "extend_video_url": urls,
        "reference_image_urls": st.one_of(urls, st.lists(urls, max_size=4), st.lists(urls).map(tuple)),
        "webhook": urls,
        "extra_fields": st.sampled_from([None, {}, {"seed": 7}, 7]),
    },
)


@given(requests)
def test_a_plain_request_is_right(fields):
    if is_plain_request(fields):
        VideoRequest(**{"prompt": PROMPT, **fields})


@given(st.one_of(st.text(alphabet="-aF09./\u00e9 \u0660", min_size=36, max_size=36), st.uuids().map(str)))
def test_a_plain_job_id_is_right(job_id):
    if is_plain_job_id(job_id):
        assert checked_job_id(job_id) == job_id


def test_all_that_a_model_makes_is_plain():
    for model, limits in MODEL_LIMITS.items():
        for duration in limits.durations:
            for ratio in limits.aspect_ratios:
                assert is_plain_request({"model": str(model), "duration": duration, "aspect_ratio": ratio})


def test_the_operator_has_all_that_a_request_is_made_of():
    assert REQUEST_ARGUMENTS == REQUEST_FIELDS
    with pytest.raises(InvalidRequestError):
        VideoRequest(**dict.fromkeys(REQUEST_ARGUMENTS))
