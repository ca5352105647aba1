"""A video starts from the picture or the video that its order names, and fails with one it can't have."""

from __future__ import annotations

import gzip
import io
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import av
import pytest
import requests
from PIL import Image, ImageChops, ImageDraw, ImageStat

from airflow_provider_pictory.sandbox import sources
from tests.sandbox.client import Client
from tests.sandbox.receiver import eventually

LANDSCAPE = (640, 360)


class FileHost:
    """A server of some files, each a response under its path."""

    def __init__(self):
        self.files: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.requests: list[dict[str, str]] = []
        self.delay = 0.0
        host = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                host.requests.append(dict(self.headers))
                time.sleep(host.delay)
                status, headers, content = host.files[self.path]
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *details):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def give(self, path, content=b"", status=200, **headers):
        self.files[path] = (status, headers, content)
        return f"{self.url}{path}"


@pytest.fixture
def host():
    host = FileHost()
    thread = threading.Thread(target=host.server.serve_forever, args=(0.01,))
    thread.start()
    yield host
    host.server.shutdown()
    thread.join()
    host.server.server_close()


def a_picture(size=LANDSCAPE):
    """A picture that no video of the sandbox resembles: a white sun on green, left of the middle."""
    picture = Image.new("RGB", size, (20, 160, 60))
    ImageDraw.Draw(picture).ellipse((size[0] // 4, 40, size[0] // 4 + 150, 190), fill=(255, 255, 255))
    return picture


def saved(picture, kind="PNG"):
    content = io.BytesIO()
    picture.save(content, kind)
    return content.getvalue()


def a_video(*colours, frames_each=30, size=LANDSCAPE, kind="mp4", codec="libx264"):
    """Make a video that shows one colour after the other."""
    content = io.BytesIO()
    with av.open(content, "w", format=kind) as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for colour in colours:
            for _ in range(frames_each):
                container.mux(stream.encode(av.VideoFrame.from_image(Image.new("RGB", size, colour))))
        container.mux(stream.encode())
    return content.getvalue()


def frames(url):
    with av.open(io.BytesIO(requests.get(url, timeout=30).content)) as container:
        return [frame.to_image() for frame in container.decode(video=0)]


def difference(one, other):
    """The mean difference of two pictures, from 0 to 255."""
    return max(ImageStat.Stat(ImageChops.difference(one.convert("RGB"), other.convert("RGB"))).mean)


def test_the_first_frame_is_the_picture_and_the_last_one_is_the_video_s_own(client, host):
    url = host.give("/sun.png", saved(a_picture()))

    shown = frames(client.data(client.submitted(firstFrameImageUrl=url))["url"])
    plain = frames(client.data(client.submitted())["url"])

    assert difference(shown[0], a_picture()) < 4
    assert difference(plain[0], a_picture()) > 40
    assert 4 < difference(shown[12], a_picture()) < difference(plain[12], a_picture())
    assert difference(shown[-1], plain[-1]) < 4
    assert len(shown) == len(plain)


@pytest.fixture
def first_frame(tmp_path):
    """Read a source, given its content, as what a video of ours starts with."""

    def first_frame(name, content):
        path = tmp_path / "frame.png"
        sources._save(sources._READERS[name][0], content, LANDSCAPE, path)
        with Image.open(path) as frame:
            return frame.copy()

    return first_frame


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "GIF", "BMP"])
def test_a_picture_may_be_of_any_usual_kind(first_frame, kind):
    assert difference(first_frame("firstFrameImageUrl", saved(a_picture(), kind)), a_picture()) < 6


def test_a_picture_of_another_shape_is_cropped_around_its_middle(first_frame):
    tall = Image.new("RGB", (640, 1000), (200, 30, 30))
    tall.paste(a_picture(), (0, 320))

    assert difference(first_frame("firstFrameImageUrl", saved(tall)), a_picture()) < 4


def test_a_clip_made_from_another_s_last_frame_starts_where_that_one_ends(pictory_sandbox, client):
    first = client.data(client.submitted(prompt="A red fox walks through snow"))

    second = client.data(
        client.submitted(prompt="The fox finds a burrow", firstFrameImageUrl=first["lastFrameImageUrl"])
    )

    end, begin = frames(first["url"])[-1], frames(second["url"])[0]
    assert difference(end, begin) < 4
    assert difference(end, frames(second["url"])[-1]) > 4


def test_a_clip_that_goes_on_from_another_starts_with_its_last_frame(client):
    first = client.data(client.submitted(prompt="A red fox walks through snow", duration="8s"))

    second = client.data(
        client.submitted(prompt="The fox finds a burrow", duration="5s", extendVideoUrl=first["url"])
    )

    shown = frames(second["url"])
    assert difference(frames(first["url"])[-1], shown[0]) < 4
    assert len(shown) == 125
    assert second["duration"] == "5s"


