"""
The jobs of the account's other clients, which its lists show among one's own and its credits pay for.

Guesses: nothing in a response tells whose a job is; one that the credits don't cover simply doesn't come.
"""

from __future__ import annotations

import json
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

from airflow_provider_pictory.sandbox.bodies import InvalidBodyError
from airflow_provider_pictory.sandbox.faults.kinds import ForeignJobs
from airflow_provider_pictory.sandbox.jobs import Fate, Job
from airflow_provider_pictory.sandbox.service import InsufficientCreditsError, Service, TooManyJobsError
from airflow_provider_pictory.sandbox.validation import VideoOrder, read_order

if TYPE_CHECKING:
    from airflow_provider_pictory.sandbox.faults.injector import FaultInjector

# Nobody compares these to the truth, so the oldest can go.
_MOST_JOBS_KEPT = 1000


class OtherClients:
    """
    Submits what other clients would. They need no timer: the jobs are made when somebody could see them.

    :param service: where to.
    :param injector: what decides.
    """

    def __init__(self, service: Service, injector: FaultInjector) -> None:
        self._service = service
        self._injector = injector
        self._jobs: deque[Job] = deque()
        self._last_order: VideoOrder | None = None
        self.submitted = 0

    @property
    def is_busy(self) -> bool:
        """Whether there are other clients at all."""
        return bool(self._injector.at_work(ForeignJobs))

    def accompany(self, body: bytes) -> None:
        """
        Submit jobs along with a submission that arrives, whatever becomes of that one.

        :param body: of the submission.
        """
        try:
            self._last_order = read_order(body)
        except InvalidBodyError:
            return
        now = self._service.clock.now()
        for it in self._injector.at_work(ForeignJobs):
            if it.fault.per_second is None and it.is_on(now) and self._injector.happens(it):
                self._submit(it.fault, now)

    def catch_up(self) -> None:
        """Submit what has come in the course of time since the last call."""
        now = self._service.clock.now()
        for it in self._injector.at_work(ForeignJobs):
            if it.fault.per_second is None:
                continue
            arrivals = int(max(0.0, min(now, it.ends_at) - it.begins_at) * it.fault.per_second)
            for arrival in range(max(it.arrivals, arrivals - _MOST_JOBS_KEPT), arrivals):
                if it.has_some_left and self._injector.happens(it):
                    self._submit(it.fault, it.begins_at + (arrival + 1) / it.fault.per_second)
            it.arrivals = arrivals

    def _submit(self, fault: ForeignJobs, moment: float) -> None:
        self.submitted += 1
        if fault.same_prompt and self._last_order:
            order = self._last_order
        else:
            order = read_order(json.dumps({"prompt": f"Somebody else's video {self.submitted}"}).encode())
        fate = Fate(render_seconds=fault.seconds, is_foreign=True)
        with suppress(InsufficientCreditsError, TooManyJobsError):
            self._jobs.append(self._service.submit(order, fate, created_at=moment))
        if len(self._jobs) > _MOST_JOBS_KEPT:
            self._service.forget(self._jobs.popleft())
