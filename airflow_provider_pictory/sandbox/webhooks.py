"""
The notifications at a job's end: one POST each, best effort, that nothing else ever waits for.

Guesses: the body is the job as ``GET /v1/jobs/{job_id}`` shows it; there is one attempt, without a signature,
and redirects aren't followed.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING

import aiohttp

from airflow_provider_pictory.sandbox import wire

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aiohttp import web

    from airflow_provider_pictory.sandbox.jobs import Job
    from airflow_provider_pictory.sandbox.service import Service

_SHORTEST_WAIT = 0.01
_TIME_LIMIT = aiohttp.ClientTimeout(total=5)
_MOST_AT_ONCE = 20

log = logging.getLogger(__name__)


class _Notifications:
    """Those of one job that are still to come."""

    def __init__(self, job: Job, links: wire.Links, delays: Iterable[float]) -> None:
        self.job = job
        self.links = links
        self.delays = deque(delays)
        self.timer: asyncio.TimerHandle | None = None

    @property
    def due_at(self) -> float:
        """When the next one is due, if the job ends as planned."""
        return self.job.ends_at + self.delays[0]


class Webhooks:
    """
    Notifies those who asked for it, once per job unless told otherwise.

    :param service: whose jobs they are.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._waiting: dict[str, _Notifications] = {}
        self._calls: set[asyncio.Task[None]] = set()
        self._turns = asyncio.Semaphore(_MOST_AT_ONCE)
        self.sent = 0
        self.failed = 0

    def watch(self, job: Job, links: wire.Links, delays: Iterable[float]) -> None:
        """
        Plan the notifications of a job that wants them.

        :param job: the new job.
        :param links: the addresses of its files.
        :param delays: when to notify, in seconds after its end, the first one first.
        """
        notifications = _Notifications(job, links, delays)
        if notifications.delays:
            self._waiting[job.job_id] = notifications
            self._wake_up_for(notifications)

    def send_due(self) -> None:
        """Notify about every job that has ended since."""
        for notifications in list(self._waiting.values()):
            self._send_due_of(notifications)

    def forget(self, job: Job) -> None:
        """Leave out the notifications of a job that are still to come."""
        if (notifications := self._waiting.pop(job.job_id, None)) and notifications.timer:
            notifications.timer.cancel()

    async def stop(self, application: web.Application) -> None:
        """Give up all calls under way, since the server ends."""
        self._waiting.clear()
        calls = list(self._calls)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)

    def _send_due_of(self, notifications: _Notifications) -> None:
        job, now = notifications.job, self._service.clock.now()
        if self._service.has_ended(job):
            while notifications.delays and notifications.due_at <= now:
                notifications.delays.popleft()
                call = asyncio.get_running_loop().create_task(self._send(notifications))
                self._calls.add(call)
                call.add_done_callback(self._calls.discard)
            if not notifications.delays:
                self._waiting.pop(job.job_id, None)
                return
        # One with a status that is no end is left to whoever gave it that: only a change can end it.
        if notifications.due_at > now:
            self._wake_up_for(notifications)

    def _wake_up_for(self, notifications: _Notifications) -> None:
        if notifications.timer:
            notifications.timer.cancel()
        # The loop's time isn't the sandbox's, so a timer can come a moment too early.
        remaining = max(_SHORTEST_WAIT, notifications.due_at - self._service.clock.now())
        notifications.timer = asyncio.get_running_loop().call_later(remaining, self._wake_up, notifications)

    def _wake_up(self, notifications: _Notifications) -> None:
        if notifications.job.job_id in self._waiting:
            self._send_due_of(notifications)

    async def _send(self, notifications: _Notifications) -> None:
        job = notifications.job
        document = wire.job_document(job, self._service.clock.now(), notifications.links)
        try:
            async with (
                self._turns,
                aiohttp.ClientSession(timeout=_TIME_LIMIT) as session,
                session.post(str(job.order.webhook), json=document, allow_redirects=False) as response,
            ):
                response.raise_for_status()
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            self.failed += 1
            log.warning("The webhook of job %s failed: %r", job.job_id, error)
        else:
            self.sent += 1
