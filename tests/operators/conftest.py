"""What the operator's tests share."""

from __future__ import annotations

import socket
import threading
from datetime import timedelta

import pytest


@pytest.fixture
def execution_timeout():
    """Give a timeout that Airflow enforces, long enough for a submission."""
    return timedelta(seconds=0.5)


class SilentServer:
    """Takes whatever it is sent and never answers."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def connections(self) -> int:
        return len(self._open)

    def close(self) -> None:
        for connection in (self._listening, *self._open):
            connection.close()

    def _accept(self) -> None:
        try:
            while True:
                self._open.append(self._listening.accept()[0])
        except OSError:
            return


@pytest.fixture
def silent_server():
    server = SilentServer()
    yield server
    server.close()
