"""One connection's settings become a requests session or an aiohttp session that behave the same."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit

import aiohttp
import requests
from requests.auth import AuthBase
from requests.utils import DEFAULT_CA_BUNDLE_PATH, select_proxy
from yarl import URL

from airflow_provider_pictory import __version__
from airflow_provider_pictory.client.settings import is_content
from airflow_provider_pictory.client.time_limit import TimeLimit
from airflow_provider_pictory.exceptions import PictoryConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from requests.adapters import HTTPAdapter

    from airflow_provider_pictory.client.settings import ConnectionSettings


USER_AGENT = f"airflow-provider-pictory/{__version__}"


class PictoryAuth(AuthBase):
    """
    Set the raw key, in the one place where requests lets nothing replace it.

    A plain ``Authorization`` header would be replaced by whatever ``~/.netrc`` has for the host, and would be
    sent along to other hosts.
    """

    def __init__(self, settings: ConnectionSettings) -> None:
        self._settings = settings

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the key to a request to Pictory, and to no other."""
        own, asked = urlsplit(self._settings.base_url), urlsplit(str(request.url))
        if (own.scheme, own.hostname, own.port) == (asked.scheme, asked.hostname, asked.port):
            request.headers["Authorization"] = self._settings.api_key
        return request


@dataclass(frozen=True)
class AsynchronousTransport:
    """
    An open aiohttp session and what each of its requests needs besides.

    :param settings: the connection it was made from.
    :param session: has no time limits of its own.
    :param options: keyword arguments of every request: the key, the proxy and the TLS context.
    :param time_limit: of every request.
    """

    settings: ConnectionSettings
    session: aiohttp.ClientSession
    options: Mapping[str, Any] = field(repr=False)
    time_limit: TimeLimit

    async def aclose(self) -> None:
        """Close the session, to be called by whoever asked for it."""
        self.time_limit.close()
        await self.session.close()


def synchronous_session(
    settings: ConnectionSettings, headers: Mapping[str, str], adapter: HTTPAdapter | None = None
) -> requests.Session:
    """
    Open a session of requests; what the environment says about proxies and authorities counts as usual.

    :param settings: of the connection.
    :param headers: of each request, besides the key.
    :param adapter: makes the connections that are kept open.
    """
    session = requests.Session()
    session.headers.update(headers)
    session.auth = PictoryAuth(settings)
    session.verify = settings.verify
    session.cert = settings.cert
    session.proxies.update(settings.proxies)
    if adapter is not None:
        session.mount("http://", adapter)
        session.mount("https://", adapter)
    environment = _environment(session, settings)
    proxy = select_proxy(settings.base_url, environment["proxies"]) or ""
    if settings.base_url.startswith("https://") or proxy.lower().startswith("https://"):
        # For files that can't be used, requests itself would blame the network, and it would ask a terminal
        # for a passphrase.
        _tls_context(environment["verify"], settings.cert)
    return session


async def asynchronous_transport(
    settings: ConnectionSettings, headers: Mapping[str, str]
) -> AsynchronousTransport:
    """
    Open a session of aiohttp that goes through the proxies and trusts the authorities that requests would.

    aiohttp's own reading of the environment stays off, since it lets ``~/.netrc`` interfere with the key.
    """
    with requests.Session() as plain:
        environment = _environment(plain, settings)
    # An empty proxy means none, as in requests.
    proxy = select_proxy(settings.base_url, environment["proxies"]) or None
    if proxy is not None and not proxy.startswith(("http://", "https://")):
        proxy = f"http://{proxy}" if "://" not in proxy else proxy
        if not proxy.startswith("http://"):
            raise PictoryConfigurationError(
                "Only http and https proxies work while a task is deferred; use one, or deferrable=False"
            )
    # Among the session's own headers the key would be sent to the proxy as well, as Proxy-Authorization.
    options: dict[str, Any] = {"proxy": proxy, "headers": {"Authorization": settings.api_key}}
    if settings.base_url.startswith("https://"):
        # Reading the authorities takes tens of milliseconds, which every other trigger would wait for.
        options["ssl"] = await asyncio.to_thread(_tls_context, environment["verify"], settings.cert)
    session = aiohttp.ClientSession(
        headers=headers, timeout=aiohttp.ClientTimeout(total=None), trust_env=False
    )
    return AsynchronousTransport(settings, session, options, TimeLimit(settings.timeout))


@lru_cache(maxsize=4096)
def parsed_url(url: str) -> URL:
    """
    Return a URL as aiohttp takes it.

    Jobs are polled again and again, many in turn, and parsing costs a twentieth of a request.
    """
    # Encoded already: a job's id is one segment of the path, whatever it is made of.
    return URL(url, encoded=True)


def _refuse_to_ask(path: str) -> NoReturn:
    """Take the place of the prompt by which a terminal is asked for a passphrase."""
    raise PictoryConfigurationError(
        f"The key in {path!r}, which the connection's extra 'cert' names, is encrypted, and nobody is there "
        "to be asked for its passphrase. Name a file with the key in plain form, which nobody but Airflow's "
        f"own user may read, as made by: openssl pkey -in {path} -out <file>"
    )


def _environment(session: requests.Session, settings: ConnectionSettings) -> Any:
    return session.merge_environment_settings(
        settings.base_url, dict(settings.proxies), False, settings.verify, settings.cert
    )


def _tls_context(verify: bool | str | None, cert: str | tuple[str, str] | None) -> ssl.SSLContext:
    authorities = verify if isinstance(verify, str) else DEFAULT_CA_BUNDLE_PATH
    try:
        if Path(authorities).is_dir():
            context = ssl.create_default_context(capath=authorities)
        else:
            context = ssl.create_default_context(cafile=authorities)
        if cert:
            certificate, key = (cert, None) if isinstance(cert, str) else cert
            context.load_cert_chain(certificate, key, partial(_refuse_to_ask, key or certificate))
    except OSError as error:
        shown = "not shown" if isinstance(verify, str) and is_content(verify) else repr(verify)
        raise PictoryConfigurationError(
            f"The connection's certificates (verify {shown}, cert {cert!r}) can't be loaded: {error}"
        ) from error
    if verify is False:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
