"""A body knows whether any of it was handed over, and hands over nothing once it is withheld."""

from __future__ import annotations

import threading

import pytest
import requests

from airflow_provider_pictory.client.tracked_body import TrackedBody


def test_a_body_is_handed_over_piece_by_piece():
    body = TrackedBody(b"abcdefg")

    assert len(body) == 7
    assert [body.read(3), body.read(3), body.read(3), body.read(3)] == [b"abc", b"def", b"g", b""]
    assert len(body) == 7


def test_a_body_is_handed_over_at_once():
    assert TrackedBody(b"abc").read() == b"abc"


def test_a_body_that_nobody_read_was_not_sent_and_is_not_sent_any_more():
    body = TrackedBody(b"abc")

    assert body.withhold() is False
    with pytest.raises(requests.RequestException, match="given up before it was sent"):
        body.read(1)
    assert body.withhold() is False


@pytest.mark.parametrize("size", [1, 100, -1])
def test_a_body_whose_first_byte_was_read_may_have_been_sent(size):
    body = TrackedBody(b"abc")
    body.read(size)

    assert body.withhold() is True
    with pytest.raises(requests.RequestException):
        body.read(1)
    assert body.withhold() is True


def test_reader_and_withholder_always_agree_on_what_happened():
    for _ in range(200):
        body, read = TrackedBody(b"abc"), []
        start = threading.Barrier(2)

        def send(body=body, read=read, start=start):
            start.wait()
            try:
                read.append(body.read())
            except requests.RequestException:
                read.append(None)

        sender = threading.Thread(target=send)
        sender.start()
        start.wait()
        was_read = body.withhold()
        sender.join()
        assert read == [b"abc" if was_read else None]
