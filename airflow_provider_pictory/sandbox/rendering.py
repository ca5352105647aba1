"""A scene becomes files: an H.264 video that browsers play from its first bytes, and its pictures."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import av
from av.video.reformatter import VideoReformatter
from PIL import Image

from airflow_provider_pictory.sandbox.drawing import Painter, Scene, dissolved
from airflow_provider_pictory.sandbox.wire import IMAGE_FILES, VIDEO_FILE

if TYPE_CHECKING:
    from pathlib import Path

FRAMES_PER_SECOND = 25
_THUMBNAIL_WIDTH = 320


def render(scene: Scene, folder: Path) -> None:
    """
    Make all files of one finished job.

    :param scene: what the video shows.
    :param folder: where the files go; it exists.
    """
    painter = Painter(scene)
    reformatter = VideoReformatter()
    first_frame = None
    if scene.first_frame:
        with Image.open(scene.first_frame) as opened:
            first_frame = opened.convert("RGB")
    frame_count = scene.duration * FRAMES_PER_SECOND
    with av.open(str(folder / VIDEO_FILE), "w", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=FRAMES_PER_SECOND)
        stream.width, stream.height, stream.pix_fmt = scene.width, scene.height, "yuv420p"
        stream.options = {"preset": "ultrafast", "crf": "20"}
        for index in range(frame_count):
            picture = painter.paint((index + 1) / FRAMES_PER_SECOND)
            if first_frame:
                picture = dissolved(first_frame, picture, index / FRAMES_PER_SECOND)
            frame = reformatter.reformat(av.VideoFrame.from_image(picture), format="yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, FRAMES_PER_SECOND)
            container.mux(stream.encode(frame))
            if index == frame_count // 2:
                picture.save(folder / IMAGE_FILES["previewImageUrl"], quality=88)
                thumbnail = picture.copy()
                thumbnail.thumbnail((_THUMBNAIL_WIDTH, _THUMBNAIL_WIDTH))
                thumbnail.save(folder / IMAGE_FILES["thumbnailImageUrl"], quality=85)
        container.mux(stream.encode())
    painter.picture.save(folder / IMAGE_FILES["lastFrameImageUrl"])
