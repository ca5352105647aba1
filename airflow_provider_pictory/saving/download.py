"""The download of a file, which is hashed on the way, and resumed where a connection broke."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_provider_pictory.clock import SYSTEM_CLOCK
from airflow_provider_pictory.exceptions import PictoryDownloadError
from airflow_provider_pictory.saving.destination import Content
from airflow_provider_pictory.saving.file_host import BrokenOffError
from airflow_provider_pictory.saving.retries import PAUSE_BETWEEN_REPORTS, Retries

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

    from airflow_provider_pictory.clock import Clock
    from airflow_provider_pictory.saving.file_host import Body, FileHost
    from airflow_provider_pictory.task_log import Logger

MEGABYTE = 1_000_000


@dataclass
class _Received:
    """What has come of one version of the file, and what the host said of that version."""

    total: int | None = None
    validator: str | None = None
    position: int = 0
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)

    def is_of_another_file(self, body: Body) -> bool:
        if self.total != body.total:
            return True
        ours, theirs = self.validator, body.validator
        # A host that ignores If-Range sends a part of whatever it has. A tag can't be compared with a date.
        return bool(ours and theirs and ours[0] == theirs[0] == '"' and ours != theirs)


class Downloader:
    """
    Download one file, in constant memory.

    :param host: where it is.
    :param file: where to, empty; it is unbuffered.
    :param log: where the progress of a long download goes.
    :param what: what is being downloaded, for messages.
    :param max_bytes: the size in bytes above which a file is refused, before it comes where the host says its
        size.
    :param check_space: called with the file's size once that is known, to refuse what won't fit.
    :param clock: to pause and to report with.
    """

    def __init__(
        self,
        host: FileHost,
        file: BinaryIO,
        *,
        log: Logger,
        what: str,
        max_bytes: int,
        check_space: Callable[[int], None] = lambda size: None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._host = host
        self._file = file
        self._log = log
        self._what = what
        self._max_bytes = max_bytes
        self._check_space = check_space
        self._clock = clock
        self._received = _Received()
        self._began = self._reported = clock.monotonic()

    def download(self) -> Content:
        """
        Download the file, resuming where a connection broke if the host can and still has the same file.

        :raises PictoryDownloadError: the host refuses, gives something else than an MP4, too much or too
            slowly, breaks off again and again, or its URL expired twice in a row.
        :raises OSError: the file can't be written.
        """
        retries = Retries(self._clock, self._log)
        while True:
            try:
                self._attempt()
                return Content(self._received.position, self._received.digest.hexdigest())
            except BrokenOffError as broken:
                if broken.starts_again:
                    self._restart(_Received())
                if retries.after(broken, self._received.position):
                    self._host.forget_url()

    def _attempt(self) -> None:
        with self._host.open(self._received.position, validator=self._received.validator) as body:
            self._begin(body)
            for piece in body.pieces:
                self._take(piece, body.kind)
        came, said = self._received.position, self._received.total
        if said is not None and came != said:
            raise BrokenOffError(f"{came:,} bytes came, and the host had said {said:,}")

    def _begin(self, body: Body) -> None:
        received = self._received
        if received.validator and received.total is None:
            # What came in chunks had no size, and is still the same file.
            received.total = body.total
        if body.start and (body.start != received.position or received.is_of_another_file(body)):
            reason = "the host gave another part than it was asked for, or of another file"
            raise BrokenOffError(reason, starts_again=True)
        if body.start == 0:
            self._restart(_Received(body.total, body.validator))
            if body.total is not None:
                self._check_space(body.total)
                self._require_size(body.total)

    def _restart(self, received: _Received) -> None:
        if self._received.position:
            self._file.seek(0)
            self._file.truncate()
        self._received = received

    def _take(self, piece: bytes, kind: str) -> None:
        received = self._received
        # A page that says why there is no video is refused before the rest of it comes.
        if received.position == 0 and len(piece) >= 8 and piece[4:8] != b"ftyp":
            # What came isn't quoted: whoever chose the URL may want to read it in a log.
            raise BrokenOffError(f"the host gave something else than an MP4 ({kind})")
        self._require_size(received.position + len(piece))
        # An unbuffered file may take less than it is given, on the last bytes of a full disk for instance.
        rest = memoryview(piece)
        while rest:
            rest = rest[self._file.write(rest) :]
        received.digest.update(piece)
        received.position += len(piece)
        self._report()

    def _require_size(self, size: int) -> None:
        if size > self._max_bytes:
            raise PictoryDownloadError(
                f"{self._what}: the host gives {size:,} bytes or more, and max_bytes allows "
                f"{self._max_bytes:,}. If the video is that long, say so with a larger max_bytes"
            )

    def _report(self) -> None:
        now = self._clock.monotonic()
        if now - self._reported < PAUSE_BETWEEN_REPORTS:
            return
        self._reported = now
        position, total = self._received.position / MEGABYTE, self._received.total
        of_total = f" of {total / MEGABYTE:,.0f}" if total else ""
        rate = position / (now - self._began)
        self._log.info("%s: %s%s MB are here, %.1f MB/s", self._what, f"{position:,.0f}", of_total, rate)
