"""What an Airflow connection of type ``pictory`` says about reaching Pictory, checked."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_provider_pictory.api.json_text import read_json
from airflow_provider_pictory.api.redaction import LONGEST_TEXT, clean
from airflow_provider_pictory.api.secret_search import environment_proxies, secrets_of
from airflow_provider_pictory.api.validation_errors import shown
from airflow_provider_pictory.exceptions import PictoryConfigurationError

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection

DEFAULT_BASE_URL = "https://api.pictory.ai"
DEFAULT_TIMEOUT = 30.0
LONGEST_TIMEOUT = 24 * 60 * 60.0
DEFAULT_SUBMISSION_WINDOW = 180.0
SHORTEST_SUBMISSION_WINDOW = 1.0
LONGEST_SUBMISSION_WINDOW = 24 * 60 * 60.0
API_PATH = "/pictoryapis"
KNOWN_EXTRAS = (
    *("timeout", "verify", "proxies", "cert", "submission_window", "allow_private_hosts"),
    "job_list_polling",
)
_DEFAULT_PORTS = {"http": 80, "https": 443}
# What people take along when they copy an address out of Pictory's documentation.
_COPIED_PATH = re.compile(rf"(/*{API_PATH}(/+v\d+)?)?/*$", re.IGNORECASE)
_PATH_OF_A_CALL = re.compile(rf"/*{API_PATH}/.*", re.IGNORECASE)
LONGEST_EXTRA_NAME = 80
LONGEST_PATH = 1024
# A certificate or a key in base64, whether it was binary or a text before.
_ENCODED_CERTIFICATE = re.compile(r"(?:M|LS0t)[A-Za-z0-9+/=_-]{56,}")


@dataclass(frozen=True)
class ConnectionSettings:
    """
    How to reach Pictory, the same for the synchronous and the asynchronous side.

    :param api_key: the raw key; never shown.
    :param base_url: without the API's path and without a slash at the end.
    :param timeout: seconds that one call may take.
    :param verify: whether to check TLS certificates, or the path of the authorities to trust.
    :param proxies: proxy URLs by scheme, as requests takes them.
    :param cert: path of a client certificate, or of certificate and key.
    :param submission_window: seconds after a POST's time limit for which its job may still appear in the
        account's lists before the POST counts as not submitted.
    :param allow_private_hosts: whether videos may be fetched from hosts that aren't on the open internet.
    :param job_list_polling: whether waits for many jobs may learn from the account's list of jobs.
    :param unknown_extras: names in the connection's extra that mean nothing here.
    """

    api_key: str = field(repr=False)
    base_url: str = DEFAULT_BASE_URL
    timeout: float = DEFAULT_TIMEOUT
    verify: bool | str = True
    proxies: Mapping[str, str] = field(default_factory=dict, repr=False)
    cert: str | tuple[str, str] | None = None
    submission_window: float = DEFAULT_SUBMISSION_WINDOW
    allow_private_hosts: bool = False
    job_list_polling: bool = True
    unknown_extras: tuple[str, ...] = ()

    @classmethod
    def from_connection(cls, connection: Connection) -> ConnectionSettings:
        """
        Read and check a connection.

        :param connection: the Airflow connection; its password is the API key, its host the base URL, its
            extra may hold ``timeout``, ``verify``, ``proxies``, ``cert``, ``submission_window``,
            ``allow_private_hosts`` and ``job_list_polling``, also as the JSON texts that the query of a URI
            can carry.
        :raises PictoryConfigurationError: when something can't be used; the message names the field and,
            unless it is the key, what it holds.
        """
        name = f"Airflow connection {connection.conn_id!r}"
        present = _extra(name, connection.extra)
        for extra in ("verify", "cert"):
            _require_no_content(name, extra, present.get(extra))
        return cls(
            api_key=_api_key(name, connection.password),
            base_url=_base_url(name, connection.host, connection.schema, connection.port),
            timeout=_timeout(name, present.get("timeout", DEFAULT_TIMEOUT)),
            verify=_verify(name, present.get("verify", True)),
            proxies=_proxies(name, present.get("proxies", {})),
            cert=_cert(name, present.get("cert")),
            submission_window=_submission_window(
                name, present.get("submission_window", DEFAULT_SUBMISSION_WINDOW)
            ),
            allow_private_hosts=_switch(name, "allow_private_hosts", present, default=False),
            job_list_polling=_switch(name, "job_list_polling", present, default=True),
            unknown_extras=tuple(
                clean(extra, longest=LONGEST_EXTRA_NAME) for extra in sorted(set(present) - set(KNOWN_EXTRAS))
            ),
        )

    def url(self, path: str) -> str:
        """Return the full URL of a path of the API, such as ``/v1/quota``."""
        return f"{self.base_url}{API_PATH}{path}"

    def clean(self, text: str, *, longest: int = LONGEST_TEXT, also: tuple[str, ...] = ()) -> str:
        """
        Make a text that others wrote fit for a message, without any secret of this connection.

        :param text: of any length, with anything in it.
        :param longest: how many characters may remain.
        :param also: further secrets.
        """
        proxies = (*self.proxies.values(), *environment_proxies())
        return clean(text, secrets_of((self.api_key, *also), proxies), longest=longest)

    def without_key(self, text: str) -> str:
        """Return a text that may quote what was sent without the key, also as JSON and URLs write it."""
        pattern = "".join(
            rf"(?:\\?{re.escape(mark)}|\\u00{ord(mark):02x}|%{ord(mark):02x})" for mark in self.api_key
        )
        return re.sub(pattern, "***", text, flags=re.IGNORECASE)


def _extra(name: str, text: str | None) -> dict[str, Any]:
    # Not extra_dejson, which in a triggerer of some Airflow versions waits for the supervisor and stalls.
    try:
        extra = read_json(text) if text and text.strip() else {}
    except ValueError:
        extra = None
    if not isinstance(extra, dict):
        raise PictoryConfigurationError(f'{name}: the extra must be a JSON object, such as {{"timeout": 30}}')
    values = {key: _without_quotes(value) if key in KNOWN_EXTRAS else value for key, value in extra.items()}
    return {key: value for key, value in values.items() if value not in (None, "")}


def _without_quotes(value: object) -> object:
    """Return what a text stands for where it is JSON: the query of a connection's URI carries texts alone."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    if text.startswith(("{", "[")) or text == "null":
        try:
            return read_json(text)
        except ValueError:
            return text
    return None if text == "None" else text


