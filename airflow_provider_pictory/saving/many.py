"""
The saving of many finished videos, a few at a time.

The outcome of one doesn't affect the others.
"""

from __future__ import annotations

import contextvars
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_pictory.api import InvalidRequestError
from airflow_provider_pictory.api.checks import is_absent, job_file_name, key_file_name
from airflow_provider_pictory.api.checks import job_id as checked_job_id
from airflow_provider_pictory.api.validation_errors import shown
from airflow_provider_pictory.arguments import from_text, is_sequence
from airflow_provider_pictory.exceptions import (
    PictoryBatchError,
    PictoryBatchFailedError,
    PictoryError,
    PictoryInvalidRequestError,
)
from airflow_provider_pictory.saving.path import find_destination, path_text
from airflow_provider_pictory.saving.saver import VideoSaver
from airflow_provider_pictory.task_log import PrefixedLog

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_pictory.hooks.pictory import PictoryHook
    from airflow_provider_pictory.saving.destination import Destination
    from airflow_provider_pictory.task_log import Logger

KEY_MARK = "{key}"
JOB_MARK = "{job_id}"
MOST_NAMED = 5


@dataclass(frozen=True)
class FinishedVideo:
    """
    One video of a list.

    :param key: what names it.
    :param job_id: of its job.
    :param destination: of its file.
    """

    key: str
    job_id: str
    destination: Destination


def read_list(video: object) -> Sequence[Any] | None:
    """Return the list that was given instead of one video, ``None`` where it is no list."""
    value = from_text(video) if isinstance(video, str) and video.lstrip().startswith("[") else video
    if isinstance(value, (str, bytes, Mapping)) or value is None:
        return None
    return value if is_sequence(value) else None  # type: ignore[return-value]


def finished_videos(lines: Sequence[Any], path: object, conn_id: object, log: Logger) -> list[FinishedVideo]:
    """
    Return which videos of a list go where.

    :param lines: what a batch, or several sensors, have returned.
    :param path: of each file, with ``{key}`` or ``{job_id}`` in it, or a folder with ``/`` at its end.
    :param conn_id: id of the Airflow connection to the storage, if any.
    :param log: of the task; those without a video are logged.
    :raises PictoryInvalidRequestError: the path can't be one or would be the same for two, or a line has no
        job.
    """
    template = path_text(path)
    is_own = KEY_MARK in template or JOB_MARK in template or template.endswith("/")
    if len(lines) > 1 and not is_own:
        raise PictoryInvalidRequestError(
            f"path: got {shown(path)}, but {len(lines)} videos can't have one path: write {KEY_MARK} or "
            f"{JOB_MARK} where they differ, or a folder with / at the end"
        )
    videos: list[FinishedVideo] = []
    missing: list[str] = []
    lines_of: dict[str, int] = {}
    for index, line in enumerate(lines):
        if not isinstance(line, Mapping) or "job_id" not in line:
            raise PictoryInvalidRequestError(
                f"video[{index}]: got {shown(line)}, but what a GenerateVideosOperator or a VideoJobSensor "
                "returned is needed, a dict with a job_id"
            )
        own_key = None if is_absent(line.get("key")) else str(line["key"])
        key = own_key or str(index)
        if line.get("state", "completed") != "completed" or is_absent(line["job_id"]):
            missing.append(key)
            continue
        try:
            job_id = checked_job_id(line["job_id"])
        except InvalidRequestError as error:
            raise PictoryInvalidRequestError(f"video[{index}].{error}") from error
        file_name = job_file_name(job_id)
        own_path = template.replace(KEY_MARK, key_file_name(key)).replace(JOB_MARK, file_name[: -len(".mp4")])
        if own_key is not None:
            file_name = f"{key_file_name(own_key)}.mp4"
        destination = find_destination(own_path, conn_id, file_name)
        other = lines_of.setdefault(destination.name, index)
        if other != index:
            raise PictoryInvalidRequestError(
                f"video[{index}]: its file would be {destination.name}, which is that of video[{other}]. "
                f"Nothing was saved. Give each a key of its own, or write {JOB_MARK} in the path"
            )
        videos.append(FinishedVideo(key, job_id, destination))
    if missing:
        log.warning("%d of %d have no video and are left out: %s", len(missing), len(lines), _named(missing))
    return videos


class ManySaver:
    """
    Save a list of videos, a few at a time.

    :param make_hook: make a hook for one of the threads.
    :param options: arguments of each :class:`VideoSaver`.
    :param max_parallel_downloads: how many are saved at a time.
    :param log: of the task.
    """

    def __init__(
        self,
        make_hook: Callable[[], PictoryHook],
        *,
        options: Mapping[str, Any],
        max_parallel_downloads: int,
        log: Logger,
    ) -> None:
        self._options = options
        self._log = log
        # Made here, since connections are better looked up by the task's own thread.
        self._hooks = [make_hook() for _ in range(max_parallel_downloads)]
        self._free: SimpleQueue[PictoryHook] = SimpleQueue()
        for hook in self._hooks:
            hook.get_base_url()
            self._free.put(hook)
        self._is_stopped = False

    def save(self, videos: Sequence[FinishedVideo]) -> list[dict[str, Any]]:
        """
        Save all that can be saved.

        :param videos: those to save.
        :return: what is returned for one video, with its ``key``, in their order.
        :raises PictoryBatchError: some can't be saved; the others are.
        """
        results: list[dict[str, Any]] = []
        errors: dict[str, Exception] = {}
        with ThreadPoolExecutor(len(self._hooks), thread_name_prefix="pictory-saving") as threads:
            context = contextvars.copy_context()
            futures = [(video, threads.submit(context.copy().run, self._save_one, video)) for video in videos]
            try:
                for video, future in futures:
                    try:
                        results.append(future.result())
                    except Exception as error:  # noqa: BLE001  (told below, with all others)
                        errors[video.key] = error
                        self._log.error("The video %s can't be saved: %s", video.key, error)
            except BaseException:
                self.stop()
                threads.shutdown(wait=False, cancel_futures=True)
                raise
        if errors:
            raise _failure(errors, len(videos))
        return results

    def stop(self) -> None:
        """Break off what is being saved, so that nothing of it is left."""
        self._is_stopped = True
        for hook in self._hooks:
            hook.close()

    def _save_one(self, video: FinishedVideo) -> dict[str, Any]:
        hook = self._free.get()
        try:
            if self._is_stopped:
                raise PictoryError("This task is being killed, so the video isn't saved")
            log = PrefixedLog(self._log, video.key)
            saver = VideoSaver(hook, video.destination, log=log, **self._options)
            return {"key": video.key, **saver.save(video.job_id)}
        finally:
            self._free.put(hook)


def _failure(errors: Mapping[str, Exception], total: int) -> PictoryBatchError:
    """Return one error for all, which Airflow retries where that may help one of them."""
    key, first = next(iter(errors.items()))
    message = f"{len(errors)} of {total} videos can't be saved, all others are. {key}: {first}"
    if others := list(errors)[1:]:
        message += f"; nor can {_named(others)}"
    is_final = all(isinstance(error, AirflowFailException) for error in errors.values())
    return (PictoryBatchFailedError if is_final else PictoryBatchError)(message)


def _named(keys: Sequence[str]) -> str:
    return ", ".join(keys[:MOST_NAMED]) + (", ..." if len(keys) > MOST_NAMED else "")
