"""
The rules for each field of a video request: what a user or a template gave becomes what Pictory expects.

Each check takes the raw value and returns the clean one, ``None`` where the value counts as absent, or raises
a :class:`RefusedValueError` with what would have been accepted.
"""

from __future__ import annotations

import ast
import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from airflow_provider_pictory.api.json_text import DEEPEST, is_too_deep, read_json
from airflow_provider_pictory.api.models import DEFAULT_MODEL, ModelLimits, VideoModel
from airflow_provider_pictory.api.validation_errors import (
    FieldError,
    InvalidRequestError,
    RefusedValueError,
    listed,
    shown,
)

PROMPT_MINIMUM_CHARACTERS = 5
PROMPT_MAXIMUM_CHARACTERS = 5000
REFERENCE_IMAGES_MAXIMUM = 3

# Pictory's ids are UUIDs, but nothing promises that, and one that was paid for must not be lost to a rule.
LONGEST_JOB_ID = 4000
WHAT_A_JOB_ID_IS = (
    f"one is a text of at most {LONGEST_JOB_ID:,} printable characters, a letter or a digit among them, and "
    "no list, dict, template or URL"
)
# What ends a part of a path, what a store's library takes for something else, and what may be decoded to one.
_NOT_IN_FILE_NAME = re.compile(r"[/\\?#]|::|%[0-9A-Fa-f]{2}")
# In bytes; file systems allow 255, and an ending and a mark of a temporary file come on top.
LONGEST_FILE_NAME = 200
_PLAIN_FILE_NAME = re.compile(r"[A-Za-z0-9_-]{1,200}")
# What people and templates give instead of an id by mistake.
_NEVER_A_JOB_ID = re.compile(r"[\[{]|https?://", re.IGNORECASE)
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
_DURATION = re.compile(r"(\d{1,9})(?:\.0+)?\s*s?", re.ASCII)
_LONGEST_DURATION = 999_999_999
# JSON and Python accept halves of characters (surrogates), which nothing else accepts as text.
_HALF_CHARACTER = re.compile(r"[\ud800-\udfff]")
# Among them the invisible characters that copying leaves behind.
_NEVER_IN_A_URL = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u200b\u2060\ufeff\ud800-\udfff]")
# Line breaks and tabs are part of a text; other control characters are only there by mistake.
_CONTROL_CHARACTER = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
# Letters and symbols by their category that are invisible all the same: fillers, the blank of Braille and
# what stands for a character that was lost.
_BLANKS = frozenset("\u115f\u1160\u2800\u3164\uffa0\ufffc\ufffd")


def is_absent(value: object) -> bool:
    """
    Return whether a value is what a template leaves behind where nothing was given.

    Jinja renders a missing value as ``""`` or ``"None"``; neither is ever a value Pictory could use.
    """
    return value is None or (isinstance(value, str) and value.strip() in ("", "None"))


def prompt(value: object) -> str:
    """
    Check the prompt, the one field that every video needs; white space around it is dropped.

    Pictory counts 5 to 5,000 characters and so do we, whatever they are. It would accept a prompt without any
    visible character, and charge for it, so such a prompt is refused here, and one with a control character,
    which only comes from a mistake. Characters that this Python doesn't know yet pass if it knows others.
    """
    allowed = (
        f"a text of {PROMPT_MINIMUM_CHARACTERS} to {PROMPT_MAXIMUM_CHARACTERS:,} characters is needed "
        "to say what the video shows"
    )
    if is_absent(value):
        raise RefusedValueError(allowed, given=f"nothing ({shown(value)})")
    if not isinstance(value, str):
        raise RefusedValueError(allowed, given=f"{type(value).__name__} {shown(value)}")
    text = value.strip()
    if not PROMPT_MINIMUM_CHARACTERS <= len(text) <= PROMPT_MAXIMUM_CHARACTERS:
        raise RefusedValueError(allowed, given=f"{len(text):,} characters ({shown(text)})")
    _require_legible(text)
    return text


