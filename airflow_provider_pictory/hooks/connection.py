"""What an Airflow connection of type ``pictory`` says about reaching Pictory, checked."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_provider_pictory.api.faults import shown
from airflow_provider_pictory.exceptions import PictoryConfigurationError

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection

DEFAULT_BASE_URL = "https://api.pictory.ai"
DEFAULT_TIMEOUT = 30.0
LONGEST_TIMEOUT = 24 * 60 * 60.0
API_PATH = "/pictoryapis"
KNOWN_EXTRAS = ("timeout", "verify", "proxies", "cert", "allow_private_hosts")


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
    :param allow_private_hosts: whether videos may be fetched from hosts that aren't on the open internet.
    :param unknown_extras: names in the connection's extra that mean nothing here.
    """

    api_key: str = field(repr=False)
    base_url: str = DEFAULT_BASE_URL
    timeout: float = DEFAULT_TIMEOUT
    verify: bool | str = True
    proxies: Mapping[str, str] = field(default_factory=dict, repr=False)
    cert: str | tuple[str, str] | None = None
    allow_private_hosts: bool = False
    unknown_extras: tuple[str, ...] = ()

    @classmethod
    def from_connection(cls, connection: Connection) -> ConnectionSettings:
        """
        Read and check a connection.

        :param connection: the Airflow connection; its password is the API key, its host the base URL, its
            extra may hold ``timeout``, ``verify``, ``proxies``, ``cert`` and ``allow_private_hosts``.
        :raises PictoryConfigurationError: when something can't be used; the message names the field and,
            unless it is the key, what it holds.
        """
        name = f"Airflow connection {connection.conn_id!r}"
        present = _extra(name, connection.extra)
        return cls(
            api_key=_api_key(name, connection.password),
            base_url=_base_url(name, connection.host, connection.schema, connection.port),
            timeout=_timeout(name, present.get("timeout", DEFAULT_TIMEOUT)),
            verify=_verify(name, present.get("verify", True)),
            proxies=_proxies(name, present.get("proxies", {})),
            cert=_cert(name, present.get("cert")),
            allow_private_hosts=_allow_private_hosts(name, present.get("allow_private_hosts", False)),
            unknown_extras=tuple(sorted(set(present) - set(KNOWN_EXTRAS))),
        )

    def url(self, path: str) -> str:
        """Give the full URL of a path of the API, such as ``/v1/quota``."""
        return f"{self.base_url}{API_PATH}{path}"

    def without_key(self, text: str) -> str:
        """Give a text that may quote what was sent without the key, also as JSON and URLs write it."""
        pattern = "".join(
            rf"(?:\\?{re.escape(mark)}|\\u00{ord(mark):02x}|%{ord(mark):02x})" for mark in self.api_key
        )
        return re.sub(pattern, "***", text, flags=re.IGNORECASE)


def _extra(name: str, text: str | None) -> dict[str, Any]:
    # Not extra_dejson, which in a triggerer of some Airflow versions waits for the supervisor and stalls.
    try:
        extra = json.loads(text) if text and text.strip() else {}
    except (ValueError, RecursionError):
        extra = None
    if not isinstance(extra, dict):
        raise PictoryConfigurationError(f'{name}: the extra must be a JSON object, such as {{"timeout": 30}}')
    return {key: value for key, value in extra.items() if value not in (None, "")}


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
    if "://" not in text:
        text = f"{(schema or '').strip() or 'https'}://{text}"
    url = text.rstrip("/").removesuffix(API_PATH).rstrip("/")
    try:
        parts = urlsplit(url)
        own_port = parts.port
    except ValueError:
        parts, own_port = urlsplit(""), None
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or any(mark in url for mark in "?#@ \\")
        or not (url.isascii() and url.isprintable())
    ):
        given = "one with a user or password" if "@" in url else f"{host!r} (schema {schema!r})"
        raise PictoryConfigurationError(
            f"{name}: the host must be a base URL such as {DEFAULT_BASE_URL}, got {given}"
        )
    if port and own_port is None:
        parts = parts._replace(netloc=f"{parts.netloc}:{port}")
    # With the scheme in lower case, as everything else here looks for it.
    return parts.geturl()


def _timeout(name: str, value: object) -> float:
    try:
        seconds = math.nan if isinstance(value, bool) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        seconds = math.nan
    if not 0 < seconds <= LONGEST_TIMEOUT:
        raise PictoryConfigurationError(
            f"{name}: extra 'timeout' must be a positive number of seconds, at most {LONGEST_TIMEOUT:g}, "
            f"got {shown(value)}"
        )
    return seconds


def _verify(name: str, value: object) -> bool | str:
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.strip().lower(), value)
    raise PictoryConfigurationError(
        f"{name}: extra 'verify' must be true, false or the path of trusted authorities, got {shown(value)}"
    )


def _proxies(name: str, value: object) -> dict[str, str]:
    if isinstance(value, str):
        value = {"http": value, "https": value}
    if isinstance(value, Mapping) and all(isinstance(item, str) for pair in value.items() for item in pair):
        proxies = dict(value)
        if all(_is_proxy(url) for url in proxies.values()):
            return proxies
    # Not shown, since proxy URLs may hold a password.
    raise PictoryConfigurationError(
        f"{name}: extra 'proxies' must be a proxy URL such as http://proxy:3128, or a dict of them by scheme"
    )


def _is_proxy(url: str) -> bool:
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        return bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False


def _cert(name: str, value: object) -> str | tuple[str, str] | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, (list, tuple)) and len(value) == 2 and all(isinstance(path, str) for path in value):
        return (value[0], value[1])
    raise PictoryConfigurationError(
        f"{name}: extra 'cert' must be a path, or a list of the paths of certificate and key"
    )


def _allow_private_hosts(name: str, value: object) -> bool:
    if isinstance(value, bool):
        return value
    # As a URI has it.
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    raise PictoryConfigurationError(
        f"{name}: extra 'allow_private_hosts' must be true or false, got {shown(value)}"
    )
