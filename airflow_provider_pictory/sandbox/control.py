"""
The control surface: what a test or a curious person can see and steer that no client of Pictory's could.

It is no part of the API, needs no key, and its own requests aren't counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp import web

from airflow_provider_pictory.api.jobs import JobStatus
from airflow_provider_pictory.sandbox import wire
from airflow_provider_pictory.sandbox.addresses import CONTROL_PREFIX
from airflow_provider_pictory.sandbox.complaints import shown
from airflow_provider_pictory.sandbox.scripted_responses import (
    ScriptedResponse,
    ScriptedResponses,
    TooManyResponsesError,
)
from airflow_provider_pictory.sandbox.service import Service, UnknownJobError
from airflow_provider_pictory.sandbox.validation import InvalidBodyError, read_object

if TYPE_CHECKING:
    from airflow_provider_pictory.sandbox.counting import RequestCounter
    from airflow_provider_pictory.sandbox.faults.control import FaultControl
    from airflow_provider_pictory.sandbox.files import FileStore
    from airflow_provider_pictory.sandbox.jobs import Job
    from airflow_provider_pictory.sandbox.webhooks import Webhooks

_LONGEST_TEXT = 1000


class Control:
    """
    Looks into a sandbox and steers it; to be used on the thread of its event loop.

    :param service: what knows the jobs and the credits.
    :param files: what renders.
    :param webhooks: what notifies at a job's end.
    :param counter: what counts the requests.
    :param scripted_responses: what responds in the service's place.
    :param faults: what sets faults; also to be used from outside.
    """

    def __init__(
        self,
        service: Service,
        files: FileStore,
        webhooks: Webhooks,
        counter: RequestCounter,
        scripted_responses: ScriptedResponses,
        faults: FaultControl,
    ) -> None:
        self._service = service
        self._files = files
        self._webhooks = webhooks
        self._counter = counter
        self._scripted_responses = scripted_responses
        self.faults = faults

    def counts(self) -> dict[str, Any]:
        """Return what has happened so far, in numbers."""
        return {
            "requests": dict(self._counter.requests),
            "statuses": {route: dict(statuses) for route, statuses in self._counter.statuses.items()},
            "jobs_created": sum(not job.is_foreign for job in self._service.jobs),
            "jobs_of_others": sum(job.is_foreign for job in self._service.jobs),
            "credits_used": wire.amount(self._service.credits_used),
            "credits_used_by_others": wire.amount(self._service.credits_used_by_others),
            "jobs_rendered": self._files.jobs_rendered,
            "files_asked_with_key": self._files.asked_with_key,
            "webhooks_sent": self._webhooks.sent,
            "webhooks_failed": self._webhooks.failed,
            **self.faults.counts(),
        }

    def jobs(self) -> list[dict[str, Any]]:
        """Return all jobs in the order of submission, with what Pictory doesn't tell about them."""
        return [self._description(job) for job in self._service.jobs]

    def set_job(
        self,
        job_id: str,
        status: str,
        *,
        error_code: str | None = None,
        error_message: str | None = None,
    ) -> dict[str, Any]:
        """
        Return a job another status from now on.

        :param job_id: which job.
        :param status: a documented status, or any other text to see how a client copes.
        :param error_code: of a failure.
        :param error_message: of a failure.
        :raises UnknownJobError: when there is no such job.
        """
        job = self._service.set_status(job_id, status, error_code=error_code, error_message=error_message)
        if self._service.status(job) != JobStatus.COMPLETED:
            self._files.forget(job)
        self._webhooks.send_due()
        return self._description(job)

    def advance(self, seconds: float) -> None:
        """Move the sandbox's time ahead, so that jobs end without anybody waiting."""
        self._service.clock.advance(seconds)
        self._webhooks.send_due()

    def respond_next(self, response: ScriptedResponse, times: int = 1) -> None:
        """
        Response the next fitting requests with something else than the truth.

        :param response: with what, and which requests.
        :param times: how many requests.
        :raises TooManyResponsesError: when there is no room for it.
        """
        self._scripted_responses.add(response, times)

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of the control surface."""
        return [
            web.get(f"{CONTROL_PREFIX}/counts", self._response_counts),
            web.get(f"{CONTROL_PREFIX}/jobs", self._response_jobs),
            web.post(f"{CONTROL_PREFIX}/jobs/{{job_id}}", self._change_job),
            web.post(f"{CONTROL_PREFIX}/responses", self._script_response),
            *self.faults.routes(),
        ]

    def _description(self, job: Job) -> dict[str, Any]:
        return {
            "job_id": job.job_id,
            "video_id": job.video_id,
            "status": str(self._service.status(job)),
            "prompt": job.order.prompt,
            "request": dict(job.order.body),
            "credits_taken": wire.amount(job.credits_taken),
            "created": wire.timestamp(job.created_at),
            "ends": wire.timestamp(job.ends_at),
            "outcome": str(job.outcome),
            "error_code": job.error_code,
            "error_message": job.error_message,
            "cleaned": _moment(job.cleaned_at),
            "is_foreign": job.is_foreign,
            "polls": job.polls,
            "first_poll": _moment(job.first_poll_at),
            "last_poll": _moment(job.last_poll_at),
        }

    async def _response_counts(self, request: web.Request) -> web.Response:
        return web.json_response(self.counts())

    async def _response_jobs(self, request: web.Request) -> web.Response:
        return web.json_response({"jobs": self.jobs()})

    async def _change_job(self, request: web.Request) -> web.Response:
        change = await _arguments(request, {"status": str, "error_code": str, "error_message": str})
        if "status" not in change:
            raise web.HTTPBadRequest(reason="status is required")
        try:
            return web.json_response(self.set_job(request.match_info["job_id"], **change))
        except UnknownJobError:
            raise web.HTTPNotFound(reason="There is no such job") from None

    async def _script_response(self, request: web.Request) -> web.Response:
        kinds = {
            "path": str,
            "method": str,
            "status": int,
            "headers": dict,
            "body": object,
            "is_processed": bool,
            "times": int,
        }
        script = await _arguments(request, kinds)
        times = script.pop("times", 1)
        if not 200 <= script.get("status", 200) <= 599:
            raise web.HTTPBadRequest(reason="status must be an HTTP status from 200 to 599")
        if any(
            mark in text
            for it in script.get("headers", {}).items()
            for text in map(str, it)
            for mark in "\r\n\0"
        ):
            raise web.HTTPBadRequest(reason="headers are lines of text")
        try:
            self.respond_next(ScriptedResponse(**script), times)
        except TooManyResponsesError as error:
            raise web.HTTPBadRequest(reason=str(error)) from None
        return web.json_response({"times": times})


def _moment(moment: float | None) -> str | None:
    return None if moment is None else wire.timestamp(moment)


async def _arguments(request: web.Request, kinds: dict[str, type]) -> dict[str, Any]:
    try:
        arguments = read_object(await request.read())
    except InvalidBodyError as error:
        raise web.HTTPBadRequest(reason=error.message) from None
    for name, value in arguments.items():
        if name not in kinds:
            raise web.HTTPBadRequest(reason=f"{shown(name)} is none of {', '.join(kinds)}")
        # To Python, true is a whole number.
        if not isinstance(value, kinds[name]) or (isinstance(value, bool) and kinds[name] is int):
            raise web.HTTPBadRequest(reason=f"{name} must be of type {kinds[name].__name__}")
        if kinds[name] is str and isinstance(value, str) and len(value) > _LONGEST_TEXT:
            raise web.HTTPBadRequest(reason=f"{name} must have at most {_LONGEST_TEXT} characters")
    return arguments
