"""One request for a finished file, and what its host's response or its silence means."""

from __future__ import annotations

import re
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import requests
import urllib3

from airflow_provider_pictory.api import Response
from airflow_provider_pictory.api.headers import read_retry_after
from airflow_provider_pictory.api.redaction import clean
from airflow_provider_pictory.exceptions import PictoryDownloadError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

# The largest piece that is taken from the network at once.
PIECE = 1024 * 1024

# The lowest speed of a response in bytes a second, over each so many seconds.
LOWEST_SPEED = 10_000
SLOW_SECONDS = 60.0

GONE = 410
EXPIRED = (403, 404, GONE)
MAY_PASS = (408, 425, 429)
# A redirect to something that is no URL is a ValueError.
NO_BODY = (urllib3.exceptions.HTTPError, requests.RequestException, HTTPException, OSError, ValueError)

# Python refuses to read numbers of thousands of digits, and no file is that long.
_LENGTH = re.compile(r"\d{1,18}", re.ASCII)
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-\d+/(\d{1,18}|\*)", re.ASCII)
# No more characters are shown of what a host says.
_LONGEST_SHOWN = 200


class BrokenOffError(Exception):
    """
    An attempt broke off; another one may go on.

    :param reason: as a sentence fragment.
    :param pause: seconds that the host asked to wait.
    :param starts_again: whether what came before is of no use any more.
    """

    def __init__(self, reason: str, *, pause: float | None = None, starts_again: bool = False) -> None:
        super().__init__(reason)
        self.pause = pause
        self.starts_again = starts_again


class ExpiredUrlError(BrokenOffError):
    """
    The URL is no longer valid, or not yet.

    :param reason: as a sentence fragment.
    :param was_good: whether it was valid once, so that waiting won't help.
    """

    def __init__(self, reason: str, *, was_good: bool) -> None:
        super().__init__(reason)
        self.was_good = was_good


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


@dataclass
class FileHost:
    """
    Request one file, under one URL after another.

    :param open_url: requests a URL with some headers, without a key, and returns a response whose body is
        still to be read.
    :param urls: yields the file's URL, and a fresh one each time that the last one has expired.
    :param slow_seconds: the time over which a response's speed is measured.
    """

    open_url: Callable[[str, Mapping[str, str]], requests.Response]
    urls: Iterator[str]
    slow_seconds: float = SLOW_SECONDS
    _url: str | None = field(default=None, init=False)
    _has_given: bool = field(default=False, init=False)

    def forget_url(self) -> None:
        """Ask for a fresh URL the next time."""
        self._url, self._has_given = None, False

    @contextmanager
    def open(self, start: int = 0, *, validator: str | None = None) -> Iterator[Body]:
        """
        Request the file once, or the rest of it. A host may send the whole file all the same.

        :param start: the place of the first byte that is wanted.
        :param validator: of the file that earlier parts came from.
        :raises BrokenOffError: no file comes, or not all of it, and another attempt may help; raised by the
            pieces as well.
        :raises PictoryDownloadError: no attempt can help.
        """
        self._url = url = self._url or next(self.urls)
        headers = {"Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
            if validator:
                headers["If-Range"] = validator
        try:
            response = self.open_url(url, headers)
        except NO_BODY as error:
            raise BrokenOffError(f"no response from {place(url)} ({_words(error)})") from None
        with response:
            self._check_status(response)
            self._has_given = True
            with _PacedReader(response, self.slow_seconds) as reader:
                yield _body(response, reader.pieces())

    def _check_status(self, response: requests.Response) -> None:
        status = response.status_code
        if status in (200, 206):
            return
        said = f"{place(response.url)} responded {status}"
        if status in EXPIRED:
            why = "" if status == GONE else " or its file isn't there yet"
            raise ExpiredUrlError(
                f"{said}, so the URL has expired{why}", was_good=status == GONE or self._has_given
            )
        if status == 416:
            why = "so the file is shorter than the host had said, or another one"
            raise BrokenOffError(f"{said}, {why}", starts_again=True)
        if status in MAY_PASS or status >= 500:
            headers = {name.lower(): value for name, value in response.headers.items()}
            raise BrokenOffError(said, pause=read_retry_after(Response(status, b"", headers)))
        raise PictoryDownloadError(said)


def place(url: str) -> str:
    """Return a URL without what may be a secret: its query, and a user before the host."""
    parts = urlsplit(url)
    return clean(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}", longest=_LONGEST_SHOWN)


class _PacedReader:
    """
    Read a response, and end one that is too slow, as a context.

    Another thread ends it, since a read may wait for ever, or go on for ever with a byte every second.
    """

    def __init__(self, response: requests.Response, slow_seconds: float) -> None:
        self._response = response
        self._slow_seconds = slow_seconds
        self._arrived = 0
        self._is_too_slow = False
        self._has_ended = threading.Event()

    def __enter__(self) -> _PacedReader:
        threading.Thread(target=self._watch, name="pictory-pace", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._has_ended.set()

    def pieces(self) -> Iterator[bytes]:
        """
        Yield the bytes as they come.

        :raises BrokenOffError: the connection broke.
        :raises PictoryDownloadError: the response was ended for being too slow.
        """
        # What arrives before a break counts, which a read of a whole piece would lose. Old versions of
        # urllib3 have nothing better.
        read = getattr(self._response.raw, "read1", self._response.raw.read)
        try:
            while piece := read(PIECE, decode_content=False):
                self._arrived += len(piece)
                yield piece
        except NO_BODY as error:
            if not self._is_too_slow:
                raise BrokenOffError(f"{place(self._response.url)} broke off ({_words(error)})") from None
        # A response without a length that was ended looks like one that is complete.
        if self._is_too_slow:
            raise PictoryDownloadError(
                f"{place(self._response.url)} is too slow: in {self._slow_seconds:g} s less than "
                f"{LOWEST_SPEED:,} bytes a second came"
            )

    def _watch(self) -> None:
        before = 0
        while not self._has_ended.wait(self._slow_seconds):
            if self._arrived - before < LOWEST_SPEED * self._slow_seconds:
                self._is_too_slow = True
                # Old versions of urllib3 can't end a read from outside; there its time limit does. The
                # response may have ended by itself in this very moment.
                with suppress(OSError, RuntimeError, ValueError):
                    getattr(self._response.raw, "shutdown", self._response.close)()
                return
            before = self._arrived


def _body(response: requests.Response, pieces: Iterator[bytes]) -> Body:
    headers, start = response.headers, 0
    length = headers.get("Content-Length", "")
    total = int(length) if _LENGTH.fullmatch(length) else None
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
    return Body(start, total, validator, kind, pieces)


def _words(error: BaseException) -> str:
    """Return an exception in words, without secrets; those of :meth:`PictoryHook.open_file` have a name."""
    text = clean(str(error))
    return text if type(error) is requests.RequestException else f"{type(error).__name__}: {text}"
