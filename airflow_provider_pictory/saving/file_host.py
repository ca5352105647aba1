"""How the host of a finished file is asked, and what its responses and its silence mean."""

from __future__ import annotations

import re
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

import requests
import urllib3

from airflow_provider_pictory.api import Response
from airflow_provider_pictory.api.headers import read_retry_after
from airflow_provider_pictory.api.redaction import clean
from airflow_provider_pictory.exceptions import PictoryDownloadError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from airflow_provider_pictory.task_log import Logger

# The largest piece that is taken from the network at once.
PIECE = 1024 * 1024

# How often in a row an attempt may bring nothing new, with growing pauses between.
FRUITLESS_ATTEMPTS = 5
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0
LONGEST_TYPE = 80
PAUSE_BETWEEN_REPORTS = 30.0

# Seconds to wait for a file that isn't there, or not for everybody, though Pictory names it already.
PAUSES_UNTIL_THERE = (1.0, 2.0, 4.0, 8.0)

# Bytes a second that a response has to come at, in each so many seconds.
LOWEST_SPEED = 10_000
SLOW_SECONDS = 60.0
# Fewer bytes than these are nothing new, or a host could give one with each of its connections.
LEAST_PROGRESS = 10_000
# After so long no broken connection is followed by another one.
LONGEST_SECONDS = 6 * 60 * 60.0

GONE = 410
EXPIRED = (403, 404, GONE)
MAY_PASS = (408, 425, 429)
# A redirect to something that is no URL is a ValueError.
NO_BODY = (urllib3.exceptions.HTTPError, requests.RequestException, HTTPException, OSError, ValueError)

Result = TypeVar("Result")

# Python refuses to read numbers of thousands of digits, and no file is that long.
_LENGTH = re.compile(r"\d{1,18}", re.ASCII)
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-\d+/(\d{1,18}|\*)", re.ASCII)
# Of what a host says of a file and of itself no more is shown.
_LONGEST_SHOWN = 200


class BrokenOffError(Exception):
    """
    An attempt ended before its time; another one may go on.

    :param reason: as a sentence fragment.
    :param pause: seconds that the host asked to wait.
    """

    def __init__(self, reason: str, *, pause: float | None = None) -> None:
        super().__init__(reason)
        self.pause = pause


class ExpiredUrlError(BrokenOffError):
    """
    The URL is good no more, or not yet.

    :param reason: as a sentence fragment.
    :param is_gone: whether the host is sure that it was good once.
    """

    def __init__(self, reason: str, *, is_gone: bool) -> None:
        super().__init__(reason)
        self.is_gone = is_gone


class NoSuchRangeError(BrokenOffError):
    """The host hasn't got the rest of what it began to give."""


@dataclass(frozen=True)
class Body:
    """
    A file, or the rest of one, that is on its way.

    :param start: the place of its first byte in the file.
    :param total: the size of the whole file in bytes, ``None`` where the host doesn't say.
    :param validator: what tells this file from a later one under the same URL, where there is anything.
    :param kind: the media type that the host names.
    :param pieces: the bytes as they come.
    """

    start: int
    total: int | None
    validator: str | None
    kind: str
    pieces: Iterator[bytes]


