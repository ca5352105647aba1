"""The calls that only read: where each of them asks, how much it takes, and what its response means."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Generic, TypeVar
from urllib.parse import quote

from airflow_provider_pictory.api import InvalidRequestError, Quota, ResponseError, VideoJob
from airflow_provider_pictory.api.checks import job_id as checked_job_id
from airflow_provider_pictory.api.listings import JobListPage, VideoListPage, read_job_list, read_video_list
from airflow_provider_pictory.api.responses import read_job, read_quota
from airflow_provider_pictory.client.errors import raise_airflow_error, read_without_key
from airflow_provider_pictory.exceptions import PictoryInvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_pictory.api import Response
    from airflow_provider_pictory.client.settings import ConnectionSettings

Reading = TypeVar("Reading")

# Far more than any response about one job. Reading a page of megabytes would block a triggerer's loop.
LARGEST_RESPONSE = 1024 * 1024
# In the list of jobs, those of other kinds can be megabytes long.
LARGEST_LIST = 32 * 1024 * 1024

JOB_LIST_PATH = "/v1/jobs"
VIDEO_LIST_PATH = "/v1/aistudio/videos"
QUOTA_PATH = "/v1/quota"


@dataclass(frozen=True)
class Call(Generic[Reading]):
    """
    A GET, and how its response is read.

    :param path: of the API.
    :param read: makes something of the response, or raises a ``ResponseError``.
    :param largest: a body of more bytes than these is not read.
    :param job_id: of the job that is asked for, where it is one.
    """

    path: str
    read: Callable[[Response], Reading]
    largest: int = LARGEST_RESPONSE
    job_id: str | None = None

    def finish(self, settings: ConnectionSettings, response: Response) -> Reading:
        """
        Read the response.

        :param settings: of the connection, whose key must not be shown.
        :param response: what came.
        :raises PictoryError: of the kind that fits the response.
        """
        try:
            return read_without_key(settings, response, self.read)
        except ResponseError as error:
            raise_airflow_error(settings, error, self.job_id)


QUOTA: Call[Quota] = Call(QUOTA_PATH, read_quota)


def job(job_id: str) -> Call[VideoJob]:
    """
    Make the call that polls a job.

    :raises PictoryInvalidRequestError: this can't be a job id.
    """
    try:
        job_id = checked_job_id(job_id)
    except InvalidRequestError as error:
        raise PictoryInvalidRequestError(str(error)) from error
    return Call(f"/v1/jobs/{quote(job_id, safe='')}", partial(read_job, job_id=job_id), job_id=job_id)


def job_list(page_key: str | None = None) -> Call[JobListPage]:
    """Make the call for a page of the list of jobs."""
    return Call(_page(JOB_LIST_PATH, page_key), read_job_list, LARGEST_LIST)


def video_list(page_key: str | None = None) -> Call[VideoListPage]:
    """Make the call for a page of the list of finished AI Studio videos."""
    return Call(_page(VIDEO_LIST_PATH, page_key), read_video_list, LARGEST_LIST)


def _page(path: str, page_key: str | None) -> str:
    # Pictory's own keys are sent back as they came, even if they are no valid text.
    return f"{path}?nextPageKey={quote(page_key, safe='', errors='surrogatepass')}" if page_key else path
