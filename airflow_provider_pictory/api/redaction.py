"""
Text that others wrote, made fit for a log line or an error: without secrets, printable, in one line, bounded.

Exception texts of HTTP clients, response bodies, header values and the words of a job all pass through here
before they are quoted, since nobody knows what is in them.
"""

from __future__ import annotations

import base64
import html
import os
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

BLOT = "***"
LONGEST_TEXT = 1000

# No more of a text than this is polled, and its last characters aren't shown, which may be the beginning
# of what would be recognised as a whole only.
_WINDOW = 16 * 1024
_MARGIN = 512
# So many letters and digits in a row of a secret are no coincidence, so a part of one is recognised too.
_PART = 10
# With fewer letters and digits a secret is recognised only where it stands as a word of its own.
_SHORTEST_ANYWHERE = 6
# As often as texts are put into one another: JSON in JSON, in a URL, in HTML.
_MOST_LAYERS = 6

_ESCAPE = re.compile(
    r"""\\u\{([0-9a-f]{1,6})\} | \\u([0-9a-f]{4}) | \\x([0-9a-f]{2}) | %u([0-9a-f]{4}) | %([0-9a-f]{2})
    | &\#x([0-9a-f]{1,6});? | &\#(\d{1,7});? | \\([0-3][0-7]{2}) | (&[a-z]{2,31};) | \\([\\/"'])
    | \\([nrtfvb0]) | (<w?br\s*/?>)""",
    re.IGNORECASE | re.VERBOSE,
)
_ENCODED_RUN = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=_-"

_USER_IN_URL = re.compile(
    r"((?:\\*/|%(?:25)*2f|\\+u002f){2})[^/?#\s]*(?:@|%(?:25)*40|\\+u0040)", re.IGNORECASE
)
_STORE = re.compile(r"(?:^|[^a-z0-9])(?:s3a?|gc?s|abfss?|az|adl|wasbs?|file)$")
_CREDENTIALS = re.compile(r"\b(basic|bearer|negotiate)(\s+)[a-z0-9+/=_.~-]{8,}", re.IGNORECASE)
_WORD = re.compile(r"[^ \t\r\n]+")
_QUERY = re.compile(r"\?|%(?:25)*3f|\\u003f|&\#(?:63|x3f);|&quest;", re.IGNORECASE)
_TERMINAL_SEQUENCE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?")


@dataclass(frozen=True)
class _Plain:
    """
    A text as it is meant, and where each of its characters stands in the text as it was written.

    :param characters: with escapes read.
    :param starts: of each character, in the written text.
    :param ends: likewise, the position after it.
    """

    characters: str
    starts: list[int]
    ends: list[int]

    def read_once(self, *, keeps_letters: bool) -> _Plain:
        """
        Read one layer of escapes.

        :param keeps_letters: whether a backslash and an n are that, as in a domain and a name.
        """
        pieces: list[str] = []
        starts: list[int] = []
        ends: list[int] = []
        position = 0
        for match in _ESCAPE.finditer(self.characters):
            meant = _meaning(match)
            if match[11] and keeps_letters:
                continue
            before = slice(position, match.start())
            pieces += self.characters[before], meant
            starts += self.starts[before]
            ends += self.ends[before]
            starts += [self.starts[match.start()]] * len(meant)
            ends += [self.ends[match.end() - 1]] * len(meant)
            position = match.end()
        if not position:
            return self
        pieces.append(self.characters[position:])
        return _Plain("".join(pieces), starts + self.starts[position:], ends + self.ends[position:])


def _meaning(match: re.Match[str]) -> str:
    hexadecimal = next((group for group in match.group(1, 2, 3, 4, 5, 6) if group), None)
    number = int(hexadecimal, 16) if hexadecimal else int(match[7] or -1)
    if match[8]:
        number = int(match[8], 8)
    if number >= 0:
        return chr(number) if number <= 0x10FFFF else ""
    if match[9]:
        return html.unescape(match[9])
    return match[10] or ""


def _readings(text: str) -> Iterator[_Plain]:
    """Return the text as it is written, and as it is meant where that differs."""
    positions = list(range(len(text) + 1))
    written = _Plain(text, positions[:-1], positions[1:])
    yield written
    if _ESCAPE.search(text):
        for keeps_letters in (False, True):
            plain = written
            for _ in range(_MOST_LAYERS):
                layer = plain.read_once(keeps_letters=keeps_letters)
                if layer is plain:
                    break
                plain = layer
            yield plain


