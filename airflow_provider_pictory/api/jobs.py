"""A video job as Pictory reports it, read tolerantly, and the small result that a DAG hands on."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from airflow_provider_pictory.api.redaction import printable

# More than is ever shown, so that nothing in it is cut in half before it is recognised as a secret.
_LONGEST_TEXT_READ = 16 * 1024
# Signed URLs have a few thousand characters, and no server accepts more than a few thousand.
LONGEST_URL = 8_192

_HTTP = re.compile("https?://", re.IGNORECASE)
_NEVER_IN_A_HOST = re.compile(r"[\s\\<>\"^`{|}%]")
_NUMBER = re.compile(r"\s*(\d{1,9}(?:\.\d{1,9})?)\s*s?\s*", re.ASCII)


class JobStatus(StrEnum):
    """The statuses that Pictory documents for a job."""

    IN_PROGRESS = "in-progress"
    COMPLETED = "completed"
    FAILED = "failed"
    CLEANED = "cleaned"


class UnreadableJobError(ValueError):
    """What should describe a job doesn't; nothing can be concluded about the job itself."""


@dataclass(frozen=True)
class VideoJob:
    """
    What one poll of a job returned.

    :param job_id: the id in the response to the submission.
    :param status: a :class:`JobStatus`, or the raw text where Pictory reports one that nobody documented.
    :param url: the MP4, once completed; needs no key, can expire.
    :param duration_seconds: length of the finished video in seconds.
    :param width: of the finished video in pixels.
    :param height: of the finished video in pixels.
    :param thumbnail_url: a JPG; its key is undocumented for jobs, so it may be absent.
    :param preview_url: a JPG; its key is undocumented for jobs, so it may be absent.
    :param last_frame_image_url: a PNG, usable as the next clip's first frame.
    :param ai_credits_used: what the video cost, in AI credits; fractional.
    :param error_code: Pictory's code of a failure.
    :param error_message: Pictory's words for a failure.
    """

    job_id: str
    status: JobStatus | str
    url: str | None = None
    duration_seconds: float | None = None
    width: int | None = None
    height: int | None = None
    thumbnail_url: str | None = None
    preview_url: str | None = None
    last_frame_image_url: str | None = None
    ai_credits_used: float | None = None
    error_code: str | None = None
    error_message: str | None = None

    @property
    def has_ended(self) -> bool:
        """Whether the job will never change again; an unknown status is not taken for an end."""
        return self.status in (JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CLEANED)

    @property
    def has_unknown_status(self) -> bool:
        """Whether Pictory reported a status that its documentation doesn't have."""
        return not isinstance(self.status, JobStatus)

    @property
    def result(self) -> dict[str, Any]:
        """The flat dict of JSON types that reaches XCom."""
        result = asdict(self)
        del result["error_code"], result["error_message"]
        result["status"] = str(self.status)
        return result

    def to_dict(self) -> dict[str, Any]:
        """Return everything known as JSON types, for a trigger's event."""
        return {**asdict(self), "status": str(self.status)}

    @classmethod
    def from_dict(cls, values: object) -> VideoJob:
        """
        Read back what :meth:`to_dict` returned.

        :raises UnreadableJobError: when a field is missing, unknown or of a wrong type.
        """
        expected = {field.name for field in fields(cls)}
        if not isinstance(values, Mapping) or set(values) != expected:
            raise UnreadableJobError(f"a job's fields are {sorted(expected)}")
        job = cls(**{**values, "status": _status(values["status"])})
        numbers = _present(job.duration_seconds, job.width, job.height, job.ai_credits_used)
        urls = _present(job.url, job.thumbnail_url, job.preview_url, job.last_frame_image_url)
        texts = _present(job.error_code, job.error_message)
        if (
            not (isinstance(job.job_id, str) and job.job_id)
            or any(isinstance(number, str) or read_number(number) is None for number in numbers)
            or any(read_url(url) is None for url in urls)
            or not all(isinstance(text, str) for text in texts)
        ):
            raise UnreadableJobError("a job's field has a wrong type")
        job._check_url()
        return job

    @classmethod
    def from_data(cls, job_id: str, data: Mapping[str, Any]) -> VideoJob:
        """
        Read the ``data`` of Pictory's response about a job.

        :raises UnreadableJobError: when there is no status, or a completed job has no URL to a video.
        """
        job = cls(
            job_id=job_id,
            status=_status(data.get("status")),
            url=read_url(data.get("url")),
            duration_seconds=read_number(data.get("duration")),
            width=_whole(data.get("width")),
            height=_whole(data.get("height")),
            thumbnail_url=read_url(data.get("thumbnailImageUrl")),
            preview_url=read_url(data.get("previewImageUrl")),
            last_frame_image_url=read_url(data.get("lastFrameImageUrl")),
            ai_credits_used=read_number(data.get("aiCreditsUsed")),
            error_code=read_text(data.get("error_code")),
            error_message=read_text(data.get("error_message")),
        )
        job._check_url()
        return job

    def _check_url(self) -> None:
        if self.status == JobStatus.COMPLETED and not self.url:
            raise UnreadableJobError(
                f"job {self.job_id} is completed but has no URL to its video, or none that can be asked"
            )


def _present(*values: object) -> list[object]:
    return [value for value in values if value is not None]


def _status(value: object) -> JobStatus | str:
    status = read_status(value)
    if status is None:
        raise UnreadableJobError("there is no status in it")
    return status


def read_status(value: object) -> JobStatus | str | None:
    """Read a status: a documented one, the raw text of any other, or ``None`` where there is none."""
    text = read_text(value)
    try:
        return text and JobStatus(text.lower().replace("_", "-"))
    except ValueError:
        return text


def read_url(value: object) -> str | None:
    """Read an http(s) URL that a client can ask; else return ``None``."""
    if not isinstance(value, str) or len(value) > LONGEST_URL or not value.isprintable():
        return None
    try:
        parts = urlsplit(value)
        host = parts.hostname or ""
        if ":" not in host:
            host.encode("idna")
        is_whole = bool(host) and parts.port != 0 and not _NEVER_IN_A_HOST.search(parts.netloc)
    except ValueError:  # brackets, a port, or a name that can't be one
        return None
    return value if is_whole and _HTTP.match(value) else None


def read_text(value: object) -> str | None:
    """
    Read a text as one line of printable characters, which JSON alone isn't.

    Secrets may still be in it: whoever shows it cleans it first.
    """
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return None
    try:
        text = str(value)
    except ValueError:  # a whole number of thousands of digits
        return None
    return printable(text[:_LONGEST_TEXT_READ]) or None


def read_number(value: object) -> float | None:
    """Read a number that isn't negative, given as such or as a text like ``"8s"``; else return ``None``."""
    if isinstance(value, str) and (match := _NUMBER.fullmatch(value)):
        return float(match[1])
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        # A whole number too long for a float raises, one written as 1e999 has become infinite.
        try:
            number = float(value)
        except OverflowError:
            return None
        return number if math.isfinite(number) and number >= 0 else None
    return None


def _whole(value: object) -> int | None:
    number = read_number(value)
    return None if number is None else int(number)