def test_a_video_of_somebody_else_s_is_gone_on_from_as_well(client, host):
    url = host.give("/film.mp4", a_video((200, 30, 30), (30, 30, 200), size=(320, 240)))

    shown = frames(client.data(client.submitted(extendVideoUrl=url))["url"])

    assert difference(shown[0], Image.new("RGB", LANDSCAPE, (30, 30, 200))) < 6


@pytest.mark.parametrize(
    ("name", "response", "words"),
    [
        ("firstFrameImageUrl", {"status": 404}, "firstFrameImageUrl responded with HTTP 404"),
        ("extendVideoUrl", {"status": 403}, "extendVideoUrl responded with HTTP 403"),
        ("firstFrameImageUrl", {"content": b"<html>no picture</html>"}, "firstFrameImageUrl can't be read"),
        ("extendVideoUrl", {"content": saved(a_picture())[:500]}, "extendVideoUrl can't be read"),
        ("extendVideoUrl", {"content": b""}, "extendVideoUrl can't be read"),
        ("firstFrameImageUrl", {"content": saved(a_picture())[:300]}, "firstFrameImageUrl can't be read"),
        (
            "firstFrameImageUrl",
            {"status": 302, "Location": "file:///etc/passwd"},
            "firstFrameImageUrl couldn't be fetched (NonHttpUrlRedirectClientError)",
        ),
    ],
)
def test_a_source_that_cannot_be_used_fails_the_job_and_gives_the_credits_back(
    pictory_sandbox, client, host, name, response, words
):
    data = client.data(client.submitted(**{name: host.give("/source", **response)}))

    assert data == {"status": "failed", "error_code": "5003", "error_message": f"SOURCE_NOT_USABLE: {words}"}
    assert client.ai_credits()["used"] == 0
    assert client.videos().json()["items"] == []


SDP = b"""v=0
o=- 0 0 IN IP4 127.0.0.1
s=x
c=IN IP4 127.0.0.1
t=0 0
m=video 59999 RTP/AVP 96
a=rtpmap:96 H264/90000
"""
M3U8 = b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n%s\n#EXT-X-ENDLIST\n"
DASH = b"""<?xml version="1.0"?>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT9S"><Period>
<AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="1"><BaseURL>%s</BaseURL>
</Representation></AdaptationSet></Period></MPD>"""


@pytest.mark.parametrize(
    "content",
    [
        SDP,
        M3U8,
        DASH,
        b"ffconcat version 1.0\nfile '%s'\n",
        b"RTSPtext\n%s",
        b"%%!PS-Adobe-3.0 EPSF-3.0\n%%%%BoundingBox: 0 0 9 9\n",
    ],
    ids=["SDP", "HLS", "DASH", "concat", "RTSP", "EPS"],
)
@pytest.mark.parametrize("name", ["firstFrameImageUrl", "extendVideoUrl"])
def test_what_leads_elsewhere_is_not_opened(client, host, tmp_path, name, content):
    film = tmp_path / "film.mp4"
    film.write_bytes(a_video((200, 30, 30)))
    for target in (host.give("/other.mp4", film.read_bytes()), str(film), film.as_uri()):
        text = content % target.encode() if b"%s" in content else content
        url = host.give("/source.mp4", text)

        begin = time.monotonic()
        data = client.data(client.submitted(**{name: url}))

        assert data["error_message"] == f"SOURCE_NOT_USABLE: {name} can't be read"
        assert time.monotonic() - begin < 5
    assert len(host.requests) == 3


@pytest.mark.parametrize(
    ("kind", "codec"), [("mp4", "libx264"), ("mov", "libx264"), ("webm", "libvpx"), ("matroska", "libx264")]
)
def test_a_video_may_be_of_any_usual_kind(first_frame, kind, codec):
    content = a_video((30, 30, 200), frames_each=5, size=(320, 240), kind=kind, codec=codec)

    shown = first_frame("extendVideoUrl", content)

    assert difference(shown, Image.new("RGB", LANDSCAPE, (30, 30, 200))) < 6


def test_a_small_body_that_is_a_large_one_packed_is_not_unpacked(client, host):
    packed = gzip.compress(saved(a_picture()))
    url = host.give("/sun.png", packed, **{"Content-Encoding": "gzip"})

    data = client.data(client.submitted(firstFrameImageUrl=url))

    assert data["error_message"] == "SOURCE_NOT_USABLE: firstFrameImageUrl can't be read"


def test_a_host_that_is_not_there_fails_the_job(client):
    data = client.data(client.submitted(firstFrameImageUrl="http://127.0.0.1:1/sun.png"))

    assert data["error_message"] == (
        "SOURCE_NOT_USABLE: firstFrameImageUrl couldn't be fetched (ClientConnectorError)"
    )