def _require_legible(text: str) -> None:
    if half := _HALF_CHARACTER.search(text):
        raise RefusedValueError("it must be whole characters", given=f"half a character ({shown(half[0])})")
    if control := _CONTROL_CHARACTER.search(text):
        raise RefusedValueError(
            "besides line breaks and tabs there must be none",
            given=f"the control character {shown(control[0])}",
        )
    if not any(unicodedata.category(mark)[0] in "LNPS" and mark not in _BLANKS for mark in text):
        raise RefusedValueError(
            "it must say what the video shows", given=f"no visible character ({shown(text)})"
        )


def model(value: object) -> VideoModel:
    """Check the model's name; absent means Pictory's own default."""
    if is_absent(value):
        return DEFAULT_MODEL
    try:
        return VideoModel(value.strip() if isinstance(value, str) else "")
    except ValueError:
        raise RefusedValueError(
            f"it must be {listed(VideoModel)} (a model newer than this provider goes into extra_fields)"
        ) from None


def aspect_ratio(value: object, model: VideoModel | None, limits: ModelLimits | None) -> str | None:
    """Check the aspect ratio against the model, or its type alone where the model is not known here."""
    if is_absent(value):
        return limits.aspect_ratios[0] if limits else None
    if not isinstance(value, str):
        raise RefusedValueError(
            'it must be a text such as "16:9"', given=f"{type(value).__name__} {shown(value)}"
        )
    ratio = value.strip()
    if limits and ratio not in limits.aspect_ratios:
        raise RefusedValueError(f"model {model} makes {listed(limits.aspect_ratios)}")
    if not ratio.isprintable():
        raise RefusedValueError('it must be a text such as "16:9"')
    return ratio


def duration(value: object, model: VideoModel | None, limits: ModelLimits | None) -> int | None:
    """Check the duration in seconds against the model, or its form where the model is not known here."""
    if is_absent(value):
        return limits.durations[0] if limits else None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    seconds: int | None = None
    if isinstance(value, int) and not isinstance(value, bool):
        seconds = value
    elif isinstance(value, str) and (match := _DURATION.fullmatch(value.strip())):
        seconds = int(match[1])
    if limits and seconds not in limits.durations:
        raise RefusedValueError(f"model {model} makes {listed(limits.durations)} seconds")
    if seconds is None or not 0 < seconds <= _LONGEST_DURATION:
        raise RefusedValueError('it must be whole seconds, such as 8, "8" or "8s"')
    return seconds


def url(value: object) -> str | None:
    """Check the form of a URL; whether Pictory can reach it, only Pictory can tell."""
    if is_absent(value):
        return None
    allowed = "it must be a public URL that starts with http:// or https://, since Pictory fetches it itself"
    if not isinstance(value, str):
        raise RefusedValueError(allowed, given=f"{type(value).__name__} {shown(value)}")
    text = value.strip()
    try:
        parts = urlsplit(text)
        has_host = bool(parts.hostname)
        parts.port  # noqa: B018  (an impossible port shows itself only when it is read)
    except ValueError:
        raise RefusedValueError(allowed) from None
    if parts.scheme.lower() not in ("http", "https") or not has_host or _NEVER_IN_A_URL.search(text):
        raise RefusedValueError(allowed)
    return text


def reference_image_urls(value: object) -> tuple[str, ...]:
    """
    Check the reference images.

    A template that renders a list gives its text, which is read back. A list without any image is what a
    template leaves behind where none was given, and means none.
    """
    if is_absent(value):
        return ()
    if isinstance(value, str):
        value = _list_from_text(value)
    if not isinstance(value, Sequence) or isinstance(value, (str, bytes)):
        raise RefusedValueError(f"it must be a list of 1 to {REFERENCE_IMAGES_MAXIMUM} URLs")
    urls: list[str] = []
    for position, item in enumerate(value, start=1):
        try:
            clean = url(item)
        except RefusedValueError as refused:
            raise RefusedValueError(
                refused.allowed, given=f"{refused.given or shown(item)} as image {position}"
            ) from None
        if clean is not None:
            urls.append(clean)
    if len(urls) > REFERENCE_IMAGES_MAXIMUM:
        raise RefusedValueError(
            f"1 to {REFERENCE_IMAGES_MAXIMUM} are allowed", given=f"{len(urls)} reference images"
        )
    return tuple(urls)


