"""The files are what they claim to be: a video that browsers play, and its pictures."""

from __future__ import annotations

import itertools

import av
import pytest
from PIL import Image, ImageChops, ImageStat

from airflow_provider_pictory.sandbox.drawing import Scene
from airflow_provider_pictory.sandbox.rendering import render
from airflow_provider_pictory.sandbox.wire import FRAME_SIZES


def rendered(folder, ratio="16:9", duration=4):
    width, height = FRAME_SIZES[ratio]
    render(Scene("A red fox walks through snow", f"veo3.1 {ratio}", duration, width, height), folder)
    return folder


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return rendered(tmp_path_factory.mktemp("files"))


def decoded(path):
    with av.open(str(path)) as container:
        return [frame.to_image() for frame in container.decode(video=0)]


def difference(one, other):
    """The mean difference of two pictures, from 0 to 255."""
    return max(ImageStat.Stat(ImageChops.difference(one.convert("RGB"), other.convert("RGB"))).mean)


def boxes(content):
    """The names of an MP4's outermost boxes, in their order."""
    position = 0
    while position < len(content):
        size = int.from_bytes(content[position : position + 4], "big")
        yield content[position + 4 : position + 8].decode()
        position += size


def test_the_video_is_h264_as_browsers_want_it(files):
    with av.open(str(files / "video.mp4")) as container:
        assert "mp4" in container.format.name
        assert [stream.type for stream in container.streams] == ["video"]
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert stream.average_rate == 25


def test_it_can_be_played_before_all_of_it_is_there(files):
    names = list(boxes((files / "video.mp4").read_bytes()))

    assert names.index("moov") < names.index("mdat")


@pytest.mark.parametrize(("ratio", "size"), FRAME_SIZES.items())
def test_size_and_duration_are_exactly_those_asked_for(tmp_path, ratio, size):
    across, down = map(int, ratio.split(":"))
    assert size[0] * down == size[1] * across
    assert (size[0] % 2, size[1] % 2) == (0, 0)

    with av.open(str(rendered(tmp_path, ratio, duration=1) / "video.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height) == size
        assert stream.frames == 25
        assert stream.duration * stream.time_base == 1
        assert container.duration == 1_000_000


def test_the_pictures_move(files):
    frames = decoded(files / "video.mp4")

    assert len(frames) == 100
    assert all(difference(one, other) > 0 for one, other in itertools.pairwise(frames[::10]))


def test_the_last_frame_is_the_video_s_last_frame(files):
    frames = decoded(files / "video.mp4")
    with Image.open(files / "last-frame.png") as last_frame:
        assert last_frame.format == "PNG"
        assert last_frame.size == (640, 360)
        assert difference(last_frame, frames[-1]) < 4
        strip = (0, 300, 640, 360)
        assert difference(last_frame.crop(strip), frames[50].crop(strip)) > 4


@pytest.mark.parametrize(("name", "size"), [("preview.jpg", (640, 360)), ("thumbnail.jpg", (320, 180))])
def test_preview_and_thumbnail_are_jpgs_of_the_same_picture(files, name, size):
    with Image.open(files / name) as picture:
        picture.load()
        assert picture.format == "JPEG"
        assert picture.size == size
        assert difference(picture, decoded(files / "video.mp4")[50].resize(size)) < 6
