"""Whoever asked for it is notified when a job ends: once, and nobody waits for it."""

from __future__ import annotations

import json
import queue
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


class Receiver:
    """A server that takes notifications."""

    def __init__(self):
        self.notifications = queue.Queue()
        self.status = 200
        self.delay = 0.0
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.notifications.put(json.loads(body))
                time.sleep(receiver.delay)
                self.send_response(receiver.status)
                self.end_headers()

            def log_message(self, *details):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"

    def next(self):
        return self.notifications.get(timeout=5)


@pytest.fixture
def receiver():
    receiver = Receiver()
    thread = threading.Thread(target=receiver.server.serve_forever, args=(0.01,))
    thread.start()
    yield receiver
    receiver.server.shutdown()
    thread.join()
    receiver.server.server_close()


def eventually(condition):
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.01)


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


def test_moving_the_time_ahead_notifies(pictory_sandbox_factory, client_of, receiver):
    sandbox = pictory_sandbox_factory(render_seconds=60)
    client_of(sandbox).submitted(webhook=receiver.url)

    sandbox.advance(60)

    assert receiver.next()["data"]["status"] == "completed"


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
