"""An MP4 is one only as a whole, and says how long and how large its picture is."""

from __future__ import annotations

import io
import struct
from contextlib import suppress

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_pictory.saving.mp4 import NotAnMP4Error, VideoFacts, read_video_facts
from tests.support.file_hosts import HEIGHT, SECONDS, WIDTH, film, longer


def read(content):
    return read_video_facts(io.BytesIO(content))


def box(kind, *contents):
    content = b"".join(contents)
    return struct.pack(">I4s", 8 + len(content), kind) + content


def long_box(kind, *contents):
    content = b"".join(contents)
    return struct.pack(">I4sQ", 1, kind, 16 + len(content)) + content


UPRIGHT = (0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
TURNED = (0, 0x10000, 0, -0x10000, 0, 0, 0, 0, 0x40000000)


def movie_header(seconds, version=0, units=1000):
    duration = -1 if seconds is None else int(seconds * units)
    layout = ">IIiiIi" if version == 0 else ">IqqIq"
    if version == 0:
        return box(b"mvhd", struct.pack(">IIIIi", 0, 0, 0, units, duration), bytes(80))
    assert layout
    return box(b"mvhd", struct.pack(">IQQIq", version << 24, 0, 0, units, duration), bytes(80))


def track(width, height, *, handler=b"vide", matrix=UPRIGHT, version=0):
    size = struct.pack(">9i", *matrix) + struct.pack(">II", width << 16, height << 16)
    head = bytes([version]) + bytes(39 if version == 0 else 51)
    return box(
        b"trak",
        box(b"tkhd", head, size),
        box(b"mdia", box(b"mdhd", bytes(24)), box(b"hdlr", bytes(8), handler, bytes(13))),
    )


def movie(*in_moov, rest=None):
    return box(b"ftyp", b"isom", bytes(4)) + box(b"moov", *in_moov) + (rest or box(b"mdat", b"frames"))


def test_a_real_file_says_what_its_maker_was_told():
    assert read(film()) == VideoFacts(SECONDS, WIDTH, HEIGHT)


def test_a_real_file_is_read_as_a_media_library_reads_it():
    with av.open(io.BytesIO(film())) as container:
        stream = container.streams.video[0]
        facts = VideoFacts(container.duration / av.time_base, stream.width, stream.height)

    assert read(film()) == facts


@pytest.mark.parametrize("options", [{}, {"movflags": "faststart"}, {"movflags": "frag_keyframe+empty_moov"}])
def test_the_order_of_the_boxes_and_fragments_do_not_matter(tmp_path, options):
    packed = tmp_path / "film.mp4"
    with av.open(io.BytesIO(film())) as source, av.open(str(packed), "w", options=options) as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)

    facts = read(packed.read_bytes())

    assert (facts.width, facts.height) == (WIDTH, HEIGHT)
    assert facts.seconds in ((None,) if "frag" in str(options) else (SECONDS,))


def test_padding_is_no_matter():
    assert read(longer(film(), 3_000_000)) == read(film())


@pytest.mark.parametrize("version", [0, 1])
def test_both_versions_of_the_headers_are_read(version):
    content = movie(movie_header(7.5, version), track(1920, 1080, version=version))

    assert read(content) == VideoFacts(7.5, 1920, 1080)


def test_a_turned_picture_has_the_size_that_is_shown():
    assert read(movie(movie_header(1), track(1920, 1080, matrix=TURNED))) == VideoFacts(1, 1080, 1920)


def test_the_first_video_track_counts_wherever_it_is():
    content = movie(track(0, 0, handler=b"soun"), track(640, 360), track(10, 10), movie_header(1))

    assert (read(content).width, read(content).height) == (640, 360)


@pytest.mark.parametrize("units", [1000, 0])
def test_a_duration_that_nobody_knows_is_none(units):
    assert read(movie(movie_header(None if units else 0, units=units), track(1, 1))).seconds is None


def test_a_box_may_have_a_long_length_or_go_on_to_the_end():
    for rest in (long_box(b"mdat", b"frames"), struct.pack(">I4s", 0, b"mdat") + b"frames"):
        assert read(movie(movie_header(1), track(1, 2), rest=rest)) == VideoFacts(1, 1, 2)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "it is empty"),
        (b"<!DOCTYPE html><title>Log in</title>", "it begins with no ftyp box"),
        (b"\xff\xd8\xff\xe0 a picture", "it begins with no ftyp box"),
        (box(b"ftyp", b"isom"), "it has no moov and no mdat box"),
        (movie(movie_header(1), track(1, 1), rest=box(b"free")), "it has no mdat box"),
        (movie(movie_header(1)), "it has no video track"),
        (movie(movie_header(1), track(1, 1, handler=b"soun")), "it has no video track"),
        (movie(movie_header(1), box(b"trak", box(b"tkhd"), box(b"mdia"))), "its tkhd box is too short"),
        (movie(box(b"mvhd"), track(1, 1)), "its mvhd box is too short"),
        (movie(movie_header(1), track(1, 1)) + b"more", "it ends within a box at byte"),
        (movie(movie_header(1), track(1, 1)) + bytes([0, 0, 0, 4]) + b"abcd", "is no box"),
        (movie(movie_header(1), track(1, 1)) + box(b"free") * 10_001, "it has more than 10,000 boxes"),
        (movie(box(b"mvhd") + bytes(20)), "its mvhd box is too short"),
    ],
)
def test_what_is_none_says_why(content, words):
    with pytest.raises(NotAnMP4Error) as caught:
        read(content)

    assert words in str(caught.value)


@given(st.integers(0, len(film()) - 1))
def test_no_beginning_of_a_file_is_taken_for_the_whole(length):
    with pytest.raises(NotAnMP4Error):
        read(film()[:length])


@given(st.lists(st.tuples(st.integers(0, 4000), st.binary(min_size=1, max_size=8)), max_size=4))
def test_nothing_but_our_own_error_is_raised_for_broken_files(changes):
    content = bytearray(film())
    for place, change in changes:
        content[place : place + len(change)] = change

    with suppress(NotAnMP4Error):
        assert read(bytes(content)).width >= 0
