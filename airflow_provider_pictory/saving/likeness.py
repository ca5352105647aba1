"""Whether a file that is there already is the one that would be downloaded, told without downloading it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from airflow_provider_pictory.saving.file_host import require_mp4

if TYPE_CHECKING:
    from airflow_provider_pictory.saving.destination import Destination
    from airflow_provider_pictory.saving.file_host import FileHost

# An MP4's table of all its frames' sizes and places lies at its beginning or its end.
SAMPLE = 256 * 1024
SAMPLES = 4


def is_there(host: FileHost, destination: Destination, size: int) -> bool | None:
    """
    Compare a file with the host's: its size, and its content in four places, or all of it up to a megabyte.

    Two videos that are alike in their size and in the tables of their frames are the same, unless somebody
    has changed a byte of one on purpose; half a file is never like a whole one.

    :param host: of the file that would be downloaded.
    :param destination: where a file is.
    :param size: of it, in bytes.
    :return: ``None`` where it can't be told, since the host knows no ranges.
    :raises PictoryDownloadError: as for a download.
    :raises PictoryStorageError: the file can't be read.
    """
    for start, length in _samples(size):
        part, total = host.persist(partial(_part, host, start, length))
        if total is not None and total != size:
            return False
        if part is None or total is None:
            return None
        if part != destination.read(start, length):
            return False
    return True


def _samples(size: int) -> list[tuple[int, int]]:
    if size <= SAMPLE * SAMPLES:
        # An empty file is like none, which one byte more shows.
        return [(0, max(size, 1))]
    last = size - SAMPLE
    return [(last * number // (SAMPLES - 1), SAMPLE) for number in range(SAMPLES)]


def _part(host: FileHost, start: int, length: int) -> tuple[bytes | None, int | None]:
    """Return a part of the host's file, if it can give one, and the size of the whole."""
    with host.open(start, length=length) as body:
        if body.start != start:
            return None, body.total
        part = bytearray()
        for piece in body.pieces:
            part += piece
            if len(part) >= length:
                break
        if start == 0:
            # A page that says why there is no video now would be another file than the video that is there.
            require_mp4(bytes(part), body)
        return bytes(part[:length]), body.total
