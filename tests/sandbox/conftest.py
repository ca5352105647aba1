"""What the sandbox's own tests share: its fixtures, as a user would import them, and a client for it."""

from __future__ import annotations

import threading

import pytest

from airflow_provider_pictory.sandbox.service import Clock
from airflow_provider_pictory.sandbox.testing import pictory_sandbox, pictory_sandbox_factory
from tests.sandbox.client import Client
from tests.sandbox.receiver import Receiver

__all__ = ["pictory_sandbox", "pictory_sandbox_factory"]


@pytest.fixture
def client(pictory_sandbox):
    with Client(pictory_sandbox.url, pictory_sandbox.api_key) as client:
        yield client


@pytest.fixture
def client_of():
    clients = []

    def connect(sandbox, **arguments):
        clients.append(Client(sandbox.url, sandbox.api_key, **arguments))
        return clients[-1]

    yield connect
    for client in clients:
        client.close()


@pytest.fixture
def faulty(pictory_sandbox_factory, client_of):
    """Start a sandbox with faults whose time stands still unless advanced, and give it with a client."""

    def start(*faults, seed=7, **arguments):
        clock = Clock(lambda: 1_800_000_000.0)
        sandbox = pictory_sandbox_factory(faults=faults, seed=seed, clock=clock, **arguments)
        return sandbox, client_of(sandbox)

    return start


@pytest.fixture
def receiver():
    receiver = Receiver()
    thread = threading.Thread(target=receiver.server.serve_forever, args=(0.01,))
    thread.start()
    yield receiver
    receiver.server.shutdown()
    thread.join()
    receiver.server.server_close()
