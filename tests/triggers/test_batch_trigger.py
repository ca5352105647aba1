"""The trigger of a batch under a bare event loop: what it stores and what it fires."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta

from airflow_provider_pictory.triggers.batch import VideoBatchTrigger
from tests.conftest import API_KEY
from tests.support.bare_tasks import first_event
from tests.support.pictory_words import submit

PROGRESS = {
    "total": 3,
    "waiting": 1,
    "running": 2,
    "unknown": 0,
    "completed": 0,
    "failed": 0,
    "estimated_credits": 16.0,
}


def a_trigger(job_ids, *, ends=None, seconds=60.0):
    deadline = (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()
    return VideoBatchTrigger(
        [(job_id, deadline) for job_id in job_ids],
        "pictory_default",
        len(job_ids) if ends is None else ends,
        PROGRESS,
        poll_interval=0.02,
    )


def test_it_can_be_made_again_from_what_it_serializes_to_and_what_the_database_makes_of_it(airflow_database):
    from airflow.models.trigger import Trigger

    trigger = a_trigger(["one", "two"], ends=1)
    path, arguments = trigger.serialize()
    stored = Trigger._decrypt_kwargs(Trigger.from_object(trigger).encrypted_kwargs)

    assert path == "airflow_provider_pictory.triggers.batch.VideoBatchTrigger"
    assert VideoBatchTrigger(**arguments).serialize() == (path, arguments)
    assert VideoBatchTrigger(**stored).serialize() == (path, arguments)


def test_its_arguments_are_plain_hold_no_secret_and_grow_only_with_the_jobs_in_flight(pictory):
    few, many = (json.dumps(a_trigger([submit()] * number).serialize()[1]) for number in (1, 21))

    assert API_KEY not in many
    assert (len(many) - len(few)) / 20 < 100


def test_it_fires_once_with_each_job_that_has_ended(pictory):
    job_ids = [submit(), submit("An owl at dusk")]

    event = asyncio.run(first_event(a_trigger(job_ids)))

    assert event["outcome"] == "batch"
    assert {job["job_id"]: job["status"] for job in event["ended"]} == dict.fromkeys(job_ids, "completed")
    assert event["open"] == {}


def test_after_the_deadline_it_leaves_what_is_open_to_the_worker(busy_pictory):
    job_id = submit()

    event = asyncio.run(first_event(a_trigger([job_id], seconds=0.1)))

    assert event["ended"] == []
    assert list(event["open"]) == [job_id]


def test_what_no_trigger_can_wait_with_tells_nothing_and_fails_no_task(monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_PICTORY_DEFAULT", json.dumps({"conn_type": "pictory", "extra": {}}))

    event = asyncio.run(first_event(a_trigger(["one"])))

    assert event["outcome"] in ("batch", "inconclusive")
    assert event.get("ended", []) == []
