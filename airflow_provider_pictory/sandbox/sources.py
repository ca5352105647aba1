"""
What a video starts from: the picture, or the last picture of the video, that its order names by a URL.

It is fetched as soon as a job is accepted, in bounded time and size, and the job doesn't end before that.

Guesses: that Pictory fetches a source when it begins with a job; that one it can't use fails the job, and
with which code and words; that a picture of another shape is cropped around its middle; that a video that
goes on from another begins with that one's last frame, and doesn't repeat the rest of it.
"""

from __future__ import annotations

import asyncio
import io
import re
import time
from typing import TYPE_CHECKING

import aiohttp
import av
from PIL import Image, ImageOps

from airflow_provider_pictory.api.jobs import JobStatus
from airflow_provider_pictory.sandbox import wire

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from aiohttp import web

    from airflow_provider_pictory.sandbox.jobs import Job
    from airflow_provider_pictory.sandbox.service import Service

ERROR_CODE = "5003"
ERROR_MESSAGE = "SOURCE_NOT_USABLE"

# Long enough for a file that a busy sandbox renders only now.
_TIME_LIMIT = aiohttp.ClientTimeout(total=60, sock_connect=5)
_SECONDS_TO_DECODE = 30.0
_MOST_REDIRECTS = 5
_MOST_PIXELS = 40_000_000
_MOST_AT_ONCE = 4
_CHUNK_SIZE = 64 * 1024
_MICROSECONDS = 1_000_000

# What is opened, told by its content alone: other formats are playlists and scripts that lead elsewhere.
_PICTURE_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
_MATROSKA_BEGINS = b"\x1aE\xdf\xa3"
_MP4_BEGINS = re.compile(rb"....(ftyp|moov|mdat|free|skip|wide)", re.DOTALL)

# How long the question for a job that is due waits for the job's source, in seconds.
_PATIENCE = 10.0


class UnusableSourceError(Exception):
    """A source can't be had, or isn't what it should be; the text is as in "responded with HTTP 404"."""


class Sources:
    """
    Fetches what videos start from, beside everything else.

    :param service: whose jobs they are.
    :param folder: where to keep what was fetched.
    :param when_settled: called after each time that a job's source is there, or has failed the job.
    :param is_fetching: whether to fetch anything; otherwise every video is made as if from its prompt alone.
    """

    def __init__(
        self, service: Service, folder: Path, when_settled: Callable[[], None], *, is_fetching: bool
    ) -> None:
        self._service = service
        self._folder = folder
        self._when_settled = when_settled
        self._is_fetching = is_fetching
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._turns = asyncio.Semaphore(_MOST_AT_ONCE)

    async def stop(self, application: web.Application) -> None:
        """Give up all that is still being fetched, since the server ends."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def begin(self, job: Job) -> None:
        """
        Fetch what a new job starts from, if it starts from anything.

        :param job: the new job.
        """
        if self._is_fetching and job.outcome == JobStatus.COMPLETED and _READERS.keys() & job.order.sources:
            job.awaits_source = True
            self._tasks[job.video_id] = asyncio.get_running_loop().create_task(self._settle(job))

    async def settle_if_due(self, job: Job) -> None:
        """
        Wait for a job's source if nothing else keeps the job from its end, so that it can end at once.

        :param job: that somebody asks for.
        """
        task = self._tasks.get(job.video_id)
        if task and job.awaits_source and job.ends_at <= self._service.clock.now():
            # The task goes on when patience ends.
            await asyncio.wait({task}, timeout=_PATIENCE)

    def first_frame(self, job: Job) -> Path | None:
        """Return the picture that a job starts from, in the job's size, if it has one."""
        path = self._path(job)
        return path if path.exists() else None

    def forget(self, job: Job) -> None:
        """Delete what a job started from."""
        if task := self._tasks.get(job.video_id):
            task.cancel()
        self._path(job).unlink(missing_ok=True)

    def _path(self, job: Job) -> Path:
        return self._folder / f"{job.video_id}.png"

    async def _settle(self, job: Job) -> None:
        fault: str | None = None
        try:
            for name, (read, most_bytes) in _READERS.items():
                if name in job.order.sources:
                    try:
                        size = wire.FRAME_SIZES[job.order.aspect_ratio]
                        async with self._turns:
                            content = await _fetched(job.order.sources[name], most_bytes)
                            await asyncio.to_thread(_save, read, content, size, self._path(job))
                    except UnusableSourceError as error:
                        fault = f"{ERROR_MESSAGE}: {name} {error}"
            self._service.note_source(job, ERROR_CODE if fault else None, fault)
        finally:
            del self._tasks[job.video_id]
        self._when_settled()


