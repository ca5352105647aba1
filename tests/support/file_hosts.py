"""What a file host may do to its clients, as responses of a loopback server, and the files that it has."""

from __future__ import annotations

import functools
import hashlib
import re
import socket
import struct
import tempfile
import time
from pathlib import Path

from airflow_provider_pictory.sandbox.drawing import Scene
from airflow_provider_pictory.sandbox.rendering import render
from airflow_provider_pictory.sandbox.wire import VIDEO_FILE
from airflow_provider_pictory.saving.destination import Content
from tests.support.loopback import head

SECONDS, WIDTH, HEIGHT = 2, 320, 180


@functools.cache
def film(words="A paper boat"):
    """Return a real MP4; other words are another video."""
    with tempfile.TemporaryDirectory() as folder:
        render(Scene(words, "for a test", SECONDS, WIDTH, HEIGHT), Path(folder))
        return (Path(folder) / VIDEO_FILE).read_bytes()


def longer(content, size):
    """Make an MP4 larger, with a box of noise that players skip."""
    padding = size - len(content)
    noise = (bytes(range(256)) * (padding // 256 + 1))[: padding - 8]
    return content + struct.pack(">I4s", padding, b"free") + noise


def content_of(file):
    """Return what tells a file's content from another's."""
    return Content(len(file), hashlib.sha256(file).hexdigest())


def gives(
    content,
    *,
    tag='"one"',
    knows_ranges=True,
    cuts_after=None,
    resets=False,
    declares=None,
    status=200,
    **headers,
):
    """
    Return a file, or the part that is asked for.

    :param content: of the file.
    :param tag: the file's ETag; without it the host tells versions apart by nothing.
    :param knows_ranges: whether it can give parts.
    :param cuts_after: so many bytes of the body the connection ends.
    :param resets: the connection ends with a reset instead of a farewell.
    :param declares: the size of the file that it says, where that isn't the truth.
    :param status: of a response without a range.
    :param headers: further ones.
    """
    size = len(content) if declares is None else declares

    def send(_server, connection, request):
        start, end, code = 0, size, status
        lines = dict(headers)
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", request.header("range") or "")
        condition = request.header("if-range")
        if asked and knows_ranges and condition in (None, tag):
            start, end = int(asked[1]), min(size, int(asked[2] or size) + bool(asked[2]))
            if start >= len(content):
                connection.sendall(
                    head(416, {"Content-Range": f"bytes */{len(content)}", "Content-Length": 0})
                )
                return True
            code = 206
            lines["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
        if tag:
            lines["ETag"] = tag
        body = content[start:end]
        connection.sendall(head(code, {"Content-Length": end - start, "Content-Type": "video/mp4", **lines}))
        cut = len(body) if cuts_after is None else cuts_after
        connection.sendall(body[:cut])
        if cut >= len(body) == end - start:
            return True
        if resets:
            # What was sent before has to arrive, which a reset wouldn't wait for.
            time.sleep(0.05)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return False

    return send
