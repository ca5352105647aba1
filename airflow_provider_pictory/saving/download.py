"""A file is downloaded into a local one and hashed meanwhile, going on where a broken connection left off."""

from __future__ import annotations

import hashlib
import math
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from airflow_provider_pictory.exceptions import PictoryDownloadError
from airflow_provider_pictory.saving.content import Content
from airflow_provider_pictory.saving.file_host import BrokenOffError, NoSuchRangeError, require_mp4

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future
    from types import TracebackType
    from typing import BinaryIO

    from airflow_provider_pictory.saving.file_host import Body, FileHost
    from airflow_provider_pictory.task_log import Logger

PAUSE_BETWEEN_REPORTS = 30.0
MEGABYTE = 1_000_000
# So many bytes are hashed at once, since handing over each small piece would take longer than hashing it, and
# so many such batches may wait.
BATCH = 1024 * 1024
MOST_BATCHES_WAITING = 4


class Hashing:
    """Hashes pieces on a thread of its own, since that takes as long as the download itself; a context."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sha256")
        self._waiting: deque[Future[None]] = deque()
        self._batch: list[bytes] = []
        self._batch_size = 0
        self._hash = hashlib.sha256()

    def __enter__(self) -> Hashing:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._executor.shutdown(cancel_futures=True)

    def update(self, piece: bytes) -> None:
        """Hash a piece soon, after those before."""
        self._batch.append(piece)
        self._batch_size += len(piece)
        if self._batch_size >= BATCH:
            self._hand_over()

    def restart(self) -> None:
        """Forget all pieces."""
        self.digest()
        self._hash = hashlib.sha256()

    def digest(self) -> str:
        """Return the hash of all pieces in hexadecimal digits."""
        self._hand_over()
        while self._waiting:
            self._waiting.popleft().result()
        return self._hash.hexdigest()

    def _hand_over(self) -> None:
        if len(self._waiting) >= MOST_BATCHES_WAITING:
            self._waiting.popleft().result()
        self._waiting.append(self._executor.submit(self._hash_all, self._batch))
        self._batch, self._batch_size = [], 0

    def _hash_all(self, pieces: list[bytes]) -> None:
        for piece in pieces:
            self._hash.update(piece)


class Downloader:
    """
    Downloads one file, in constant memory.

    :param host: where it is.
    :param log: where the progress of a long download goes.
    :param what: what is being downloaded, for messages.
    :param max_bytes: what a larger file is refused for, before it comes where the host says its size.
    :param check_space: called with the file's size once that is known, to refuse what won't fit.
    """

    def __init__(
        self,
        host: FileHost,
        *,
        log: Logger,
        what: str,
        max_bytes: float = math.inf,
        check_space: Callable[[int], None] = lambda size: None,
    ) -> None:
        self._host = host
        self._log = log
        self._what = what
        self._max_bytes = max_bytes
        self._check_space = check_space
        self._position = 0
        self._total: int | None = None
        self._validator: str | None = None
        self._began = self._reported = time.monotonic()

    def download(self, file: BinaryIO) -> Content:
        """
        Download the file, from the place where a connection broke if the host can do that and still has the
        same file, otherwise from its beginning again.

        :param file: where to, empty; it is unbuffered.
        :raises PictoryDownloadError: the host refuses, gives something else than an MP4, too much or too
            slowly, breaks off again and again, or its URL expired twice in a row.
        :raises OSError: the file can't be written.
        """
        with Hashing() as hashing:
            self._host.persist(lambda: self._attempt(file, hashing), lambda: self._position)
            return Content(self._position, hashing.digest())

    def _attempt(self, file: BinaryIO, hashing: Hashing) -> None:
        try:
            with self._host.open(self._position, validator=self._validator) as body:
                self._begin(body, file, hashing)
                for piece in body.pieces:
                    if self._position == 0:
                        require_mp4(piece, body)
                    self._require_size(self._position + len(piece))
                    _write(file, piece)
                    hashing.update(piece)
                    self._position += len(piece)
                    self._report()
        except NoSuchRangeError:
            self._restart(file, hashing)
            raise
        if self._total is not None and self._position != self._total:
            raise BrokenOffError(f"{self._position:,} bytes came, and the host had said {self._total:,}")

    def _begin(self, body: Body, file: BinaryIO, hashing: Hashing) -> None:
        if self._total is None and self._validator:
            # What came in chunks had no size, and is still the same file.
            self._total = body.total
        if body.start != self._position or (body.start and self._is_of_another_file(body)):
            self._restart(file, hashing)
            if body.start:
                raise BrokenOffError("the host gave another part than it was asked for, or of another file")
        if body.start == 0:
            self._total, self._validator = body.total, body.validator
            if body.total is not None:
                self._check_space(body.total)
                self._require_size(body.total)

    def _require_size(self, size: int) -> None:
        if size > self._max_bytes:
            raise PictoryDownloadError(
                f"{self._what}: the host gives {size:,} bytes or more, and max_bytes allows "
                f"{self._max_bytes:,}. If the video is that long, say so with a larger max_bytes"
            )

    def _is_of_another_file(self, body: Body) -> bool:
        if body.total != self._total:
            return True
        ours, theirs = self._validator, body.validator
        # A host that doesn't heed If-Range gives a part of whatever it has. A tag says nothing about a time.
        return bool(ours and theirs and ours[0] == theirs[0] == '"' and ours != theirs)

    def _restart(self, file: BinaryIO, hashing: Hashing) -> None:
        file.seek(0)
        file.truncate()
        hashing.restart()
        self._position, self._total, self._validator = 0, None, None

    def _report(self) -> None:
        now = time.monotonic()
        if now - self._reported < PAUSE_BETWEEN_REPORTS:
            return
        self._reported = now
        rate = self._position / MEGABYTE / (now - self._began)
        of_total = f" of {self._total / MEGABYTE:,.0f}" if self._total else ""
        self._log.info(
            "%s: %s%s MB are here, %.1f MB/s", self._what, f"{self._position / MEGABYTE:,.0f}", of_total, rate
        )


def _write(file: BinaryIO, piece: bytes) -> None:
    # An unbuffered file may take less than it is given, on the last bytes of a full disk for instance.
    rest = memoryview(piece)
    while rest:
        rest = rest[file.write(rest) :]
