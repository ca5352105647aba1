"""
What keeps the pages of the web out: any of them, open in a browser on this machine, can send requests to it.

A page can't read the responses, but steering the sandbox needs neither a key nor a response. So a request
that says by its ``Origin`` that it comes from another page is refused. A page whose name was made to lead
here (DNS rebinding) comes from the very name that it asks; so the control surface responds only under names
that nobody can own in public: addresses, names without a dot, and suffixes reserved for local use.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from aiohttp import web

from airflow_provider_pictory.sandbox import wire
from airflow_provider_pictory.sandbox.addresses import CONTROL_PREFIX, FILES_PREFIX

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler, Middleware

_LOCAL_SUFFIXES = (".localhost", ".local", ".internal", ".test")


def page_check(listening_on: str) -> Middleware:
    """
    Make the middleware that refuses what a page of the web has sent.

    :param listening_on: the host that the sandbox was told to listen on, which is a name of its own, too.
    """

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith(FILES_PREFIX):
            return await handler(request)
        host, origin = request.headers.get("Host", ""), request.headers.get("Origin")
        is_own = not host or _is_own_name(host, listening_on.lower())
        if request.path.startswith(CONTROL_PREFIX) and not is_own:
            return _refusal(
                f"The sandbox isn't steered under the name {host[:100]!r}: use localhost, its address, or "
                "the name that it was told to listen on."
            )
        if origin is not None and not (is_own and origin.lower().partition("://")[2] == host.lower()):
            return _refusal(f"The sandbox takes no requests from the page {origin[:100]!r}.")
        return await handler(request)

    return check


def _is_own_name(host: str, listening_on: str) -> bool:
    try:
        name = (urlsplit(f"//{host}").hostname or "").removesuffix(".")
    except ValueError:
        return False
    if name == listening_on or "." not in name or name.endswith(_LOCAL_SUFFIXES):
        return bool(name)
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _refusal(message: str) -> web.Response:
    return web.json_response(wire.error(message), status=403)
