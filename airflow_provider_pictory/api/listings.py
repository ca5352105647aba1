"""Pictory's lists of jobs and videos, read so that they tell what became of a lost submission."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from airflow_provider_pictory.api.errors import raise_unreadable, read_data
from airflow_provider_pictory.api.headers import read_http_date
from airflow_provider_pictory.api.jobs import read_number, read_status, read_text, read_url
from airflow_provider_pictory.api.responses import read_job_id, read_success
from airflow_provider_pictory.api.video_request import SOURCES

if TYPE_CHECKING:
    from airflow_provider_pictory.api.jobs import JobStatus
    from airflow_provider_pictory.api.responses import Response


@dataclass(frozen=True)
class ListedJob:
    """
    A job of any kind as the list of jobs shows it.

    :param job_id: its id; ``None`` where that can't be read, so that the list still counts it.
    :param status: a :class:`JobStatus`, the raw text of an undocumented one, or ``None`` without any.
    :param url: what it made; needs no key, can expire.
    """

    job_id: str | None = None
    status: JobStatus | str | None = None
    url: str | None = None


@dataclass(frozen=True)
class ListedVideo:
    """
    A finished AI Studio video as the list of videos shows it, which tells everything but its job's id.

    What is compared with a request is exactly as Pictory gives it, so it may not be fit for a log line.

    :param url: the MP4; needs no key, can expire.
    :param prompt: what the video was to show.
    :param model: the name of the model.
    :param aspect_ratio: such as ``"16:9"``.
    :param duration_seconds: its length in seconds.
    :param created_at: when Pictory says it was created, in UTC.
    :param sources: the URLs that it was made from, one or several under each of the names that Pictory gives
        them: ``firstFrameImageUrl``, ``extendVideoUrl`` and ``referenceImageUrls``.
    """

    url: str | None = None
    prompt: str | None = None
    model: str | None = None
    aspect_ratio: str | None = None
    duration_seconds: float | None = None
    created_at: datetime | None = None
    sources: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)


class BaselineKind(StrEnum):
    """What can be known of an account's newest job."""

    FOUND = "found"
    EMPTY = "empty"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Baseline:
    """
    The newest job of an account at some moment: whatever comes above it in the list was submitted later.

    :param kind: whether there was a job, certainly none, or nobody knows.
    :param job_id: the id of the job that was found.
    :param server_time: that moment by Pictory's own clock, in UTC, which the videos' dates go by.
    """

    kind: BaselineKind = BaselineKind.UNKNOWN
    job_id: str | None = None
    server_time: datetime | None = None


@dataclass(frozen=True)
class JobListPage:
    """
    One page of the list of jobs.

    :param jobs: newest first, each item of the page, also those that can't be read.
    :param next_page_key: what to request the next page with; ``None`` on the last one.
    :param size: of the response in bytes.
    """

    jobs: tuple[ListedJob, ...]
    next_page_key: str | None = None
    size: int = field(default=0, compare=False)

    @property
    def baseline(self) -> Baseline:
        """What this page, as the first one of the list, tells of the account's newest job."""
        if not self.jobs:
            return Baseline(BaselineKind.EMPTY)
        job_id = self.jobs[0].job_id
        return Baseline(BaselineKind.FOUND, job_id) if job_id else Baseline()


@dataclass(frozen=True)
class VideoListPage:
    """
    One page of the list of finished AI Studio videos.

    :param videos: newest first, each item of the page, also those that can't be read.
    :param next_page_key: what to request the next page with; ``None`` on the last one.
    """

    videos: tuple[ListedVideo, ...]
    next_page_key: str | None = None


def read_job_list(response: Response) -> JobListPage:
    """
    Read a page of the list of jobs.

    :raises ResponseError: for anything but a list.
    """
    document = read_success(response)
    items = _items(response, document)
    jobs = tuple(_listed_job(item) for item in items)
    return JobListPage(jobs, _next_page_key(response, document), len(response.body))


def read_video_list(response: Response) -> VideoListPage:
    """
    Read a page of the list of finished AI Studio videos.

    :raises ResponseError: for anything but a list.
    """
    document = read_success(response)
    items = _items(response, document)
    return VideoListPage(tuple(_listed_video(item) for item in items), _next_page_key(response, document))


def read_server_date(response: Response) -> datetime | None:
    """
    Read what the server's clock said when it responded.

    :return: aware and in UTC, or ``None`` where the ``Date`` header is absent or makes no sense.
    """
    return read_http_date(response.headers.get("date", ""))


def _items(response: Response, document: Mapping[str, Any]) -> list[Any]:
    items = document.get("items")
    if not isinstance(items, list):
        raise_unreadable(response, "there is no list of items in it")
    return items


def _next_page_key(response: Response, document: Mapping[str, Any]) -> str | None:
    key = document.get("nextPageKey")
    if isinstance(key, str):
        return key or None
    # The service may hand out more than it documents; only what is certainly no key ends the list.
    if key is None or key is False or key in ([], {}):
        return None
    return json.dumps(key)


def _listed_job(item: object) -> ListedJob:
    if not isinstance(item, Mapping):
        return ListedJob()
    data = read_data(item)
    return ListedJob(
        job_id=read_job_id(item), status=read_status(data.get("status")), url=read_url(data.get("url"))
    )


def _listed_video(item: object) -> ListedVideo:
    if not isinstance(item, Mapping):
        return ListedVideo()
    return ListedVideo(
        url=read_url(item.get("url")),
        prompt=_exact_text(item.get("prompt")),
        model=_exact_text(item.get("model")),
        aspect_ratio=_exact_text(item.get("aspectRatio")),
        duration_seconds=read_number(item.get("duration")),
        created_at=_moment(item.get("createdDate")),
        sources={name: urls for name in SOURCES if (urls := _urls(item.get(name)))},
    )


def _exact_text(value: object) -> str | None:
    # Not read_text, which makes one line of a prompt.
    return value if isinstance(value, str) and value else None


def _urls(value: object) -> str | tuple[str, ...] | None:
    if isinstance(value, list):
        return tuple(url for element in value if (url := _exact_text(element)))
    return _exact_text(value)


def _moment(value: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(read_text(value) or "") if isinstance(value, str) else None
        if moment is None or moment.tzinfo is not None:
            return moment and moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return moment.replace(tzinfo=UTC)
