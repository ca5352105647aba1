"""The parts of a sandbox put together into a running HTTP server, the same for command and tests."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.utils import formatdate
from typing import TYPE_CHECKING

from aiohttp import web

from airflow_provider_pictory.sandbox.addresses import CONTROL_PREFIX
from airflow_provider_pictory.sandbox.api_routes import ApiRoutes
from airflow_provider_pictory.sandbox.control import Control
from airflow_provider_pictory.sandbox.control_routes import ControlRoutes
from airflow_provider_pictory.sandbox.edge import content_delivery_network, errors_as_json, key_check
from airflow_provider_pictory.sandbox.faults.middleware import FaultyFront
from airflow_provider_pictory.sandbox.pages import page_check
from airflow_provider_pictory.sandbox.parts import Parts
from airflow_provider_pictory.sandbox.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiohttp.typedefs import Handler, Middleware

    from airflow_provider_pictory.sandbox.service import Clock

_SECONDS_FOR_OPEN_REQUESTS = 1.0
_ADDRESSES_OF_ALL_INTERFACES = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunningServer:
    """
    A sandbox that responds.

    :param url: its base URL, without the API's path.
    :param control: what looks into it and steers it, on its event loop.
    :param loop: the event loop.
    """

    url: str
    control: Control
    loop: asyncio.AbstractEventLoop


@asynccontextmanager
async def serve(settings: Settings, *, clock: Clock | None = None) -> AsyncIterator[RunningServer]:
    """
    Run a sandbox for as long as the context lasts.

    :param settings: what the user chose.
    :param clock: whose time counts; the machine's without it.
    :raises OSError: when it can't listen where it shall.
    """
    parts = Parts(settings, clock)
    control = Control(parts)
    runner = web.AppRunner(
        _application(parts, control),
        shutdown_timeout=_SECONDS_FOR_OPEN_REQUESTS,
        access_log_format='"%r" %s',
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, settings.host, settings.port).start()
        _warn_unless_local(runner)
        yield RunningServer(_url(runner), control, asyncio.get_running_loop())
    finally:
        await runner.cleanup()


def _application(parts: Parts, control: Control) -> web.Application:
    application = web.Application(
        middlewares=[
            dated_by(parts.clock),
            page_check(parts.settings.host),
            parts.counter.middleware,
            parts.scripted_responses.middleware,
            FaultyFront(parts.injector, parts.connections, parts.other_clients).middleware,
            errors_as_json,
            content_delivery_network,
            key_check(parts.settings.api_key),
        ]
    )
    for routes in (ApiRoutes(parts), parts.files, ControlRoutes(control)):
        application.add_routes(routes.routes())
    application.on_response_prepare.append(parts.counter.count_status)
    application.on_shutdown.extend([parts.connections.end_all, parts.sources.stop, parts.webhooks.stop])
    application.on_cleanup.extend([parts.files.stop, parts.remove_folder])
    return application


def dated_by(clock: Clock) -> Middleware:
    """Make the middleware that dates responses by the sandbox's own time, as all else that it says."""

    @web.middleware
    async def date(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await handler(request)
        if not response.prepared:
            response.headers.setdefault("Date", formatdate(clock.now(), usegmt=True))
        return response

    return date


def _warn_unless_local(runner: web.AppRunner) -> None:
    addresses = [address[0] for address in runner.addresses]
    if not all(ipaddress.ip_address(address.partition("%")[0]).is_loopback for address in addresses):
        log.warning(
            "Listening on %s, so other machines may reach this sandbox: whoever does can see all prompts and "
            "videos, steer it under %s without a key, and let this machine fetch URLs. Without a host of "
            "your own it listens on %s alone",
            ", ".join(addresses),
            CONTROL_PREFIX,
            Settings().host,
        )


def _url(runner: web.AppRunner) -> str:
    address, port = runner.addresses[0][:2]
    address = _ADDRESSES_OF_ALL_INTERFACES.get(address, address)
    return f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"
