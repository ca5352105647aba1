"""One cheapest clip, paid for once, and everything that can be seen of it until it is listed."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow_provider_pictory.api import VideoRequest
from airflow_provider_pictory.api.jobs import JobStatus
from airflow_provider_pictory.api.listings import read_server_date
from airflow_provider_pictory.api.models import MODEL_LIMITS
from airflow_provider_pictory.client.calls import JOB_LIST_PATH, VIDEO_LIST_PATH
from airflow_provider_pictory.client.settings import DEFAULT_SUBMISSION_WINDOW
from airflow_provider_pictory.client.submitting import submit_once
from airflow_provider_pictory.client.synchronous import Client
from airflow_provider_pictory.exceptions import PictoryError
from live_check.account import ledger_lines, quota_of
from live_check.assumptions import PAID
from live_check.files import ask
from live_check.findings import code, names_of, status
from live_check.lists import date_of, place_of
from live_check.service import HEADERS, Exchange, Service, of_data

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_pictory.api import Response
    from airflow_provider_pictory.client.tracked_body import TrackedBody
    from live_check.findings import Findings

PAID_NAMES = tuple(assumption.name for assumption in PAID)
JOB_FIELDS = {"status", "url", "duration", "width", "height", "lastFrameImageUrl", "aiCreditsUsed"}
PICTURES = {"thumbnailImageUrl", "previewImageUrl"}
LONGEST_JOB = 30 * 60.0
# The Date header has whole seconds, and so may the dates of videos.
_WHOLE_SECOND = timedelta(seconds=1)


class PaidOnceClient(Client):
    """
    Makes one POST and no other, and keeps its response as it came.

    :param service: whose connection it uses.
    """

    def __init__(self, service: Service) -> None:
        super().__init__(lambda: service.settings, HEADERS)
        self._service = service
        self._is_used = False
        self.exchange: Exchange | None = None

    def post(self, path: str, body: TrackedBody) -> Response:
        """Send a body, the first time."""
        if self._is_used:
            raise RuntimeError("a second paid POST was about to be made")
        self._is_used = True
        started = time.monotonic()
        response = super().post(path, body)
        self.exchange = self._service.keep(Exchange(response, time.monotonic() - started))
        return response


@dataclass
class Clip:
    """
    What is known of the clip so far.

    :param request: what was asked for.
    :param job_id: of its job.
    :param submitted_at: when the response came, by this machine's monotonic clock.
    :param submitted_date: when it came, by the service's clock.
    :param statuses: what it was so far, without repetitions.
    """

    request: VideoRequest
    job_id: str
    submitted_at: float
    submitted_date: datetime | None
    statuses: list[str] = field(default_factory=list)


def cheapest_request() -> VideoRequest:
    """Return the request for the cheapest clip, with a prompt that can be told from all others."""
    model = min(
        MODEL_LIMITS, key=lambda it: MODEL_LIMITS[it].credits_per_second * min(MODEL_LIMITS[it].durations)
    )
    prompt = f"A paper boat floats on a calm pond, seen from above, number {secrets.token_hex(8)}"
    return VideoRequest(prompt=prompt, model=model, duration=min(MODEL_LIMITS[model].durations))


def make_clip(service: Service, findings: Findings, interval: float, say: Callable[[str], object]) -> None:
    """
    Submit one clip, and watch it until it is in the list of videos.

    :param service: where.
    :param findings: take the rows.
    :param interval: seconds between two polls.
    :param say: tells the person at the terminal what goes on.
    """
    request = cheapest_request()
    findings.prompts.add(str(request.prompt))
    before, debits_before = quota_of(service, findings), _debits(service, estimate_of(request))
    if before is None or before.ai_credits_left < estimate_of(request):
        findings.miss(PAID_NAMES, "nothing was submitted: too few AI credits, or an unreadable quota")
        return
    clip = _submit(service, findings, request, say)
    if clip is None:
        findings.miss(PAID_NAMES, "there is no job to watch")
        return
    say(f"The clip is job {clip.job_id}, which is paid for and goes on whatever happens here.")
    finished = _watch(service, findings, clip, interval, say)
    if finished is None:
        findings.miss(
            PAID_NAMES, f"the job came to no finished video: {', '.join(clip.statuses) or 'no status'}"
        )
        return
    _check_finished(service, findings, clip, finished, before.ai_credits_used)
    more = _debits(service, estimate_of(request)) - debits_before
    findings.note("paid-ledger", f"{more} more debits of the estimate", is_expected=more == 1)
    _await_listing(service, findings, clip, finished, interval)
    findings.miss(PAID_NAMES, "nothing could show it")


def _submit(
    service: Service, findings: Findings, request: VideoRequest, say: Callable[[str], object]
) -> Clip | None:
    client, accepted = PaidOnceClient(service), list[str]()
    why = ""
    try:
        submit_once(client, request, accepted)
    except PictoryError as error:
        why = type(error).__name__
        say(f"The submission brought no job id; it is not repeated: {findings.safe(str(error))}")
    except BaseException:
        say(f"Stopped in the submission: {accepted[0] if accepted else 'a video may have been paid for'}")
        raise
    finally:
        client.close()
    if client.exchange is None:
        findings.note("paid-response", f"no response ({why})", is_expected=False)
        return None
    exchange = client.exchange
    is_expected = exchange.status == 200 and exchange.document.get("success") is True
    seen = f"{exchange.status}, {names_of(exchange.document)}, data with {names_of(exchange.data)}"
    is_id = isinstance(exchange.data.get("jobId"), str)
    findings.note("paid-response", seen, is_expected=is_expected and is_id and bool(accepted))
    if not accepted:
        return None
    return Clip(request, accepted[0], time.monotonic(), read_server_date(exchange.response))


def _watch(
    service: Service, findings: Findings, clip: Clip, interval: float, say: Callable[[str], object]
) -> Exchange | None:
    """Poll job and job list until the job has ended and is listed, and return the finished job."""
    path, is_listed = f"/v1/jobs/{quote(clip.job_id, safe='')}", False
    while (elapsed := time.monotonic() - clip.submitted_at) < LONGEST_JOB:
        exchange = service.get(path)
        if not clip.statuses:
            findings.note("paid-known", f"{exchange.status}", is_expected=exchange.status == 200)
        shown = status(exchange.data.get("status")) if exchange.status == 200 else f"HTTP {exchange.status}"
        if shown not in clip.statuses[-1:]:
            clip.statuses.append(shown)
            say(f"After {elapsed:.0f} s: {shown}")
        is_listed = is_listed or _is_in_job_list(service, findings, clip)
        has_ended = shown in (JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CLEANED)
        if has_ended and (is_listed or elapsed > DEFAULT_SUBMISSION_WINDOW or interval < 1):
            break
        time.sleep(interval)
    if not is_listed:
        findings.note("paid-in-job-list", f"not after {elapsed:.0f} s", is_expected=False)
    documented = ([JobStatus.IN_PROGRESS, JobStatus.COMPLETED], [JobStatus.COMPLETED])
    seen = f"{', '.join(clip.statuses)} after {elapsed:.0f} s"
    if clip.statuses[-1:] == [JobStatus.FAILED]:
        seen += f", {code(exchange.data.get('error_code'))}"
    findings.note("paid-states", seen, is_expected=clip.statuses in documented)
    return exchange if clip.statuses[-1:] == [JobStatus.COMPLETED] else None


def _is_in_job_list(service: Service, findings: Findings, clip: Clip) -> bool:
    items = service.get(JOB_LIST_PATH).document.get("items")
    ids = [of_data(item).get("jobId") for item in items] if isinstance(items, list) else []
    if clip.job_id not in ids:
        return False
    after = time.monotonic() - clip.submitted_at
    findings.note(
        "paid-in-job-list", f"{after:.1f} s after the response", is_expected=after < DEFAULT_SUBMISSION_WINDOW
    )
    place = ids.index(clip.job_id)
    findings.note("paid-list-top", f"place {place + 1}", is_expected=not place)
    return True


def _check_finished(
    service: Service, findings: Findings, clip: Clip, finished: Exchange, used_before: float
) -> None:
    data, estimate = finished.data, estimate_of(clip.request)
    findings.note("paid-names", names_of(data), is_expected=set(data) >= JOB_FIELDS)
    there = PICTURES & set(data)
    findings.note("paid-pictures", names_of(there), is_expected=there == PICTURES)
    duration = data.get("duration")
    is_expected = duration == f"{clip.request.duration}s"
    seen = "as asked for" if is_expected else f"another {type(duration).__name__}"
    findings.note("paid-duration", seen, is_expected=is_expected)
    used = data.get("aiCreditsUsed")
    shown = f"{used:g}" if isinstance(used, int | float) else type(used).__name__
    seen = f"{shown}, the estimate is {estimate:g}"
    findings.note("paid-credits", seen, is_expected=_is_near(used, estimate))
    after = quota_of(service, findings)
    if after:
        rise = after.ai_credits_used - used_before
        seen = f"{rise:g}, the estimate is {estimate:g}"
        findings.note("paid-quota", seen, is_expected=_is_near(rise, estimate))
    again = service.get(f"/v1/jobs/{quote(clip.job_id, safe='')}")
    served = ask(service.settings, again.data.get("url"))
    change = "the same URL" if again.data.get("url") == data.get("url") else "another URL"
    findings.note("paid-fresh-url", f"{change}, {served}", is_expected=served.is_served)


def estimate_of(request: VideoRequest) -> float:
    """Return what a request costs by the price list, in AI credits."""
    return float(request.estimated_credits or 0)


def _debits(service: Service, amount: float) -> int:
    """Return how many debits of an amount this month's ledger has."""
    lines = ledger_lines(service.get("/v1/aicredits/usage")) or []
    return sum(line.get("type") == "debit" and _is_near(line.get("amount"), amount) for line in lines)


