"""The body of a paid POST, which knows whether any of it was handed over."""

from __future__ import annotations

import io
import math
import threading
import time

import requests


class TrackedBody:
    """
    The body of a paid POST, which knows whether its first byte was asked for.

    The exceptions of requests don't tell: the same class is raised before a connection exists and after the
    server has read everything. A body that nobody read has not been sent.

    :param content: the bytes.
    :param not_after: seconds since the epoch after which nothing is handed over any more. A worker that was
        stopped for a while must not send what another one may have sent in its place.
    """

    def __init__(self, content: bytes, not_after: float = math.inf) -> None:
        self._content = io.BytesIO(content)
        self._length = len(content)
        self._not_after = not_after
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
            if not self._was_read and time.time() > self._not_after:
                raise requests.RequestException("its time was over before it was sent")
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