def _api_key(name: str, password: str | None) -> str:
    key = (password or "").strip()
    if not key:
        raise PictoryConfigurationError(f"{name} has no password: put the Pictory API key (pictai_...) there")
    if key.lower().startswith("bearer "):
        raise PictoryConfigurationError(
            f"{name}: the password must be the raw API key (pictai_...), without 'Bearer' in front"
        )
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise PictoryConfigurationError(
            f"{name}: the password holds characters that no Pictory API key has; copy the key again"
        )
    return key


def _base_url(name: str, host: str | None, schema: str | None, port: int | None) -> str:
    text = (host or "").strip() or DEFAULT_BASE_URL
    url = text if "://" in text else f"{(schema or '').strip() or 'https'}://{text}"
    try:
        parts = urlsplit(url)
        own_port = parts.port
    except ValueError:
        parts, own_port = urlsplit(""), None
    if (
        parts.scheme not in _DEFAULT_PORTS
        or not parts.hostname
        or any(mark in url for mark in "?#@ \\")
        or not (url.isascii() and url.isprintable())
        # As http:/host and https://https://host are read, and http//host.
        or parts.netloc.lower() in ("http:", "https:")
        or _own_path(parts.path).startswith("//")
    ):
        given = "one with a user or password" if "@" in url else f"{host!r} (schema {schema!r})"
        raise PictoryConfigurationError(
            f"{name}: the host must be a base URL such as {DEFAULT_BASE_URL}, got {given}"
        )
    if port and not 0 < port < 65536:
        raise PictoryConfigurationError(f"{name}: the port must be one from 1 to 65535, or none, got {port}")
    place = parts.netloc if own_port is None else parts.netloc.rpartition(":")[0]
    number = own_port if own_port is not None else port or None
    base = f"{parts.scheme}://{place.rstrip(':')}"
    # The scheme's default port is left out, so that giving it doesn't make it another host.
    if number not in (None, _DEFAULT_PORTS[parts.scheme]):
        base += f":{number}"
    path = _own_path(parts.path)
    # Pictory itself has no path in front of it.
    wanted = "" if base.lower() == DEFAULT_BASE_URL else _PATH_OF_A_CALL.sub("", path)
    if path != wanted:
        raise PictoryConfigurationError(
            f"{name}: the host must be the base URL alone, {base}{wanted}, without the path of a call, "
            f"got {host!r}"
        )
    return base + path