class FileHost:
    """
    Asks for one file, over as many connections and URLs as it takes.

    :param open_url: asks a URL with some headers, without a key, and gives a response whose body is still to
        be read.
    :param find_url: gives the file's URL; called again once a URL has expired.
    :param log: where the few lines about trouble go.
    """

    def __init__(
        self,
        open_url: Callable[[str, Mapping[str, str]], requests.Response],
        find_url: Callable[[], str],
        *,
        log: Logger,
    ) -> None:
        self._open_url = open_url
        self._find_url = find_url
        self._log = log
        self._url: str | None = None
        self._has_given = False
        self._began = time.monotonic()

    @contextmanager
    def open(
        self, start: int = 0, *, length: int | None = None, validator: str | None = None
    ) -> Iterator[Body]:
        """
        Ask once for the file, or for a part of it. A host may give the whole file all the same.

        :param start: the place of the first byte that is wanted.
        :param length: how many bytes are wanted; all from there on without it.
        :param validator: of the file that earlier parts came from.
        :raises BrokenOffError: no file comes, or not all of it, and another attempt may help; raised by the
            pieces as well.
        :raises PictoryDownloadError: no attempt can help.
        """
        self._url = url = self._url or self._find_url()
        headers = {"Accept-Encoding": "identity"}
        if start or length is not None:
            end = "" if length is None else start + length - 1
            headers["Range"] = f"bytes={start}-{end}"
            if validator:
                headers["If-Range"] = validator
        try:
            response = self._open_url(url, headers)
        except NO_BODY as error:
            raise BrokenOffError(f"no response from {place(url)} ({_words(error)})") from None
        with response:
            self._check_status(response)
            self._has_given = True
            with _Pace(response) as pace:
                yield _body(response, pace)

    def persist(self, attempt: Callable[[], Result], position: Callable[[], int] = lambda: 0) -> Result:
        """
        Repeat an attempt until it succeeds, while each brings something new or few in a row don't.

        :param attempt: raises :class:`BrokenOffError` where another one may help.
        :param position: how much of the file there is by now, in bytes.
        :raises PictoryDownloadError: the host breaks off again and again, or two URLs in a row had expired.
        """
        furthest, fruitless, breaks, reported = position(), 0, 0, float("-inf")
        has_expired, pauses = False, list(PAUSES_UNTIL_THERE)
        while True:
            try:
                return attempt()
            except BrokenOffError as error:
                broken = error
            if time.monotonic() - self._began > LONGEST_SECONDS:
                raise PictoryDownloadError(
                    f"The download isn't at its end after {LONGEST_SECONDS / 3600:g} hours: {broken}"
                )
            breaks += 1
            if position() >= furthest + LEAST_PROGRESS:
                furthest, fruitless, has_expired = position(), 0, False
            elif not isinstance(broken, ExpiredUrlError):
                fruitless += 1
            if isinstance(broken, ExpiredUrlError):
                # A URL that gave something was good and is no more.
                if pauses and not self._has_given and not broken.is_gone:
                    time.sleep(pauses.pop(0))
                    continue
                if has_expired:
                    raise PictoryDownloadError(
                        f"{broken}, though Pictory had just given that URL: it expired twice in a row"
                    )
                has_expired, self._url, self._has_given = True, None, False
                pauses = list(PAUSES_UNTIL_THERE)
                self._log.info("%s: asking Pictory for a fresh URL", broken)
                continue
            if fruitless >= FRUITLESS_ATTEMPTS:
                raise PictoryDownloadError(
                    f"The download failed {fruitless} times in a row after {furthest:,} bytes: {broken}"
                )
            if time.monotonic() - reported >= PAUSE_BETWEEN_REPORTS:
                reported = time.monotonic()
                self._log.info("The download was interrupted %d times, going on: %s", breaks, broken)
            if fruitless:
                time.sleep(min(broken.pause or FIRST_PAUSE * 2.0 ** (fruitless - 1), LONGEST_PAUSE))

    def _check_status(self, response: requests.Response) -> None:
        status = response.status_code
        if status in (200, 206):
            return
        said = f"{place(response.url)} responded {status}"
        if status in EXPIRED:
            is_gone = status == GONE
            why = "" if is_gone else " or its file isn't there yet"
            raise ExpiredUrlError(f"{said}, so the URL has expired{why}", is_gone=is_gone)
        if status == 416:
            raise NoSuchRangeError(f"{said}, so the file is shorter than the host had said, or another one")
        if status in MAY_PASS or status >= 500:
            headers = {name.lower(): value for name, value in response.headers.items()}
            raise BrokenOffError(said, pause=read_retry_after(Response(status, b"", headers)))
        raise PictoryDownloadError(said)


