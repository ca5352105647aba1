"""What the distributed run puts in front of the database and of the API server."""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from contextlib import closing

import pytest
import requests

from tests.distributed.fronts import FailingApiServer, SlowDatabase
from tests.support.loopback import response


@pytest.fixture
def echo():
    """Start a server that gives back what it gets."""

    def serve():
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                while part := connection.recv(1024):
                    connection.sendall(part)

    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]


def test_a_query_waits_only_while_the_database_is_to_be_slow(echo):
    with SlowDatabase(echo) as front, socket.create_connection(("127.0.0.1", front.port)) as client:

        def seconds():
            before = time.monotonic()
            client.sendall(b"SELECT 1")
            assert client.recv(1024) == b"SELECT 1"
            return time.monotonic() - before

        seconds()
        assert front.slowed == 0
        front.seconds = 0.3
        assert seconds() >= 0.3
        assert front.slowed == 1
        front.seconds = 0.0
        seconds()
        assert front.slowed == 1


def test_a_database_that_is_down_is_down_behind_it_too(echo):
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
    with SlowDatabase(port) as front, socket.create_connection(("127.0.0.1", front.port)) as client:
        assert client.recv(1024) == b""


def test_a_part_of_all_calls_fails_half_of_them_after_they_were_acted_upon(serve):
    server = serve(response({}, Refreshed_API_Token="another"))
    with FailingApiServer(0.3, seed=1) as front:
        front.target = server.url
        path = f"{front.url}/execution/variables/pictory_x"
        responses = [requests.put(path, timeout=30) for _ in range(120)]

    counts = Counter(response.status_code for response in responses)
    assert 15 < counts[500] < 60
    assert front.failed == front.written == counts[500]
    assert counts[200] < len(server.requests) < 120
    # Without it a task that has started may do nothing more.
    assert {it.headers.get("Refreshed-API-Token") for it in responses if it.ok} == {"another"}
