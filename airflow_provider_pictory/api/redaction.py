"""
Text that others wrote, made fit for a log line or an error: without secrets, printable, in one line, bounded.

Exception texts of HTTP clients, response bodies, header values and the words of a job all pass through here
before they are quoted, since nobody knows what is in them.
"""

from __future__ import annotations

import re

from airflow_provider_pictory.api.secret_search import BLOT, Secrets, environment_proxies, secrets_of

LONGEST_TEXT = 1000

# No more of a text than this is read, and its last characters aren't shown, since they may begin a secret
# that is recognised as a whole only.
_WINDOW = 16 * 1024
_MARGIN = 512
_USER_IN_URL = re.compile(
    r"((?:\\*/|%(?:25)*2f|\\+u002f){2})[^/?#\s]*(?:@|%(?:25)*40|\\+u0040)", re.IGNORECASE
)
_STORE = re.compile(r"(?:^|[^a-z0-9])(?:s3a?|gc?s|abfss?|az|adl|wasbs?|file)$")
_CREDENTIALS = re.compile(r"\b(basic|bearer|negotiate)(\s+)[a-z0-9+/=_.~-]{8,}", re.IGNORECASE)
_WORD = re.compile(r"[^ \t\r\n]+")
_QUERY = re.compile(r"\?|%(?:25)*3f|\\u003f|&\#(?:63|x3f);|&quest;", re.IGNORECASE)
_TERMINAL_SEQUENCE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?")


def clean(text: str, secrets: Secrets | None = None, *, longest: int = LONGEST_TEXT) -> str:
    """
    Make a text that others wrote fit for a message.

    Users, passwords and queries of URLs are removed, known or not; a query may be a signature.

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
