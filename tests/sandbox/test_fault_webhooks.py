"""Webhooks that come twice, late or never."""

from __future__ import annotations

import time

import pytest

from tests.sandbox.receiver import eventually


def sent(sandbox, number):
    eventually(lambda: sandbox.counts()["webhooks_sent"] == number)
    # Whatever was sent as well, and too much, would be under way by now.
    time.sleep(0.05)
    return sandbox.counts()["webhooks_sent"]


def test_one_comes_twice(faulty, receiver):
    sandbox, client = faulty("webhook-twice")
    job_id = client.submitted(webhook=receiver.url)

    assert [receiver.next()["job_id"] for _ in range(2)] == [job_id, job_id]
    assert sent(sandbox, 2) == 2


def test_the_second_can_come_later(faulty, receiver):
    sandbox, client = faulty("webhook-twice:seconds=60", render_seconds=20)
    client.submitted(webhook=receiver.url)
    sandbox.advance(20)
    assert sent(sandbox, 1) == 1

    sandbox.advance(59)
    assert sent(sandbox, 1) == 1
    sandbox.advance(1)
    assert sent(sandbox, 2) == 2


def test_one_comes_late_and_not_before(faulty, receiver):
    sandbox, client = faulty("webhook-late:seconds=60", render_seconds=20)
    job_id = client.submitted(webhook=receiver.url)
    sandbox.advance(79)
    assert client.data(job_id)["status"] == "completed"
    assert sent(sandbox, 0) == 0

    sandbox.advance(1)

    assert receiver.next()["data"]["status"] == "completed"
    assert sent(sandbox, 1) == 1


def test_late_ones_need_nobody_to_wake_them(pictory_sandbox_factory, client_of, receiver):
    faults = ["webhook-late:seconds=0.2", "webhook-twice:seconds=0.1"]
    client = client_of(pictory_sandbox_factory(faults=faults))
    begin = time.monotonic()
    client.submitted(webhook=receiver.url)

    receiver.next()
    assert time.monotonic() - begin >= 0.2
    receiver.next()
    assert time.monotonic() - begin >= 0.3


def test_late_and_twice_add_up(faulty, receiver):
    sandbox, client = faulty("webhook-late:seconds=10", "webhook-twice:seconds=5")
    client.submitted(webhook=receiver.url)

    counts = []
    for _ in range(3):
        sandbox.advance(5)
        counts.append(sent(sandbox, len(counts)))

    assert counts == [0, 1, 2]


def test_one_never_comes_and_then_they_do_again(faulty, receiver):
    sandbox, client = faulty("webhook-never:count=1")
    client.submitted()
    never, job_id = (client.submitted(webhook=receiver.url) for _ in range(2))

    assert receiver.next()["job_id"] == job_id != never
    assert sent(sandbox, 1) == 1
    assert sandbox.counts()["faults"] == {"webhook-never": 1}


@pytest.mark.parametrize("outcome", ["failed", "cleaned"])
def test_a_bad_end_is_notified_as_what_it_is(faulty, receiver, outcome):
    _, client = faulty({"failed": "job-fails", "cleaned": "job-cleaned"}[outcome])
    client.submitted(webhook=receiver.url)

    assert receiver.next()["data"]["status"] == outcome


def test_after_an_undocumented_status_the_end_is_notified_all_the_same(
    pictory_sandbox_factory, client_of, receiver
):
    sandbox = pictory_sandbox_factory(render_seconds=0.2, faults=["job-undocumented-status:seconds=0.1"])
    client_of(sandbox).submitted(webhook=receiver.url)

    assert receiver.next()["data"]["status"] == "completed"
