"""The fingerprint of a request, by which it is stored, compared, and recognised among finished videos."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from airflow_provider_pictory.api.jobs import read_number

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_pictory.api import VideoRequest
    from airflow_provider_pictory.api.listings import ListedVideo

SOURCES = ("firstFrameImageUrl", "extendVideoUrl", "referenceImageUrls")

# A finished video is rarely as long as ordered to the last frame, in seconds.
LENGTH_TOLERANCE = 1.0


class Stored(BaseModel):
    """Stored as JSON; what can't be understood completely is refused, never guessed."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class RequestFingerprint(Stored):
    """
    What is to be submitted. Neither the prompt nor the key is in it, only digests.

    :param digest: of the connection, the base URL and the request, without its URLs' queries, since
        presigned URLs have a new one each time.
    :param pictory_conn_id: of the connection it went over.
    :param base_url: where that led.
    :param prompt_digest: by which the video is recognised in the account's list of videos.
    :param model: as sent, ``None`` where Pictory was to choose.
    :param aspect_ratio: likewise.
    :param durations: the seconds that the video may have; empty where unknown.
    :param sources: the URLs of what it was to be made from, by their names on the wire, without queries.
    """

    digest: str
    pictory_conn_id: str
    base_url: str
    prompt_digest: str
    model: str | None = None
    aspect_ratio: str | None = None
    durations: tuple[float, ...] = ()
    sources: dict[str, tuple[str, ...]] = {}

    @classmethod
    def of(cls, request: VideoRequest, pictory_conn_id: str, base_url: str) -> RequestFingerprint:
        """
        Describe a request.

        :param request: what is to be submitted.
        :param pictory_conn_id: of the connection it goes over.
        :param base_url: where that leads.
        """
        payload = request.payload
        seconds = {request.expected_duration, read_number(payload.get("duration"))}
        return cls(
            digest=_digest([pictory_conn_id, base_url, _without_queries(payload)]),
            pictory_conn_id=pictory_conn_id,
            base_url=base_url,
            prompt_digest=_prompt_digest(str(payload.get("prompt"))),
            model=_text(payload.get("model")),
            aspect_ratio=_text(payload.get("aspectRatio")),
            durations=tuple(sorted(float(length) for length in seconds if length)),
            sources={name: _paths(payload[name]) for name in SOURCES if payload.get(name)},
        )

    def matches(self, video: ListedVideo) -> bool | None:
        """
        Tell whether a finished video is what was requested.

        :return: ``None`` where the list says too little, or where a person has to compare.
        """
        if video.prompt is None:
            return None
        if _prompt_digest(video.prompt) != self.prompt_digest:
            return False
        settings = (
            _agree(_plain(self.model), _plain(video.model)),
            _agree(self.aspect_ratio, video.aspect_ratio),
            self._is_as_long(video.duration_seconds),
            *(self._has_source(name, video) for name in SOURCES),
        )
        if False in settings:
            return False
        return None if None in settings else True

    def _is_as_long(self, seconds: float | None) -> bool | None:
        if seconds is None or not self.durations:
            return True
        if any(abs(seconds - ordered) <= LENGTH_TOLERANCE for ordered in self.durations):
            return True
        # What a video is made from can change its length: one that goes on from another may count as a whole.
        return None if self.sources else False

    def _has_source(self, name: str, video: ListedVideo) -> bool | None:
        ours, theirs = self.sources.get(name, ()), _paths(video.sources.get(name))
        if bool(ours) != bool(theirs):
            # A list may leave sources out, but hardly invent some.
            return None if ours else False
        if sorted(ours) == sorted(theirs):
            return True
        # On the same hosts these are others' files; elsewhere they may be copies of ours.
        return False if _hosts(ours) == _hosts(theirs) else None


def url_path(url: str | None) -> str:
    """Return the path of a URL, by which files are compared that are served from more than one place."""
    rest = _without_query(url or "").partition("://")[2]
    return f"/{rest.partition('/')[2]}" if "/" in rest else ""


def _agree(ours: str | None, theirs: str | None) -> bool:
    return ours is None or theirs is None or ours == theirs


def _plain(name: str | None) -> str | None:
    # How a list spells a model isn't documented.
    return name and "".join(mark for mark in name.lower() if mark.isalnum())


def _digest(document: Any) -> str:
    # As JSON, all keys are text, so they can be sorted.
    sent = json.loads(json.dumps(document))
    return hashlib.sha256(json.dumps(sent, sort_keys=True).encode()).hexdigest()


def _prompt_digest(prompt: str) -> str:
    # Accents may come back composed otherwise, and spaces and line ends may come back tidied up.
    return _digest(" ".join(unicodedata.normalize("NFC", prompt).split()))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _paths(urls: object) -> tuple[str, ...]:
    if isinstance(urls, str):
        return (_without_query(urls),)
    if isinstance(urls, (list, tuple)):
        return tuple(_without_query(url) for url in urls if isinstance(url, str))
    return ()


def _hosts(urls: Iterable[str]) -> set[str]:
    return {url.partition("://")[2].partition("/")[0].lower() for url in urls}


def _without_queries(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: _without_queries(item, key) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_queries(item, name) for item in value]
    return _without_query(value) if isinstance(value, str) and name != "prompt" else value


def _without_query(text: str) -> str:
    if not text.lower().startswith(("http://", "https://")):
        return text
    scheme, _, rest = text.partition("#")[0].partition("?")[0].partition("://")
    host, slash, path = rest.partition("/")
    # A password in front of the host must not be stored.
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"