def place(url: str) -> str:
    """Return a URL without what may be a secret: its query, and a user before the host."""
    parts = urlsplit(url)
    return clean(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}", longest=_LONGEST_SHOWN)


def require_mp4(beginning: bytes, body: Body) -> None:
    """
    Refuse a page that says why there is no video before the rest of it comes.

    :param beginning: the first bytes of the file; fewer than 8 say nothing.
    :param body: which they are of.
    :raises BrokenOffError: they are of something else than an MP4.
    """
    if len(beginning) >= 8 and beginning[4:8] != b"ftyp":
        raise BrokenOffError(
            # Not what came: whoever chose the URL may want to read it in a log.
            f"the host gave something else than an MP4 ({body.kind})"
        )


class _Pace:
    """
    Ends a response that hardly comes, as a context.

    From another thread, since a read may wait for one more byte for ever, and get it every second.
    """

    def __init__(self, response: requests.Response) -> None:
        self._response = response
        self._arrived = 0
        self._is_too_slow = False
        self._has_ended = threading.Event()

    def __enter__(self) -> _Pace:
        threading.Thread(target=self._watch, name="pictory-pace", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._has_ended.set()

    def count(self, size: int) -> None:
        """Note bytes that came."""
        self._arrived += size

    def require(self) -> None:
        """
        Go on only if the response wasn't ended.

        :raises PictoryDownloadError: it was.
        """
        if self._is_too_slow:
            raise PictoryDownloadError(
                f"{place(self._response.url)} is too slow: in {SLOW_SECONDS:g} s less than "
                f"{LOWEST_SPEED:,} bytes a second came"
            )

    def _watch(self) -> None:
        before = 0
        while not self._has_ended.wait(SLOW_SECONDS):
            if self._arrived - before < LOWEST_SPEED * SLOW_SECONDS:
                self._is_too_slow = True
                # Old versions of urllib3 can't end a read from outside; there its time limit does.
                getattr(self._response.raw, "shutdown", self._response.close)()
                return
            before = self._arrived


def _body(response: requests.Response, pace: _Pace) -> Body:
    headers, start, total = response.headers, 0, _declared_length(response)
    if response.status_code == 206:
        match = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", ""))
        if not match:
            raise BrokenOffError(f"{place(response.url)} gave a part of the file without saying which")
        start, total = int(match[1]), None if match[2] == "*" else int(match[2])
    if headers.get("Content-Encoding", "identity").lower() != "identity":
        raise BrokenOffError(f"{place(response.url)} compressed the file, though it was asked not to")
    tag = headers.get("ETag", "")
    validator = tag if tag.startswith('"') else headers.get("Last-Modified")
    kind = clean(headers.get("Content-Type", "no type"), longest=_LONGEST_SHOWN)
    return Body(start, total, validator, kind, _pieces(response, pace))


def _declared_length(response: requests.Response) -> int | None:
    text = response.headers.get("Content-Length", "")
    return int(text) if _LENGTH.fullmatch(text) else None


def _pieces(response: requests.Response, pace: _Pace) -> Iterator[bytes]:
    # What arrives before a break counts, which a read of a whole piece would lose. Old versions of urllib3
    # have nothing better.
    read = getattr(response.raw, "read1", response.raw.read)
    try:
        while piece := read(PIECE, decode_content=False):
            pace.count(len(piece))
            yield piece
    except NO_BODY as error:
        pace.require()
        raise BrokenOffError(f"{place(response.url)} broke off ({_words(error)})") from None
    # A response without a length ends like one that was ended.
    pace.require()


def _words(error: BaseException) -> str:
    """Return an exception in words, without secrets; those of :meth:`PictoryHook.open_file` have a name."""
    text = clean(str(error))
    return text if type(error) is requests.RequestException else f"{type(error).__name__}: {text}"
