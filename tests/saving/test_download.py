"""A download goes on where it broke, starts again where it must, and ends where nothing helps."""

from __future__ import annotations

import io
import logging
import re
import time
from functools import partial

import pytest
import requests

from airflow_provider_pictory.clock import SYSTEM_CLOCK
from airflow_provider_pictory.exceptions import PictoryDownloadError
from airflow_provider_pictory.saving.download import Downloader
from airflow_provider_pictory.saving.file_host import PIECE, FileHost
from tests.support.file_hosts import content_of, film, gives, longer
from tests.support.loopback import hang_up, head, keep_silent, raw, response
from tests.support.saving_fixtures import IdleTime

LOG = logging.getLogger("tests.download")
FILM = longer(film(), 400_000)
OTHER = longer(film("A kite"), 400_000)


@pytest.fixture
def fetch(idle_time):
    """Download a file and give its bytes."""

    def fetch(host, *urls, file=None, clock=idle_time.clock, timeout=10, **of_the_host):
        urls = urls or [f"{host.url}/film.mp4?signature=very-secret"] * 9
        file = file or io.BytesIO()
        open_url = partial(requests.get, timeout=timeout, stream=True)
        source = FileHost(lambda url, headers: open_url(url, headers=headers), iter(urls), **of_the_host)
        content = Downloader(source, file, log=LOG, what="Video", max_bytes=2_000_000, clock=clock).download()
        assert content == content_of(file.getvalue())
        return file.getvalue()

    return fetch


@pytest.fixture
def failure(fetch):
    """Give what a download that fails says."""

    def failure(*arguments, **options):
        with pytest.raises(PictoryDownloadError) as caught:
            fetch(*arguments, **options)
        assert "very-secret" not in str(caught.value)
        return str(caught.value)

    return failure


def ranges(host):
    return [request.header("range") for request in host.requests]


def test_a_file_comes_as_it_is(fetch, serve):
    host = serve(gives(FILM))

    assert fetch(host) == FILM
    assert ranges(host) == [None]
    assert host.request.header("accept-encoding") == "identity"


@pytest.mark.parametrize("resets", [False, True], ids=["closed", "reset"])
def test_a_host_that_cuts_off_every_64_kilobytes_is_asked_for_the_rest_each_time(
    fetch, serve, pauses, resets
):
    host = serve(gives(FILM, cuts_after=65_536, resets=resets))

    assert fetch(host) == FILM
    assert ranges(host) == [None, *[f"bytes={start}-" for start in range(65_536, 400_000, 65_536)]]
    assert {request.header("if-range") for request in host.requests[1:]} == {'"one"'}
    assert pauses == []


def test_many_interruptions_are_one_line_in_the_log(fetch, serve, caplog):
    caplog.set_level(logging.INFO)

    fetch(serve(gives(FILM, cuts_after=20_000)))

    (line,) = [record.getMessage() for record in caplog.records if record.name == LOG.name]
    assert line.startswith("The download was interrupted 1 times, going on: http://127.0.0.1")
    assert "very-secret" not in line


def test_a_host_that_falls_silent_is_asked_again(fetch, serve):
    def stall(server, connection, request):
        gives(FILM, cuts_after=100_000)(server, connection, request)
        return keep_silent(server, connection, request)

    host = serve(stall, gives(FILM))

    assert fetch(host, timeout=0.5) == FILM
    assert len(host.requests) == 2


def part(content, said="bytes 100000-399999/400000", **headers):
    return response(content[100_000:], 206, Content_Range=said, **headers)


def chunked(content, end=b"", **headers):
    pieces = [content[start : start + 50_000] for start in range(0, len(content), 50_000)]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return raw(head(200, {"Transfer-Encoding": "chunked", **headers}) + chunks + end)


