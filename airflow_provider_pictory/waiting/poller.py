"""The one poller that all waiting tasks of an event loop share for one connection."""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import math
import random
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, TypeVar
from weakref import WeakKeyDictionary

from airflow_provider_pictory.api import JobStatus, VideoJob
from airflow_provider_pictory.exceptions import PictoryError, PictoryRateLimitedError
from airflow_provider_pictory.waiting.job_list import LIST_POLLS_IN_A_ROW, MOST_PAGES, JobListYield
from airflow_provider_pictory.waiting.limits import timed_out
from airflow_provider_pictory.waiting.pace import Pace

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable

    from airflow_provider_pictory.hooks.pictory import PictoryHook
    from airflow_provider_pictory.waiting.job_watch import JobWatch

Response = TypeVar("Response")

MAXIMUM_IN_FLIGHT = 50
# Polls begin together, at moments that are so many seconds apart: the loop then wakes up for many of them at
# once, sends them together, and often finds their responses together. So small a delay does no harm.
TICK = 0.05
# How many seconds after its deadline a wait still lasts, for its last poll to end.
LONGEST_LAST_POLL = 60.0
# Polls per second to spread the first polls of many jobs over, after a restart for instance, and the longest
# that one of them may have to wait, in seconds.
FIRST_POLLS_PER_SECOND = 50.0
LONGEST_FIRST_DELAY = 15.0


@dataclass(eq=False)
class _Wait:
    """One task's wait for a job, which concludes in that task's context, so that log lines reach its log."""

    watch: JobWatch
    ended: asyncio.Future[VideoJob]
    context: contextvars.Context = field(default_factory=contextvars.copy_context)

    def conclude(self, seen: VideoJob | PictoryError, longest: float | None = None) -> float | None:
        """Return the seconds until the next poll, or ``None`` when this wait is over."""
        if self.ended.done():
            return None
        try:
            pause = self.context.run(self.watch.pause_after, seen, longest)
        except Exception as error:  # noqa: BLE001  (also of a log handler, which others must not suffer from)
            self.ended.set_exception(error)
            return None
        if pause is None and not isinstance(seen, PictoryError):
            self.ended.set_result(seen)
        return pause