def _list_from_text(text: str) -> object:
    if not text.lstrip().startswith(("[", "(")):
        return [text]
    for read in (read_json, ast.literal_eval):
        try:
            return read(text.strip())
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            continue
    return text


def extra_fields(value: object, wire_names: Mapping[str, str]) -> dict[str, Any]:
    """Check that extra fields can be sent, and that none is one of our names, which Pictory would ignore."""
    if is_absent(value) or (isinstance(value, str) and value.strip() == "{}"):
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise RefusedValueError("it must be a dict of field names that Pictory knows and their values")
    fields = dict(value)
    for name in fields:
        if name in wire_names and wire_names[name] != name:
            raise RefusedValueError(
                f"Pictory calls this field {wire_names[name]}", given=f"the field name {name!r}"
            )
    if "prompt" in fields:
        _check_extra_prompt(fields["prompt"])
    if is_too_deep(fields):
        raise RefusedValueError(f"it must have at most {DEEPEST} levels of lists and dicts")
    try:
        json.dumps(fields, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise RefusedValueError(f"it must hold only what JSON can carry ({error})") from None
    return fields


def _check_extra_prompt(value: object) -> None:
    """Check that a prompt in ``extra_fields``, whose length isn't checked, is there and legible."""
    if is_absent(value):
        raise RefusedValueError(
            "a prompt is needed to say what the video shows", given=f"nothing ({shown(value)}) as the prompt"
        )
    if isinstance(value, str):
        try:
            _require_legible(value)
        except RefusedValueError as refused:
            raise RefusedValueError(refused.allowed, given=f"{refused.given} in the prompt") from None


def job_id(value: object) -> str:
    """
    Check that a value can be the id of a job at all; whether there is such a job, only Pictory knows.

    Whatever :func:`read_job_id` finds in a response passes, since what was paid for has to be awaited.

    :raises InvalidRequestError: naming what was given instead, often the ``None`` of a missing XCom.
    """
    if (clean := read_job_id(value)) is not None:
        return clean
    given = shown(value)
    if is_absent(value):
        allowed = (
            "a job id is needed: does the task that submits the video run before this one and return it?"
        )
    elif not isinstance(value, str):
        given = f"{type(value).__name__} {given}"
        allowed = "it must be the job id alone, a text"
    else:
        allowed = "a job id looks like '4a09edf9-d071-4847-bda5-8dea913d80fe'"
    raise InvalidRequestError([FieldError("job_id", given, allowed)])


def read_job_id(value: object) -> str | None:
    """Return a text that can be the id of a job, without white space around it; else ``None``."""
    if not isinstance(value, str) or is_absent(value):
        return None
    text = value.strip()
    if len(text) > LONGEST_JOB_ID or not text.isprintable() or _NEVER_A_JOB_ID.match(text):
        return None
    # Dots alone would change the path of a URL, however they are quoted.
    return text if any(mark.isalnum() for mark in text) else None


def job_file_name(job_id: str) -> str:
    """Return the name of a job's file: one part of a path, whatever the id is made of and however long."""
    return f"{job_id if _PLAIN_FILE_NAME.fullmatch(job_id) else _digest_name(job_id)}.mp4"


def key_file_name(key: str) -> str:
    """Return the name of a key's file without its ending: the key, unless no part of a path can be that."""
    size = len(key.encode("utf-8", "surrogatepass"))
    is_part = key == key.strip() and key.strip(".") and key.isprintable() and size <= LONGEST_FILE_NAME
    return key if is_part and not _NOT_IN_FILE_NAME.search(key) else _digest_name(key)


def _digest_name(text: str) -> str:
    # Not percent-encoded, since whoever decodes it again may find a path that leads elsewhere.
    plain = re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-")[:40]
    return f"{plain}-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"


def is_usual_job_id(value: str) -> bool:
    """Return whether a job id has the form of all known ones, a UUID."""
    return _UUID.fullmatch(value) is not None