CUT = gives(FILM, cuts_after=100_000)
WEAK, MOMENT = 'W/"one"', "Mon, 02 Nov 2026 10:00:00 GMT"
CUT_OF_A_TIME = gives(FILM, tag=None, cuts_after=100_000, Last_Modified=MOMENT)
REST, ONE = "bytes=100000-", '"one"'
# What the host does in turn, what comes of it, and the condition and the ranges that it is asked with.
RESUMED = {
    "no ranges": ([CUT, gives(FILM, knows_ranges=False)], FILM, ONE, [REST]),
    "another file": ([CUT, gives(OTHER, tag='"two"')], OTHER, ONE, [REST]),
    "a file of another time": ([CUT_OF_A_TIME, gives(OTHER, tag=None)], OTHER, MOMENT, [REST]),
    "a weak tag": ([gives(FILM, tag=WEAK, cuts_after=100_000), gives(FILM, tag=WEAK)], FILM, None, [REST]),
    "a part of another size": (
        [CUT, part(OTHER, "bytes 100000-9/10"), gives(OTHER)],
        OTHER,
        ONE,
        [REST, None],
    ),
    "a part of another tag": ([CUT, part(OTHER, ETag='"two"'), gives(OTHER)], OTHER, ONE, [REST, None]),
    "a part of no tag": ([CUT, part(FILM, Last_Modified=MOMENT)], FILM, ONE, [REST]),
    "another part": ([CUT, part(FILM, "bytes 5-9/400000"), gives(FILM)], FILM, ONE, [REST, None]),
    "items": ([CUT, part(FILM, "items 1-2/3"), gives(FILM)], FILM, ONE, [REST, REST]),
    "a part that isn't said": ([CUT, part(FILM, ""), gives(FILM)], FILM, ONE, [REST, REST]),
    "an endless size": ([CUT, part(FILM, f"bytes 5-9/{'9' * 5000}"), gives(FILM)], FILM, ONE, [REST, REST]),
    "chunks without an end": ([chunked(FILM), chunked(FILM, b"0\r\n\r\n")], FILM, None, ["bytes=400000-"]),
    "chunks, then a part": ([chunked(FILM[:100_000], ETag=ONE), gives(FILM)], FILM, ONE, [REST]),
}


@pytest.mark.parametrize("case", RESUMED)
def test_a_download_goes_on_with_the_same_file_only(fetch, serve, case):
    responses, expected, condition, asked = RESUMED[case]
    host = serve(*responses)

    assert fetch(host) == expected
    assert ranges(host) == [None, *asked]
    assert host.requests[1].header("if-range") == condition


def test_a_host_that_ignores_ranges_and_always_cuts_off_is_given_up(failure, serve, pauses):
    host = serve(gives(FILM, knows_ranges=False, cuts_after=65_536))

    said = failure(host)

    assert said.startswith("The download failed 5 times in a row after 65,536 bytes: ")
    assert f"{host.url}/film.mp4 broke off" in said
    assert len(host.requests) == 6
    assert pauses == [1.0, 2.0, 4.0, 8.0]


def test_a_file_shorter_than_its_declared_length_is_given_up(failure, serve):
    host = serve(gives(FILM, declares=500_000))

    said = failure(host)

    assert "responded 416, so the file is shorter than the host had said" in said or "broke off" in said
    assert "400,000 bytes" in said


def test_a_page_instead_of_a_video_is_given_up_before_all_of_it_came(failure, serve):
    host = serve(response(b"<!DOCTYPE html>" + bytes(100_000), Content_Type="text/html"))

    said = failure(host)

    assert "the host gave something else than an MP4 (text/html)" in said
    assert "DOCTYPE" not in said
    assert len(host.requests) == 5


def test_a_page_that_passes_is_tolerated(fetch, serve, pauses):
    host = serve(response(b"<!DOCTYPE html>", Content_Type="text/html"), gives(FILM))

    assert fetch(host) == FILM
    assert pauses == [1.0]


def test_a_compressed_response_is_not_taken_for_the_file(failure, serve):
    host = serve(gives(FILM, Content_Encoding="gzip"))

    assert "compressed the file, though it was asked not to" in failure(host)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_what_may_pass_is_tolerated_with_the_pause_that_was_asked_for(fetch, serve, pauses, status):
    host = serve(response(status=status), response(status=status, Retry_After="9"), hang_up, gives(FILM))

    assert fetch(host) == FILM
    assert pauses == [1.0, 9.0, 4.0]


