"""
Whether a file is a whole MP4, and what it says about its video.

Only the few boxes that tell it are read, whatever the size of the file. A library for this would bring either
a whole media framework or years without a release. (source: ISO/IEC 14496-12, the boxes ``ftyp``, ``moov``,
``mvhd``, ``trak``, ``tkhd``, ``mdia``, ``hdlr``)
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

# Far more than any MP4 has side by side; what has more of them was made to keep a reader busy.
_MOST_BOXES = 10_000
# No other name of a box is quoted.
_USUAL_BOXES = (b"ftyp", b"free", b"mdat", b"mdia", b"moov", b"trak")
_UNKNOWN_DURATIONS = (0, 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF)


class NotAnMP4Error(ValueError):
    """A file that is no MP4, or not the whole of one; the message is a sentence fragment that says why."""


@dataclass(frozen=True)
class VideoFacts:
    """
    What an MP4 says about itself.

    :param seconds: its duration; ``None`` where it doesn't say, as fragmented ones may.
    :param width: of the picture in pixels, as it is to be shown.
    :param height: of the picture in pixels, as it is to be shown.
    """

    seconds: float | None
    width: int
    height: int


@dataclass(frozen=True)
class _Box:
    kind: bytes
    start: int
    end: int


def read_video_facts(file: BinaryIO) -> VideoFacts:
    """
    Read an MP4's facts, and make sure that it is whole: each box has to end within the file.

    :param file: seekable; where it stands afterwards is undefined.
    :raises NotAnMP4Error: it is none, it is cut short, or it has no video.
    """
    file.seek(0)
    beginning = file.read(24)
    if beginning[4:8] != b"ftyp":
        # What it begins with isn't quoted: whoever chose what came may want to read it in a log.
        raise NotAnMP4Error("it begins with no ftyp box" if beginning else "it is empty")
    boxes = {box.kind: box for box in _boxes(file, 0, file.seek(0, 2))}
    if missing := [kind.decode() for kind in (b"moov", b"mdat") if kind not in boxes]:
        raise NotAnMP4Error(f"it has no {' and no '.join(missing)} box")
    seconds = None
    for box in _boxes(file, boxes[b"moov"].start, boxes[b"moov"].end):
        if box.kind == b"mvhd":
            seconds = _duration(_payload(file, box, 32))
        elif box.kind == b"trak" and (picture := _picture_size(file, box)):
            return VideoFacts(seconds, *picture)
    raise NotAnMP4Error("it has no video track")


def _boxes(file: BinaryIO, start: int, end: int) -> Iterator[_Box]:
    for _ in range(_MOST_BOXES):
        if start == end:
            return
        file.seek(start)
        head = file.read(16)
        if start + 8 > end or len(head) < 8:
            raise NotAnMP4Error(f"it ends within a box at byte {start:,}")
        length, kind = struct.unpack_from(">I4s", head)
        header = 8
        if length == 1 and len(head) == 16:
            (length,) = struct.unpack_from(">Q", head, 8)
            header = 16
        elif length == 0:
            length = end - start
        if length < header or not kind.isascii():
            raise NotAnMP4Error(f"what stands at byte {start:,} is no box")
        if start + length > end:
            name = kind.decode() if kind in _USUAL_BOXES else "last"
            raise NotAnMP4Error(
                f"it is cut short: its {name} box goes on to byte {start + length:,}, and there are {end:,}"
            )
        yield _Box(kind, start + header, start + length)
        start += length
    raise NotAnMP4Error(f"it has more than {_MOST_BOXES:,} boxes side by side")


def _payload(file: BinaryIO, box: _Box, most: int) -> bytes:
    file.seek(box.start)
    return file.read(min(most, box.end - box.start))


def _duration(payload: bytes) -> float | None:
    try:
        layout = ">QQIQ" if payload[:1] == b"\1" else ">IIII"
        *_, units_per_second, duration = struct.unpack_from(layout, payload, 4)
    except struct.error:
        raise NotAnMP4Error("its mvhd box is too short") from None
    if duration in _UNKNOWN_DURATIONS or units_per_second == 0:
        return None
    return float(duration / units_per_second)


def _picture_size(file: BinaryIO, track: _Box) -> tuple[int, int] | None:
    """Return the size of a track's picture, ``None`` where it isn't a video."""
    size, is_video = None, False
    for box in _boxes(file, track.start, track.end):
        if box.kind == b"tkhd":
            size = _track_size(_payload(file, box, 96))
        elif box.kind == b"mdia":
            is_video = any(
                _payload(file, inner, 12)[8:] == b"vide"
                for inner in _boxes(file, box.start, box.end)
                if inner.kind == b"hdlr"
            )
    return size if is_video else None


def _track_size(payload: bytes) -> tuple[int, int]:
    try:
        matrix = 52 if payload[:1] == b"\1" else 40
        a, _, _, _, d = struct.unpack_from(">5i", payload, matrix)
        width, height = (number >> 16 for number in struct.unpack_from(">II", payload, matrix + 36))
    except struct.error:
        raise NotAnMP4Error("its tkhd box is too short") from None
    # Rotated by 90 degrees, as phones film.
    return (height, width) if a == d == 0 else (width, height)