def _own_path(path: str) -> str:
    """Return a path, such as a gateway's, without the API's own that people copy along."""
    return _COPIED_PATH.sub("", path)


def _seconds(value: object) -> float:
    """Read a number, or return NaN, which no comparison lets pass."""
    try:
        return math.nan if isinstance(value, bool) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return math.nan


def _timeout(name: str, value: object) -> float:
    seconds = _seconds(value)
    if not 0 < seconds <= LONGEST_TIMEOUT:
        allowed = f"a positive number of seconds, at most {LONGEST_TIMEOUT:g}"
        raise _refused(name, "timeout", allowed, value)
    return seconds


def _submission_window(name: str, value: object) -> float:
    seconds = _seconds(value)
    if not SHORTEST_SUBMISSION_WINDOW <= seconds <= LONGEST_SUBMISSION_WINDOW:
        limits = f"{SHORTEST_SUBMISSION_WINDOW:g} to {LONGEST_SUBMISSION_WINDOW:g}"
        raise _refused(name, "submission_window", f"a number of seconds from {limits}", value)
    return seconds


def _refused(name: str, extra: str, allowed: str, value: object) -> PictoryConfigurationError:
    return PictoryConfigurationError(f"{name}: extra {extra!r} must be {allowed}, got {shown(value)}")


def is_content(text: str) -> bool:
    """Return whether a text can't be a path, but may be what is to be in the file: a certificate, a key."""
    return (
        "-----" in text
        or len(text) > LONGEST_PATH
        or not text.isprintable()
        or _ENCODED_CERTIFICATE.fullmatch(text.strip()) is not None
    )


def _require_no_content(name: str, extra: str, value: object) -> None:
    """Refuse a certificate or a key where its path is needed, and quote nothing of it."""
    if isinstance(value, (list, Mapping)):
        for item in value.values() if isinstance(value, Mapping) else value:
            _require_no_content(name, extra, item)
    elif isinstance(value, str) and any(map(is_content, (value, *value.strip().strip("[]").split('"')))):
        raise PictoryConfigurationError(
            f"{name}: extra {extra!r} must be a path, but got what may be the content of a certificate or a "
            "key, so it isn't shown here. Store it in a file that the workers and the triggerer can read, "
            "and give the path of that file"
        )


def _verify(name: str, value: object) -> bool | str:
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.strip().lower(), value)
    raise _refused(name, "verify", "true, false or the path of trusted authorities", value)


def _proxies(name: str, value: object) -> dict[str, str]:
    if isinstance(value, str):
        value = {"http": value, "https": value}
    if isinstance(value, Mapping):
        # None means no proxy for a scheme, whatever the environment says. As an empty text, requests keeps to
        # that on redirects as well; and in place of a list of hosts it means that there is none.
        proxies = {
            scheme: url.strip() if isinstance(url, str) else "" if url is None else url
            for scheme, url in value.items()
            if url is not None or scheme != "no_proxy"
        }
        if all(_is_proxy(scheme, url) for scheme, url in proxies.items()):
            return proxies
    # Not shown, since proxy URLs may hold a password.
    raise PictoryConfigurationError(
        f"{name}: extra 'proxies' must be a proxy URL such as http://proxy:3128, or a dict of them by scheme"
    )


def _is_proxy(scheme: object, url: object) -> bool:
    if not isinstance(scheme, str) or not isinstance(url, str):
        return False
    if not url or scheme == "no_proxy":
        return True
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        return bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False


def _cert(name: str, value: object) -> str | tuple[str, str] | None:
    if isinstance(value, (list, tuple)) and len(value) == 2:
        certificate, key = value
        # Without a key of its own, the certificate's file has both.
        if key in (None, ""):
            value = certificate
        elif isinstance(certificate, str) and isinstance(key, str):
            return (certificate, key)
    if value is None or (isinstance(value, str) and not value.startswith(("[", "{"))):
        return value
    raise PictoryConfigurationError(
        f"{name}: extra 'cert' must be a path, or a list of the paths of certificate and key"
    )


def _switch(name: str, extra: str, present: Mapping[str, Any], *, default: bool) -> bool:
    value = present.get(extra, default)
    if isinstance(value, bool):
        return value
    # As a URI has it.
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    raise _refused(name, extra, "true or false", value)