async def _fetched(url: str, most_bytes: int) -> bytes:
    content = bytearray()
    try:
        async with (
            # As it comes, since a small body can be a large one packed.
            aiohttp.ClientSession(
                timeout=_TIME_LIMIT, auto_decompress=False, headers={"Accept-Encoding": "identity"}
            ) as session,
            # Only http and https: others are refused in an order, and aiohttp follows no redirect to them.
            session.get(url, max_redirects=_MOST_REDIRECTS) as response,
        ):
            if response.status != 200:
                raise UnusableSourceError(f"responded with HTTP {response.status}")
            async for chunk in response.content.iter_chunked(_CHUNK_SIZE):
                content += chunk
                if len(content) > most_bytes:
                    raise UnusableSourceError(f"is larger than {most_bytes // 1024 // 1024} MB")
    except TimeoutError:
        raise UnusableSourceError(f"didn't respond in {_TIME_LIMIT.total:g} s") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise UnusableSourceError(f"couldn't be fetched ({type(error).__name__})") from error
    return bytes(content)


def _save(read: Callable[[bytes], Image.Image], content: bytes, size: tuple[int, int], path: Path) -> None:
    try:
        picture = read(content)
        ImageOps.fit(picture.convert("RGB"), size, Image.Resampling.LANCZOS).save(path)
    except UnusableSourceError:
        raise
    except Exception as error:
        # There is no end to what a broken file makes its readers raise.
        raise UnusableSourceError("can't be read") from error


def _picture(content: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(content), formats=_PICTURE_FORMATS)
    _require_size(picture.width, picture.height)
    return ImageOps.exif_transpose(picture)


def _last_picture(content: bytes) -> Image.Image:
    deadline = time.monotonic() + _SECONDS_TO_DECODE
    if content.startswith(_MATROSKA_BEGINS):
        kind, options = "matroska", {}
    elif _MP4_BEGINS.match(content):
        # A part of such a file can be said to lie in another one.
        kind, options = "mov", {"enable_drefs": "0", "use_absolute_path": "0"}
    else:
        raise UnusableSourceError("can't be read")
    options["protocol_whitelist"] = "none"
    with av.open(io.BytesIO(content), "r", format=kind, options=options) as container:
        if not container.streams.video:
            raise UnusableSourceError("has no pictures in it")
        stream = container.streams.video[0]
        _require_size(stream.width, stream.height)
        if container.duration:
            container.seek(max(0, container.duration - _MICROSECONDS))
        last: av.VideoFrame | None = None
        for frame in container.decode(stream):
            last = frame
            if time.monotonic() > deadline:
                raise UnusableSourceError(f"can't be read in {_SECONDS_TO_DECODE:g} s")
        if last is None:
            raise UnusableSourceError("has no pictures in it")
        picture: Image.Image = last.to_image()
        return picture


def _require_size(width: int, height: int) -> None:
    if width * height > _MOST_PIXELS:
        raise UnusableSourceError(f"has more than {_MOST_PIXELS // 1_000_000} million pixels")


# The sources that a video starts from, how their first frame is had, and how many bytes they may have.
_READERS: dict[str, tuple[Callable[[bytes], Image.Image], int]] = {
    "firstFrameImageUrl": (_picture, 25 * 1024 * 1024),
    "extendVideoUrl": (_last_picture, 100 * 1024 * 1024),
}
