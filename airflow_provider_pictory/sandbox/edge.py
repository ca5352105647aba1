"""
What a request to the API meets before the service does: the CDN, the key, and errors that come out as JSON.

Guesses: a request without any User-Agent is refused like urllib's; the page of that refusal; an unknown path
is a 404 and a wrong method a 405, both with a message in JSON, and both only for those who have a key.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from aiohttp import web

from airflow_provider_pictory.sandbox import wire
from airflow_provider_pictory.sandbox.addresses import API_PREFIX
from airflow_provider_pictory.sandbox.bodies import InvalidBodyError
from airflow_provider_pictory.sandbox.faults.responses import refusal
from airflow_provider_pictory.sandbox.service import (
    InsufficientCreditsError,
    TooManyJobsError,
    UnfinishedJobError,
    UnknownJobError,
)
from airflow_provider_pictory.sandbox.settings import KEY_PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp.typedefs import Handler, Middleware

# What the service refuses, and the response to it.
_REFUSALS: dict[type[Exception], tuple[int, Callable[[Any], wire.Document]]] = {
    InvalidBodyError: (400, wire.invalid_body),
    InsufficientCreditsError: (
        402,
        lambda _: wire.error("The account has not enough AI credits.", "INSUFFICIENT_CREDITS"),
    ),
    TooManyJobsError: (429, lambda error: wire.error(str(error))),
    UnknownJobError: (404, lambda error: wire.unknown_job(str(error.args[0]))),
    UnfinishedJobError: (400, lambda _: wire.error("The job has not ended.", "JOB_IN_PROGRESS")),
}

log = logging.getLogger(__name__)


@web.middleware
async def errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn what the service refuses, and aiohttp's errors in plain text, into the API's errors in JSON."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else None
        return web.json_response(wire.error(error.reason), status=error.status, headers=headers)
    except Exception as error:
        for kind, (status, document) in _REFUSALS.items():
            if isinstance(error, kind):
                return web.json_response(document(error), status=status)
        log.exception("The sandbox failed at %s %s", request.method, request.path)
        return web.json_response(wire.error("Internal Server Error"), status=500)


@web.middleware
async def content_delivery_network(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse clients that don't name themselves, with a page that is no JSON."""
    user_agent = request.headers.get("User-Agent", "").strip().lower()
    if _is_for_api(request) and (not user_agent or user_agent.startswith("python-urllib")):
        return refusal()
    return await handler(request)


def key_check(api_key: str | None) -> Middleware:
    """
    Make the middleware that lets only requests with a good key through.

    :param api_key: the one good key; without it, all that look like one of Pictory's are.
    """

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        key = request.headers.get("Authorization", "")
        if not _is_for_api(request) or (key == api_key if api_key else key.startswith(KEY_PREFIX)):
            return await handler(request)
        return web.json_response(wire.error("Unauthorized"), status=401)

    return check


def _is_for_api(request: web.Request) -> bool:
    return request.path.startswith(API_PREFIX)
