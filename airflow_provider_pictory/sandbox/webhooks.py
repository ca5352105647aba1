"""
The notifications at a job's end: one POST each, best effort, that nothing else ever waits for.

Guesses: the body is the job as ``GET /v1/jobs/{job_id}`` shows it; there is one attempt, without a signature,
and redirects aren't followed.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import aiohttp

from airflow_provider_pictory.api.jobs import JobStatus
from airflow_provider_pictory.sandbox import wire

if TYPE_CHECKING:
    from airflow_provider_pictory.sandbox.service import Job, Service

_SHORTEST_WAIT = 0.01
_TIME_LIMIT = aiohttp.ClientTimeout(total=5)

log = logging.getLogger(__name__)


class Webhooks:
    """
    Notifies those who asked for it, once per job.

    :param service: whose jobs they are.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._waiting: dict[str, tuple[Job, str]] = {}
        self._calls: set[asyncio.Task[None]] = set()
        self.sent = 0
        self.failed = 0

    def watch(self, job: Job, base_url: str) -> None:
        """
        Plan the notification of a job that wants one.

        :param job: the new job.
        :param base_url: where the client that submitted it reaches the sandbox.
        """
        if job.order.webhook:
            self._waiting[job.job_id] = (job, base_url)
            self._look_at_end_of(job)

    def send_due(self) -> None:
        """Notify about every job that has ended since."""
        for job_id, (job, base_url) in list(self._waiting.items()):
            if self._service.has_ended(job):
                del self._waiting[job_id]
                call = asyncio.get_running_loop().create_task(self._send(job, base_url))
                self._calls.add(call)
                call.add_done_callback(self._calls.discard)

    async def close(self) -> None:
        """Give up all calls under way."""
        self._waiting.clear()
        calls = list(self._calls)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)

    def _look_at_end_of(self, job: Job) -> None:
        remaining = max(_SHORTEST_WAIT, job.ends_at - self._service.clock.now())
        asyncio.get_running_loop().call_later(remaining, self._look_at, job)

    def _look_at(self, job: Job) -> None:
        self.send_due()
        # The loop's time isn't the sandbox's, so a timer can come a moment too early.
        if job.job_id in self._waiting and self._service.status(job) == JobStatus.IN_PROGRESS:
            self._look_at_end_of(job)

    async def _send(self, job: Job, base_url: str) -> None:
        document = wire.job_document(self._service, job, base_url)
        try:
            async with (
                aiohttp.ClientSession(timeout=_TIME_LIMIT) as session,
                session.post(str(job.order.webhook), json=document, allow_redirects=False) as answer,
            ):
                answer.raise_for_status()
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            self.failed += 1
            log.warning("The webhook of job %s failed: %r", job.job_id, error)
        else:
            self.sent += 1
