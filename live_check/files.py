"""What the URLs of finished videos serve to somebody without a key."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import requests

from airflow_provider_pictory.client.files import FileSession
from airflow_provider_pictory.exceptions import PictoryError
from live_check.findings import names_of
from live_check.lists import date_of

if TYPE_CHECKING:
    from airflow_provider_pictory.client.settings import ConnectionSettings
    from live_check.findings import Findings

FILE_NAMES = ("url", "url-range", "url-type", "url-etag", "url-of-oldest", "last-frame")
_FIRST_BYTES = 64
_SERVED = (200, 206)
_MEDIA_TYPE = re.compile(r"[a-z]+/[\w.+-]+", re.ASCII)
_LONGEST_LIFETIME = 10 * 365 * 24 * 60 * 60


@dataclass(frozen=True)
class Served:
    """
    What a URL serves.

    :param status: the HTTP status; 0 where there is no response.
    :param headers: of the response.
    :param beginning: the first bytes.
    :param why: what went wrong, by the name of an error's class.
    """

    status: int
    headers: dict[str, str]
    beginning: bytes = b""
    why: str = ""

    @property
    def is_served(self) -> bool:
        """Whether that is a file."""
        return self.status in _SERVED

    @property
    def media_type(self) -> str:
        """The media type, or a word for one that can't be shown."""
        text = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        return text if _MEDIA_TYPE.fullmatch(text) else "no media type"

    def __str__(self) -> str:
        return f"{self.status}" if self.status else f"no response ({self.why})"


def ask(settings: ConnectionSettings, url: object) -> Served:
    """Ask for the first bytes of a file as the package does, without the key."""
    if not isinstance(url, str) or not url:
        return Served(0, {}, why="there is no URL")
    try:
        with (
            FileSession(settings) as session,
            session.ask(
                url, {"Range": f"bytes=0-{_FIRST_BYTES - 1}", "Accept-Encoding": "identity"}
            ) as response,
        ):
            headers = {name.lower(): value for name, value in response.headers.items()}
            beginning = next(response.iter_content(_FIRST_BYTES), b"")
            return Served(response.status_code, headers, beginning)
    except (requests.RequestException, PictoryError, ValueError, OSError) as error:
        return Served(0, {}, why=type(error).__name__)


def check_files(settings: ConnectionSettings, findings: Findings, videos: list[dict[str, Any]]) -> None:
    """
    See what the newest listed video's URLs serve, and the oldest one's.

    :param videos: as the list has them, newest first.
    """
    if not videos:
        findings.miss(FILE_NAMES, "the list has no video")
        return
    newest, oldest = videos[0], videos[-1]
    first, again = ask(settings, newest.get("url")), ask(settings, newest.get("url"))
    findings.note("url", f"{first}{_lifetime(newest.get('url'))}", is_expected=first.is_served)
    if first.is_served:
        size = first.headers.get("content-range", "").rpartition("/")[2]
        is_range = first.status == 206 and size.isdigit()
        seen = f"{first.status}, {size} bytes in all" if is_range else f"{first.status}, no Content-Range"
        findings.note("url-range", seen, is_expected=is_range)
        is_mp4 = first.beginning[4:8] == b"ftyp"
        findings.note(
            "url-type",
            f"{first.media_type}, begins with {'ftyp' if is_mp4 else 'something else'}",
            is_expected=is_mp4 and first.media_type == "video/mp4",
        )
        etag, same = first.headers.get("etag", ""), first.headers.get("etag") == again.headers.get("etag")
        form = "none" if not etag else "a weak one" if etag.startswith("W/") else "a strong one"
        findings.note(
            "url-etag",
            f"{form}, {'the same' if same else 'another'} the second time",
            is_expected=form == "a strong one" and same,
        )
    if oldest is not newest:
        served, made = ask(settings, oldest.get("url")), date_of(oldest)
        age = f", made {max(0, (datetime.now(UTC) - made).days)} days ago" if made else ""
        findings.note("url-of-oldest", f"{served}{age}", is_expected=served.is_served)
    frame = ask(settings, newest.get("lastFrameImageUrl"))
    is_png = frame.beginning.startswith(b"\x89PNG") and frame.media_type == "image/png"
    findings.note("last-frame", f"{frame}, {frame.media_type}", is_expected=frame.is_served and is_png)
    findings.miss(FILE_NAMES, "the list's newest video isn't served, or is the only one")


def _lifetime(url: object) -> str:
    """Return what a URL's query says about how long it is good for, and the names in it, but no value."""
    query = dict(parse_qsl(urlsplit(str(url)).query))
    if not query:
        return ", no query"
    said = f", query with {names_of(query)}"
    for name, value in query.items():
        if name.lower() in ("x-amz-expires", "x-goog-expires", "expires") and value.isdigit():
            number = int(value)
            seconds = number - datetime.now(UTC).timestamp() if number > _LONGEST_LIFETIME else number
            said += f", good for {seconds:.0f} s"
    return said
