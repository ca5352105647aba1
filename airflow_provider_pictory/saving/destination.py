"""Where a video shall be, whatever kind of place that is: what every such place can do."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
from abc import ABC, abstractmethod
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow_provider_pictory.exceptions import PictoryError, PictoryStorageError
from airflow_provider_pictory.saving.content import Content

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path
    from typing import BinaryIO

_PART = 4 * 1024 * 1024


class Destination(ABC):
    """
    One file to be, which is there as a whole or not at all.

    :param name: the path as the next task can use it.
    :param advice: what may help when the place refuses, as a whole sentence; empty where nothing is known.
    """

    def __init__(self, name: str, advice: str = "") -> None:
        self.name = name
        self._advice = advice

    @abstractmethod
    def size(self) -> int | None:
        """Return the size in bytes of the file that is there; ``None`` where there is none."""

    @abstractmethod
    def read(self, start: int, length: int) -> bytes:
        """Read a part of the file that is there."""

    @property
    @abstractmethod
    def folder(self) -> Path:
        """The folder in which a new file is written."""

    @abstractmethod
    def new_file(self) -> AbstractContextManager[BinaryIO]:
        """Return an empty, unbuffered, unseen file, gone at the end of the context unless it is published."""

    @abstractmethod
    def publish(self, file: BinaryIO, size: int) -> None:
        """
        Put a new file where it shall be, in the place of any other.

        :param file: from :meth:`new_file`.
        :param size: of it, in bytes.
        :raises PictoryStorageError: it can't be; then what was there before is still there.
        """

    def open(self, size: int) -> BinaryIO:
        """Return the file that is there, of so many bytes, as one to read from."""
        return io.BufferedReader(_Reading(self, size))

    def check_space(self, size: int) -> None:
        """
        Make sure that a new file of so many bytes fits.

        :raises PictoryStorageError: it doesn't.
        """
        free = shutil.disk_usage(self.folder).free
        if free < size:
            raise PictoryStorageError(
                f"The video has {size:,} bytes, and only {free:,} are free in {self.folder}, where it is to "
                "be written"
            )

    def content(self, size: int) -> Content:
        """Read and hash the whole file that is there, of so many bytes."""
        digest = hashlib.sha256()
        for start in range(0, size, _PART):
            digest.update(self.read(start, min(_PART, size - start)))
        return Content(size, digest.hexdigest())

    @contextmanager
    def errors_named(self, doing: str) -> Iterator[None]:
        """
        Name the path in whatever goes wrong, since storage libraries have hundreds of errors of their own.

        :param doing: what was tried, such as ``"read"``.
        :raises PictoryStorageError: in the place of any other exception.
        """
        try:
            yield
        except PictoryError:
            raise
        except Exception as error:
            words = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            raise PictoryStorageError(
                f"{self.name} can't be {doing}: {words}. {self._advice}".strip()
            ) from error


class _Reading(io.RawIOBase):
    def __init__(self, destination: Destination, size: int) -> None:
        self._destination = destination
        self._size = size
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._position = (
            offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        )
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Any) -> int:
        length = min(len(buffer), self._size - self._position)
        part = self._destination.read(self._position, length) if length > 0 else b""
        buffer[: len(part)] = part
        self._position += len(part)
        return len(part)
