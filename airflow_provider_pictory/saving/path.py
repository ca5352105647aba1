"""The destination that a user's path means."""

from __future__ import annotations

import os
import re
import unicodedata
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import unquote

from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook, ObjectStoragePath

from airflow_provider_pictory.api import InvalidRequestError
from airflow_provider_pictory.api.checks import is_absent
from airflow_provider_pictory.api.validation_errors import FieldError, shown
from airflow_provider_pictory.exceptions import PictoryConfigurationError, PictoryInvalidRequestError
from airflow_provider_pictory.saving.local_file import LocalFile
from airflow_provider_pictory.saving.object_store import StoredObject

if TYPE_CHECKING:
    from airflow_provider_pictory.saving.destination import Destination

_LOCAL_SCHEMES = ("file", "local")
# What pathlib makes of a scheme with two slashes.
_SCHEME_WITH_ONE_SLASH = re.compile(r"(?!file:|local:)[a-z][a-z0-9+.-]+:/(?!/)", re.IGNORECASE)
# Azure takes both for a separator.
_SEPARATOR = re.compile(r"[/\\]")
# A proxy or a store's library may decode a name, and another one may decode the result.
_MOST_DECODINGS = 5
# What a template leaves around a path. Other white space, such as U+3000, may be part of a name.
_WHITE_SPACE = " \t\r\n\f\v"


def find_destination(path: object, conn_id: object, file_name: str, field: str = "path") -> Destination:
    """
    Read a user's path.

    :param path: a text or a path object: a local path, or one with a scheme that an installed provider of
        Airflow has a file system for. One that ends in ``/`` is a folder.
    :param conn_id: id of the Airflow connection to the storage; nothing where the path names it or none is
        needed.
    :param file_name: of the file, where the path is a folder.
    :param field: name of the argument, for the message.
    :raises PictoryInvalidRequestError: the path can't be one.
    :raises PictoryConfigurationError: the connection doesn't exist, or a package is missing.
    """
    text = path_text(path, field)
    if text.endswith("/"):
        text += file_name
    scheme, mark, rest = text.partition("://")
    if not mark or scheme in _LOCAL_SCHEMES:
        return LocalFile(text)
    authority, _, key = rest.partition("/")
    named, _, bucket = authority.rpartition("@")
    wanted = "" if is_absent(conn_id) else str(conn_id).strip()
    if named and wanted and named != wanted:
        _refuse(
            field, path, f"object_storage_conn_id names another connection, {wanted!r}; leave one of them out"
        )
    wanted = named or wanted
    if wanted:
        _require_connection(wanted)
    return StoredObject(scheme, bucket, key, wanted or None)


def path_text(path: object, field: str = "path") -> str:
    """
    Return a path as a text.

    :param path: as :func:`find_destination` takes it.
    :param field: name of the argument, for the message.
    :raises PictoryInvalidRequestError: it is none, was meant differently, or lost a part on its way.
    """
    text = _stripped_text(path, field)
    scheme, mark, rest = text.partition("://")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in text):
        _refuse(field, path, "a path has no control characters, and no halves of characters")
    if "{{" in text or "{%" in text:
        _refuse(
            field, path, "there is a template in it, which Airflow renders in a text, not in a pathlib.Path"
        )
    if "None" in text.split("/"):
        _refuse(field, path, "a part of it is None, as a template makes of a value that is missing")
    if _SCHEME_WITH_ONE_SLASH.match(text):
        _refuse(
            field, path, "two slashes follow a scheme; pathlib.Path drops one, so give such a path as a text"
        )
    if not (rest if scheme in _LOCAL_SCHEMES and mark else text).strip("/"):
        _refuse(field, path, "that is the root of all folders; is a value missing before the / at its end?")
    if scheme == "file" and mark and not rest.startswith("/"):
        # Otherwise a host or a connection would become a folder in the worker's own.
        _refuse(field, path, "an absolute path follows file://, as in file:///videos/film.mp4")
    if _leads_upwards(text):
        # Whoever may type a part of a path must not choose the folder before it.
        _refuse(
            field, path, "a part of it is '..', which leads out of the folder before it; write it without"
        )
    if mark and scheme not in _LOCAL_SCHEMES and not _names_bucket_and_file(rest):
        _refuse(
            field,
            path,
            f"it must name a bucket and a file, or a folder with / at the end: {scheme}://bucket/key",
        )
    return text


def _stripped_text(path: object, field: str) -> str:
    # Airflow's own path is none of the standard library's, and only its text has the connection.
    text = str(path) if isinstance(path, (os.PathLike, ObjectStoragePath)) else path
    if not isinstance(text, str) or is_absent(text):
        _refuse(field, path, "a path is needed, such as 's3://media@videos/film.mp4' or a local one")
    return text.strip(_WHITE_SPACE)


def _names_bucket_and_file(rest: str) -> bool:
    authority, slash, key = rest.partition("/")
    return bool(authority.rpartition("@")[2] and slash and (key or rest.endswith("/")))


def _leads_upwards(text: str) -> bool:
    for _ in range(_MOST_DECODINGS):
        if ".." in _SEPARATOR.split(text):
            return True
        text = unquote(text)
    return False


def _require_connection(conn_id: str) -> None:
    # Without this, some file systems go on with whatever permissions they find.
    try:
        BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        # In other URLs a user and a password precede the @, and Airflow's own message has them, too.
        user, colon, _ = conn_id.partition(":")
        name = f"{user}:***" if colon else conn_id
        raise PictoryConfigurationError(
            f"There is no Airflow connection {name!r}, which the path is to be reached over. Create it, "
            "or name another one: in the path, as in s3://<connection id>@bucket/key, or as "
            "object_storage_conn_id"
        ) from None


def _refuse(field: str, path: object, allowed: str) -> NoReturn:
    fault = FieldError(
        field, shown(str(path) if isinstance(path, (os.PathLike, ObjectStoragePath)) else path), allowed
    )
    raise PictoryInvalidRequestError(str(InvalidRequestError([fault])))
