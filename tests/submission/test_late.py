"""A job of a submission that was taken for never arrived is reported, once, and never silently kept."""

from __future__ import annotations

from datetime import timedelta

import pytest

from airflow_provider_pictory.exceptions import PictorySubmissionPendingError
from airflow_provider_pictory.hooks.pictory import PictoryHook
from airflow_provider_pictory.submission.forgetting import forget_job
from airflow_provider_pictory.submission.late import LATEST, LATEST_END, report_late_jobs_of_another
from airflow_provider_pictory.submission.names import RECORD_PREFIX
from tests.submission.tasks import FOX, WHALE
from tests.support.airflow_versions import needs_task_state
from tests.support.bare_tasks import TaskState

POST = "/v1/aistudio/videos"


@pytest.fixture(params=[False, pytest.param(True, marks=needs_task_state)], ids=["Variables", "task state"])
def make_our_task(request, make_task):
    def make(**arguments):
        task = make_task(**{"retries": 2, **arguments})
        task.state = TaskState() if request.param else None
        task.delivers = False
        return task

    return make


@pytest.fixture
def task(make_our_task, day_long_pictory):
    """A task whose first POST never seemed to arrive, and that sent another one."""
    task = make_our_task()
    day_long_pictory.respond_next(POST, method="POST", status=502)
    task.fails(PictorySubmissionPendingError)
    task.retry()
    return task


@pytest.fixture
def other(make_our_task):
    return make_our_task(task_id="another", request=WHALE)


def arrive(pictory, status="completed"):
    """Let Pictory act on the first POST after all; give the job's id."""
    job_id = PictoryHook().submit_video(FOX)
    if status:
        pictory.set_job(job_id, status)
    return job_id


def end(task):
    """End as a task that waits does."""
    task.pictory.set_job(task.submission.job_id, "completed")
    task.finish()
    task.submission.note_delivery(has_ended=True)
    task.instance.state_of_others = "success"


def deliver(task):
    """End as a task that doesn't wait does."""
    task.submission.note_delivery()


def tidy(other, clock):
    """Let another task tidy up."""
    clock.now += 60
    other.instance.state_of_others = "success"
    other.run()
    other.submission.note_delivery()


def names(task):
    return task.variables.keys(f"{RECORD_PREFIX}{task.place.digest}")


def check(error, task, late):
    assert error.count(late) == 1
    assert task.submission.job_id in error
    assert "after its window was over" in error
    assert "60 AI credits" in error
    assert "submission_window" in error
    assert str(task.place) in error


def test_at_the_end_of_a_task_that_waits(task, day_long_pictory, log, clock, other):
    late = arrive(day_long_pictory)
    end(task)

    (error,) = log.errors
    check(error, task, late)
    task.retry()
    end(task)
    tidy(other, clock)
    assert log.errors == [error], "once"
    assert not any("lost" in name for name in task.variables.texts)


def test_at_a_later_try(task, day_long_pictory, log):
    deliver(task)
    assert log.errors == []
    assert names(task), "it is looked for again"
    late = arrive(day_long_pictory)
    task.retry()
    deliver(task)

    (error,) = log.errors
    check(error, task, late)
    task.retry()
    deliver(task)
    assert log.errors == [error]


@pytest.mark.parametrize("waits", [True, False])
def test_when_another_task_tidies_up(task, day_long_pictory, log, other, clock, waits):
    (end if waits else deliver)(task)
    day_long_pictory.set_job(task.submission.job_id, "completed")
    assert log.errors == []
    late = arrive(day_long_pictory)
    tidy(other, clock)

    (error,) = log.errors
    check(error, task, late)
    assert not names(task)
    tidy(other, clock)
    assert log.errors == [error]


def test_when_a_sensor_would_delete_the_record(task, day_long_pictory, log, other):
    deliver(task)
    day_long_pictory.set_job(task.submission.job_id, "completed")
    other.instance.state_of_others = "success"

    def see_the_end():
        context = {"ti": other.instance}
        forget_job(task.submission.job_id, context, log, report_late=report_late_jobs_of_another)

    see_the_end()
    assert log.errors == []
    assert names(task)
    late = arrive(day_long_pictory)
    forget_job(task.submission.job_id, None, log)
    assert names(task), "a triggerer leaves it to others"
    see_the_end()

    (error,) = log.errors
    check(error, task, late)
    assert not names(task)


def test_when_a_late_job_ends(task, day_long_pictory, log, other, clock):
    late = arrive(day_long_pictory, status=None)
    end(task)
    clock.now += LATEST.total_seconds()
    tidy(other, clock)
    assert log.errors == []
    assert names(task)
    day_long_pictory.set_job(late, "completed")
    tidy(other, clock)

    (error,) = log.errors
    check(error, task, late)
    assert not names(task)


@pytest.mark.parametrize("running", [True, False])
def test_nobody_looks_for_ever(task, day_long_pictory, log, other, clock, running):
    if running:
        PictoryHook().submit_video(WHALE)
    end(task)
    clock.now += 1800
    tidy(other, clock)
    assert names(task)
    clock.now += (LATEST_END if running else LATEST).total_seconds()
    tidy(other, clock)

    assert not names(task)
    assert log.errors == []


def test_lists_that_cannot_be_read_are_read_another_time(task, day_long_pictory, log, other, clock):
    late = arrive(day_long_pictory)
    day_long_pictory.set_faults(["server-error:status=503,path=/v1/aistudio/videos,method=GET"])
    end(task)
    assert log.errors == []
    assert names(task)
    day_long_pictory.clear_faults()
    tidy(other, clock)

    check(log.errors[0], task, late)


def test_an_account_without_a_late_job_has_no_error_for_jobs_of_others(
    task, day_long_pictory, log, clock, make_our_task
):
    """Identical tasks keep their records as long as this one has to tell its late job from theirs."""
    twin = make_our_task(task_id="twin")
    twin.run()
    end(twin)
    PictoryHook().submit_video(WHALE)
    assert names(twin)
    end(task)

    assert log.errors == []


def test_a_job_that_was_taken_for_another_identical_one_is_no_late_one(
    task, day_long_pictory, log, make_our_task
):
    twin = make_our_task(task_id="twin")
    day_long_pictory.respond_next(POST, method="POST", status=502, is_processed=True)
    twin.fails(PictorySubmissionPendingError)
    theirs = day_long_pictory.jobs()[-1]["job_id"]
    day_long_pictory.set_job(theirs, "completed")
    assert twin.retry().job_id == theirs
    end(task)

    assert log.errors == []


def test_horizons_make_sense():
    assert timedelta(minutes=10) < LATEST < LATEST_END
