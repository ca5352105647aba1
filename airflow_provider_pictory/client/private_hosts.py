"""
A guard that the URL of a file leads to the open internet, not into the worker's own network.

Whoever could choose such a URL, or a redirect of it, could otherwise make a worker ask what only workers can
reach, a cloud's metadata for instance.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from requests.adapters import HTTPAdapter
from requests.utils import select_proxy
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from airflow_provider_pictory.exceptions import PictoryDownloadError

if TYPE_CHECKING:
    from collections.abc import Callable

    import requests

# What reaches IPv4 from networks that have IPv6 alone. (source: RFC 6052, 2.1)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def is_private(address: str) -> bool:
    """
    Return whether an address is anything but one of the open internet, also inside of an IPv6 address.

    :param address: IPv4 or IPv6, as the standard library writes them.
    """
    read = ipaddress.ip_address(address)
    if isinstance(read, ipaddress.IPv6Address):
        inner = read.ipv4_mapped or read.sixtofour
        if read in _NAT64:
            inner = ipaddress.IPv4Address(int(read) & 0xFFFFFFFF)
        if inner is not None:
            return is_private(str(inner))
        # The latter has the networks' own NAT64 prefixes and IPv4 addresses in their oldest form.
        if read.is_site_local or read.is_reserved:
            return True
    return not read.is_global or read.is_multicast


def addresses_of(host: str, port: int | None = None) -> list[str]:
    """Return the addresses that a host's name resolves to here; none where it can't be resolved."""
    # A name too long for the DNS is a UnicodeError.
    with contextlib.suppress(OSError, UnicodeError):
        return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    return []


class PublicHostsAdapter(HTTPAdapter):
    """
    Connect to addresses of the open internet alone, for a request and for each redirect of it.

    A name is looked up before a connection is made, and the address that the connection then has is checked
    before anything is sent, since a name can mean something else a moment later. Behind a proxy, which looks
    names up itself, only what is private as written is refused.

    :param allows_private_hosts: asked once something private is met; true lets it pass.
    """

    def __init__(self, allows_private_hosts: Callable[[], bool]) -> None:
        # Needed by the base class's own __init__.
        self._allows_private_hosts = allows_private_hosts
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **named: Any) -> None:
        """Make the manager of the connections that need no proxy."""
        super().init_poolmanager(*arguments, **named)
        refuse = self._refuse_private

        class PublicHTTPConnection(_PublicConnection, HTTPConnection):
            require_public = staticmethod(refuse)

        class PublicHTTPSConnection(_PublicConnection, HTTPSConnection):
            require_public = staticmethod(refuse)

        class PublicHTTPPool(HTTPConnectionPool):
            ConnectionCls = PublicHTTPConnection

        class PublicHTTPSPool(HTTPSConnectionPool):
            ConnectionCls = PublicHTTPSConnection

        self.poolmanager.pool_classes_by_scheme = {"http": PublicHTTPPool, "https": PublicHTTPSPool}

    def send(self, request: requests.PreparedRequest, *arguments: Any, **named: Any) -> requests.Response:
        """Send a request, unless it goes through a proxy to what is private by its very name."""
        if select_proxy(str(request.url), named.get("proxies")):
            host = urlsplit(str(request.url)).hostname or ""
            self._refuse_private(host, _addresses_in(host))
        return super().send(request, *arguments, **named)

    def _refuse_private(self, host: str, addresses: list[str]) -> None:
        private = [address for address in addresses if is_private(address)]
        if private and not self._allows_private_hosts():
            leads = host if host == private[0] else f"{host} ({private[0]})"
            raise PictoryDownloadError(
                f"The video's URL leads to {leads}, which isn't on the open internet, so it isn't asked for "
                "the video. If your files do lie there, say so in the extra of the Pictory connection: "
                '{"allow_private_hosts": true}'
            )


class _PublicConnection:
    require_public: Callable[[str, list[str]], None]
    host: str
    port: int

    def _new_conn(self) -> socket.socket:
        self.require_public(self.host, addresses_of(self.host, self.port))
        connected: socket.socket = super()._new_conn()  # type: ignore[misc]
        try:
            self.require_public(self.host, [str(connected.getpeername()[0])])
        except BaseException:
            connected.close()
            raise
        return connected


def _addresses_in(host: str) -> list[str]:
    """Return the address that a host is without a lookup, however it is written."""
    name = host.rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return ["127.0.0.1"]
    with contextlib.suppress(ValueError):
        return [str(ipaddress.ip_address(name))]
    # 127.1 and 0x7f000001, as the C library reads them.
    with contextlib.suppress(OSError, UnicodeError):
        return [socket.inet_ntoa(socket.inet_aton(name))]
    return []
