"""
The responses of a service in trouble: pages and documents that are not what was asked for.

Guesses: Pictory's documentation shows none of them. The pages look like those that content delivery networks
and load balancers send, the JSON of an error like the API's other errors.
"""

from __future__ import annotations

import json
import math
import time
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from aiohttp import web

from airflow_provider_pictory.sandbox import wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_pictory.sandbox.faults.kinds import RateLimit, RetryAfter, ServerError

_NAMES_NOT_IN_PYTHON = {520: "Web Server Returned an Unknown Error"}
_PAGE = """<!DOCTYPE html>
<html><head><title>{title}</title></head>
<body><h1>{title}</h1><p>{text}</p></body></html>
"""
_EXPIRED = """<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>{code}</Code><Message>{message}</Message></Error>
"""


def server_error(fault: ServerError) -> web.Response:
    """Return a 5xx: the service's own is JSON, one from in front of it is a page."""
    status, headers = fault.status, _retry_after(fault.retry_after, fault.seconds)
    if not fault.has_body:
        return web.Response(status=status, headers=headers)
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        return web.json_response(wire.error(_name(status)), status=status, headers=headers)
    return _page(status, f"{status} {_name(status)}", "The server could not complete your request.", headers)


def too_many_requests(fault: RateLimit, wait: float) -> web.Response:
    """
    Return a 429.

    :param wait: how many seconds remain until there is room again.
    """
    headers = _retry_after(fault.retry_after, wait)
    if not fault.has_body:
        return web.Response(status=429, headers=headers)
    return web.json_response(wire.error("Too Many Requests"), status=429, headers=headers)


def refusal(has_body: bool = True) -> web.Response:
    """Return the 403 of a network in front of the service."""
    text = "The request could not be satisfied: request blocked."
    return _page(403, "403 Forbidden", text) if has_body else web.Response(status=403)


def html_page() -> web.Response:
    """Return a page with the status of a success, as a proxy or a maintenance page would."""
    return _page(200, "We'll be right back", "Pictory is undergoing scheduled maintenance.")


def expired(status: int) -> web.Response:
    """Return what a file store responds to a URL whose time is over."""
    code, message = {
        403: ("AccessDenied", "Request has expired"),
        404: ("NoSuchKey", "The specified key does not exist."),
    }.get(status, ("Gone", "The resource is no longer available."))
    text = _EXPIRED.format(code=code, message=message)
    return web.Response(status=status, text=text, content_type="application/xml")


def of_wrong_shape(body: bytes, choose: Callable[[int], int]) -> bytes:
    """
    Turn a JSON document into another one that nobody expects.

    :param body: the right one.
    :param choose: chooses one of so many variants.
    """
    try:
        document = json.loads(body)
    except ValueError:
        document = {}
    shapes = _wrong_shapes(document)
    return json.dumps(shapes[choose(len(shapes))]).encode()


def _wrong_shapes(document: Any) -> list[Any]:
    shapes = [None, "OK", 7, {}, [document], {"result": document}]
    if isinstance(document, dict):
        shapes += [
            dict.fromkeys(document),
            {name: [value] for name, value in document.items()},
            {name: {"value": value} for name, value in document.items()},
            {name: _with_wrong_values(value) for name, value in document.items()},
        ]
    return shapes


def _with_wrong_values(value: Any) -> Any:
    """Keep the outer shape right, so that the surprise comes one level deeper."""
    if isinstance(value, dict):
        return {name: [inner] for name, inner in value.items()}
    return [None, 7, "item"] if isinstance(value, list) else value


def _retry_after(form: RetryAfter, wait: float) -> dict[str, str]:
    if form == "none":
        return {}
    if form == "seconds":
        return {"Retry-After": str(math.ceil(wait))}
    # Of the real time, since a client compares it to its own clock, whatever the sandbox's says.
    return {"Retry-After": formatdate(math.ceil(time.time() + wait), usegmt=True)}


def _name(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return _NAMES_NOT_IN_PYTHON.get(status, "Error")


def _page(status: int, title: str, text: str, headers: dict[str, str] | None = None) -> web.Response:
    page = _PAGE.format(title=title, text=text)
    return web.Response(status=status, text=page, content_type="text/html", headers=headers)
