"""
The service's responses as JSON documents, envelope by envelope, since no two of Pictory's are alike.

Guesses: the key names of thumbnail and preview in a job; that a job never shows its prompt, finished or not;
the fields of a job list's item beyond id and status; that a video's ``createdDate`` is when its job ended;
the ledger's ``source`` and ``plan``; the minutes of the other quotas, which nothing here uses up; the message
of every error; an unknown job's error inside ``data``; that a deletion responds with the cleaned job.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_pictory.api.jobs import JobStatus
from airflow_provider_pictory.sandbox.addresses import FILES_PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_pictory.sandbox.bodies import InvalidBodyError
    from airflow_provider_pictory.sandbox.jobs import Job
    from airflow_provider_pictory.sandbox.service import Service, Transaction

# Small enough to be rendered in a second, even numbers as H.264 wants them, and exact to the ratio.
FRAME_SIZES = {
    "16:9": (640, 360),
    "9:16": (360, 640),
    "1:1": (480, 480),
    "3:4": (480, 640),
    "4:3": (640, 480),
}
VIDEO_FILE = "video.mp4"
IMAGE_FILES = {
    "previewImageUrl": "preview.jpg",
    "thumbnailImageUrl": "thumbnail.jpg",
    "lastFrameImageUrl": "last-frame.png",
}

Document = dict[str, Any]


def submission(job: Job) -> Document:
    """Return the response to a submission."""
    return {"success": True, "data": {"jobId": job.job_id}}


class Links:
    """
    The addresses of a job's files.

    :param base_url: under which the client reaches the sandbox.
    :param query: gives what comes after a file's path, in this response.
    """

    def __init__(self, base_url: str, query: Callable[[Job], str]) -> None:
        self._base_url = base_url
        self._query = query

    def of(self, job: Job) -> Document:
        """Return the video's URL and those of its pictures, under their names on the wire."""
        names, query = {"url": VIDEO_FILE, **IMAGE_FILES}, self._query(job)
        folder = f"{self._base_url}{FILES_PREFIX}/{job.video_id}"
        return {name: f"{folder}/{file_name}{query}" for name, file_name in names.items()}


def job_document(job: Job, moment: float, links: Links) -> Document:
    """Return a job as it is at a moment; a webhook gets the same."""
    is_success = job.status_at(moment) != JobStatus.FAILED
    return {"job_id": job.job_id, "success": is_success, "data": _job_data(job, moment, links)}


def job_list_item(job: Job, moment: float, links: Links) -> Document:
    """Show a job in the list of jobs as it is at a moment."""
    is_success = job.status_at(moment) != JobStatus.FAILED
    return {"success": is_success, "data": {"jobId": job.job_id, **_job_data(job, moment, links)}}


def video_list_item(job: Job, links: Links) -> Document:
    """Show a finished video in the list of videos."""
    return {
        "id": job.video_id,
        "prompt": job.order.prompt,
        "aspectRatio": job.order.aspect_ratio,
        "createdDate": timestamp(job.ends_at),
        "model": job.order.model.value,
        **_dimensions(job),
        **links.of(job),
        **job.order.sources,
    }


def quota(service: Service) -> Document:
    """Return the quota."""
    unused_minutes = {"used": 0, "limit": 600}
    return {
        "aiCredits": {"used": amount(service.credits_used), "limit": amount(service.credit_limit)},
        "videoMinutes": unused_minutes,
        "transcriptionMinutes": unused_minutes,
        "elevenLabsVoiceOverMinutes": unused_minutes,
    }


def ledger_line(transaction: Transaction) -> Document:
    """Show one line of the credit ledger."""
    return {
        "transactionId": transaction.transaction_id,
        "type": "debit" if transaction.amount > 0 else "credit",
        "amount": amount(abs(transaction.amount)),
        "source": "AI Studio",
        "description": transaction.description,
        "plan": "sandbox",
        "transactionDate": timestamp(transaction.moment),
    }


def invalid_body(error: InvalidBodyError) -> Document:
    """Return the response to a body that can't be accepted."""
    fields = [{"name": name, "errors": complaint} for name, complaint in error.faults.items()]
    return {"code": "INVALID_REQUEST_BODY", "message": error.message, "fields": fields}


def unknown_job(job_id: str) -> Document:
    """Return the response to a request for a job that isn't there."""
    data = {"error_code": "5000", "error_message": "JOB_NOT_FOUND"}
    return {"job_id": job_id, "success": False, "data": data}


def error(message: str, code: str | None = None) -> Document:
    """Return an error that has no form of its own."""
    return {"code": code, "message": message} if code else {"message": message}


def amount(credits_: float) -> float | int:
    """Return credits as a person would write them, without a fraction where there is none."""
    rounded = round(float(credits_), 2)
    return int(rounded) if rounded.is_integer() else rounded


def timestamp(moment: float) -> str:
    """Return a moment in ISO 8601, in UTC, to the millisecond."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _job_data(job: Job, moment: float, links: Links) -> Document:
    status = str(job.status_at(moment))
    if status == JobStatus.FAILED:
        return {"status": status, "error_code": job.error_code, "error_message": job.error_message}
    if status != JobStatus.COMPLETED:
        return {"status": status}
    return {
        "status": status,
        **_dimensions(job),
        **links.of(job),
        "aiCreditsUsed": amount(job.credits_taken),
    }


def _dimensions(job: Job) -> Document:
    width, height = FRAME_SIZES[job.order.aspect_ratio]
    return {"duration": f"{job.order.duration}s", "width": width, "height": height}