class Secrets:
    """
    What must not be seen in any text, recognised in whatever way texts write it.

    That is as it stands, escaped by JSON, URLs or HTML in several layers, wrapped over lines, in UTF-16, in
    hexadecimal digits and in base64.

    :param hidden: secrets of which no part may be seen either.
    :param names: what goes with them, such as a proxy's user: removed where it stands as a word of its own.
    """

    def __init__(self, hidden: Iterable[str] = (), names: Iterable[str] = ()) -> None:
        self._plain: dict[str, str] = {}
        self._words: set[str] = set()
        encoded: set[str] = set()
        for secret in filter(None, hidden):
            essence = _essence(secret)
            if len(essence) >= _SHORTEST_ANYWHERE:
                self._plain[essence] = secret
            else:
                self._words |= {secret, quote(secret, safe="")}
            encoded |= {form for form in _encoded(secret) if len(form) >= _SHORTEST_ANYWHERE}
        self._words |= {word for name in filter(None, names) for word in (name, quote(name, safe=""))}
        self._encoded = encoded - set(self._plain)
        self._plain_parts = _parts(self._plain)
        self._encoded_parts = _parts(self._encoded)

    def blot_out(self, text: str, end: int | None = None) -> str:
        """
        Return a text without them.

        :param text: what somebody wrote.
        :param end: what comes from this position on is left out.
        """
        end = len(text) if end is None else end
        pieces: list[str] = []
        position = 0
        for start, stop in self._spans(text):
            if start >= end:
                break
            if start >= position:
                pieces += text[position:start], BLOT
            position = max(position, stop)
        pieces.append(text[position:end])
        return "".join(pieces)

    def _spans(self, text: str) -> list[tuple[int, int]]:
        """Return where they stand, in order; those that overlap have become one."""
        spans: list[tuple[int, int]] = []
        if self._plain or self._words or self._encoded:
            for reading in _readings(text):
                spans += self._found_in(reading, text)
        merged: list[tuple[int, int]] = []
        for start, stop in sorted(spans):
            if merged and start < merged[-1][1]:
                merged[-1] = (merged[-1][0], max(merged[-1][1], stop))
            else:
                merged.append((start, stop))
        return merged

    def _found_in(self, reading: _Plain, text: str) -> Iterator[tuple[int, int]]:
        characters, starts, ends = reading.characters, reading.starts, reading.ends
        lowered = characters.lower() if characters.isascii() else "".join(map(_lower, characters))
        for word in self._words:
            for first, after in _occurrences(_lowered(word), lowered):
                if not (characters[first - 1 : first].isalnum() or characters[after : after + 1].isalnum()):
                    yield starts[first], ends[after - 1]
        places = [place for place, character in enumerate(lowered) if character.isalnum()]
        essence = "".join(lowered[place] for place in places)
        for form, secret in self._plain.items():
            for first, after in _occurrences(form, essence):
                # With what else the secret begins and ends with.
                begin, finish = places[first], places[after - 1] + 1
                for mark in reversed(secret[: _edge(secret)]):
                    begin -= begin > 0 and characters[begin - 1] == mark
                for mark in secret[len(secret) - _edge(secret[::-1]) :]:
                    finish += finish < len(characters) and characters[finish] == mark
                yield starts[begin], ends[finish - 1]
        encoded = [span for form in self._encoded for span in _occurrences(form, essence)]
        parts = len(essence) - _PART + 1 if self._plain_parts or self._encoded_parts else 0
        for first in range(parts):
            part = essence[first : first + _PART]
            if part in self._plain_parts:
                yield starts[places[first]], ends[places[first + _PART - 1]]
            elif part in self._encoded_parts:
                encoded.append((first, first + _PART))
        for first, after in encoded:
            # What stands right beside it was encoded along with it.
            start, stop = starts[places[first]], ends[places[after - 1]]
            while start and text[start - 1] in _ENCODED_RUN:
                start -= 1
            while stop < len(text) and text[stop] in _ENCODED_RUN:
                stop += 1
            yield start, stop


@lru_cache(maxsize=256)
def secrets_of(hidden: tuple[str, ...], proxies: tuple[str, ...] = ()) -> Secrets:
    """
    Return what must not be seen of some secrets, and of proxies whose URLs have a user and a password.

    :param hidden: such as an API key.
    :param proxies: URLs, with or without a scheme.
    """
    secrets, names = list(hidden), []
    for url in proxies:
        # Not urlsplit, which takes a password with a slash for a path.
        user_info, at, _ = url.rpartition("://")[2].rpartition("@")
        if at:
            user, _, password = user_info.partition(":")
            # Some clients take a backslash after a domain for the end of the host.
            names += [user, unquote(user), *(part for part in unquote(user).split("\\") if len(part) > 2)]
            secrets += [password, unquote(password)]
            if password:
                secrets += [user_info, unquote(user_info)]
    return Secrets(secrets, names)


