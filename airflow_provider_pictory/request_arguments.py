"""
The arguments that a request for a video is made of, checked in a run and, as far as can be, at parse time.

Loaded whenever a DAG file is parsed, so it imports next to nothing.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from airflow_provider_pictory.literals import is_plain_request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_pictory.api import VideoRequest

# All that a request is made of.
REQUEST_ARGUMENTS = (
    "prompt",
    "model",
    "aspect_ratio",
    "duration",
    "first_frame_image_url",
    "extend_video_url",
    "reference_image_urls",
    "webhook",
    "extra_fields",
)
# Stands for what a template will give, where only a name matters.
NOT_KNOWN_YET = "not known yet"


def checked_request(fields: Mapping[str, Any]) -> VideoRequest:
    """
    Make a request of what its task has rendered.

    :param fields: all of them, by the names of the arguments.
    :raises PictoryInvalidRequestError: a rule is broken; the message names each field.
    """
    from airflow_provider_pictory.api import InvalidRequestError, VideoRequest
    from airflow_provider_pictory.exceptions import PictoryInvalidRequestError

    try:
        return VideoRequest(**fields)
    except InvalidRequestError as error:
        raise PictoryInvalidRequestError(f"Nothing was submitted: {error}") from error


def known_fields(given: Mapping[str, Any], extra_fields: object) -> dict[str, Any]:
    """
    Return the fields of a request that are known while its DAG file is parsed.

    :param given: literals among an operator's arguments.
    :param extra_fields: the operator's, which may hold templates among its values, never among its names.
    """
    known = {name: given[name] for name in REQUEST_ARGUMENTS if name in given}
    if "extra_fields" not in given and isinstance(extra_fields, dict):
        known["extra_fields"] = dict.fromkeys(extra_fields, NOT_KNOWN_YET)
    return known


def refuse_wrong_request(known: Mapping[str, Any]) -> None:
    """
    Refuse a request that is wrong whatever its fields that aren't known yet will be.

    :param known: the known fields, by the names of the arguments.
    :raises PictoryInvalidRequestError: with the message of a run.
    """
    if not is_plain_request(known) and (request := _with_unknown_fields(known)) is not None:
        checked_request(request)


def refuse_wrong_requests(given: Mapping[str, Any]) -> None:
    """
    Refuse the requests of a batch that are wrong whatever the arguments that aren't known yet will be.

    :param given: literals among the operator's arguments, ``requests`` if it is one of them.
    :raises PictoryInvalidRequestError: with the message of a run.
    """
    defaults = {name: given[name] for name in REQUEST_ARGUMENTS if given.get(name) is not None}
    if "requests" in given and given.keys() >= set(REQUEST_ARGUMENTS):
        if not _are_plain(given["requests"], defaults):
            from airflow_provider_pictory.batch_requests import read_batch

            read_batch(given["requests"], defaults)
        return
    # Items may have fields of their own, another model for instance, so each default is checked by itself.
    for name, value in defaults.items():
        if value != "" and not is_plain_request({name: value}):
            _refuse_whatever_the_model({"prompt": NOT_KNOWN_YET, name: value}, defaults.get("model"))


def _refuse_whatever_the_model(fields: dict[str, Any], usual_model: object) -> None:
    from airflow_provider_pictory.api import VideoModel
    from airflow_provider_pictory.exceptions import PictoryInvalidRequestError

    try:
        checked_request(fields)
    except PictoryInvalidRequestError:
        if "model" in fields:
            raise
        for model in VideoModel:
            with suppress(PictoryInvalidRequestError):
                checked_request({**fields, "model": model})
                return
        # In the words of the model that most items have.
        checked_request({**fields, "model": usual_model})


def _are_plain(requests: object, defaults: Mapping[str, Any]) -> bool:
    """Return whether a batch is certainly right, without loading its checks."""
    if not isinstance(requests, (list, tuple)):
        return False
    items = [{"prompt": item} if isinstance(item, str) else item for item in requests]
    if not all(isinstance(item, dict) for item in items):
        return False
    if any(isinstance(item, str) and "{" in item for item in requests):
        return False
    keys = [item["key"] for item in items if "key" in item]
    return (
        all(isinstance(key, str) and key.isidentifier() and len(key) <= 100 for key in keys)
        and len(set(keys)) == len(keys)
        and all(
            item.keys() <= {"key", *REQUEST_ARGUMENTS}
            and is_plain_request(
                {
                    "prompt": None,
                    **defaults,
                    **{
                        name: value
                        for name, value in item.items()
                        if name != "key" and value not in (None, "")
                    },
                }
            )
            for item in items
        )
    )


def _with_unknown_fields(known: Mapping[str, Any]) -> dict[str, Any] | None:
    """
    Return a request's fields with a placeholder that passes for each that isn't known yet.

    :param known: those that are, by our names.
    :return: ``None`` where nothing can be told.
    """
    from collections.abc import Mapping

    from airflow_provider_pictory.api.video_request import WIRE_NAMES

    extra_fields = known.get("extra_fields")
    if "extra_fields" not in known or not isinstance(extra_fields, (Mapping, type(None))):
        # It may name any field, which then isn't checked, or it is wrong by itself.
        return None if "extra_fields" not in known else dict(known)
    unknown = {theirs: NOT_KNOWN_YET for ours, theirs in WIRE_NAMES.items() if ours not in known}
    return {**known, "extra_fields": {**unknown, **(extra_fields or {})}}
