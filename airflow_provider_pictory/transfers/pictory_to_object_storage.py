"""
The operator that saves a finished video where the next step expects it.

Loaded whenever a DAG file is parsed, so whatever only a running task needs is imported where it runs.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_pictory.arguments import byte_limit, finished_job_id, switch, switches, thread_limit
from airflow_provider_pictory.literals import (
    is_of_a_file,
    is_plain_job_id,
    is_plain_path,
    literals,
    splits_result,
)

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_pictory.hooks.pictory import PictoryHook
    from airflow_provider_pictory.saving.many import ManySaver

SWITCHES = ("overwrite", "check_video")
# Clips are seconds long: two minutes at 100 Mbit/s, ten times the rate of a good one in Full HD, still fit.
MAX_BYTES = 2_000_000_000


class PictoryToObjectStorageOperator(BaseOperator):
    """
    Save a finished video as a file on any storage that Airflow knows. It never submits anything.

    The video is downloaded in constant memory, resumes where a broken connection stopped, and is checked:
    its length, and that it is a whole MP4 with the job's duration and size. Only then does it appear under
    its path, all at once: locally it is renamed, in object stores an upload is committed. A task that is
    stopped or killed leaves no file under the path. A host that isn't on the open internet is asked only if
    the connection to Pictory allows it.

    A file that is there already and is this video is left untouched; ``overwrite`` says what happens with any
    other. Whether it is this video is told by size and SHA-256 once the video has been downloaded. Of two
    tasks that write the same path at the same time, the last one wins with ``overwrite=True``; without it the
    second one fails, unless both end in the same moment, when the last one wins. The file is always one's or
    the other's.

    The events of assets in ``outlets`` have ``job_id``, ``seconds``, ``credits`` and ``path`` in their
    ``extra``.

    :param path: the file to write, such as ``"s3://media@videos/film.mp4"`` with the id of a connection
        before the ``@``, or a local path. One that ends in ``/`` is a folder, for a file named
        ``<job id>.mp4``. Missing local folders are made. A part ``..`` is refused, as is a key that the
        store's library would read as something else. (templated)
    :param job_id: of the job, usually ``generate.output`` of a :class:`GenerateVideoOperator` that has
        waited. (templated)
    :param video: instead of ``job_id``, what a :class:`VideoJobSensor` returned: ``wait.output``. Also a list
        of these, or the manifest of a :class:`GenerateVideosOperator`: all of them are saved, and what is
        returned is a list. Each has a path of its own then, by ``{key}`` or ``{job_id}`` in ``path``, or as
        ``<key>.mp4`` in a folder (``<job id>.mp4`` without a key); those without a video are left out.
        (templated)
    :param max_parallel_downloads: of a list, how many are saved at a time; 4 by default.
    :param overwrite: replace a file that is there and isn't this video; by default that is an error. Locally
        the new file keeps the mode of the one it replaces, and of a symbolic link the target is replaced.
    :param check_video: fail when the MP4's duration or size isn't what the job says (default); ``False`` only
        warns. Something that is no MP4 is never saved.
    :param max_bytes: refuse a file of more bytes than these; 2,000,000,000 by default. (templated)
    :param object_storage_conn_id: id of the Airflow connection to the storage, where the path has none.
        (templated)
    :param pictory_conn_id: id of the Airflow connection to Pictory, which is asked for the video's URL; its
        key goes there alone. (templated)
    :param multiple_outputs: also push each field of the result as an XCom of its own, so that
        ``save.output["path"]`` works; not for a list.

    :xcom return_value: a flat dict of JSON types: ``job_id``, ``path``, ``bytes``, ``sha256``, ``seconds``,
        ``width``, ``height`` and ``ai_credits_used``; of a list of videos, a list of these. ``path`` has the
        connection's id in it, where there is one, so that ``ObjectStoragePath(path)`` finds the file.

    :raises PictoryInvalidRequestError: the path, the job id, the video or ``max_bytes`` can't be one, often a
        missing XCom.
    :raises PictoryConfigurationError: a connection is missing or can't be used, or a provider's package is.
    :raises PictoryJobUnfinishedError: the job hasn't ended; a retry may find it finished.
    :raises PictoryJobFailedError: the job failed, so there is no video.
    :raises PictoryInsufficientCreditsError: the job failed for lack of credits.
    :raises PictoryJobExpiredError: the job's video was deleted at Pictory.
    :raises PictoryJobNotFoundError: Pictory knows no such job.
    :raises PictoryAPIError: Pictory can't be asked about the job.
    :raises PictoryDownloadError: the file host broke off again and again or was too slow, two fresh URLs in a
        row had expired, what came is too large or not the video, or its URL leads to a private address; a
        retry may help.
    :raises PictoryStorageError: the path, or the folder for temporary files, can't be written; a retry may
        help.
    :raises PictoryFileExistsError: there is another file and ``overwrite`` is off; not retried.
    :raises PictoryBatchError: of a list, some videos can't be saved; all others are.
    :raises PictoryBatchFailedError: the same where a retry can't help.
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
        video: Mapping[str, Any] | Sequence[Mapping[str, Any]] | str | None = None,
        max_parallel_downloads: int = 4,
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
        self.max_parallel_downloads = max_parallel_downloads
        self.overwrite = overwrite
        self.check_video = check_video
        self.max_bytes = max_bytes
        self.object_storage_conn_id = object_storage_conn_id
        self.pictory_conn_id = pictory_conn_id
        self._is_saving = False
        self._many: ManySaver | None = None
        if is_of_a_file(self, PictoryToObjectStorageOperator):
            self._refuse_wrong_literals()

    @cached_property
    def hook(self) -> PictoryHook:
        """The hook of this operator's connection."""
        from airflow_provider_pictory.hooks.pictory import PictoryHook

        return PictoryHook(self.pictory_conn_id)

    def execute(self, context: Context) -> dict[str, Any] | list[dict[str, Any]]:
        """Save the video, or all of a list, unless they are there."""
        from airflow_provider_pictory.saving.many import read_list

        switches(self, SWITCHES)
        self.max_bytes = byte_limit(self.max_bytes, "max_bytes")
        lines = None if self.job_id else read_list(self.video)
        self._is_saving = True
        try:
            return self._save_one(context) if lines is None else self._save_many(lines, context)
        finally:
            self._is_saving = False
            self.hook.close()

    def _save_one(self, context: Context) -> dict[str, Any]:
        from airflow_provider_pictory.api.checks import job_file_name
        from airflow_provider_pictory.assets import describe_video
        from airflow_provider_pictory.saving.path import find_destination
        from airflow_provider_pictory.saving.saver import VideoSaver
        from airflow_provider_pictory.xcoms import without_unknown_fields

        job_id = finished_job_id(self.job_id, self.video)
        destination = find_destination(self.path, self.object_storage_conn_id, job_file_name(job_id))
        manifest = VideoSaver(self.hook, destination, log=self.log, **self._options).save(job_id)
        describe_video(
            self.outlets,
            context,
            job_id=job_id,
            seconds=manifest["seconds"],
            ai_credits=manifest["ai_credits_used"],
            path=manifest["path"],
        )
        return without_unknown_fields(manifest, is_split=splits_result(self))

    def _save_many(self, lines: Sequence[Any], context: Context) -> list[dict[str, Any]]:
        from airflow_provider_pictory.assets import describe_videos
        from airflow_provider_pictory.hooks.pictory import PictoryHook
        from airflow_provider_pictory.saving.many import ManySaver, finished_videos

        limit = thread_limit(self.max_parallel_downloads, "max_parallel_downloads")
        videos = finished_videos(lines, self.path, self.object_storage_conn_id, self.log)
        # A list can't be split into XComs.
        self.multiple_outputs = False
        self._many = ManySaver(
            lambda: PictoryHook(self.pictory_conn_id),
            options=self._options,
            max_parallel_downloads=min(limit, max(1, len(videos))),
            log=self.log,
        )
        saved = self._many.save(videos)
        describe_videos(self.outlets, context, saved, str(self.path))
        return saved

    @property
    def _options(self) -> dict[str, Any]:
        return {"overwrite": self.overwrite, "check_video": self.check_video, "max_bytes": self.max_bytes}

    def on_kill(self) -> None:
        """
        Stop the download or the upload where it is, so that nothing of it is left.

        Airflow calls this on the task's own thread, and kills a task that goes on all the same.

        :raises PictoryError: where a video is being saved, to interrupt that.
        """
        from airflow_provider_pictory.exceptions import PictoryError

        if self._many is not None:
            self._many.stop()
        if self._is_saving:
            raise PictoryError(
                "This task is being killed, so the video isn't saved; a retry or a clear saves it"
            )

    def _refuse_wrong_literals(self) -> None:
        """
        Refuse, while the DAG file is parsed and with the message of a run, what can never be right.

        :raises PictoryInvalidRequestError: for the first argument that is wrong.
        """
        given = literals(self, (*SWITCHES, "job_id", "video", "path", "max_bytes"))
        for name in SWITCHES:
            if name in given:
                switch(given[name], name, templated=name in self.template_fields)
        if "max_bytes" in given:
            byte_limit(self.max_bytes, "max_bytes")
        thread_limit(self.max_parallel_downloads, "max_parallel_downloads")
        if "path" in given and not is_plain_path(self.path):
            from airflow_provider_pictory.saving.path import path_text

            path_text(self.path)
        if "job_id" not in given or "video" not in given or isinstance(self.video, (list, tuple)):
            return
        # That both are missing shows when the task runs: no literal is wrong.
        if self.video is not None or not (self.job_id is None or is_plain_job_id(self.job_id)):
            finished_job_id(self.job_id, self.video)
