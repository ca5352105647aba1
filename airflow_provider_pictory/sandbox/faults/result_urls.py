"""
Result URLs with a token that is another one each time and whose time runs out.

The token carries its own end and a signature, so nothing has to be remembered about those given out.

Guesses: the token's form, the response to an expired one, and that one token is good for a single video.
"""

from __future__ import annotations

import secrets
from hashlib import blake2b
from hmac import compare_digest
from itertools import count
from typing import TYPE_CHECKING

from airflow_provider_pictory.sandbox.faults.kinds import ExpiringUrls

if TYPE_CHECKING:
    from airflow_provider_pictory.sandbox.faults.injector import FaultInjector
    from airflow_provider_pictory.sandbox.jobs import Job
    from airflow_provider_pictory.sandbox.service import Clock

_NEVER = "never"


class ResultUrls:
    """
    Hands out tokens and honours them, while there is a fault of this kind; without it everything is open.

    :param injector: what decides.
    :param clock: whose time runs out.
    """

    def __init__(self, injector: FaultInjector, clock: Clock) -> None:
        self._injector = injector
        self._clock = clock
        self._secret = secrets.token_bytes(32)
        self._numbers = count(1)

    def query(self, job: Job) -> str:
        """Return the query of the URLs in the next response about a job."""
        fault = self._injector.active(ExpiringUrls)
        if fault is None:
            return ""
        end = _NEVER
        if fault.has_some_left and self._injector.happens(fault):
            end = f"{self._clock.now() + fault.fault.seconds:.3f}"
        begin = f"{end}-{next(self._numbers):x}"
        return f"?token={begin}-{self._signature(job.video_id, begin)}"

    def refusal(self, video_id: str, token: str) -> int | None:
        """
        Return the status with which the files of a video are refused, if they are.

        :param token: from the query of the URL; empty where there is none.
        """
        fault = self._injector.active(ExpiringUrls)
        if fault is None:
            return None
        begin, _, signature = token.rpartition("-")
        end = begin.partition("-")[0]
        if compare_digest(signature.encode(), self._signature(video_id, begin).encode()) and (
            end == _NEVER or self._clock.now() < float(end)
        ):
            return None
        return fault.fault.status

    def _signature(self, video_id: str, begin: str) -> str:
        return blake2b(f"{video_id} {begin}".encode(), key=self._secret, digest_size=12).hexdigest()