def environment_proxies() -> tuple[str, ...]:
    """Return the URLs of the environment's proxies that have a user or a password."""
    return tuple(
        value
        for name, value in os.environ.items()
        if "@" in value and name.lower().endswith("_proxy") and name.lower() != "no_proxy"
    )


def clean(text: str, secrets: Secrets | None = None, *, longest: int = LONGEST_TEXT) -> str:
    """
    Make a text that others wrote fit for a message.

    Users, passwords and queries of URLs go, known or not; a query may be a signature.

    :param text: of any length, with anything in it.
    :param secrets: what else must not be seen; those of the environment's proxies without it.
    :param longest: how many characters may remain.
    """
    if secrets is None:
        secrets = secrets_of((), environment_proxies())
    is_cut = len(text) >= _WINDOW
    text = secrets.blot_out(text[:_WINDOW], _WINDOW - _MARGIN if is_cut else None)
    text = printable(without_secrets_of_urls(_TERMINAL_SEQUENCE.sub(" ", text)))
    if is_cut or len(text) > longest:
        text = f"{text[: longest - 3]}..."
    return text


def printable(text: str) -> str:
    """Return a text as one line of printable characters."""
    if not text.isprintable():
        text = "".join(mark if mark.isprintable() else " " for mark in text)
    return " ".join(text.split())


def without_secrets_of_urls(text: str) -> str:
    """Return a text without users and passwords in front of hosts, and without the queries of URLs."""
    if "@" in text or "40" in text:
        text = _USER_IN_URL.sub(_without_user, text)
    text = _CREDENTIALS.sub(rf"\1\2{BLOT}", text)
    return _WORD.sub(_without_query, text) if _QUERY.search(text) else text


def _without_user(match: re.Match[str]) -> str:
    """Cut the user off a URL's host, but for the connection id that Airflow has in paths of stores."""
    scheme = match.string[: match.start()].rpartition("/")[2].rstrip(":").lower()
    is_connection_id = match[0].startswith("//") and re.fullmatch(r"//[\w.-]*@", match[0]) is not None
    return match[0] if is_connection_id and _STORE.search(scheme) else match[1]


def _without_query(word: re.Match[str]) -> str:
    """Cut a word off at its query, whatever that consists of; a question mark alone makes none."""
    text = word[0]
    last_assignment = text.rfind("=")
    slash = re.search("/|%2f", text, re.IGNORECASE)
    for mark in _QUERY.finditer(text):
        is_in_url = slash is not None and slash.start() < mark.start() and mark.end() < len(text)
        if mark.end() <= last_assignment or is_in_url:
            return text[: mark.start()]
    return text


def _essence(text: str) -> str:
    """Return a text's letters and digits alone, since all between may have come from wrapping and quoting."""
    return "".join(mark for mark in _lowered(text) if mark.isalnum())


def _lowered(text: str) -> str:
    return "".join(map(_lower, text))


def _lower(mark: str) -> str:
    # Of some letters the small form is more than one character, and positions have to stay.
    return mark.lower() if mark.isascii() else mark


def _edge(secret: str) -> int:
    """Return how many characters stand before the first letter or digit."""
    return next((position for position, mark in enumerate(secret) if mark.isalnum()), 0)


def _encoded(secret: str) -> Iterator[str]:
    """Return the essence of each form in which bytes are written as letters and digits."""
    yield _essence(quote(secret, safe=""))
    for encoding in ("utf-8", "latin-1", "utf-16-le", "utf-16-be"):
        data = secret.encode(encoding, "replace")
        yield data.hex()
        for offset in range(3):
            # The first and the last characters depend on what stands beside it.
            text = base64.b64encode(bytes(offset) + data).decode()
            yield _essence(text[-(-offset * 8 // 6) : (offset + len(data)) * 8 // 6])


def _parts(forms: Iterable[str]) -> frozenset[str]:
    return frozenset(form[at : at + _PART] for form in forms for at in range(len(form) - _PART + 1))


def _occurrences(wanted: str, text: str) -> Iterator[tuple[int, int]]:
    at = text.find(wanted)
    while at >= 0:
        yield at, at + len(wanted)
        at = text.find(wanted, at + len(wanted))
