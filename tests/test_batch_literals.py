"""What can never be right in a batch is refused while its DAG file is parsed, in the words of a run."""

from __future__ import annotations

import pytest
from airflow.providers.common.compat.sdk import task

from airflow_provider_pictory.batch_requests import read_batch
from airflow_provider_pictory.decorators.batch import pictory_videos_task
from airflow_provider_pictory.exceptions import PictoryInvalidRequestError
from airflow_provider_pictory.operators.batch import GenerateVideosOperator
from airflow_provider_pictory.saving.many import read_list
from tests.support.bare_tasks import BareTask
from tests.support.dag_runs import a_dag
from tests.test_literals import why

FOX, OWL = "A red fox in snow", "An owl at dusk"
ONE = "https://example.com/1.png"

# Each is wrong whatever the items bring along, and named in the words of a run.
WRONG_ARGUMENTS = [
    {"on_clear": "always"},
    {"on_unknown_submission": "pay"},
    {"on_item_failure": "ignore"},
    {"max_active_jobs": 0},
    {"max_active_jobs": "20"},
    {"max_credits": "many"},
    {"max_credits_per_video": -1},
    {"deferrable": "False"},
    {"check_quota": "yes"},
    {"resubmit_failed": 1},
    {"multiple_outputs": True},
    {"model": "veo9"},
    {"duration": "7s"},
    {"aspect_ratio": "2:1"},
    {"webhook": "example.com"},
    {"extra_fields": "seed"},
    {"manifest_path": "a/../b"},
    {"manifest_path": ""},
    {"manifest_path": 5},
]
WRONG_REQUESTS = [
    None,
    {"prompt": FOX},
    "no list",
    [FOX, 7],
    ["Fox", {"prompt": OWL, "duration": 7}],
    [{"prompt": FOX, "colour": "red"}],
    [{"prompt": FOX, "key": "a/b"}],
    ["{'prompt': 'A red fox in snow', 'key': 'fox'}", '{"prompt": "A red fox in snow"}'],
    [{"prompt": FOX, "key": "same"}, {"prompt": OWL, "key": "same"}],
    [{"prompt": FOX, "key": "1"}, {"prompt": OWL}],
    [{"key": "fox"}],
]


@pytest.mark.parametrize("arguments", WRONG_ARGUMENTS, ids=str)
def test_wrong_arguments_are_refused_while_the_dag_is_parsed_in_the_words_of_a_run(pictory, arguments):
    with a_dag():
        refusal = why(lambda: GenerateVideosOperator(task_id="parsed", requests="{{ x }}", **arguments))
        operator = GenerateVideosOperator(task_id="run", requests=[FOX])
    for name, value in arguments.items():
        setattr(operator, name, value)
    # What is wrong in a request is named for each item by then.
    words = refusal.removeprefix("Nothing was submitted: ")

    assert words in why(BareTask(lambda: operator).execute)
    assert pictory.counts()["requests"] == {}


@pytest.mark.parametrize("requests", WRONG_REQUESTS, ids=str)
def test_wrong_requests_are_refused_while_the_dag_is_parsed_in_the_words_of_a_run(pictory, requests):
    with a_dag():
        refusal = why(lambda: GenerateVideosOperator(task_id="parsed", requests=requests))
        operator = GenerateVideosOperator(task_id="run", requests=[FOX])
    operator.requests = requests

    assert refusal == why(BareTask(lambda: operator).execute)
    assert pictory.counts()["requests"] == {}


def test_what_holds_for_all_is_judged_with_each_item_that_is_known():
    with a_dag():
        assert "requests[0].duration: got 7" in why(
            lambda: GenerateVideosOperator(task_id="all", requests=[FOX], duration=7)
        )
        assert "requests[1].duration" in why(
            lambda: GenerateVideosOperator(
                task_id="one",
                requests=[{"prompt": FOX, "duration": 8}, {"prompt": OWL, "duration": None}],
                duration=7,
            )
        )


def test_what_may_become_right_is_left_to_the_run():
    with a_dag():

        @task
        def plan():
            return None

        output = plan()
        for number, arguments in enumerate(
            [
                {"requests": output},
                {"requests": "{{ params.clips }}"},
                {"requests": [FOX, "{{ params.prompt }}"], "duration": 6},
                {"requests": [{"prompt": FOX, "duration": output}], "model": "veo3.1"},
                # Items may have another model, or a prompt of their own.
                {"requests": output, "duration": 4},
                {"requests": output, "prompt": ""},
                {"requests": [FOX], "model": "{{ params.model }}", "duration": 6},
                {"requests": [FOX], "max_credits": "{{ params.credits }}"},
                # An item's own source takes the place of theirs.
                {"requests": [{"prompt": FOX, "extend_video_url": ONE}], "first_frame_image_url": ONE},
                {"requests": []},
            ]
        ):
            GenerateVideosOperator(task_id=f"right_{number}", **arguments)


def test_a_decorated_function_has_its_arguments_checked_and_its_list_left_to_the_run():
    with a_dag():

        @pictory_videos_task(duration=4)
        def right():
            return [{"prompt": FOX, "model": "veo3.1"}]

        @pictory_videos_task(model="veo9")
        def wrong():
            return [FOX]

        right()
        assert "veo9" in why(wrong)


@pytest.mark.parametrize(
    ("arguments", "choices"),
    [({"duration": 7}, "model veo3.1_fast makes 4, 6 or 8"), ({"aspect_ratio": "2:1"}, "model veo3.1_fast")],
)
def test_what_no_model_makes_is_told_in_the_words_of_the_batchs_own(arguments, choices):
    with a_dag():
        assert choices in why(
            lambda: GenerateVideosOperator(
                task_id="batch", requests="{{ x }}", model="veo3.1_fast", **arguments
            )
        )


class Table:
    """What a data frame is: as long as it has rows, and its columns' names when gone through."""

    columns = ("prompt", "duration")

    def __len__(self):
        return 2

    def __getitem__(self, name):
        return self.columns[name]


def test_a_key_of_thousands_of_digits_is_refused_as_any_other():
    with pytest.raises(PictoryInvalidRequestError, match=r"requests\[0\]\.key: got "):
        read_batch([{"prompt": FOX, "key": 10**5000}], {})


def test_a_table_is_no_list_of_prompts():
    with pytest.raises(PictoryInvalidRequestError, match=r"requests: got .* but a list is needed"):
        read_batch(Table(), {})
    assert read_list(Table()) is None


def test_the_name_of_a_field_that_is_none_is_shown_like_a_value():
    with pytest.raises(PictoryInvalidRequestError) as refused:
        read_batch([{"https://h/x?X-Amz-Signature=q5w7z": 1, "x" * 10**6: 1, "prompt": FOX}], {})

    assert "q5w7z" not in str(refused.value)
    assert len(str(refused.value)) < 2000
