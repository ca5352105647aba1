"""What the sandbox's own tests share: its fixtures, as a user would import them, and a client for it."""

from __future__ import annotations

import pytest

from airflow_provider_pictory.sandbox.testing import pictory_sandbox, pictory_sandbox_factory
from tests.sandbox.client import Client

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
