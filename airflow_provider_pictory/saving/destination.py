"""The interface of all places where a video can be saved."""

from __future__ import annotations

import hashlib
import shutil
from abc import ABC, abstractmethod
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_pictory.exceptions import PictoryError, PictoryStorageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path
    from typing import BinaryIO

# How many bytes of a file are in memory at once while the file is hashed.
_PART = 4 * 1024 * 1024


@dataclass(frozen=True)
class Content:
    """
    What a file holds, by two figures that no other content has.

    :param size: in bytes.
    :param sha256: in hexadecimal digits.
    """

    size: int
    sha256: str


class Destination(ABC):
    """
    A file to be written, which is there as a whole or not at all.

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
        Put a new file at its destination, in the place of any other.

        :param file: from :meth:`new_file`.
        :param size: of it, in bytes.
        :raises PictoryStorageError: it can't be put there; what was there before is still there then.
        """

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
