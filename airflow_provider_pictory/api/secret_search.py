"""A search for known secrets in a text, in whatever form the text writes them."""

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

# So many letters and digits in a row of a secret are no coincidence, so a part of one is recognised too.
_PART = 10
# With fewer letters and digits a secret is recognised only where it stands as a word of its own.
_SHORTEST_ANYWHERE = 6
# How deep encodings are nested at most: JSON in JSON, in a URL, in HTML.
_MOST_LAYERS = 6

_ESCAPE = re.compile(
    r"""\\u\{([0-9a-f]{1,6})\} | \\u([0-9a-f]{4}) | \\x([0-9a-f]{2}) | %u([0-9a-f]{4}) | %([0-9a-f]{2})
    | &\#x([0-9a-f]{1,6});? | &\#(\d{1,7});? | \\([0-3][0-7]{2}) | (&[a-z]{2,31};) | \\([\\/"'])
    | \\([nrtfvb0]) | (<w?br\s*/?>)""",
    re.IGNORECASE | re.VERBOSE,
)
_ENCODED_RUN = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=_-"


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

        :param keeps_letters: whether a backslash and an n stay as they are, as between a domain and a name.
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
    """Yield the text as it is written, and as it is meant where that differs."""
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

    That is as they are, escaped by JSON, URLs or HTML in several layers, wrapped over lines, in UTF-16, in
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
        self._encoded_parts = _parts(self._encoded) - self._plain_parts

    def blot_out(self, text: str, end: int | None = None) -> str:
        """
        Return a text without the secrets.

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
        """Return where the secrets stand, in order, with those that overlap merged."""
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
        characters = reading.characters
        lowered = characters.lower() if characters.isascii() else "".join(map(_lower, characters))
        places = [place for place, character in enumerate(lowered) if character.isalnum()]
        essence = "".join(lowered[place] for place in places)
        for first, after in (*self._words_in(lowered), *self._plain_in(characters, essence, places)):
            yield reading.starts[first], reading.ends[after - 1]
        for first, after in self._encoded_in(essence):
            # What stands right beside it was encoded along with it.
            start, stop = reading.starts[places[first]], reading.ends[places[after - 1]]
            while start and text[start - 1] in _ENCODED_RUN:
                start -= 1
            while stop < len(text) and text[stop] in _ENCODED_RUN:
                stop += 1
            yield start, stop

    def _words_in(self, lowered: str) -> Iterator[tuple[int, int]]:
        """Yield where words stand by themselves."""
        for word in self._words:
            for first, after in _occurrences(_lowered(word), lowered):
                if not (lowered[first - 1 : first].isalnum() or lowered[after : after + 1].isalnum()):
                    yield first, after

    def _plain_in(self, characters: str, essence: str, places: list[int]) -> Iterator[tuple[int, int]]:
        """Yield where secrets, or parts of them, stand as they are."""
        for form, secret in self._plain.items():
            for first, after in _occurrences(form, essence):
                # With the other characters that the secret begins and ends with.
                begin, finish = places[first], places[after - 1] + 1
                for mark in reversed(secret[: _edge(secret)]):
                    begin -= begin > 0 and characters[begin - 1] == mark
                for mark in secret[len(secret) - _edge(secret[::-1]) :]:
                    finish += finish < len(characters) and characters[finish] == mark
                yield begin, finish
        for first, after in _parts_in(self._plain_parts, essence):
            yield places[first], places[after - 1] + 1

    def _encoded_in(self, essence: str) -> Iterator[tuple[int, int]]:
        """Yield where encoded secrets, or parts of them, stand among a text's letters and digits."""
        for form in self._encoded:
            yield from _occurrences(form, essence)
        yield from _parts_in(self._encoded_parts, essence)


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
    """Yield the essence of each form in which bytes are written as letters and digits."""
    yield _essence(quote(secret, safe=""))
    for encoding in ("utf-8", "latin-1", "utf-16-le", "utf-16-be"):
        data = secret.encode(encoding, "replace")
        yield data.hex()
        for offset in range(3):
            # The first and the last characters depend on what stands beside the secret.
            text = base64.b64encode(bytes(offset) + data).decode()
            yield _essence(text[-(-offset * 8 // 6) : (offset + len(data)) * 8 // 6])


def _parts(forms: Iterable[str]) -> frozenset[str]:
    return frozenset(form[at : at + _PART] for form in forms for at in range(len(form) - _PART + 1))


def _parts_in(parts: frozenset[str], essence: str) -> Iterator[tuple[int, int]]:
    for first in range(len(essence) - _PART + 1 if parts else 0):
        if essence[first : first + _PART] in parts:
            yield first, first + _PART


def _occurrences(wanted: str, text: str) -> Iterator[tuple[int, int]]:
    at = text.find(wanted)
    while at >= 0:
        yield at, at + len(wanted)
        at = text.find(wanted, at + len(wanted))
