"""
What Pictory lets through: a submission's body, read strictly, as the service does and the client needn't.

Guesses: the wording of every complaint; that a field given as ``null`` is refused like any other wrong type;
that a prompt's characters are Unicode code points, white space included; that an unreadable body is refused
with the same code as a readable one that breaks a rule; that a URI is only looked at, not fetched.
"""

from __future__ import annotations

import json
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationInfo,
    field_validator,
)
from pydantic.alias_generators import to_camel

from airflow_provider_pictory.api.checks import (
    PROMPT_MAXIMUM_CHARACTERS,
    PROMPT_MINIMUM_CHARACTERS,
    REFERENCE_IMAGES_MAXIMUM,
)
from airflow_provider_pictory.api.models import DEFAULT_MODEL, MODEL_LIMITS, ModelLimits, VideoModel
from airflow_provider_pictory.sandbox.bodies import read_body

SOURCES = ("firstFrameImageUrl", "extendVideoUrl", "referenceImageUrls")

# Stands for a field that wasn't sent, since everything that JSON has could have been.
_NOT_SENT: Any = object()


def _http_uri(value: str) -> str:
    try:
        parts = urlsplit(value)
        is_right = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        is_right = False
    if not is_right or any(mark.isspace() or ord(mark) < 0x20 for mark in value):
        raise ValueError("must be a valid URI with the scheme http or https")
    return value


Uri = Annotated[str, AfterValidator(_http_uri)]


def _limits(info: ValidationInfo) -> ModelLimits:
    return MODEL_LIMITS[info.data.get("model", DEFAULT_MODEL)]


def _chosen(value: Any, choices: dict[str, Any], info: ValidationInfo) -> Any:
    if value is _NOT_SENT:
        return next(iter(choices.values()))
    if not isinstance(value, str):
        raise ValueError("must be a string")
    # What is right depends on the model, so that nothing can be said where that is wrong.
    if "model" in info.data and value not in choices:
        raise ValueError(f"must be one of {', '.join(choices)} for model {info.data['model']}")
    return choices.get(value)


class VideoOrder(BaseModel):
    """
    An accepted submission, under its names on the wire; what the service doesn't know, it drops.

    :param model: the model that makes the video.
    :param prompt: what the video shows.
    :param aspect_ratio: such as ``"16:9"``.
    :param seconds: the duration that was asked for, or the model's first.
    :param webhook: the URI to notify when the job ends, if any.
    """

    model_config = ConfigDict(strict=True, frozen=True, alias_generator=to_camel)

    model: Annotated[VideoModel, Field(strict=False)] = DEFAULT_MODEL
    prompt: str = Field(min_length=PROMPT_MINIMUM_CHARACTERS, max_length=PROMPT_MAXIMUM_CHARACTERS)
    aspect_ratio: str = Field(default=_NOT_SENT, validate_default=True)
    seconds: int = Field(default=_NOT_SENT, validate_default=True, alias="duration")
    first_frame_image_url: Uri = ""
    extend_video_url: Uri = ""
    reference_image_urls: list[Uri] = Field(default=[], min_length=1, max_length=REFERENCE_IMAGES_MAXIMUM)
    webhook: Uri = ""
    _body: dict[str, Any] = PrivateAttr()

    def model_post_init(self, context: Any) -> None:
        """Keep everything that was sent."""
        self._body = context

    # Two, since pydantic 2.12.0 doesn't say of a default which field it is for.
    @field_validator("aspect_ratio", mode="plain")
    @classmethod
    def _is_a_ratio_of_the_model(cls, value: Any, info: ValidationInfo) -> Any:
        return _chosen(value, {ratio: ratio for ratio in _limits(info).aspect_ratios}, info)

    @field_validator("seconds", mode="plain")
    @classmethod
    def _is_a_duration_of_the_model(cls, value: Any, info: ValidationInfo) -> Any:
        return _chosen(value, {f"{seconds}s": seconds for seconds in _limits(info).durations}, info)

    @field_validator("first_frame_image_url", "extend_video_url", "reference_image_urls")
    @classmethod
    def _is_the_only_source(cls, value: Any, info: ValidationInfo) -> Any:
        if len(set(SOURCES).intersection(info.context or ())) > 1:
            raise ValueError(f"can't be there beside another one of {', '.join(SOURCES)}")
        return value

    @property
    def duration(self) -> int:
        """The seconds that the video will have, which need not be those asked for."""
        longer = MODEL_LIMITS[self.model].reference_image_duration if self.reference_image_urls else None
        return longer or self.seconds

    @property
    def price(self) -> float:
        """What the video costs, in AI credits."""
        return round(MODEL_LIMITS[self.model].credits_per_second * self.duration, 2)

    @property
    def sources(self) -> dict[str, Any]:
        """The source images or video given, under their names on the wire."""
        return {name: self._body[name] for name in SOURCES if name in self._body}

    @property
    def body(self) -> dict[str, Any]:
        """Everything that was sent, unknown fields included."""
        return self._body

    @property
    def size(self) -> int:
        """About how many bytes were sent."""
        return len(json.dumps(self._body))


def read_order(content: bytes) -> VideoOrder:
    """
    Read the body of a submission.

    :param content: the body as it came.
    :raises InvalidBodyError: when Pictory would refuse it; it lists everything that is wrong.
    """
    return read_body(VideoOrder, content)
