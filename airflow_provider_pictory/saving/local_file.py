"""A video on a file system of the worker: written under a temporary name beside its own, then renamed."""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from fsspec.implementations.local import LocalFileSystem  # type: ignore[import-untyped]

from airflow_provider_pictory.exceptions import PictoryInvalidRequestError
from airflow_provider_pictory.saving.destination import Destination

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO


class LocalFile(Destination):
    """
    A file on a file system that can rename.

    A symbolic link stands for the file that it leads to, whether that is there or not.

    :param path: with or without ``file://``.
    :raises PictoryInvalidRequestError: there is a folder of this name, or something else that is no file.
    :raises PictoryStorageError: the path can't be accessed, for lack of permissions or since the name is too
        long.
    """

    def __init__(self, path: str) -> None:
        named = Path(LocalFileSystem._strip_protocol(path))
        super().__init__(f"file://{named}" if "://" in path else str(named))
        self._path = named
        self._partial: Path | None = None
        with self.errors_named("accessed"):
            self._path = Path(os.path.realpath(named))
            status = self._status()
        if status is None or stat.S_ISREG(status.st_mode):
            return
        if stat.S_ISDIR(status.st_mode):
            raise PictoryInvalidRequestError(
                f"path: got {path!r}, but that is a folder; end it with / to put <job id>.mp4 into it, or "
                "name a file in it"
            )
        raise PictoryInvalidRequestError(
            f"path: got {path!r}, but that is no file (a pipe, a socket or a device); name one, or one to be"
        )

    def size(self) -> int | None:
        """Return the size in bytes of the file that is there; ``None`` where there is none."""
        with self.errors_named("read"):
            status = self._status()
            return None if status is None else status.st_size

    def read(self, start: int, length: int) -> bytes:
        """Read a part of the file that is there."""
        with self.errors_named("read"), self._path.open("rb") as file:
            file.seek(start)
            return file.read(length)

    @property
    def folder(self) -> Path:
        """The folder in which a new file is written, and then renamed."""
        return self._path.parent

    @contextmanager
    def new_file(self) -> Iterator[BinaryIO]:
        """Return an empty file in the same folder, which is made where it is missing."""
        partial = self._path.with_name(f".pictory-{secrets.token_hex(8)}.partial")
        with self.errors_named("written"):
            partial.parent.mkdir(parents=True, exist_ok=True)
            file = partial.open("x+b", buffering=0)
        self._partial = partial
        try:
            with file:
                yield file
        finally:
            partial.unlink(missing_ok=True)

    def publish(self, file: BinaryIO, size: int) -> None:
        """
        Rename the new file once it is on the disk, so that not even a power cut leaves half of it.

        It gets the mode of the file that it replaces, and its owner, where the worker may set that.
        """
        assert self._partial is not None  # noqa: S101  (there is no file without it)
        with self.errors_named("written"):
            self._keep_mode(file)
            os.fsync(file.fileno())
            self._partial.replace(self._path)
        # Sync the new name as well, on those file systems that can sync a folder.
        with suppress(OSError):
            folder = os.open(self.folder, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def _status(self) -> os.stat_result | None:
        try:
            return self._path.stat()
        except FileNotFoundError:
            return None

    def _keep_mode(self, file: BinaryIO) -> None:
        replaced = self._status()
        if replaced is None:
            return
        with suppress(OSError):
            os.fchown(file.fileno(), replaced.st_uid, replaced.st_gid)
        # Without setuid and setgid, as when any file is written to.
        os.fchmod(file.fileno(), replaced.st_mode & 0o777)
