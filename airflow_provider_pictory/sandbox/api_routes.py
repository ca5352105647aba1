"""
The API's own paths, each a few lines between what was asked, the service and the form of the response.

Guesses: being out of credits is HTTP 402 with the code ``INSUFFICIENT_CREDITS``; cleaning a job that hasn't
ended is a 400; a year or month of the ledger that isn't one is a 400, and a month alone is this year's; a
page of the job list holds 20.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from aiohttp import web

from airflow_provider_pictory.sandbox import wire
from airflow_provider_pictory.sandbox.addresses import API_PREFIX
from airflow_provider_pictory.sandbox.bodies import invalid_parameter
from airflow_provider_pictory.sandbox.faults.job_fates import draw_fate, draw_notifications
from airflow_provider_pictory.sandbox.faults.kinds import LaggingLists
from airflow_provider_pictory.sandbox.paging import page
from airflow_provider_pictory.sandbox.validation import read_order

if TYPE_CHECKING:
    from airflow_provider_pictory.sandbox.jobs import Job
    from airflow_provider_pictory.sandbox.parts import Parts

JOBS_ON_A_PAGE = 20
VIDEOS_ON_A_PAGE = 100


class ApiRoutes:
    """
    Respond as Pictory would.

    :param parts: the sandbox's.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._service = parts.service

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of the API."""
        return [
            web.post(f"{API_PREFIX}/v1/aistudio/videos", self._submit),
            web.get(f"{API_PREFIX}/v1/aistudio/videos", self._list_videos),
            web.get(f"{API_PREFIX}/v1/jobs", self._list_jobs),
            web.get(f"{API_PREFIX}/v1/jobs/{{job_id}}", self._job),
            web.delete(f"{API_PREFIX}/v1/jobs/{{job_id}}/clean", self._clean),
            web.get(f"{API_PREFIX}/v1/quota", self._quota),
            web.get(f"{API_PREFIX}/v1/aicredits/usage", self._ledger),
        ]

    async def _submit(self, request: web.Request) -> web.Response:
        order = read_order(await request.read())
        job = self._service.submit(order, draw_fate(self._parts.injector))
        self._parts.sources.begin(job)
        if order.webhook:
            self._parts.webhooks.watch(job, self._links(request), draw_notifications(self._parts.injector))
        return web.json_response(wire.submission(job))

    async def _job(self, request: web.Request) -> web.Response:
        job = self._service.known_job(request.match_info["job_id"])
        await self._parts.sources.settle_if_due(job)
        return self._job_response(request, job)

    async def _clean(self, request: web.Request) -> web.Response:
        job = self._service.clean(request.match_info["job_id"])
        self._parts.files.forget(job)
        self._parts.sources.forget(job)
        return self._job_response(request, job)

    async def _list_jobs(self, request: web.Request) -> web.Response:
        moment, links = self._moment_shown(request), self._links(request)
        jobs, next_page_key = page(
            self._service.jobs_at(moment),
            lambda job: (job.created_at, job.position),
            JOBS_ON_A_PAGE,
            _page_key(request),
        )
        items = [wire.job_list_item(job, moment, links) for job in jobs]
        return web.json_response({"items": items, "nextPageKey": next_page_key})

    async def _list_videos(self, request: web.Request) -> web.Response:
        moment, links = self._moment_shown(request), self._links(request)
        jobs, next_page_key = page(
            self._service.finished_jobs_at(moment),
            lambda job: (job.ends_at, job.position),
            VIDEOS_ON_A_PAGE,
            _page_key(request),
        )
        document: wire.Document = {"items": [wire.video_list_item(job, links) for job in jobs]}
        if next_page_key:
            document["nextPageKey"] = next_page_key
        return web.json_response(document)

    async def _quota(self, request: web.Request) -> web.Response:
        return web.json_response(wire.quota(self._service))

    async def _ledger(self, request: web.Request) -> web.Response:
        now = datetime.fromtimestamp(self._service.clock.now(), UTC)
        year, month = request.query.get("year"), request.query.get("month")
        if year and not month:
            raise invalid_parameter("month")
        try:
            # Only a date's parts are checked here, the day is any.
            asked = datetime(int(year or now.year), int(month or now.month), 1, tzinfo=UTC)
        except (ValueError, OverflowError):
            raise invalid_parameter("year, month") from None
        lines = [
            wire.ledger_line(transaction)
            for transaction in self._service.transactions
            if (moment := datetime.fromtimestamp(transaction.moment, UTC)).year == asked.year
            and moment.month == asked.month
        ]
        return web.json_response(lines)

    def _job_response(self, request: web.Request, job: Job) -> web.Response:
        return web.json_response(wire.job_document(job, self._service.clock.now(), self._links(request)))

    def _moment_shown(self, request: web.Request) -> float:
        """Tell how old a list is that is about to be shown."""
        lag = self._parts.injector.draw(LaggingLists, request.method, request.path)
        return self._service.clock.now() - (lag.seconds if lag else 0.0)

    def _links(self, request: web.Request) -> wire.Links:
        # The address under which the client reached us, which behind a forwarded port only it knows.
        return wire.Links(f"{request.scheme}://{request.host}", self._parts.result_urls.query)


def _page_key(request: web.Request) -> str | None:
    return request.query.get("nextPageKey") or None
