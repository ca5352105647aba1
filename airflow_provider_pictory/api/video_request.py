"""
The request for a video, checked as a whole before anything is paid, in Pictory's own form.

Each field is described once, where :class:`VideoRequest` declares it. Parsing a DAG file needs that, so the
checks aren't imported before a request is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from airflow_provider_pictory.api.models import MODEL_LIMITS, ModelLimits, VideoModel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from airflow_provider_pictory.api.validation_errors import FieldError

Given = TypeVar("Given")
Clean = TypeVar("Clean")


class RequestField(Generic[Given, Clean]):
    """
    One field of a request, as a descriptor: whatever was given, a request holds the checked value.

    :param wire_name: what Pictory calls it; ``None`` for what isn't sent under a name of its own.
    :param check: name of the function in :mod:`airflow_provider_pictory.api.checks` that checks it.
    :param of_model: whether what is allowed depends on the model.
    :param is_source: whether the video is made from it; at most one source may be given.
    :param write: turns the checked value into what is sent.
    """

    name: str

    def __init__(
        self,
        wire_name: str | None,
        check: str,
        *,
        of_model: bool = False,
        is_source: bool = False,
        write: Callable[[Any], Any] = lambda value: value,
    ) -> None:
        self.wire_name = wire_name
        self.check = check
        self.of_model = of_model
        self.is_source = is_source
        self.write = write

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, request: None, owner: type) -> None: ...

    @overload
    def __get__(self, request: VideoRequest, owner: type) -> Clean: ...

    def __get__(self, request: VideoRequest | None, owner: type) -> Clean | None:
        # What the class itself has is the default: absent.
        return None if request is None else vars(request)[self.name]

    def __set__(self, request: VideoRequest, value: Given) -> None:
        vars(request)[self.name] = value


@dataclass(frozen=True)
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
        replace the arguments above, and are not checked, except for a prompt's characters, so that what
        Pictory adds tomorrow can be used today.
    :raises InvalidRequestError: when any rule is broken; it lists all faults.
    """

    prompt: RequestField[object, str | None] = RequestField("prompt", "prompt")
    model: RequestField[VideoModel | str | None, VideoModel | None] = RequestField(
        "model", "model", write=str
    )
    aspect_ratio: RequestField[str | None, str | None] = RequestField(
        "aspectRatio", "aspect_ratio", of_model=True
    )
    duration: RequestField[float | str | None, int | None] = RequestField(
        "duration", "duration", of_model=True, write="{}s".format
    )
    first_frame_image_url: RequestField[str | None, str | None] = RequestField(
        "firstFrameImageUrl", "url", is_source=True
    )
    extend_video_url: RequestField[str | None, str | None] = RequestField(
        "extendVideoUrl", "url", is_source=True
    )
    reference_image_urls: RequestField[Sequence[str] | str | None, tuple[str, ...]] = RequestField(
        "referenceImageUrls", "reference_image_urls", is_source=True, write=list
    )
    webhook: RequestField[str | None, str | None] = RequestField("webhook", "url")
    extra_fields: RequestField[Mapping[str, Any] | None, Mapping[str, Any]] = RequestField(
        None, "extra_fields"
    )

    def __post_init__(self) -> None:
        clean, faults = _checked(vars(self))
        if faults:
            from airflow_provider_pictory.api.validation_errors import InvalidRequestError

            raise InvalidRequestError(faults)
        vars(self).update(clean)

    @property
    def payload(self) -> dict[str, Any]:
        """The JSON body that Pictory expects, with absent fields left out and defaults spelled out."""
        body = {
            wire_name: field.write(value)
            for field in FIELDS
            if (wire_name := field.wire_name) and (value := getattr(self, field.name))
        }
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


FIELDS: tuple[RequestField[Any, Any], ...] = tuple(
    field for field in vars(VideoRequest).values() if isinstance(field, RequestField)
)
# What a request is made of, by our names.
REQUEST_FIELDS = tuple(field.name for field in FIELDS)
# Our names and the names that Pictory gives the same things, in Pictory's order.
WIRE_NAMES = {field.name: field.wire_name for field in FIELDS if field.wire_name}
# What a video can be made from besides its prompt, by Pictory's names.
SOURCES = tuple(field.wire_name for field in FIELDS if field.is_source and field.wire_name)


def _checked(given: Mapping[str, Any]) -> tuple[dict[str, Any], list[FieldError]]:
    """Return each field's clean value, and all that is wrong with what was given for them."""
    from airflow_provider_pictory.api import checks
    from airflow_provider_pictory.api.validation_errors import FieldError, RefusedValueError, shown

    faults: list[FieldError] = []
    clean: dict[str, Any] = {"extra_fields": {}}

    def check(field: RequestField[Any, Any], *context: Any) -> Any:
        # Extra fields are sent in place of these, so these aren't checked.
        if field.wire_name in clean["extra_fields"]:
            return None
        try:
            return getattr(checks, field.check)(given[field.name], *context)
        except RefusedValueError as refused:
            value = given[field.name]
            faults.append(FieldError(field.name, refused.given or shown(value), refused.allowed))
            return None

    fields = {field.name: field for field in FIELDS}
    clean["extra_fields"] = check(fields.pop("extra_fields"), WIRE_NAMES) or {}
    model = clean["model"] = check(fields.pop("model"))
    limits = MODEL_LIMITS[model] if model else None
    for name, field in fields.items():
        clean[name] = check(field, model, limits) if field.of_model else check(field)
    clean["reference_image_urls"] = clean["reference_image_urls"] or ()
    return clean, [*faults, *_too_many_sources(clean, faults)]


def _too_many_sources(clean: Mapping[str, Any], faults: Sequence[FieldError]) -> Iterator[FieldError]:
    from airflow_provider_pictory.api.validation_errors import FieldError, listed

    # Those that were given and refused count as well, so that one run shows all that is wrong.
    refused = {fault.field for fault in faults}
    sources = [field.name for field in FIELDS if field.is_source]
    given = [name for name in sources if clean[name] or name in refused]
    if len(given) > 1:
        allowed = f"Pictory takes at most one of {listed(sources)}"
        yield FieldError(" + ".join(given), f"{len(given)} sources", allowed)
