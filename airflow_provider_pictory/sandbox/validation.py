"""
What Pictory lets through: a submission's body, read strictly, as the service does and the client needn't.

Guesses: the wording of every complaint; that a field given as ``null`` is refused like any other wrong type;
that a prompt's characters are Unicode code points, white space included; that an unreadable body is refused
with the same code as a readable one that breaks a rule; that a URI is only polled, not fetched.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit

from airflow_provider_pictory.api.checks import (
    PROMPT_MAXIMUM_CHARACTERS,
    PROMPT_MINIMUM_CHARACTERS,
    REFERENCE_IMAGES_MAXIMUM,
)
from airflow_provider_pictory.api.models import DEFAULT_MODEL, MODEL_LIMITS, VideoModel

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SOURCES = ("firstFrameImageUrl", "extendVideoUrl", "referenceImageUrls")


class InvalidBodyError(Exception):
    """
    A body that Pictory refuses.

    :param message: what is wrong on the whole.
    :param faults: what is wrong, by the name of the field.
    """

    def __init__(self, message: str, faults: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.faults = dict(faults or {})


@dataclass(frozen=True)
class VideoOrder:
    """
    An accepted submission.

    :param prompt: what the video shows.
    :param model: the model that makes it.
    :param aspect_ratio: such as ``"16:9"``.
    :param duration: the seconds that the video will have, which need not be those asked for.
    :param sources: the source images or video given, under their names on the wire.
    :param webhook: the URI to notify when the job ends.
    :param body: everything that was sent, unknown fields included.
    :param size: how many bytes were sent.
    """

    prompt: str
    model: VideoModel
    aspect_ratio: str
    duration: int
    sources: Mapping[str, Any]
    webhook: str | None
    body: Mapping[str, Any]
    size: int

    @property
    def price(self) -> float:
        """What the video costs, in AI credits."""
        return round(MODEL_LIMITS[self.model].credits_per_second * self.duration, 2)


def read_order(content: bytes) -> VideoOrder:
    """
    Read the body of a submission.

    :param content: the body as it came.
    :raises InvalidBodyError: when Pictory would refuse it; it lists everything that is wrong.
    """
    body = read_object(content)
    faults: dict[str, str] = {}
    known = {name: value for name, value in body.items() if name in _CHECKS}
    for name, value in known.items():
        if complaint := _CHECKS[name](value):
            faults[name] = complaint
    if "prompt" not in body:
        faults["prompt"] = "prompt is required"
    model = DEFAULT_MODEL
    if "model" not in faults:
        model = VideoModel(body.get("model", DEFAULT_MODEL))
        limits = MODEL_LIMITS[model]
        choices = {"aspectRatio": limits.aspect_ratios, "duration": [f"{it}s" for it in limits.durations]}
        for name, allowed in choices.items():
            if name in body and name not in faults and body[name] not in allowed:
                faults[name] = f"{name} must be one of {_listed(allowed)} for model {model}"
    sources = {name: value for name, value in known.items() if name in SOURCES}
    if len(sources) > 1:
        for name in sources:
            faults.setdefault(name, f"only one of {', '.join(SOURCES)} is allowed")
    if faults:
        raise InvalidBodyError("The request body is invalid.", faults)

    limits = MODEL_LIMITS[model]
    asked = int(body["duration"].removesuffix("s")) if "duration" in body else limits.durations[0]
    return VideoOrder(
        prompt=body["prompt"],
        model=model,
        aspect_ratio=body.get("aspectRatio", limits.aspect_ratios[0]),
        duration=(limits.reference_image_duration or asked) if "referenceImageUrls" in sources else asked,
        sources=sources,
        webhook=body.get("webhook"),
        body=body,
        size=len(content),
    )


def read_object(content: bytes) -> dict[str, Any]:
    """
    Read a body that must be a JSON object.

    :param content: the body as it came.
    :raises InvalidBodyError: when it is anything else.
    """
    try:
        body = json.loads(content, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise InvalidBodyError("The request body is not valid JSON.") from None
    if not isinstance(body, dict):
        raise InvalidBodyError("The request body must be a JSON object.")
    return body


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _prompt_complaint(value: object) -> str | None:
    if not isinstance(value, str):
        return "prompt must be a string"
    if len(value) < PROMPT_MINIMUM_CHARACTERS:
        return f"prompt must be at least {PROMPT_MINIMUM_CHARACTERS} characters long"
    if len(value) > PROMPT_MAXIMUM_CHARACTERS:
        return f"prompt must be at most {PROMPT_MAXIMUM_CHARACTERS} characters long"
    return None


def _model_complaint(value: object) -> str | None:
    if isinstance(value, str) and value in set(VideoModel):
        return None
    return f"model must be one of {_listed(VideoModel)}"


def _text_complaint(value: object) -> str | None:
    return None if isinstance(value, str) else "must be a string"


def _uri_complaint(value: object) -> str | None:
    if isinstance(value, str) and not any(mark.isspace() or ord(mark) < 0x20 for mark in value):
        try:
            parts = urlsplit(value)
            if parts.scheme in ("http", "https") and parts.hostname:
                return None
        except ValueError:
            pass
    return "must be a valid URI with the scheme http or https"


def _reference_images_complaint(value: object) -> str | None:
    if not isinstance(value, list) or not 1 <= len(value) <= REFERENCE_IMAGES_MAXIMUM:
        return f"must be an array of 1 to {REFERENCE_IMAGES_MAXIMUM} URIs"
    for position, item in enumerate(value):
        if complaint := _uri_complaint(item):
            return f"[{position}] {complaint}"
    return None


def _listed(values: Iterable[object]) -> str:
    return ", ".join(str(value) for value in values)


# Every field that the service knows; it drops all others without a word.
_CHECKS = {
    "prompt": _prompt_complaint,
    "model": _model_complaint,
    "aspectRatio": _text_complaint,
    "duration": _text_complaint,
    "firstFrameImageUrl": _uri_complaint,
    "extendVideoUrl": _uri_complaint,
    "referenceImageUrls": _reference_images_complaint,
    "webhook": _uri_complaint,
}
