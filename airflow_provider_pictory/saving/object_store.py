"""A video in an object store, which can't rename: a checked copy is uploaded, and committed at the end."""

from __future__ import annotations

import logging
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_pictory.exceptions import (
    PictoryConfigurationError,
    PictoryInvalidRequestError,
    PictoryStorageError,
)
from airflow_provider_pictory.saving.destination import Destination

try:
    from airflow.sdk.io import has_fs
except ImportError:
    # Airflow 2 has it elsewhere.
    from airflow.io import has_fs  # type: ignore[attr-defined,no-redef]

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

log = logging.getLogger(__name__)

# The smallest part that S3 takes, since the libraries hold a part several times in memory. 10,000 of them
# make a file of 52 GB.
PART = 5 * 1024 * 1024
# Google accepts all parts but the last one in multiples of this only.
GOOGLE_PART = 256 * 1024
MEDIA_TYPE = "video/mp4"
# How each store's library is told the media type; browsers download, instead of play, a file without one.
_S3 = {"ContentType": MEDIA_TYPE}
_GOOGLE = {"content_type": MEDIA_TYPE}
# For adlfs from 2026.8.0 on; older versions ignore it.
_AZURE = {"content_settings": _GOOGLE}
OPTIONS: dict[str, dict[str, Any]] = {
    **dict.fromkeys(("s3", "s3a", "s3n"), _S3),
    **dict.fromkeys(("gs", "gcs"), _GOOGLE),
    **dict.fromkeys(("abfs", "abfss", "adl"), _AZURE),
}


class StoredObject(Destination):
    """
    An object in a bucket, or whatever a store calls these two.

    :param scheme: of the store, such as ``s3``.
    :param bucket: in it.
    :param key: in the bucket.
    :param conn_id: of the Airflow connection, if any.
    :raises PictoryInvalidRequestError: no installed provider knows the scheme, or what reads the path there
        would take a part of the key for something else.
    :raises PictoryConfigurationError: a package is missing, or the connection can't be used.
    """

    def __init__(self, scheme: str, bucket: str, key: str, conn_id: str | None) -> None:
        name = f"{scheme}://{f'{conn_id}@' if conn_id else ''}{bucket}/{key}"
        advice = "" if conn_id else (
            f"The path names no connection, so the worker's own rights counted; {scheme}://<connection "
            "id>@bucket/key, or object_storage_conn_id, names one."
        )  # fmt: skip
        try:
            if not has_fs(scheme):
                raise PictoryInvalidRequestError(
                    f"path: got {name!r}, but no installed provider of Airflow knows {scheme}://; "
                    "s3:// comes with apache-airflow-providers-amazon[s3fs], gs:// with "
                    "apache-airflow-providers-google, abfs:// with apache-airflow-providers-microsoft-azure"
                )
            path = ObjectStoragePath(f"{scheme}://{bucket}/{key}", conn_id=conn_id)
            file_system = path.fs
        except ImportError as error:
            raise PictoryConfigurationError(
                f"path: {name} needs a package that is missing: {error}"
            ) from error
        except ValueError as error:
            raise PictoryConfigurationError(
                f"path: {name} can't be reached: {error}. {advice}".strip()
            ) from error
        if scheme in OPTIONS and not _is_read_as(f"{bucket}/{key}", path, file_system):
            raise PictoryInvalidRequestError(
                f"path: got {name!r}, but a part of that key means something else to the libraries that read "
                "paths, such as ::, ?versionId=, a dot between two slashes, or ? and # at the end; give it "
                "another name"
            )
        super().__init__(name, advice)
        self._scheme = scheme
        self._file_system = file_system
        self._path = path.path

    def size(self) -> int | None:
        """Return the size in bytes of the object that is there; ``None`` where there is none."""
        with self.errors_named("accessed"):
            self._file_system.invalidate_cache()
            try:
                found = self._file_system.info(self._path)
            except FileNotFoundError:
                return None
            # In a store, a name may be that of a file and the beginning of others' at once.
            return None if found["type"] == "directory" else int(found["size"])

    def read(self, start: int, length: int) -> bytes:
        """Read a part of the object that is there."""
        with self.errors_named("read"):
            return bytes(self._file_system.cat_file(self._path, start=start, end=start + length))

    @property
    def folder(self) -> Path:
        """The worker's folder for temporary files, in which a new file is written before it is uploaded."""
        return Path(tempfile.gettempdir())

    @contextmanager
    def new_file(self) -> Iterator[BinaryIO]:
        """Return an empty, unnamed file in the worker's temporary folder, gone however the task ends."""
        with tempfile.TemporaryFile(buffering=0) as file:
            yield file

    def publish(self, file: BinaryIO, size: int) -> None:
        """
        Upload the new file, and check that all of it is there.

        The upload stays invisible until it is committed, and is committed only once all of it has arrived.
        On anything else, such as a timeout of the task, it is discarded, and marked as closed, since a file
        of fsspec that is closed, or merely forgotten, would commit what it has.
        """
        log.info("Uploading %s bytes to %s", f"{size:,}", self.name)
        with self.errors_named("written"):
            lengths = self._lengths(size)
            upload = self._file_system.open(
                self._path,
                "wb",
                block_size=min(PART, lengths[0]) if len(lengths) > 1 else PART,
                autocommit=False,
                **OPTIONS.get(self._scheme, {}),
            )
            try:
                file.seek(0)
                for length in lengths:
                    upload.write(file.read(length))
                upload.close()
                upload.commit()
            except BaseException:
                _discard(upload)
                raise
        stored = self.size()
        if stored != size:
            raise PictoryStorageError(
                f"{self.name} has {'no object' if stored is None else f'{stored:,} bytes'} after an upload "
                f"of {size:,}: is something else writing there?"
            )

    def _lengths(self, size: int) -> list[int]:
        """Return the lengths of the pieces to write, each of which but the last becomes a part at once."""
        parts, rest = divmod(size, PART)
        lengths = [PART] * parts + [rest]
        if OPTIONS.get(self._scheme) is _GOOGLE and rest >= GOOGLE_PART:
            # gcsfs before 2026.6.0 sends what is left, whatever its length, and then says that it is the end.
            last = rest % GOOGLE_PART
            lengths[-2:] = [sum(lengths[-2:]) - last, last]
        return lengths


def _is_read_as(wanted: str, path: Any, file_system: Any) -> bool:
    """Tell whether everything that reads a path finds the wanted bucket and key in it, and nothing else."""
    bucket, key, version = (*file_system.split_path(wanted), None)[:3]
    return (
        # Some versions of what is behind ObjectStoragePath take this for a chain of file systems.
        "::" not in wanted
        and "?versionid=" not in wanted.lower()
        and "." not in wanted.split("/")
        and path.path == wanted
        and f"{bucket}/{key}" == wanted
        and version is None
    )


def _discard(upload: Any) -> None:
    try:
        upload.discard()
    except Exception as error:  # noqa: BLE001  (whatever the store's library raises, the first error counts)
        log.warning("An upload that failed couldn't be cleaned up (%s); it stays invisible", error)
    upload.closed = True
