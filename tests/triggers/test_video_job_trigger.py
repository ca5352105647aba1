"""The trigger under a bare event loop: what it stores, what it fires, and how it ends."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
import warnings
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from airflow_provider_pictory.triggers.pictory import VideoJobTrigger
from tests.conftest import API_KEY
from tests.support.bare_tasks import first_event
from tests.support.pictory_words import JOB, count, submit

ARGUMENTS = {
    "job_id": "4a09edf9-d071-4847-bda5-8dea913d80fe",
    "pictory_conn_id": "pictory_default",
    "deadline": "2026-01-01T12:00:00.123456+00:00",
    "poll_interval": None,
    "first_poll": None,
}


def in_seconds(seconds):
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def a_trigger(job_id, *, seconds=60.0, poll_interval=0.02):
    return VideoJobTrigger(job_id, "pictory_default", in_seconds(seconds), poll_interval)


async def first_poll_at(pictory):
    async with asyncio.timeout(10):
        while JOB not in pictory.counts()["statuses"]:  # noqa: ASYNC110  (the sandbox has a loop of its own)
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("poll_interval", [None, 7.5])
def test_it_can_be_made_again_from_what_it_serializes_to(poll_interval):
    arguments = {**ARGUMENTS, "poll_interval": poll_interval}

    path, serialized = VideoJobTrigger(**arguments).serialize()

    assert path == "airflow_provider_pictory.triggers.pictory.VideoJobTrigger"
    assert serialized == arguments
    assert VideoJobTrigger(**serialized).serialize() == (path, serialized)


def test_its_arguments_survive_the_database(airflow_database):
    from airflow.models.trigger import Trigger

    row = Trigger.from_object(VideoJobTrigger(**ARGUMENTS))
    kwargs = Trigger._decrypt_kwargs(row.encrypted_kwargs)

    assert VideoJobTrigger(**kwargs).serialize()[1] == ARGUMENTS


def test_its_arguments_are_plain_and_hold_no_secret(pictory):
    _, arguments = a_trigger(submit()).serialize()

    assert set(arguments) == {"job_id", "pictory_conn_id", "deadline", "poll_interval", "first_poll"}
    assert API_KEY not in json.dumps(arguments)


def test_it_fires_once_with_the_finished_video(pictory):
    job_id = submit()

    async def all_events():
        return [event.payload async for event in a_trigger(job_id).run()]

    (event,) = asyncio.run(all_events())

    assert event["outcome"] == "ended"
    assert event["job"]["job_id"] == job_id
    assert event["job"]["status"] == "completed"
    assert event["job"]["url"].startswith(pictory.url)
    assert json.loads(json.dumps(event)) == event


@pytest.mark.parametrize("status", ["failed", "cleaned"])
def test_it_fires_with_a_job_that_ended_without_a_video(busy_pictory, status):
    job_id = submit()
    busy_pictory.set_job(job_id, status, error_code="5002", error_message="Unsafe")

    event = asyncio.run(first_event(a_trigger(job_id)))

    assert event["outcome"] == "ended"
    assert event["job"]["status"] == status
    if status == "failed":
        assert (event["job"]["error_code"], event["job"]["error_message"]) == ("5002", "Unsafe")


def test_it_waits_until_the_job_has_ended(pictory_at):
    pictory = pictory_at(render_seconds=0.2)

    event = asyncio.run(first_event(a_trigger(submit())))

    assert event["job"]["status"] == "completed"
    assert count(pictory, JOB) > 2


@pytest.mark.parametrize("seconds", [0.1, 0.0, -3600.0], ids=["soon", "now", "long ago"])
def test_after_the_deadline_it_takes_one_last_poll_and_leaves_the_rest_to_the_worker(busy_pictory, seconds):
    event = asyncio.run(first_event(a_trigger(submit(), seconds=seconds, poll_interval=30)))

    assert event["outcome"] == "inconclusive"
    assert event["error"] == "PictoryJobTimedOutError"
    assert count(busy_pictory, JOB) == (2 if seconds > 0 else 1)


def test_a_refused_key_is_left_to_the_worker_at_once_and_stays_secret(pictory, connect):
    job_id = submit()
    connect(pictory.url, "pictai_revoked")

    event = asyncio.run(first_event(a_trigger(job_id)))

    assert (event["outcome"], event["job_id"]) == ("inconclusive", job_id)
    assert event["error"] == "PictoryAuthenticationError"
    assert "pictai_revoked" not in json.dumps(event)
    assert count(pictory, JOB) == 1


def test_a_missing_connection_is_left_to_the_worker(pictory):
    trigger = VideoJobTrigger(submit(), "nowhere", in_seconds(60))

    event = asyncio.run(first_event(trigger))

    assert (event["outcome"], event["error"]) == ("inconclusive", "PictoryConfigurationError")


def test_a_triggerer_that_cannot_load_the_hook_leaves_the_job_to_the_worker(pictory, monkeypatch):
    trigger = a_trigger(submit())
    monkeypatch.setitem(sys.modules, "airflow_provider_pictory.hooks.pictory", None)

    event = asyncio.run(first_event(trigger))

    assert (event["outcome"], event["error"]) == ("inconclusive", "ModuleNotFoundError")


def test_a_key_that_is_rotated_while_it_waits_is_taken_up(pictory_at, connect):
    old = pictory_at(render_seconds=3600)
    job_id = submit()
    new = pictory_at(api_key="pictai_the-new-one")

    async def rotate():
        waiting = asyncio.create_task(first_event(a_trigger(job_id)))
        connect(old.url, old.api_key)
        await first_poll_at(old)
        old.respond_next("/v1/jobs", status=401, body={"message": "Unauthorized"})
        new.respond_next("/v1/jobs", body={"data": {"status": "cleaned"}})
        connect(new.url, new.api_key)
        return await waiting

    event = asyncio.run(rotate())

    assert event["job"]["status"] == "cleaned"


def test_when_it_is_cancelled_while_waiting_it_closes_its_session(busy_pictory):
    job_id = submit()

    async def cancel():
        waiting = asyncio.create_task(first_event(a_trigger(job_id, poll_interval=30)))
        await first_poll_at(busy_pictory)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    gc.collect()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        asyncio.run(cancel())
        gc.collect()

    assert not [warning for warning in caught if issubclass(warning.category, ResourceWarning)]


def test_in_a_triggerer_it_stays_until_airflow_has_noticed_the_end_of_the_worker(pictory, monkeypatch):
    monkeypatch.setattr("airflow_provider_pictory.triggers.pictory.SHORTEST_ABSENCE", 0.3)
    trigger = a_trigger(submit())
    trigger.task_instance = SimpleNamespace(task_id="wait")

    started = time.monotonic()
    event = asyncio.run(first_event(trigger))

    assert time.monotonic() - started >= 0.3
    assert event["job"]["status"] == "completed"


def test_many_wait_in_one_event_loop(pictory_at):
    pictory = pictory_at(render_seconds=0.3)
    job_ids = [submit(f"A flock of {number} birds") for number in range(20)]

    async def wait_for_all():
        return await asyncio.gather(*(first_event(a_trigger(job_id)) for job_id in job_ids))

    events = asyncio.run(wait_for_all())

    assert [event["job"]["job_id"] for event in events] == job_ids
    assert pictory.counts()["statuses"][JOB].keys() == {"200"}
