"""``@task.pictory_video`` step by step: when the function is called, and when it isn't."""

from __future__ import annotations

from types import MappingProxyType

import pytest
from airflow.providers.common.compat.sdk import DecoratedOperator

from airflow_provider_pictory.api.video_request import REQUEST_FIELDS
from airflow_provider_pictory.decorators.pictory import pictory_video_task
from airflow_provider_pictory.exceptions import PictoryInvalidRequestError
from tests.conftest import RENDER_SECONDS
from tests.support.bare_tasks import BareTask
from tests.support.dag_runs import a_dag
from tests.support.pictory_words import POST, count, only_job

PROMPT = "A paper boat on a rainy street"


class Table:
    """What a function gets its prompts from, and how often it did."""

    def __init__(self, *prompts) -> None:
        self.prompts = list(prompts)
        self.calls = 0

    def task(self, retries=0, **arguments):
        def clip():
            self.calls += 1
            return self.prompts.pop(0)

        def make():
            with a_dag():
                decorated = pictory_video_task(
                    clip, **{"wait_for_completion": True, "deferrable": True, **arguments}
                )
                return decorated().operator

        return BareTask(make, retries=retries)


@pytest.mark.parametrize(
    "returned",
    [
        PROMPT,
        {"prompt": PROMPT, "model": "veo3.1_fast", "reference_image_urls": ("https://example.com/1.png",)},
    ],
    ids=["a prompt", "a dict"],
)
def test_a_resumed_task_does_not_call_the_function_and_still_shows_what_was_asked_for(busy_pictory, returned):
    table = Table(returned)
    task = table.task()
    task.execute()
    asked_for = {name: getattr(task.operator, name) for name in REQUEST_FIELDS}
    busy_pictory.advance(RENDER_SECONDS)

    assert task.resume(task.run_trigger()) == only_job(busy_pictory)["job_id"]
    assert table.calls == 1
    assert asked_for["prompt"] == PROMPT
    assert {name: getattr(task.operator, name) for name in REQUEST_FIELDS} == asked_for


def test_undecided_it_defers_again_without_the_function(busy_pictory):
    table = Table(PROMPT)
    task = table.task()
    task.execute()

    task.resume({"outcome": "inconclusive"})

    assert task.deferral.kwargs["request_fields"]["prompt"] == PROMPT
    assert (table.calls, count(busy_pictory, POST)) == (1, 1)


def test_when_airflow_gives_up_on_the_trigger_a_last_poll_needs_no_function(busy_pictory):
    table = Table(PROMPT)
    task = table.task()
    task.execute()
    busy_pictory.advance(RENDER_SECONDS)

    assert task.resume_after_failure() == only_job(busy_pictory)["job_id"]
    assert table.calls == 1


def test_a_job_that_fails_while_a_task_is_deferred_is_noted_without_the_function(busy_pictory):
    table = Table(PROMPT, PROMPT)
    task = table.task(retries=1, resubmit_failed=True)
    task.execute()
    busy_pictory.set_job(only_job(busy_pictory)["job_id"], "failed")
    with pytest.raises(Exception, match="with resubmit_failed the next try submits another video"):
        task.resume(task.run_trigger())
    assert table.calls == 1

    task.retry()
    task.execute()

    assert (table.calls, count(busy_pictory, POST)) == (2, 2)


def test_within_a_try_the_function_is_called_once_however_often_it_matters(busy_pictory):
    table = Table(PROMPT, "Something else altogether")
    task = table.task(retries=1, resubmit_failed=True)
    task.execute()
    busy_pictory.set_job(only_job(busy_pictory)["job_id"], "failed")

    # Compared with what was submitted before, and then submitted.
    task.retry()
    task.execute()

    assert table.calls == 2
    assert busy_pictory.jobs()[1]["prompt"] == "Something else altogether"


def test_a_retry_compares_what_the_function_returns_by_then_and_keeps_the_job(busy_pictory):
    table = Table(PROMPT, "Something else altogether")
    task = table.task(retries=1)
    task.execute()

    task.retry()
    task.execute()
    busy_pictory.advance(RENDER_SECONDS)

    assert task.resume(task.run_trigger()) == only_job(busy_pictory)["job_id"]
    assert (table.calls, count(busy_pictory, POST)) == (2, 1)


def test_a_retry_whose_function_fails_defers_with_nothing_that_a_deferral_might_not_survive(busy_pictory):
    table = Table(PROMPT)
    # Not JSON, as what upstream tasks give isn't always.
    task = table.task(retries=1, extra_fields=MappingProxyType({"seed": 7}))
    task.execute()

    task.retry()
    task.execute()

    assert (table.calls, count(busy_pictory, POST)) == (2, 1)
    assert task.deferral.kwargs["request_fields"] is None
    busy_pictory.advance(RENDER_SECONDS)
    assert task.resume(task.run_trigger()) == only_job(busy_pictory)["job_id"]


def test_a_record_holds_no_prompt(busy_pictory):
    task = Table(PROMPT).task()
    task.execute()

    assert PROMPT not in str([*task.state.texts.values(), *task.variables.texts.values()])


def test_what_airflow_3_0_does_after_any_decorated_task_does_not_fail_one_that_has_paid(
    busy_pictory, monkeypatch
):
    def execute(operator, context):
        returned = super(DecoratedOperator, operator).execute(context)
        # Its operators have none of their own.
        push = operator.xcom_push
        push(context, "from_airflow", returned)
        return returned

    monkeypatch.setattr(DecoratedOperator, "execute", execute)
    task = Table(PROMPT).task(wait_for_completion=False)

    job_id = task.execute()

    assert job_id == only_job(busy_pictory)["job_id"]
    assert task.xcoms["job_id"] == task.xcoms["from_airflow"] == job_id


def test_a_retry_that_is_resumed_with_what_the_try_before_left_asks_for_what_the_function_returns_now(
    busy_pictory,
):
    table = Table(
        {"prompt": PROMPT, "model": "veo3.1", "duration": 8}, {"prompt": "Something else altogether"}
    )
    task = table.task(retries=1, resubmit_failed=True)
    task.execute()
    busy_pictory.set_job(only_job(busy_pictory)["job_id"], "failed")
    event = task.run_trigger()
    # As Airflow 3.0 does.
    task.retry()

    assert task.resume(event) is None

    second = busy_pictory.jobs()[1]
    assert task.trigger.job_id == second["job_id"]
    assert task.operator.prompt == second["prompt"] == "Something else altogether"
    assert (task.operator.model, task.operator.duration) != ("veo3.1", 8)


@pytest.mark.parametrize(("retries", "is_shown"), [(1, False), (0, True)], ids=["retried", "final"])
def test_what_was_asked_for_is_shown_of_the_last_try_only(pictory, retries, is_shown):
    # Airflow 3 has no task instance any more to show it with once a retry is due.
    table = Table()
    task = table.task(retries=retries)

    with pytest.raises(IndexError):
        task.execute()

    assert task.operator.overwrite_rtif_after_execution is is_shown


def test_what_was_asked_for_is_shown_where_an_error_is_final(pictory):
    task = Table("Boat").task(retries=1)

    with pytest.raises(PictoryInvalidRequestError):
        task.execute()

    assert task.operator.overwrite_rtif_after_execution is True
