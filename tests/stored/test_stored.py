"""Today's code goes on with what each version before has stored, as during a rolling upgrade."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred
from airflow.triggers.base import BaseTrigger, TaskSuccessEvent

from airflow_provider_pictory import __version__
from airflow_provider_pictory.api import VideoRequest
from airflow_provider_pictory.exceptions import (
    PictoryJobExpiredError,
    PictoryJobFailedError,
    PictorySubmissionIndeterminateError,
)
from airflow_provider_pictory.submission.names import job_digest
from airflow_provider_pictory.triggers import without_worker
from tests.conftest import RENDER_SECONDS
from tests.stored.__main__ import FOLDER
from tests.stored.samples import BASE_URL, JOB_ID, PROMPT, TRY_ID, batch_task, samples, tasks
from tests.submission.accounts import Log
from tests.submission.tasks import Task
from tests.support.airflow_versions import HAS_TASK_STATE
from tests.support.pictory_words import POST, count, submit
from tests.support.task_tries import Variables, VariablesWithoutNames, kept_in

VERSIONS = sorted(folder.name for folder in FOLDER.iterdir())


def stored(version, name):
    return json.loads((FOLDER / version / f"{name}.json").read_text())


def each(name):
    """Parametrize over all of a kind that any version has stored."""
    found = [
        (version, kind)
        for version in VERSIONS
        # What came later isn't among what the first versions stored.
        if (FOLDER / version / f"{name}.json").exists()
        for kind in stored(version, name)
    ]
    return pytest.mark.parametrize(("version", "kind"), found, ids=lambda it: it)


def at(pictory, content, job_id, try_id=TRY_ID):
    """Return what was stored as if it had been stored about this job of this service."""
    replaced = {
        JOB_ID: job_id,
        job_digest(JOB_ID): job_digest(job_id),
        BASE_URL: pictory.url,
        TRY_ID: try_id,
    }
    text = json.dumps(content)
    for former, present in replaced.items():
        text = text.replace(former, present)
    return json.loads(text)


def made_again(trigger):
    """Make a trigger as a triggerer does, from its path and its arguments."""
    from importlib import import_module

    module, _, name = trigger["classpath"].rpartition(".")
    return getattr(import_module(module), name)(**trigger["kwargs"])


def first_event(trigger):
    async def first():
        async for event in trigger.run():
            return event

    return asyncio.run(first())


def test_what_this_version_stores_is_kept(busy_pictory):
    """If this fails, ``python -m tests.stored`` keeps it: with a new version's number, if this one is out."""
    assert __version__ in VERSIONS

    for name, content in samples(submit()).items():
        assert content == stored(__version__, name), name


# Records

GONE_ON_WITH = (
    "intent",
    "intent with a claim under way",
    "accepted",
    "accepted, and its task is over",
    "accepted and kept whatever is cleared",
    "accepted after others",
    "claimed",
    "delivered",
    "closed, job failed",
)
# Another video's job isn't that of a detailed request.
SUBMITTED_AGAIN = (
    "intent of a detailed request",
    "closed, refused",
    "closed, not submitted",
    "closed, of a previous run",
)
STORES = {
    "variables, listed": Variables,
    "variables, not listed": VariablesWithoutNames,
    "task state": Variables,
}


@each("records")
@pytest.mark.parametrize("store", STORES)
def test_a_retry_goes_on_with_a_record(pictory, version, kind, store):
    if store == "task state" and not HAS_TASK_STATE:
        pytest.skip("this Airflow has no store of task state")
    job_id = submit(PROMPT)
    variables, state = STORES[store](), {}
    kept = at(pictory, stored(version, "records")[kind][store], job_id)
    (state if store == "task state" else variables.texts).update(
        {"pictory_submission": kept} if store == "task state" else kept
    )
    task = Task(pictory, variables, Log(), request=VideoRequest(PROMPT))
    if store == "task state":
        task.state = SimpleNamespace(get=state.get, set=lambda key, value, **_: state.update({key: value}))

    with kept_in(variables):
        try:
            found = task.retry().job_id
        except PictorySubmissionIndeterminateError:
            found = None

    if kind in GONE_ON_WITH:
        assert found == job_id
    if kind not in SUBMITTED_AGAIN:
        assert count(pictory, POST) == 1, "the one that was there"
    else:
        assert count(pictory, POST) == 2
        assert found != job_id


# What waits


@each("deferrals")
@pytest.mark.parametrize("event", ["its trigger's", *stored(VERSIONS[-1], "events")])
def test_a_task_that_deferred_is_resumed(busy_pictory, version, kind, event):
    job_id = submit(PROMPT)
    busy_pictory.advance(RENDER_SECONDS)
    left = at(busy_pictory, stored(version, "deferrals")[kind], job_id)
    trigger = made_again(left["trigger"])
    task = tasks(job_id)[kind]
    task.deferral = TaskDeferred(trigger=trigger, method_name=left["method_name"], kwargs=left["kwargs"])
    if event == "its trigger's":
        payload = first_event(trigger).payload
    else:
        payload = at(busy_pictory, stored(VERSIONS[-1], "events")[event], job_id)

    errors = {"failed": PictoryJobFailedError, "cleaned": PictoryJobExpiredError}
    if event in errors:
        with pytest.raises(errors[event]):
            task.resume(payload)
    else:
        result = task.resume(payload)
        assert (result["job_id"] if kind == "sensor" else result) == job_id
    assert count(busy_pictory, POST) == 1


@each("batches")
def test_a_batch_that_deferred_is_resumed_and_submits_nothing_again(busy_pictory, version, kind):
    job_id = submit(PROMPT)
    busy_pictory.advance(RENDER_SECONDS)
    task = batch_task()
    left = at(busy_pictory, stored(version, "batches")[kind], job_id, getattr(task.instance, "id", ""))
    deferral = left["deferral"]
    trigger = made_again(deferral["trigger"])
    task.variables = STORES[kind]()
    task.variables.texts.update(left["variables"])
    task.deferral = TaskDeferred(
        trigger=trigger, method_name=deferral["method_name"], kwargs=deferral["kwargs"]
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(task, "state", None)
        manifest = task.resume(first_event(trigger).payload)

    assert [(line["key"], line["state"]) for line in manifest] == [
        ("in flight", "completed"),
        ("completed", "completed"),
        ("failed", "failed"),
    ]
    assert manifest[0]["job_id"] == job_id
    assert count(busy_pictory, POST) == 1


@each("triggers")
@pytest.mark.skipif(
    not hasattr(BaseTrigger, "render_template_fields"),
    reason="this Airflow starts no templates in a triggerer",
)
def test_a_task_that_started_in_the_triggerer_ends_there(pictory, monkeypatch, version, kind):
    monkeypatch.setattr(without_worker, "_has_listeners", lambda: False)
    trigger = made_again(at(pictory, stored(version, "triggers")[kind], submit(PROMPT)))
    plain = dict.fromkeys(
        ("multiple_outputs", "do_xcom_push", "has_on_success_callback", "has_on_execute_callback"), False
    )
    task = SimpleNamespace(
        outlets=[], has_on_skipped_callback=False, iter_mapped_dependants=lambda: iter(()), **plain
    )
    trigger._task_instance = SimpleNamespace(try_number=2)
    trigger.render_template_fields({"task": task, "ti": SimpleNamespace(task=task)})
    trigger._render_now = lambda: None

    assert isinstance(first_event(trigger), TaskSuccessEvent)
