"""What can be seen of the two lists for free: form, pages, order, dates, and whether one lags."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlsplit

from airflow_provider_pictory.api import ResponseError
from airflow_provider_pictory.api.jobs import JobStatus
from airflow_provider_pictory.api.listings import (
    JobListPage,
    VideoListPage,
    read_job_list,
    read_server_date,
    read_video_list,
)
from airflow_provider_pictory.client.calls import JOB_LIST_PATH, VIDEO_LIST_PATH
from live_check.account import page_path, refusal
from live_check.findings import names_of, status
from live_check.service import of_data

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_pictory.api import Response
    from live_check.findings import Findings
    from live_check.service import Exchange, Service

Page = TypeVar("Page", JobListPage, VideoListPage)

# Enough to see how pages follow each other, without reading the whole of a large account.
MOST_PAGES = 10
MOST_VIDEOS_ON_A_PAGE = 100
# Only a finished AI Studio video has such a field, in either list.
MARK_OF_A_VIDEO = "lastFrameImageUrl"
VIDEO_FIELDS = {
    *("id", "url", "prompt", "aspectRatio", "createdDate", "model", "width", "height", "duration"),
    *("previewImageUrl", "thumbnailImageUrl", MARK_OF_A_VIDEO),
}
JOB_LIST_NAMES = (
    *("job-list", "job-list-page-size", "job-list-pages", "job-list-end", "job-list-order"),
    *("job-statuses", "job"),
)
VIDEO_LIST_NAMES = (
    *("video-list", "video-list-page-size", "video-list-end", "video-list-order", "video-dates"),
    *("video-ids", "list-lag"),
)
# Videos are dated by their end; those that were being made for this long may have overtaken each other.
LONGEST_RENDERING = timedelta(minutes=20)


@dataclass(frozen=True)
class Reading:
    """
    The pages of a list.

    :param exchanges: one for each page.
    :param items: of each page, as they came.
    :param is_whole: whether the last page was reached.
    """

    exchanges: list[Exchange]
    items: list[list[Any]]
    is_whole: bool

    @property
    def all_items(self) -> list[Any]:
        """The items of all pages."""
        return [item for page in self.items for item in page]


def read_list(service: Service, path: str, read: Callable[[Response], Page]) -> Reading:
    """
    Read the pages of a list, the newest first, as far as it goes.

    :raises UnreadableListError: a page can't be read.
    """
    exchanges: list[Exchange] = []
    items: list[list[Any]] = []
    page_key, is_whole = None, False
    while len(items) < MOST_PAGES and not is_whole:
        exchange = service.get(page_path(path, page_key))
        try:
            page_key = read(exchange.response).next_page_key
        except ResponseError as error:
            raise UnreadableListError(refusal(exchange, error)) from None
        exchanges.append(exchange)
        items.append(exchange.document["items"])
        is_whole = page_key is None
    return Reading(exchanges, items, is_whole)


class UnreadableListError(Exception):
    """A page of a list can't be read; the message is fit to be shown."""


def check_lists(service: Service, findings: Findings) -> Reading | None:
    """
    See both lists.

    :return: the list of videos, for whoever asks for their files.
    """
    jobs = _read(service, findings, "job-list", JOB_LIST_PATH, read_job_list)
    videos = _read(service, findings, "video-list", VIDEO_LIST_PATH, read_video_list)
    if jobs:
        _check_jobs(service, findings, jobs)
    if videos:
        findings.prompts.update(str(it.get("prompt")) for it in _objects(videos) if it.get("prompt"))
        _check_videos(findings, videos)
    if jobs and videos:
        _check_both(findings, jobs, videos)
    findings.miss(JOB_LIST_NAMES, "the account's lists have nothing that could show it")
    findings.miss(VIDEO_LIST_NAMES, "the account's lists have nothing that could show it")
    return videos


def _read(
    service: Service, findings: Findings, name: str, path: str, read: Callable[[Response], Page]
) -> Reading | None:
    try:
        return read_list(service, path, read)
    except UnreadableListError as error:
        findings.note(name, str(error), is_expected=False)
        return None


def _check_jobs(service: Service, findings: Findings, jobs: Reading) -> None:
    items = _objects(jobs)
    whole = [it for it in items if "success" in it and {"jobId", "status"} <= set(of_data(it))]
    seen = f"{len(whole)} of {len(jobs.all_items)} on {len(jobs.items)} pages"
    findings.note(
        "job-list", f"{seen}, each with success, jobId, status", is_expected=len(whole) == len(jobs.all_items)
    )
    sizes = {len(page) for page in (jobs.items[:-1] if jobs.is_whole else jobs.items)}
    if sizes:
        findings.note("job-list-page-size", ", ".join(map(str, sorted(sizes))), is_expected=len(sizes) == 1)
    ids = [of_data(it).get("jobId") for it in items]
    if len(jobs.items) > 1:
        twice = len(ids) - len(set(map(str, ids)))
        findings.note("job-list-pages", f"{twice} of {len(ids)} jobs twice", is_expected=not twice)
    if jobs.is_whole:
        last = jobs.exchanges[-1].document
        shown = "null" if last.get("nextPageKey", 0) is None else "absent"
        findings.note("job-list-end", shown, is_expected=shown == "null")
    if items:
        statuses = {of_data(it).get("status") for it in items}
        is_expected = all(it in tuple(JobStatus) for it in statuses)
        findings.note("job-statuses", ", ".join(sorted(map(status, statuses))), is_expected=is_expected)
    ended = [it for it in items if of_data(it).get("status") in (JobStatus.COMPLETED, JobStatus.FAILED)]
    if ended:
        _check_job(service, findings, of_data(ended[0]))


