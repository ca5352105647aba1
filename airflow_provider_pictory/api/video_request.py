"""The request for a video, checked as a whole before anything is paid, in Pictory's own form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_pictory.api import checks
from airflow_provider_pictory.api.models import MODEL_LIMITS, ModelLimits, VideoModel
from airflow_provider_pictory.api.validation_errors import (
    FieldError,
    InvalidRequestError,
    RefusedValueError,
    listed,
    shown,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

# Argument names of this package and the names that Pictory gives the same things, in Pictory's order.
WIRE_NAMES = {
    "prompt": "prompt",
    "model": "model",
    "aspect_ratio": "aspectRatio",
    "duration": "duration",
    "first_frame_image_url": "firstFrameImageUrl",
    "extend_video_url": "extendVideoUrl",
    "reference_image_urls": "referenceImageUrls",
    "webhook": "webhook",
}
# What a video can be made from besides its prompt, one of them at most.
SOURCES = ("first_frame_image_url", "extend_video_url", "reference_image_urls")
# What a request is made of, by our names.
REQUEST_FIELDS = (*WIRE_NAMES, "extra_fields")

Clean = TypeVar("Clean")


@dataclass(frozen=True, init=False)
class VideoRequest:
    """
    What Pictory's "Generate Video" takes, normalised and checked when it is made.

    Empty strings and ``None`` count as absent, and so do the text ``"None"`` that a template leaves
    where a value was missing, and lists and dicts of nothing else. Absent aspect ratio and duration become
    the model's defaults.

    :param prompt: what the video shows, 5 to 5,000 characters, some of them visible, and no control
        characters but line breaks and tabs; white space around it is dropped.
    :param model: a :class:`VideoModel` or its name; ``pixverse5.5`` when absent.
    :param aspect_ratio: such as ``"16:9"``; which ones exist depends on the model.
    :param duration: seconds, as ``8``, ``8.0``, ``"8"`` or ``"8s"``; which ones exist depends on the model.
    :param first_frame_image_url: public http(s) URL of an image that the video starts from.
    :param extend_video_url: public http(s) URL of a video that this one goes on from.
    :param reference_image_urls: 1 to 3 public http(s) URLs of images that the video resembles. At most one
        of these three sources may be given.
    :param webhook: http(s) URL that Pictory notifies when the job ends.
    :param extra_fields: fields under the names that Pictory uses (``"aspectRatio"``), sent as they are. They
        replace the arguments above and switch the checks of the fields they name off, so that what Pictory
        adds tomorrow can be used today.
    :raises InvalidRequestError: when any rule is broken; it lists all faults.
    """

    prompt: str | None
    model: VideoModel | None
    aspect_ratio: str | None
    duration: int | None
    first_frame_image_url: str | None
    extend_video_url: str | None
    reference_image_urls: tuple[str, ...]
    webhook: str | None
    extra_fields: Mapping[str, Any]

    def __init__(
        self,
        prompt: object = None,
        model: VideoModel | str | None = None,
        aspect_ratio: str | None = None,
        duration: float | str | None = None,
        first_frame_image_url: str | None = None,
        extend_video_url: str | None = None,
        reference_image_urls: Sequence[str] | str | None = None,
        webhook: str | None = None,
        extra_fields: Mapping[str, Any] | None = None,
    ) -> None:
        faults: list[FieldError] = []
        extra: dict[str, Any] = {}

        def clean(field: str, given: object, check: Callable[..., Clean], *context: object) -> Clean | None:
            if WIRE_NAMES.get(field) in extra:
                return None
            try:
                return check(given, *context)
            except RefusedValueError as refused:
                faults.append(FieldError(field, refused.given or shown(given), refused.allowed))
                return None

        extra = clean("extra_fields", extra_fields, checks.extra_fields, WIRE_NAMES) or {}
        video_model = clean("model", model, checks.model)
        limits = MODEL_LIMITS[video_model] if video_model else None
        fields: dict[str, Any] = {
            "prompt": clean("prompt", prompt, checks.prompt),
            "model": video_model,
            "aspect_ratio": clean("aspect_ratio", aspect_ratio, checks.aspect_ratio, video_model, limits),
            "duration": clean("duration", duration, checks.duration, video_model, limits),
            "first_frame_image_url": clean("first_frame_image_url", first_frame_image_url, checks.url),
            "extend_video_url": clean("extend_video_url", extend_video_url, checks.url),
            "reference_image_urls": clean(
                "reference_image_urls", reference_image_urls, checks.reference_image_urls
            )
            or (),
            "webhook": clean("webhook", webhook, checks.url),
            "extra_fields": extra,
        }
        # Those that were given and refused count as well, so that one run shows all that is wrong.
        refused = {fault.field for fault in faults}
        sources = [name for name in SOURCES if fields[name] or name in refused]
        if len(sources) > 1:
            faults.append(
                FieldError(
                    " + ".join(sources),
                    f"{len(sources)} sources",
                    f"Pictory takes at most one of {listed(SOURCES)}",
                )
            )
        if faults:
            raise InvalidRequestError(faults)
        for name, value in fields.items():
            object.__setattr__(self, name, value)

    @property
    def payload(self) -> dict[str, Any]:
        """The JSON body that Pictory expects, with absent fields left out and defaults spelled out."""
        body: dict[str, Any] = {}
        for name, wire_name in WIRE_NAMES.items():
            value = getattr(self, name)
            if value:
                body[wire_name] = value
        if self.model:
            body["model"] = self.model.value
        if self.duration:
            body["duration"] = f"{self.duration}s"
        if self.reference_image_urls:
            body["referenceImageUrls"] = list(self.reference_image_urls)
        return {**body, **self.extra_fields}

    @property
    def expected_duration(self) -> int | None:
        """The seconds the video will probably have, which reference images can change."""
        if self._limits and self._limits.reference_image_duration and "referenceImageUrls" in self.payload:
            return self._limits.reference_image_duration
        return self.duration

    @property
    def estimated_credits(self) -> float | None:
        """The AI credits this video will probably cost, or ``None`` where the model or duration is new."""
        if self._limits is None or self.expected_duration is None:
            return None
        return round(self._limits.credits_per_second * self.expected_duration, 2)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Things that are allowed but will surprise somebody, as whole sentences."""
        asked = self.payload.get("duration")
        if self.expected_duration == self.duration or asked == f"{self.expected_duration}s":
            return ()
        return (
            f"With reference images, model {self.model} probably makes {self.expected_duration} s of video "
            f"whatever is asked ({asked} here); the cost is estimated for that.",
        )

    def __str__(self) -> str:
        """Return what decides the price and the look in a few words, for a log line."""
        words = [f"model {self.payload.get('model', 'chosen by Pictory')}"]
        if duration := self.payload.get("duration"):
            words.append(str(duration))
        if ratio := self.payload.get("aspectRatio"):
            words.append(str(ratio))
        cost = self.estimated_credits
        words.append("cost unknown" if cost is None else f"about {cost:g} AI credits")
        return ", ".join(words)

    @property
    def _limits(self) -> ModelLimits | None:
        return MODEL_LIMITS[self.model] if self.model else None
