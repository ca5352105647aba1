"""Whose video is wanted, as the author of a DAG says it, and where its file is now, as Pictory says it."""

from __future__ import annotations

import ast
import json
import re
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from airflow_provider_pictory.api import InvalidRequestError
from airflow_provider_pictory.api.checks import is_absent
from airflow_provider_pictory.api.checks import job_id as checked_job_id
from airflow_provider_pictory.api.validation_errors import shown
from airflow_provider_pictory.exceptions import (
    PictoryAPIError,
    PictoryInvalidRequestError,
    PictoryJobUnfinishedError,
)
from airflow_provider_pictory.outcome import may_pass, require_completed

if TYPE_CHECKING:
    from airflow_provider_pictory.api import VideoJob
    from airflow_provider_pictory.hooks.pictory import PictoryHook

POLLS_OF_JOB = 3
PAUSE_BETWEEN_POLLS = 2.0
LONGEST_PAUSE_BETWEEN_POLLS = 60.0

_WHOLE_NUMBER = re.compile(r"\s*\d{1,18}\s*", re.ASCII)


class Source:
    """
    The job whose video is wanted, asked for as late as possible, since its URL can expire.

    :param hook: to ask with.
    :param job_id: of the job.
    """

    def __init__(self, hook: PictoryHook, job_id: str) -> None:
        self._hook = hook
        self.job_id = job_id
        self.job = self._poll()
        self._is_fresh = True

    def find_url(self) -> str:
        """Return a URL that Pictory gave just now."""
        if not self._is_fresh:
            self.job = self._poll()
        self._is_fresh = False
        assert self.job.url is not None  # noqa: S101  (no completed job is without one)
        return self.job.url

    def _poll(self) -> VideoJob:
        for polls_left in reversed(range(POLLS_OF_JOB)):
            try:
                job = self._hook.get_job(self.job_id)
                break
            except PictoryAPIError as error:
                pause = error.retry_after or PAUSE_BETWEEN_POLLS
                if not polls_left or not may_pass(error) or pause > LONGEST_PAUSE_BETWEEN_POLLS:
                    raise
            time.sleep(pause)
        if not job.has_ended:
            raise PictoryJobUnfinishedError(
                f"Pictory job {self.job_id} has no video yet (status {str(job.status)!r}). Put a "
                "VideoJobSensor between the task that submits it and this one, and give this one "
                "video=wait.output"
            )
        return require_completed(job)


def read_source(job_id: object, video: object) -> str:
    """
    Read which job's video is wanted.

    :param job_id: the id itself.
    :param video: or a result that has it, as a dict or as the text that a template makes of one.
    :raises PictoryInvalidRequestError: neither is given, both are, or one can't be what it shall be.
    """
    try:
        if is_absent(video):
            return _alone(job_id)
        if not is_absent(job_id):
            raise PictoryInvalidRequestError(
                f"job_id and video: got both, {shown(job_id)} and {shown(video)}, but one of them is needed"
            )
        result = _from_text(video) if isinstance(video, str) else video
        if not isinstance(result, Mapping) or "job_id" not in result:
            raise PictoryInvalidRequestError(
                f"video: got {shown(video)}, but what a VideoJobSensor returned is needed, a dict with a "
                "job_id; a job id alone goes into job_id"
            )
        return checked_job_id(result["job_id"])
    except InvalidRequestError as error:
        raise PictoryInvalidRequestError(str(error)) from error


def read_max_bytes(value: object) -> int:
    """
    Read how large a video may be. Nothing is no number either: a limit that got lost is no open door.

    :param value: a whole number of bytes, or the text that a template makes of one.
    :raises PictoryInvalidRequestError: it is none, or not positive.
    """
    if isinstance(value, str) and _WHOLE_NUMBER.fullmatch(value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value <= 0 or value % 1 != 0:
        raise PictoryInvalidRequestError(
            f"max_bytes: got {shown(value)}, but a whole number of bytes is needed; leave it out for the "
            "default"
        )
    return int(value)


def _alone(job_id: object) -> str:
    if is_absent(job_id):
        raise PictoryInvalidRequestError(
            f"job_id: got {shown(job_id)}, but a job id is needed, or video in its place: video=wait.output "
            "of a VideoJobSensor, or job_id=generate.output of a task that has waited. Does that task run "
            "before this one and return it?"
        )
    given = _from_text(job_id) if isinstance(job_id, str) and job_id.lstrip().startswith("{") else job_id
    if isinstance(given, Mapping) and "job_id" in given:
        raise PictoryInvalidRequestError(
            f"job_id: got {shown(job_id)}, but that is a whole result: give it as video=wait.output, or the "
            "id alone as job_id=wait.output['job_id']"
        )
    return checked_job_id(job_id)


def _from_text(text: str) -> object:
    for read in (json.loads, ast.literal_eval):
        try:
            return read(text)
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            continue
    return None