def _check_job(service: Service, findings: Findings, listed: dict[str, Any]) -> None:
    exchange = service.get(f"/v1/jobs/{quote(str(listed.get('jobId')), safe='')}")
    is_same_id = exchange.document.get("job_id") == listed.get("jobId")
    is_same_status = exchange.data.get("status") == listed.get("status")
    findings.note(
        "job",
        f"{exchange.status}, {'the same' if is_same_id else 'another or no'} job_id, "
        f"{'the same' if is_same_status else 'another'} status, data with {names_of(exchange.data)}",
        is_expected=exchange.status == 200 and is_same_id and is_same_status,
    )


def _check_videos(findings: Findings, videos: Reading) -> None:
    items = _objects(videos)
    lacking = VIDEO_FIELDS - names_in_all(items) if items else set()
    seen = f"{len(items)} of {len(videos.all_items)} are objects"
    is_expected = not lacking and len(items) == len(videos.all_items)
    findings.note("video-list", f"{seen}, lacking: {names_of(lacking)}", is_expected=is_expected)
    largest = max(map(len, videos.items))
    findings.note("video-list-page-size", f"{largest}", is_expected=largest <= MOST_VIDEOS_ON_A_PAGE)
    if videos.is_whole:
        is_absent = "nextPageKey" not in videos.exchanges[-1].document
        findings.note("video-list-end", "absent" if is_absent else "present", is_expected=is_absent)
    dates = [date_of(it) for it in items]
    if not items:
        return
    known = [date for date in dates if date]
    if len(known) > 1:
        wrong = sum(earlier < later for earlier, later in pairwise(known))
        findings.note(
            "video-list-order", f"{wrong} of {len(known)} later than the one above", is_expected=not wrong
        )
    now = read_server_date(videos.exchanges[-1].response)
    # The header has whole seconds.
    early = [date for date in known if now is None or date <= now + timedelta(seconds=1)]
    findings.note("video-dates", f"{len(early)} of {len(items)}", is_expected=len(early) == len(items))


def _check_both(findings: Findings, jobs: Reading, videos: Reading) -> None:
    by_place = {place_of(it): it for it in _objects(videos)}
    ids = {of_data(it).get("jobId") for it in _objects(jobs)}
    if ids and by_place:
        same = sum(it.get("id") in ids for it in by_place.values())
        findings.note("video-ids", f"{same} of {len(by_place)} are a job's", is_expected=not same)
    finished = [
        of_data(it)
        for page in jobs.items[:1]
        for it in page
        if MARK_OF_A_VIDEO in of_data(it) and of_data(it).get("status") == JobStatus.COMPLETED
    ]
    if finished:
        there = sum(place_of(it) in by_place for it in finished)
        findings.note("list-lag", f"{there} of {len(finished)}", is_expected=there == len(finished))
    matched = [by_place[place] for it in _objects(jobs) if (place := place_of(of_data(it))) in by_place]
    dates = [date for it in matched if (date := date_of(it))]
    if len(dates) > 1:
        wrong = sum(above + LONGEST_RENDERING < below for above, below in pairwise(dates))
        findings.note(
            "job-list-order",
            f"{wrong} of {len(dates)} videos ended {LONGEST_RENDERING.seconds // 60} min after the one above",
            is_expected=not wrong,
        )


def date_of(item: dict[str, Any]) -> datetime | None:
    """Return a video's date; ``None`` where it has none, or none with a time zone."""
    try:
        moment = datetime.fromisoformat(str(item.get("createdDate")))
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def place_of(item: dict[str, Any]) -> tuple[str, str] | None:
    """Return host and path of a video's URL, which stay when its query changes."""
    try:
        parts = urlsplit(str(item.get("url") or ""))
    except ValueError:
        return None
    return (parts.netloc, parts.path) if parts.netloc else None


def names_in_all(items: list[dict[str, Any]]) -> set[str]:
    """Return the names that each of the objects has."""
    return set.intersection(*map(set, items)) if items else set()


def _objects(reading: Reading) -> list[dict[str, Any]]:
    return [item for item in reading.all_items if isinstance(item, dict)]