class JobPoller:
    """
    Poll jobs for all who wait in one event loop with one connection.

    There is one session, one fetched connection, one schedule in which each job is due at its own time, a
    bounded number of requests in flight and one pace for all. A job is polled once, however many wait for it.
    Get it with :func:`shared_poller`.

    :param hook: makes the calls; the poller closes it.
    """

    def __init__(self, hook: PictoryHook) -> None:
        self._hook = hook
        self._loop = asyncio.get_running_loop()
        self._waits: dict[str, list[_Wait]] = {}
        self._due: list[tuple[float, str]] = []
        # A job whose waiters come and go may stand in the heap more than once; only this moment counts.
        self._planned: dict[str, float] = {}
        self._in_flight: dict[str, asyncio.Task[None]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._pace = Pace()
        self._list = JobListYield()
        self._scan: asyncio.Task[None] | None = None
        # Jobs that are due, and whose status the list is expected to show.
        self._held: set[str] = set()
        # Since when the list was believed about a job without a poll of its own.
        self._believed_since: dict[str, float] = {}
        # Jobs whose next poll is their own, and those among them by which the list itself is checked.
        self._own: set[str] = set()
        self._checked: set[str] = set()
        self.users = 0

    async def ended(self, watch: JobWatch) -> VideoJob:
        """
        Wait for a job.

        :param watch: what this wait knows and wants.
        :return: the job once it has ended, however it ended.
        :raises PictoryError: as :meth:`JobWatch.pause_after`.
        """
        wait = _Wait(watch, self._loop.create_future())
        waits = self._waits.setdefault(watch.job_id, [])
        waits.append(wait)
        # Other waits may have seen the end of the job and not be gone yet.
        if watch.job_id not in self._in_flight:
            spread = min(len(self._waits) / FIRST_POLLS_PER_SECOND, LONGEST_FIRST_DELAY)
            # A handful of jobs is polled without delay.
            delay = random.uniform(0, spread) if spread > 0.2 else 0.0  # noqa: S311  (no secret)
            delay = max(delay, watch.first_pause)
            planned = self._planned.get(watch.job_id)
            if planned is None or self._loop.time() + delay < planned:
                self._plan(watch.job_id, delay)
        try:
            # Polls may hang or have to queue, and a deadline must not wait for them.
            async with asyncio.timeout(watch.remaining + LONGEST_LAST_POLL):
                return await wait.ended
        except TimeoutError:
            raise timed_out(watch.job_id, None, "") from None
        finally:
            waits.remove(wait)
            if not waits:
                del self._waits[watch.job_id]
                self._believed_since.pop(watch.job_id, None)
                for jobs in (self._held, self._own, self._checked):
                    jobs.discard(watch.job_id)

    async def aclose(self) -> None:
        """Stop polling and close the session."""
        if self._timer is not None:
            self._timer.cancel()
        polls = [*self._in_flight.values(), *filter(None, [self._scan])]
        for poll in polls:
            poll.cancel()
        await asyncio.gather(*polls, return_exceptions=True)
        await self._hook.aclose()

    def _plan(self, job_id: str, delay: float) -> None:
        due = self._loop.time() + delay
        if delay > 0:
            due = math.ceil(due / TICK) * TICK
        self._planned[job_id] = due
        heapq.heappush(self._due, (due, job_id))
        self._start_due_polls()

    def _start_due_polls(self) -> None:
        while self._due and len(self._in_flight) < MAXIMUM_IN_FLIGHT:
            due, job_id = self._due[0]
            now = self._loop.time()
            # Not rounded to ticks, which would make the pace slower than Pictory allows.
            start = max(due, self._pace.ready_at)
            if start > now:
                self._wake_up_at(start)
                return
            heapq.heappop(self._due)
            if self._planned.get(job_id) != due:
                continue
            del self._planned[job_id]
            if job_id in self._waits:
                if self._is_for_the_list(job_id, now):
                    self._held.add(job_id)
                    self._scan = self._scan or self._loop.create_task(self._read_list())
                else:
                    self._own.discard(job_id)
                    self._believed_since.pop(job_id, None)
                    self._pace.sent(now)
                    self._in_flight[job_id] = self._loop.create_task(self._poll(job_id))

    def _is_for_the_list(self, job_id: str, now: float) -> bool:
        """Tell whether the list may show how a job is; only the job's own poll ends a wait."""
        return (
            job_id not in self._own
            and self._list.is_worthwhile(len(self._waits), now)
            and self._has_time(job_id)
        )

    def _has_time(self, job_id: str) -> bool:
        return all(wait.watch.remaining > 0 for wait in self._waits[job_id])

    def _interval(self, job_id: str) -> float:
        return min(wait.watch.interval for wait in self._waits[job_id])

    def _poll_itself(self, job_id: str) -> None:
        self._own.add(job_id)
        self._plan(job_id, 0.0)

    def _wake_up_at(self, moment: float) -> None:
        """Schedule a wake-up, unless one is due before; waking up too early does no harm."""
        if self._timer is not None:
            if self._timer.when() <= moment:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(moment, self._wake_up)

    def _wake_up(self) -> None:
        self._timer = None
        self._start_due_polls()

    async def _poll(self, job_id: str) -> None:
        pauses: list[float | None] = []
        try:
            seen = await self._ask(job_id)
            if job_id in self._checked and isinstance(seen, VideoJob):
                self._checked.discard(job_id)
                self._list.check(has_ended=seen.has_ended, now=self._loop.time())
            longest = self._list.pause if self._list.is_read_on else None
            pauses = [wait.conclude(seen, longest) for wait in tuple(self._waits.get(job_id, ()))]
        except Exception as error:  # noqa: BLE001  (each of those who wait must hear of it)
            for wait in tuple(self._waits.get(job_id, ())):
                if not wait.ended.done():
                    wait.ended.set_exception(error)
        finally:
            del self._in_flight[job_id]
        wanted = [pause for pause in pauses if pause is not None]
        if wanted:
            self._plan(job_id, min(wanted))
        else:
            self._start_due_polls()

    async def _read_list(self) -> None:
        """Read pages of the list of jobs as long as they are worth it, and poll the jobs not found there."""
        page_key: str | None = None
        seen: set[str] = set()
        try:
            if not await self._hook.ais_job_list_polled():
                self._list.rest(math.inf)
                return
            self._list.begin()
            for _ in range(MOST_PAGES):
                await asyncio.sleep(max(0.0, self._pace.ready_at - self._loop.time()))
                self._pace.sent(self._loop.time())
                page = await self._paced(self._hook.alist_jobs(page_key))
                shown = [job for job in page.jobs if job.job_id in self._waits and job.job_id not in seen]
                for job in shown:
                    seen.add(str(job.job_id))
                    self._learn(str(job.job_id), job.status)
                page_key = page.next_page_key
                is_more_wanted = self._list.page(len(shown), page.size)
                if page_key is None or not is_more_wanted or len(seen) >= len(self._waits):
                    break
            self._list.end(self._loop.time())
        except Exception:  # noqa: BLE001  (each job's own poll says what is wrong)
            self._list.rest(self._loop.time())
        finally:
            self._scan = None
            held, self._held = self._held, set()
            for job_id in held & self._waits.keys():
                self._poll_itself(job_id)

    def _learn(self, job_id: str, status: str | None) -> None:
        """Believe the list that a job is running, and poll the job itself for anything else."""
        self._held.discard(job_id)
        if job_id in self._in_flight:
            return
        now = self._loop.time()
        believed_for = now - self._believed_since.setdefault(job_id, now)
        is_checked = believed_for >= LIST_POLLS_IN_A_ROW * self._interval(job_id)
        if status != JobStatus.IN_PROGRESS or is_checked or not self._has_time(job_id):
            if status == JobStatus.IN_PROGRESS and is_checked:
                self._checked.add(job_id)
            self._poll_itself(job_id)
            return
        seen = VideoJob(job_id, JobStatus.IN_PROGRESS)
        pauses = [wait.conclude(seen, self._list.pause) for wait in tuple(self._waits[job_id])]
        wanted = [pause for pause in pauses if pause is not None]
        if wanted:
            self._plan(job_id, min(wanted))

    async def _ask(self, job_id: str) -> VideoJob | PictoryError:
        try:
            return await self._paced(self._hook.aget_job(job_id))
        except PictoryError as error:
            return error

    async def _paced(self, call: Awaitable[Response]) -> Response:
        """Make a call, and learn from its response how fast Pictory may be asked."""
        sent_at = self._loop.time()
        try:
            response = await call
        except PictoryRateLimitedError as error:
            self._pace.limited(self._loop.time(), sent_at, error.retry_after)
            raise
        except PictoryError:
            self._pace.responded()
            raise
        self._pace.responded()
        return response


_pollers: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, JobPoller]] = WeakKeyDictionary()


@asynccontextmanager
async def shared_poller(pictory_conn_id: str) -> AsyncIterator[JobPoller]:
    """
    Share the poller of the running loop and this connection.

    It starts with the first who waits and ends with the last.

    :param pictory_conn_id: id of the Airflow connection.
    """
    # The first import takes most of a second, which every other trigger of the process would wait for.
    module = await asyncio.to_thread(import_module, "airflow_provider_pictory.hooks.pictory")
    pollers = _pollers.setdefault(asyncio.get_running_loop(), {})
    poller = pollers.get(pictory_conn_id)
    if poller is None:
        poller = pollers[pictory_conn_id] = JobPoller(module.PictoryHook(pictory_conn_id))
    poller.users += 1
    try:
        yield poller
    finally:
        poller.users -= 1
        if poller.users == 0:
            del pollers[pictory_conn_id]
            await asyncio.shield(poller.aclose())
