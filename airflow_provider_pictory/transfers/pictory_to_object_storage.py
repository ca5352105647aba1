"""
The operator that brings a finished video to where the next step wants it.

Loaded whenever a DAG file is parsed, so whatever only a running task needs is imported where it runs.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_pictory.arguments import switch, switches
from airflow_provider_pictory.literals import is_of_a_file, is_plain_job_id, literals

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence
    from typing import BinaryIO

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_pictory.api import VideoJob
    from airflow_provider_pictory.hooks.pictory import PictoryHook
    from airflow_provider_pictory.saving.content import Content
    from airflow_provider_pictory.saving.destination import Destination
    from airflow_provider_pictory.saving.file_host import FileHost
    from airflow_provider_pictory.saving.mp4 import VideoFacts
    from airflow_provider_pictory.saving.source import Source

# Pictory tells a duration in whole seconds, and a file has its last frame's and its sound's fractions.
DURATION_TOLERANCE = 1.0

SWITCHES = ("overwrite", "check_video")
# Clips are seconds long: two minutes at 100 Mbit/s, ten times the rate of a good one in Full HD, still fit.
MAX_BYTES = 2_000_000_000


class PictoryToObjectStorageOperator(BaseOperator):
    """
    Save a finished video as a file on any storage that Airflow knows. It never submits anything.

    The video is downloaded in constant memory, goes on where a broken connection left off, and is checked:
    its length, and that it is a whole MP4 with the job's duration and size. Only then does it appear under
    its path, all at once: locally it is renamed, in object stores an upload is committed. A task that is
    stopped or killed leaves no file under the path. A host that isn't on the open internet is asked only if
    the connection to Pictory allows it.

    A file that is there already and is this video is left alone, so a retry does nothing again; ``overwrite``
    says what happens with any other. Whether it is this video is told from the file host's length and from
    its content in four places (all of it up to a megabyte), before anything is downloaded; of a host that
    can't give parts of a file, the video is downloaded and compared. Of two tasks that write the same path at
    the same time, the last one wins with ``overwrite=True``; without it the second one fails, unless both end
    in the same moment, when the last one wins. The file is always one's or the other's.

    ``return_value`` is a flat dict of JSON types: ``job_id``, ``path``, ``bytes``, ``sha256``, ``seconds``,
    ``width``, ``height`` and ``ai_credits_used``. ``path`` has the connection's id in it, where there is one,
    so that ``ObjectStoragePath(path)`` finds the file. Each of them is an XCom of its own too, so that
    ``save.output["path"]`` works, unless ``multiple_outputs=False`` leaves that out. The events of assets in
    ``outlets`` have ``job_id``, ``seconds``, ``credits`` and ``path`` in their ``extra``.

    :param path: where to, such as ``"s3://media@videos/film.mp4"`` with the id of a connection
        before the ``@``, or a local path. One that ends in ``/`` is a folder, and the file's name is
        ``<job id>.mp4``. Local folders are made where they are missing. A part ``..`` is refused, and a key
        that the store's library would read as something else. (templated)
    :param job_id: of the job, usually ``generate.output`` of a :class:`GenerateVideoOperator` that has
        waited. (templated)
    :param video: instead of ``job_id``, what a :class:`VideoJobSensor` returned: ``wait.output``. (templated)
    :param overwrite: replace a file that is there and isn't this video; by default that is an error. Locally
        the new file keeps the mode of the one it replaces, and of a symbolic link the target is replaced.
    :param check_video: fail when the MP4's duration or size isn't what the job says, the default; ``False``
        only warns. Something that is no MP4 is never saved.
    :param max_bytes: refuse a file of more bytes than these; 2,000,000,000 by default. (templated)
    :param object_storage_conn_id: id of the Airflow connection to the storage, where the path has none.
        (templated)
    :param pictory_conn_id: id of the Airflow connection to Pictory, which is asked for the video's URL; its
        key goes there alone. (templated)

    :raises PictoryInvalidRequestError: the path, the job id, the video or ``max_bytes`` can't be one, often a
        missing XCom.
    :raises PictoryConfigurationError: a connection is missing or can't be used, or a provider's package is.
    :raises PictoryJobUnfinishedError: the job hasn't ended; a retry may find it finished.
    :raises PictoryJobFailedError: the job failed, so there is no video.
    :raises PictoryInsufficientCreditsError: the job failed for want of credits.
    :raises PictoryJobExpiredError: the job's video was deleted at Pictory.
    :raises PictoryJobNotFoundError: Pictory knows no such job.
    :raises PictoryAPIError: Pictory can't be asked about the job.
    :raises PictoryDownloadError: the file host broke off again and again or was too slow, two fresh URLs in a
        row had expired, what came is too large or not the video, or its URL leads to a private address; a
        retry may help.
    :raises PictoryStorageError: the path, or the folder for temporary files, can't be written; a retry may
        help.
    :raises PictoryFileExistsError: there is another file and ``overwrite`` is off; not retried.
    """

    template_fields: Sequence[str] = (
        "path",
        "job_id",
        "video",
        "max_bytes",
        "object_storage_conn_id",
        "pictory_conn_id",
    )
    ui_color = "#cfe3f7"

    def __init__(
        self,
        *,
        path: str | os.PathLike[str],
        job_id: str | None = None,
        video: Mapping[str, Any] | str | None = None,
        overwrite: bool = False,
        check_video: bool = True,
        max_bytes: int | str = MAX_BYTES,
        object_storage_conn_id: str | None = None,
        pictory_conn_id: str = "pictory_default",
        multiple_outputs: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(multiple_outputs=multiple_outputs, **kwargs)
        self.path = path
        self.job_id = job_id
        self.video = video
        self.overwrite = overwrite
        self.check_video = check_video
        self.max_bytes = max_bytes
        self.object_storage_conn_id = object_storage_conn_id
        self.pictory_conn_id = pictory_conn_id
        self._is_saving = False
        if is_of_a_file(self, PictoryToObjectStorageOperator):
            self._refuse_wrong_literals()

    @cached_property
    def hook(self) -> PictoryHook:
        """The hook of this operator's connection."""
        from airflow_provider_pictory.hooks.pictory import PictoryHook

        return PictoryHook(self.pictory_conn_id)

    def execute(self, context: Context) -> dict[str, Any]:
        """Save the video, unless it is there."""
        from airflow_provider_pictory.api.checks import job_file_name
        from airflow_provider_pictory.assets import describe_video
        from airflow_provider_pictory.saving.file_host import FileHost
        from airflow_provider_pictory.saving.path import find_destination
        from airflow_provider_pictory.saving.source import Source, read_max_bytes, read_source

        switches(self, SWITCHES)
        job_id = read_source(self.job_id, self.video)
        self.max_bytes = read_max_bytes(self.max_bytes)
        destination = find_destination(self.path, self.object_storage_conn_id, job_file_name(job_id))
        source = Source(self.hook, job_id)
        host = FileHost(self.hook.open_file, source.find_url, log=self.log)
        self._is_saving = True
        try:
            manifest = self._transfer(source, host, destination)
        finally:
            self._is_saving = False
            self.hook.close()
        describe_video(
            self.outlets,
            context,
            job_id=job_id,
            seconds=manifest["seconds"],
            ai_credits=manifest["ai_credits_used"],
            path=manifest["path"],
        )
        return manifest

    def on_kill(self) -> None:
        """
        Stop the download or the upload where it is, so that nothing of it is left.

        Airflow calls this on the task's own thread, and kills a task that goes on all the same.

        :raises PictoryError: while there is something to stop, in the midst of it.
        """
        from airflow_provider_pictory.exceptions import PictoryError

        if self._is_saving:
            raise PictoryError(
                "This task is being killed, so the video isn't saved; a retry or a clear saves it"
            )

    def _refuse_wrong_literals(self) -> None:
        """
        Refuse what can never be right while the DAG file is parsed, in the words of a run.

        :raises PictoryInvalidRequestError: for the first argument that is wrong.
        """
        given = literals(self, (*SWITCHES, "job_id", "video"))
        for name in SWITCHES:
            if name in given:
                switch(given[name], name, templated=name in self.template_fields)
        if "job_id" not in given or "video" not in given:
            return
        # One that has neither shows when it runs: there is no literal that would be wrong.
        if self.video is not None or not (self.job_id is None or is_plain_job_id(self.job_id)):
            from airflow_provider_pictory.saving.source import read_source

            read_source(self.job_id, self.video)

    def _transfer(self, source: Source, host: FileHost, destination: Destination) -> dict[str, Any]:
        from airflow_provider_pictory.saving.likeness import is_there

        size = destination.size()
        if size is not None:
            is_same = is_there(host, destination, size)
            if is_same:
                return self._found(source, destination, destination.content(size))
            if is_same is False:
                self._require_overwrite(destination, size)
                self.log.info("Another file is at %s; it will be replaced", destination.name)
        with destination.new_file() as file:
            content = self._download(source, host, destination, file)
            facts = self._check(file, source.job)
            # Another task may have been faster, or nothing could be compared before.
            size = destination.size()
            if size is not None:
                if size == content.size and destination.content(size) == content:
                    return self._found(source, destination, content)
                self._require_overwrite(destination, size)
            destination.publish(file, content.size)
        self.log.info(
            "Saved the video of Pictory job %s to %s: %s",
            source.job_id,
            destination.name,
            _words(content, facts),
        )
        return _manifest(source.job, destination, content, facts)

    def _found(self, source: Source, destination: Destination, content: Content) -> dict[str, Any]:
        facts = self._check(destination.open(content.size), source.job)
        self.log.info(
            "The video of Pictory job %s is at %s already, nothing is written: %s",
            source.job_id,
            destination.name,
            _words(content, facts),
        )
        return _manifest(source.job, destination, content, facts)

    def _require_overwrite(self, destination: Destination, size: int) -> None:
        from airflow_provider_pictory.exceptions import PictoryFileExistsError

        if not self.overwrite:
            raise PictoryFileExistsError(
                f"path: {destination.name} is there already, with {size:,} bytes, and isn't the video of "
                "this job. Set overwrite=True to replace it, or give each video a path of its own: one "
                "that ends in / is a folder, for <job id>.mp4"
            )

    def _download(self, source: Source, host: FileHost, destination: Destination, file: BinaryIO) -> Content:
        from airflow_provider_pictory.exceptions import PictoryStorageError
        from airflow_provider_pictory.saving.download import Downloader

        downloader = Downloader(
            host,
            log=self.log,
            what=f"Video of Pictory job {source.job_id}",
            max_bytes=int(self.max_bytes),
            check_space=destination.check_space,
        )
        try:
            return downloader.download(file)
        except OSError as error:
            raise PictoryStorageError(
                f"The video of Pictory job {source.job_id} can't be written to {destination.folder}: "
                f"{error.strerror or error}"
            ) from error

    def _check(self, file: BinaryIO, job: VideoJob) -> VideoFacts:
        from airflow_provider_pictory.exceptions import PictoryDownloadError
        from airflow_provider_pictory.saving.mp4 import NotAnMP4Error, read_video_facts

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


def _manifest(job: VideoJob, destination: Destination, content: Content, facts: VideoFacts) -> dict[str, Any]:
    return {
        "job_id": job.job_id,
        "path": destination.name,
        "bytes": content.size,
        "sha256": content.sha256,
        "seconds": job.duration_seconds if facts.seconds is None else round(facts.seconds, 3),
        "width": facts.width,
        "height": facts.height,
        "ai_credits_used": job.ai_credits_used,
    }


def _words(content: Content, facts: VideoFacts) -> str:
    seconds = "" if facts.seconds is None else f"{facts.seconds:.4g} s, "
    return f"{content.size:,} bytes, {seconds}{facts.width}x{facts.height}"
