"""The saving of a finished video: downloaded, checked, compared with what is there, published."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_pictory.clock import SYSTEM_CLOCK
from airflow_provider_pictory.exceptions import (
    PictoryDownloadError,
    PictoryFileExistsError,
    PictoryStorageError,
)
from airflow_provider_pictory.saving.download import Downloader
from airflow_provider_pictory.saving.file_host import FileHost
from airflow_provider_pictory.saving.job import completed_job, video_urls
from airflow_provider_pictory.saving.mp4 import NotAnMP4Error, read_video_facts

if TYPE_CHECKING:
    from typing import BinaryIO

    from airflow_provider_pictory.api import VideoJob
    from airflow_provider_pictory.clock import Clock
    from airflow_provider_pictory.hooks.pictory import PictoryHook
    from airflow_provider_pictory.saving.destination import Content, Destination
    from airflow_provider_pictory.saving.mp4 import VideoFacts
    from airflow_provider_pictory.task_log import Logger

# Pictory gives durations in whole seconds; a file's includes fractions for its last frame and its sound.
DURATION_TOLERANCE = 1.0


@dataclass(frozen=True)
class VideoSaver:
    """
    Save a job's video as one file.

    :param hook: to ask for the job and for its file.
    :param destination: of the file.
    :param overwrite: whether another file that is there is replaced.
    :param check_video: whether a video of another duration or size than the job's is an error.
    :param max_bytes: the size in bytes above which a file is refused.
    :param log: of the task.
    :param clock: to pause and to report with.
    """

    hook: PictoryHook
    destination: Destination
    overwrite: bool
    check_video: bool
    max_bytes: int
    log: Logger
    clock: Clock = SYSTEM_CLOCK

    def save(self, job_id: str) -> dict[str, Any]:
        """
        Save the video, unless the very same file is there already.

        :param job_id: of a finished job.
        :return: what the task returns.
        :raises PictoryError: as the operator documents it.
        """
        job = completed_job(self.hook, job_id, self.clock)
        with self.destination.new_file() as file:
            content = self._download(job, file)
            facts = self._check(file, job)
            is_there = self._is_there(content)
            if not is_there:
                self.destination.publish(file, content.size)
        seconds = "" if facts.seconds is None else f"{facts.seconds:.4g} s, "
        self.log.info(
            "The video of Pictory job %s is at %s already, nothing is written: %s"
            if is_there
            else "Saved the video of Pictory job %s to %s: %s",
            job_id,
            self.destination.name,
            f"{content.size:,} bytes, {seconds}{facts.width}x{facts.height}",
        )
        return {
            "job_id": job_id,
            "path": self.destination.name,
            "bytes": content.size,
            "sha256": content.sha256,
            "seconds": job.duration_seconds if facts.seconds is None else round(facts.seconds, 3),
            "width": facts.width,
            "height": facts.height,
            "ai_credits_used": job.ai_credits_used,
        }

    def _download(self, job: VideoJob, file: BinaryIO) -> Content:
        downloader = Downloader(
            FileHost(self.hook.open_file, video_urls(self.hook, job, self.clock)),
            file,
            log=self.log,
            what=f"Video of Pictory job {job.job_id}",
            max_bytes=self.max_bytes,
            check_space=self.destination.check_space,
            clock=self.clock,
        )
        try:
            return downloader.download()
        except OSError as error:
            raise PictoryStorageError(
                f"The video of Pictory job {job.job_id} can't be written to {self.destination.folder}: "
                f"{error.strerror or error}"
            ) from error

    def _check(self, file: BinaryIO, job: VideoJob) -> VideoFacts:
        try:
            facts = read_video_facts(file)
        except NotAnMP4Error as error:
            raise PictoryDownloadError(
                f"What the host gave as the video of Pictory job {job.job_id} is no whole MP4: {error}"
            ) from error
        if differences := _differences(facts, job):
            message = f"The MP4 of Pictory job {job.job_id} isn't what the job says: {'; '.join(differences)}"
            if self.check_video:
                raise PictoryDownloadError(f"{message}. check_video=False saves it all the same")
            self.log.warning("%s", message)
        return facts

    def _is_there(self, content: Content) -> bool:
        name, size = self.destination.name, self.destination.size()
        if size is None:
            return False
        if size == content.size and self.destination.content(size) == content:
            return True
        if not self.overwrite:
            raise PictoryFileExistsError(
                f"path: {name} is there already, with {size:,} bytes, and isn't the video of "
                "this job. Set overwrite=True to replace it, or give each video a path of its own: one "
                "that ends in / is a folder, for <job id>.mp4"
            )
        self.log.info("Another file is at %s; it will be replaced", name)
        return False


def _differences(facts: VideoFacts, job: VideoJob) -> list[str]:
    differences = []
    if (
        facts.seconds is not None
        and job.duration_seconds is not None
        and abs(facts.seconds - job.duration_seconds) > DURATION_TOLERANCE
    ):
        differences.append(f"it is {facts.seconds:g} s long instead of {job.duration_seconds:g} s")
    if job.width and job.height and (facts.width, facts.height) != (job.width, job.height):
        differences.append(f"it is {facts.width}x{facts.height} instead of {job.width}x{job.height}")
    return differences
