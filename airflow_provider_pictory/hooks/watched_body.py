"""The body of a paid POST, which knows whether any of it was handed over."""

from __future__ import annotations

import io
import threading

import requests


class WatchedBody:
    """
    The body of a paid POST, which knows whether its first byte was asked for.

    The exceptions of requests don't tell: the same class is raised before a connection exists and after the
    server has read everything. A body that nobody read has not been sent.
    """

    def __init__(self, content: bytes) -> None:
        self._content = io.BytesIO(content)
        self._length = len(content)
        self._lock = threading.Lock()
        self._was_read = False
        self._is_withheld = False

    def __len__(self) -> int:
        return self._length

    def read(self, size: int = -1) -> bytes:
        """Hand over the next bytes, as http.client asks for them while it sends."""
        with self._lock:
            if self._is_withheld:
                raise requests.RequestException("the submission was given up before it was sent")
            self._was_read = True
            return self._content.read(size)

    def withhold(self) -> bool:
        """
        Hand over nothing from now on, whoever still tries to send it.

        :return: whether anything was handed over before.
        """
        with self._lock:
            self._is_withheld = True
            return self._was_read