def test_no_pause_is_longer_than_a_minute(fetch, serve, pauses):
    assert fetch(serve(response(status=503, Retry_After="7200"), gives(FILM))) == FILM
    assert pauses == [60.0]


@pytest.mark.parametrize("status", [400, 401, 402, 451])
def test_a_refusal_that_no_attempt_mends_ends_it_at_once(failure, serve, status):
    host = serve(response(status=status))

    assert failure(host) == f"{host.url}/film.mp4 responded {status}"
    assert len(host.requests) == 1


@pytest.mark.parametrize("status", [403, 404, 410])
def test_each_expiry_brings_a_fresh_url_as_long_as_each_url_brings_something(fetch, serve, status):
    hosts = [serve(CUT, response(status=status)) for _ in range(4)]

    fetched = fetch(None, *[f"{host.url}/film" for host in hosts])

    assert fetched == FILM
    assert [ranges(host)[0] for host in hosts] == [None, *[f"bytes={n}00000-" for n in (1, 2, 3)]]


@pytest.mark.parametrize("status", [403, 404])
def test_a_file_that_is_not_there_yet_is_waited_for(fetch, serve, pauses, status):
    host = serve(*[response(status=status)] * 3, gives(FILM))

    assert fetch(host) == FILM
    assert pauses == [1.0, 2.0, 4.0]


def test_a_file_that_does_not_come_is_asked_for_under_a_fresh_url_for_as_long(failure, serve, pauses):
    host = serve(response(status=404))

    said = failure(None, *[f"{host.url}/{number}.mp4" for number in range(3)])

    assert [request.target for request in host.requests] == ["/0.mp4"] * 5 + ["/1.mp4"] * 5
    assert pauses == [1.0, 2.0, 4.0, 8.0] * 2
    assert f"{host.url}/1.mp4 responded 404, so the URL has expired or its file isn't there yet" in said
    assert "it expired twice in a row" in said


def test_a_file_that_is_there_late_under_the_fresh_url_comes(fetch, serve, pauses):
    late = serve(*[response(status=403)] * 2, gives(FILM))

    assert fetch(None, f"{serve(response(status=403)).url}/old", f"{late.url}/new") == FILM


def test_two_expired_urls_in_a_row_end_it(failure, serve):
    host = serve(CUT, response(status=403), response(status=410), gives(FILM))

    said = failure(host)

    assert said == (
        f"{host.url}/film.mp4 responded 410, so the URL has expired, though Pictory had just given that URL: "
        "it expired twice in a row"
    )


def test_a_host_that_cannot_be_reached_is_named_without_its_secrets(failure, pauses):
    said = failure(None, *["http://user:very-secret@127.0.0.1:9/film.mp4?signature=very-secret"] * 5)

    assert "no response from http://127.0.0.1:9/film.mp4 (ConnectionError" in said
    assert pauses == [1.0, 2.0, 4.0, 8.0]


def test_a_length_of_thousands_of_digits_is_none(fetch, serve):
    assert fetch(serve(raw(head(200, {"Content-Length": "9" * 5000}) + FILM))) == FILM


def test_a_full_disk_ends_it_at_once(fetch, serve):
    host = serve(gives(FILM))

    with open("/dev/full", "wb", buffering=0) as disk, pytest.raises(OSError, match="No space left"):  # noqa: PTH123
        fetch(host, file=disk)

    assert len(host.requests) == 1


def test_a_disk_that_takes_less_than_it_is_given_gets_the_rest(fetch, serve):
    class Slow(io.BytesIO):
        def write(self, data):
            return super().write(bytes(data[:1000]))

    assert fetch(serve(gives(FILM)), file=Slow()) == FILM


