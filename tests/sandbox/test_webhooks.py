"""Whoever asked for it is notified when a job ends: once, and nobody waits for it."""

from __future__ import annotations

import time

import pytest

from tests.sandbox.receiver import eventually


def test_the_job_is_posted_when_it_ends(pictory_sandbox_factory, client_of, receiver):
    sandbox = pictory_sandbox_factory(render_seconds=0.2)
    client = client_of(sandbox)
    job_id = client.submitted(webhook=receiver.url)
    client.submitted()
    assert client.data(job_id) == {"status": "in-progress"}
    assert receiver.notifications.empty()

    assert receiver.next() == client.job(job_id).json()

    eventually(lambda: sandbox.counts()["webhooks_sent"] == 1)
    assert receiver.notifications.empty()


@pytest.mark.parametrize("status", ["completed", "failed", "cleaned"])
def test_a_forced_end_is_an_end_and_notified_once(pictory_sandbox_factory, client_of, receiver, status):
    sandbox = pictory_sandbox_factory(render_seconds=60)
    job_id = client_of(sandbox).submitted(webhook=receiver.url)

    sandbox.set_job(job_id, "queued")
    assert receiver.notifications.empty()
    sandbox.set_job(job_id, status)
    sandbox.set_job(job_id, "completed")
    sandbox.advance(100)

    assert receiver.next()["job_id"] == job_id
    eventually(lambda: sandbox.counts()["webhooks_sent"] == 1)
    assert receiver.notifications.empty()


def test_a_failure_is_counted_and_not_repeated(pictory_sandbox, client, receiver):
    receiver.status = 500
    client.submitted(webhook=receiver.url)
    client.submitted(webhook="http://127.0.0.1:9/nobody-listens-here")

    eventually(lambda: pictory_sandbox.counts()["webhooks_failed"] == 2)
    assert pictory_sandbox.counts()["webhooks_sent"] == 0
    assert receiver.notifications.qsize() == 1


def test_a_slow_receiver_holds_nothing_up(pictory_sandbox, client, receiver):
    receiver.delay = 1.0
    client.submitted(webhook=receiver.url)
    receiver.next()

    begin = time.perf_counter()
    client.ai_credits()
    pictory_sandbox.stop()

    assert time.perf_counter() - begin < 0.9
