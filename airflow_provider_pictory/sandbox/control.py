"""
The control surface: what a test or a curious person can see and steer that no client of Pictory's could.

The same operations are to be had over HTTP and in Python; each belongs on the thread of the event loop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_pictory.api.jobs import JobStatus
from airflow_provider_pictory.sandbox import wire
from airflow_provider_pictory.sandbox.faults import FaultForm, InvalidFaultError, read_fault, read_faults
from airflow_provider_pictory.sandbox.faults.reading import MOST_FAULTS
from airflow_provider_pictory.sandbox.scripted_responses import ScriptedResponse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_provider_pictory.sandbox.jobs import Job
    from airflow_provider_pictory.sandbox.parts import Parts


class Control:
    """
    Looks into a sandbox and steers it.

    :param parts: the sandbox's.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def counts(self) -> dict[str, Any]:
        """
        Return what has happened so far, in numbers.

        ``requests`` by route, such as ``"GET /pictoryapis/v1/jobs/{job_id}"``; ``statuses`` by route and HTTP
        status, such as ``"200"``; ``jobs_created``, ``credits_used``, ``jobs_rendered``; ``jobs_of_others``,
        which aren't among those created, and ``credits_used_by_others``, which are among those used;
        ``files_asked_with_key`` (a client that does that gives its key away), ``webhooks_sent`` and
        ``webhooks_failed``; ``faults`` by kind, and ``requests_permitted`` and ``requests_limited`` by those
        of them that limit rates.
        """
        parts, jobs = self._parts, self._parts.service.jobs
        return {
            "requests": dict(parts.counter.requests),
            "statuses": {route: dict(statuses) for route, statuses in parts.counter.statuses.items()},
            "jobs_created": sum(not job.is_foreign for job in jobs),
            "jobs_of_others": sum(job.is_foreign for job in jobs),
            "credits_used": wire.amount(parts.service.credits_used),
            "credits_used_by_others": wire.amount(parts.service.credits_used_by_others),
            "jobs_rendered": parts.files.jobs_rendered,
            "files_asked_with_key": parts.files.asked_with_key,
            "webhooks_sent": parts.webhooks.sent,
            "webhooks_failed": parts.webhooks.failed,
            "faults": dict(parts.injector.times),
            "requests_permitted": parts.injector.requests_permitted,
            "requests_limited": parts.injector.requests_limited,
        }

    def jobs(self) -> list[dict[str, Any]]:
        """
        Return all jobs in the order of submission, with what Pictory doesn't tell about them.

        ``prompt``, ``request`` and ``credits_taken``; ``outcome``, the status that a job ends with, whether
        it has already or not, and when: ``ends``; ``is_foreign`` for those of other clients; ``polls``, how
        often it was asked for, whatever the response was, ``first_poll`` and ``last_poll``.
        """
        return [self._description(job) for job in self._parts.service.jobs]

    def set_job(
        self, job_id: str, status: str, *, error_code: str | None = None, error_message: str | None = None
    ) -> dict[str, Any]:
        """
        Give a job another status from now on, and its credits back when that is ``failed``.

        :param job_id: which job.
        :param status: a documented status, or any other text to see how a client copes.
        :param error_code: of a failure.
        :param error_message: of a failure.
        :raises UnknownJobError: when there is no such job.
        """
        service = self._parts.service
        job = service.set_status(job_id, status, error_code=error_code, error_message=error_message)
        if service.status(job) != JobStatus.COMPLETED:
            self._parts.files.forget(job)
        self._parts.webhooks.send_due()
        return self._description(job)

    def respond_next(
        self,
        path: str = "/",
        *,
        method: str | None = None,
        status: int = 200,
        headers: Mapping[str, Any] | None = None,
        body: object = "",
        is_processed: bool = False,
        times: int = 1,
    ) -> None:
        """
        Respond to the next fitting requests with something else than the truth.

        :param path: which requests: those whose path begins so, with or without ``/pictoryapis`` in front.
        :param method: which requests: those of this method, or of any without it.
        :param status: the HTTP status.
        :param headers: the headers; ``Content-Type`` is JSON's unless they say otherwise.
        :param body: the body as it goes over the wire; what isn't text or bytes is sent as JSON.
        :param is_processed: whether the service acts on the request all the same, so that only its response
            is lost.
        :param times: how many requests, at most a million.
        :raises ValueError: when that is too often, or too many responses wait already.
        """
        response = ScriptedResponse(
            path=path,
            method=method,
            status=status,
            headers=dict(headers or {}),
            body=body,
            is_processed=is_processed,
            times=times,
        )
        self._parts.scripted_responses.add(response)

    def faults(self) -> list[dict[str, Any]]:
        """Return the faults that are set, as JSON, with how often each has happened: ``times``."""
        return self._parts.injector.describe()

    def seed(self) -> int:
        """Return what repeats the decisions of this sandbox, for the next run."""
        return self._parts.injector.seed

    def set_faults(self, faults: Iterable[FaultForm], *, seed: int | None = None) -> None:
        """
        Replace all faults; schedules and counts start anew.

        :param faults: the new ones, each a model of
            :mod:`airflow_provider_pictory.sandbox.faults.kinds`, its text or its JSON object.
        :param seed: starts the decisions anew as well; they go on without it.
        :raises InvalidFaultError: when one of them is none; then nothing has changed.
        """
        self._parts.injector.set(read_faults(faults), seed=seed)

    def add_fault(self, fault: FaultForm) -> None:
        """
        Set one more fault.

        :param fault: in any of its forms, such as ``"server-error:status=503,count=2"``.
        :raises InvalidFaultError: when it is none, or there are too many.
        """
        added = read_fault(fault)
        if len(self.faults()) >= MOST_FAULTS:
            raise InvalidFaultError(f"there are {MOST_FAULTS} faults already, and can't be more")
        self._parts.injector.add(added)

    def clear_faults(self) -> None:
        """Let nothing more go wrong; what has been decided for jobs stays."""
        self._parts.injector.clear()

    def advance(self, seconds: float) -> None:
        """Move the sandbox's time ahead, so that jobs end without anybody waiting."""
        self._parts.clock.advance(seconds)
        self._parts.webhooks.send_due()

    def _description(self, job: Job) -> dict[str, Any]:
        return {
            "job_id": job.job_id,
            "video_id": job.video_id,
            "status": str(self._parts.service.status(job)),
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


def _moment(moment: float | None) -> str | None:
    return None if moment is None else wire.timestamp(moment)
