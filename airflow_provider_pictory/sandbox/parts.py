"""The parts of one sandbox, each made of those before it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_pictory.sandbox.counting import RequestCounter
from airflow_provider_pictory.sandbox.faults.connections import Connections
from airflow_provider_pictory.sandbox.faults.injector import FaultInjector
from airflow_provider_pictory.sandbox.faults.other_clients import OtherClients
from airflow_provider_pictory.sandbox.faults.result_urls import ResultUrls
from airflow_provider_pictory.sandbox.files import FileStore
from airflow_provider_pictory.sandbox.scripted_responses import ScriptedResponses
from airflow_provider_pictory.sandbox.service import Clock, Service
from airflow_provider_pictory.sandbox.sources import Sources
from airflow_provider_pictory.sandbox.webhooks import Webhooks

if TYPE_CHECKING:
    from aiohttp import web

    from airflow_provider_pictory.sandbox.settings import Settings


class Parts:
    """
    All that a sandbox consists of but its HTTP server.

    :param settings: what the user chose.
    :param clock: whose time counts; the machine's without it.
    """

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        self.settings = settings
        self.clock = clock or Clock()
        self.service = Service(
            render_seconds=settings.render_seconds, credit_limit=settings.credits, clock=self.clock
        )
        self.injector = FaultInjector(self.clock, settings.faults, settings.seed)
        self.other_clients = OtherClients(self.service, self.injector)
        self.result_urls = ResultUrls(self.injector, self.clock)
        self.webhooks = Webhooks(self.service)
        self._temporary = tempfile.TemporaryDirectory(prefix="pictory-sandbox-")
        folder = Path(self._temporary.name)
        self.sources = Sources(
            self.service, folder, self.webhooks.send_due, is_fetching=settings.fetch_sources
        )
        self.files = FileStore(self.service, folder, self.sources, self.result_urls)
        self.connections = Connections()
        self.scripted_responses = ScriptedResponses()
        self.counter = RequestCounter(self.service.note_poll)
        self.service.when_forgotten += [self.files.forget, self.sources.forget, self.webhooks.forget]

    async def remove_folder(self, application: web.Application) -> None:
        """Delete all files, since the server ends."""
        self._temporary.cleanup()