def _is_near(amount: object, estimate: float) -> bool:
    return isinstance(amount, int | float) and abs(amount - estimate) < 0.01


def _await_listing(
    service: Service, findings: Findings, clip: Clip, finished: Exchange, interval: float
) -> None:
    ended_at, place = time.monotonic(), place_of(finished.data)
    while True:
        items = service.get(VIDEO_LIST_PATH).document.get("items")
        listed = [it for it in items if isinstance(it, dict)] if isinstance(items, list) else []
        video = next((it for it in listed if it.get("prompt") == clip.request.prompt), None) or next(
            (it for it in listed if place and place_of(it) == place), None
        )
        after = time.monotonic() - ended_at
        if video or after > min(DEFAULT_SUBMISSION_WINDOW, 20 * max(interval, 0.05)):
            break
        time.sleep(interval)
    if video is None:
        findings.note("paid-in-video-list", f"not after {after:.0f} s", is_expected=False)
        return
    findings.note("paid-in-video-list", f"{after:.1f} s after the end", is_expected=True)
    payload = clip.request.payload
    asked = {name: payload.get(name) for name in ("prompt", "model", "aspectRatio", "duration")}
    other = [name for name, value in asked.items() if value is not None and video.get(name) != value]
    findings.note("paid-listed-as", f"other than asked: {names_of(other)}", is_expected=not other)
    same = place_of(video) == place
    findings.note("paid-url", "the same address" if same else "another address", is_expected=same)
    _check_date(findings, clip, finished, video)


def _check_date(findings: Findings, clip: Clip, finished: Exchange, video: dict[str, Any]) -> None:
    made, end = date_of(video), read_server_date(finished.response)
    if made is None or end is None or clip.submitted_date is None:
        findings.note("paid-created-date", "a date is missing", is_expected=False)
        return
    after = (made - clip.submitted_date).total_seconds()
    findings.note(
        "paid-created-date",
        f"{after:.0f} s after submission, {(end - made).total_seconds():.0f} s before the end was seen",
        is_expected=clip.submitted_date - _WHOLE_SECOND <= made <= end + _WHOLE_SECOND,
    )