def test_a_long_download_says_now_and_then_how_far_it_is(fetch, serve, caplog):
    caplog.set_level(logging.INFO)

    fetch(serve(gives(FILM)), clock=IdleTime(step=31.0).clock)

    lines = [record.getMessage() for record in caplog.records if record.name == LOG.name]
    assert all(re.fullmatch(r"Video: 0 of 0 MB are here, [0-9.]+ MB/s", line) for line in lines)
    assert lines


def test_a_short_download_says_nothing(fetch, serve, caplog):
    caplog.set_level(logging.INFO)

    fetch(serve(gives(FILM)))

    assert [record for record in caplog.records if record.name == LOG.name] == []


def test_pauses_are_real(fetch, serve):
    started = time.monotonic()

    assert fetch(serve(response(status=503, Retry_After="0.1"), gives(FILM)), clock=SYSTEM_CLOCK) == FILM
    assert time.monotonic() - started >= 0.1


# Too much, or too slowly


def endless(_server, connection, _request):
    """Return a video that has no length and no end."""
    connection.sendall(head(200, {"Content-Type": "video/mp4"}) + FILM)
    while True:
        connection.sendall(bytes(100_000))


def test_a_file_without_an_end_is_given_up_at_the_limit(failure, serve):
    host, file = serve(endless), io.BytesIO()

    said = failure(host, file=file)

    (given,) = re.findall(r"the host gives ([\d,]+) bytes or more", said)
    assert 2_000_000 < int(given.replace(",", "")) <= 2_000_000 + PIECE
    assert "max_bytes allows 2,000,000" in said
    assert len(file.getvalue()) <= 2_000_000
    assert len(host.requests) == 1


def drips(beginning, drop):
    """Return something now and then for ever."""

    def send(server, connection, _request):
        connection.sendall(beginning)
        while not server.ended.wait(0.05):
            connection.sendall(drop)
        return False

    return send


@pytest.mark.parametrize(
    ("beginning", "drop"),
    [
        (head(200, {"Content-Length": 1_000_000}) + FILM[:100], b"x"),
        (head(200, {}) + FILM[:100], b"x"),
        (head(200, {"Transfer-Encoding": "chunked"}), b"0"),
        (head(200, {"Transfer-Encoding": "chunked"}) + b"4;", b"x"),
    ],
    ids=["of a length", "of no length", "in a chunk's length", "in a chunk's extension"],
)
def test_a_file_that_hardly_comes_is_given_up(failure, serve, beginning, drop):
    host = serve(drips(beginning, drop))

    said = failure(host, slow_seconds=0.2)

    assert said == (f"{host.url}/film.mp4 is too slow: in 0.2 s less than 10,000 bytes a second came")


def test_a_file_that_comes_slowly_but_fast_enough_comes(fetch, serve):
    def slow(server, connection, _request):
        connection.sendall(head(200, {"Content-Length": len(FILM)}))
        for start in range(0, len(FILM), 40_000):
            connection.sendall(FILM[start : start + 40_000])
            server.ended.wait(0.05)
        return True

    assert fetch(serve(slow), slow_seconds=0.2) == FILM


def test_a_host_that_gives_a_byte_with_each_connection_is_given_up(failure, serve):
    host = serve(*[gives(FILM, cuts_after=1)] * 30)

    assert "The download failed 5 times in a row" in failure(host)


def test_no_broken_connection_is_followed_by_another_one_for_ever(failure, serve):
    host = serve(gives(FILM, cuts_after=100_000))

    said = failure(host, clock=IdleTime(step=2 * 60 * 60.0).clock)

    assert "The download isn't at its end after 6 hours" in said


@pytest.mark.parametrize("target", ["http://[::1/x", "http://", "http://127.0.0.1:99999999/", "http://a..b/"])
def test_a_redirect_to_no_url_is_an_error_of_ours(failure, serve, target):
    assert "no response from" in failure(serve(response(status=302, Location=target)))


def test_the_type_of_what_came_is_quoted_in_one_short_line(failure, serve):
    kind = "text/html;" + "x" * 60_000 + "\x1b[31m"
    said = failure(serve(response(b"<!DOCTYPE html>", Content_Type=kind)))

    assert len(said) < 300
    assert said.isprintable()
