"""
The finished files, made when the first of them is asked for, so that a video nobody watches costs nothing.

Guesses: a file that isn't there, or no longer, is a plain 404; what a file store responds beyond that.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import web

from airflow_provider_pictory.api.jobs import JobStatus
from airflow_provider_pictory.sandbox import wire
from airflow_provider_pictory.sandbox.addresses import FILES_PREFIX
from airflow_provider_pictory.sandbox.drawing import Scene
from airflow_provider_pictory.sandbox.faults.responses import expired
from airflow_provider_pictory.sandbox.rendering import render
from airflow_provider_pictory.sandbox.service import Service, UnknownJobError

if TYPE_CHECKING:
    from airflow_provider_pictory.sandbox.faults.result_urls import ResultUrls
    from airflow_provider_pictory.sandbox.jobs import Job
    from airflow_provider_pictory.sandbox.sources import Sources

# Those asked for the longest ago go first, and are rendered again if need be.
MOST_JOBS_KEPT = 200
_CONTENT_TYPES = {".mp4": "video/mp4", ".png": "image/png", ".jpg": "image/jpeg"}
_FILE_NAMES = (wire.VIDEO_FILE, *wire.IMAGE_FILES.values())


class StoredFile(web.FileResponse):
    """
    One of the files as a response.

    :param path: where it is.
    :param content_type: what it is.
    """

    def __init__(self, path: Path, content_type: str) -> None:
        super().__init__(path, headers={"Content-Type": content_type})
        self.path = path


class FileStore:
    """
    Renders each job's files once, off the event loop.

    :param service: whose jobs they are.
    :param folder: where to keep them.
    :param sources: what their videos start from.
    :param result_urls: what tells who may still have a file.
    """

    def __init__(self, service: Service, folder: Path, sources: Sources, result_urls: ResultUrls) -> None:
        self._service = service
        self._folder = folder
        self._sources = sources
        self._result_urls = result_urls
        # One at a time: a rendering already uses several cores, and API calls shall find one free.
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="pictory-sandbox-rendering")
        self._renderings: dict[str, asyncio.Future[Path]] = {}
        self.jobs_rendered = 0
        self.asked_with_key = 0

    async def stop(self, application: web.Application) -> None:
        """Render no more, since the server ends."""
        self._executor.shutdown(cancel_futures=True)

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of the files; they need no key."""
        return [web.get(f"{FILES_PREFIX}/{{video_id}}/{{file_name}}", self._response)]

    async def _response(self, request: web.Request) -> web.StreamResponse:
        # At Pictory the files are elsewhere: a client that sends its key along has given it away.
        self.asked_with_key += "Authorization" in request.headers
        file_name, video_id = request.match_info["file_name"], request.match_info["video_id"]
        token = request.query.get("token", "")
        if status := self._result_urls.refusal(video_id, token):
            return expired(status)
        try:
            job = self._service.job_of_video(video_id)
        except UnknownJobError:
            raise web.HTTPNotFound from None
        if file_name not in _FILE_NAMES or self._service.status(job) != JobStatus.COMPLETED:
            raise web.HTTPNotFound
        folder = await self._folder_of(job)
        content_type = _CONTENT_TYPES[Path(file_name).suffix]
        return StoredFile(folder / file_name, content_type)

    async def _folder_of(self, job: Job) -> Path:
        rendering = self._renderings.pop(job.video_id, None)
        if rendering is None or (rendering.done() and rendering.exception()):
            loop = asyncio.get_running_loop()
            rendering = loop.run_in_executor(self._executor, self._render, job)
        # Put at the end again, so that the first ones are those asked for the longest ago.
        self._renderings[job.video_id] = rendering
        self._forget_oldest()
        # Shielded, because others may wait for it when this client has gone.
        return await asyncio.shield(rendering)

    def forget(self, job: Job) -> None:
        """Delete a job's files; they would be rendered again if anybody was allowed to ask for them."""
        self._forget(job.video_id)

    def _forget_oldest(self) -> None:
        done = [video_id for video_id, rendering in self._renderings.items() if rendering.done()]
        for video_id in done[: max(0, len(self._renderings) - MOST_JOBS_KEPT)]:
            self._forget(video_id)

    def _forget(self, video_id: str) -> None:
        if rendering := self._renderings.pop(video_id, None):
            if rendering.done():
                _delete(rendering)
            else:
                rendering.add_done_callback(_delete)

    def _render(self, job: Job) -> Path:
        order = job.order
        width, height = wire.FRAME_SIZES[order.aspect_ratio]
        scene = Scene(
            prompt=order.prompt,
            caption=f"{order.model} \u00b7 {order.aspect_ratio} \u00b7 {order.duration} s",
            duration=order.duration,
            width=width,
            height=height,
            first_frame=self._sources.first_frame(job),
        )
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        render(scene, folder)
        self.jobs_rendered += 1
        return folder


def _delete(rendering: asyncio.Future[Path]) -> None:
    if not rendering.cancelled() and not rendering.exception():
        shutil.rmtree(rendering.result(), ignore_errors=True)