def test_a_source_is_fetched_up_to_its_limits_only(client, host, monkeypatch):
    monkeypatch.setitem(sources._READERS, "firstFrameImageUrl", (sources._picture, 1024 * 1024))
    monkeypatch.setattr(sources, "_MOST_PIXELS", 1_000_000)
    endless = host.give("/endless.png", bytes(8 * 1024 * 1024))
    vast = host.give("/vast.png", saved(Image.new("RGB", (2000, 2000))))

    messages = [
        client.data(client.submitted(firstFrameImageUrl=url))["error_message"] for url in (endless, vast)
    ]

    assert [message.partition("firstFrameImageUrl ")[2] for message in messages] == [
        "is larger than 1 MB",
        "has more than 1 million pixels",
    ]


def test_a_host_that_never_responds_fails_the_job_in_the_end(client, host, monkeypatch):
    monkeypatch.setattr(sources, "_TIME_LIMIT", sources.aiohttp.ClientTimeout(total=0.3))
    url = host.give("/sun.png", saved(a_picture()))
    host.delay = 1.0

    data = client.data(client.submitted(firstFrameImageUrl=url))

    assert data["error_message"].endswith("firstFrameImageUrl didn't respond in 0.3 s")


def test_while_a_source_is_fetched_the_job_is_in_progress_and_everything_else_responds_fast(
    pictory_sandbox, client, host, monkeypatch
):
    monkeypatch.setattr(sources, "_PATIENCE", 0.2)
    url = host.give("/sun.png", saved(a_picture()))
    host.delay = 1.5

    begin = time.monotonic()
    job_id = client.submitted(firstFrameImageUrl=url)
    others = [client.data(client.submitted())["status"] for _ in range(10)]
    listed = client.jobs().json()["items"][-1]["data"]
    assert time.monotonic() - begin < 1.0

    assert others == ["completed"] * 10
    assert listed == {"jobId": job_id, "status": "in-progress"}
    assert client.data(job_id) == {"status": "in-progress"}
    eventually(lambda: client.data(job_id)["status"] == "completed")


def test_a_source_that_fails_early_shows_at_the_job_s_end(pictory_sandbox_factory, client_of, host):
    sandbox = pictory_sandbox_factory(render_seconds=60)
    client = client_of(sandbox)
    job_id = client.submitted(firstFrameImageUrl=host.give("/sun.png", status=404))
    eventually(lambda: sandbox.jobs()[0]["outcome"] == "failed")

    assert (client.data(job_id)["status"], client.ai_credits()["used"]) == ("in-progress", 8)
    sandbox.advance(60)

    assert (client.data(job_id)["status"], client.ai_credits()["used"]) == ("failed", 0)


def test_a_webhook_comes_when_the_source_is_there(client, host, receiver):
    url = host.give("/sun.png", saved(a_picture()))
    host.delay = 0.5

    client.submitted(firstFrameImageUrl=url, webhook=receiver.url)

    assert receiver.next()["data"]["status"] == "completed"


def test_who_ends_a_job_by_hand_need_not_wait_for_its_source(pictory_sandbox, client, host):
    url = host.give("/sun.png", status=404)
    host.delay = 0.5
    job_id = client.submitted(firstFrameImageUrl=url)

    pictory_sandbox.set_job(job_id, "completed")

    assert client.data(job_id)["status"] == "completed"
    assert pictory_sandbox._server.control._parts.sources._tasks
    eventually(lambda: not pictory_sandbox._server.control._parts.sources._tasks)
    data = client.data(job_id)
    assert data["status"] == "completed"
    assert requests.get(data["url"], timeout=30).status_code == 200


def test_the_key_is_not_sent_along(client, host):
    client.data(client.submitted(firstFrameImageUrl=host.give("/sun.png", saved(a_picture()))))

    (headers,) = host.requests
    assert "Authorization" not in headers


def test_nothing_is_fetched_where_it_shall_not_be(pictory_sandbox_factory, client_of, host):
    client = client_of(pictory_sandbox_factory(fetch_sources=False))

    data = client.data(client.submitted(firstFrameImageUrl=host.give("/sun.png", saved(a_picture()))))

    assert data["status"] == "completed"
    assert requests.get(data["thumbnailImageUrl"], timeout=30).status_code == 200
    assert host.requests == []


def test_a_sandbox_ends_at_once_though_a_source_is_still_being_fetched(pictory_sandbox_factory, host):
    url = host.give("/sun.png", saved(a_picture()))
    host.delay = 3.0
    sandbox = pictory_sandbox_factory()
    with Client(sandbox.url, sandbox.api_key) as client:
        client.submitted(firstFrameImageUrl=url)

    begin = time.monotonic()
    sandbox.stop()

    assert time.monotonic() - begin < 2.0
