"""
The kinds of faults, each a model that says what it means and which parameters of its own it has.

A docstring here is what ``pictory-sandbox --list-faults`` says of the kind.
"""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from typing import Literal

from pydantic import Field

from airflow_provider_pictory.sandbox.faults.fault import (
    LONGEST_TEXT,
    Fault,
    FilteredFault,
    at_least_one,
    in_seconds,
)

RetryAfter = Literal["seconds", "date", "none"]

_retry_after = partial(Field, description="seconds, date or none")
_status = partial(Field, ge=400, le=599, description="an HTTP status from 400 to 599")
_text = partial(
    Field, min_length=1, max_length=LONGEST_TEXT, description=f"a text of at most {LONGEST_TEXT} characters"
)


class RequestFault(FilteredFault):
    """Befalls requests as they come, whatever they are for."""

    @property
    def is_acted_on(self) -> bool:
        """Whether the service acts on the request, so that only its response is hurt or lost."""
        return bool(getattr(self, "is_processed", isinstance(self, ResponseFault)))


class ServerError(RequestFault):
    """An error with a STATUS from 500 up; SECONDS is what a Retry-After says."""

    kind: Literal["server-error"] = "server-error"
    status: int = Field(default=500, ge=500, le=599, description="an HTTP status from 500 to 599")
    has_body: bool = True
    is_processed: bool = False
    retry_after: RetryAfter = _retry_after("none")
    seconds: float = in_seconds(1.0)


class RateLimit(RequestFault):
    """
    A 429 for what exceeds BUDGET requests in any WINDOW of seconds, or for any request without a budget;
    Retry-After says when there is room again, or SECONDS.
    """

    kind: Literal["rate-limit"] = "rate-limit"
    budget: int | None = at_least_one(None)
    window: float = Field(default=1.0, ge=0.001, le=10**9, description="seconds from 0.001 up")
    retry_after: RetryAfter = _retry_after("seconds")
    seconds: float | None = in_seconds(None)
    has_body: bool = True


class CdnRefusal(RequestFault):
    """A 403 with a page, as from the network in front."""

    kind: Literal["cdn-refusal"] = "cdn-refusal"
    has_body: bool = True


class NoResponse(RequestFault):
    """The connection stays open and nothing comes."""

    kind: Literal["no-response"] = "no-response"
    is_processed: bool = False


class HtmlPage(RequestFault):
    """A page of HTML with status 200."""

    kind: Literal["html-page"] = "html-page"
    is_processed: bool = False


class DropBeforeProcessing(RequestFault):
    """The connection ends, and the service never acted on the request."""

    kind: Literal["drop-before-processing"] = "drop-before-processing"
    is_reset: bool = True


class ResponseFault(RequestFault):
    """Befalls the response to a request that the service has acted on."""


class SlowResponse(ResponseFault):
    """The response comes SECONDS late."""

    kind: Literal["slow-response"] = "slow-response"
    seconds: float = in_seconds(1.0)


class DrippingResponse(ResponseFault):
    """The body comes byte by byte, one each SECONDS."""

    kind: Literal["dripping-response"] = "dripping-response"
    seconds: float = in_seconds(0.1)


class TruncatedJson(ResponseFault):
    """Half the body, as if it was all."""

    kind: Literal["truncated-json"] = "truncated-json"


class WrongShape(ResponseFault):
    """JSON, but not what it should be; another variant each time."""

    kind: Literal["wrong-shape"] = "wrong-shape"


class DropAfterProcessing(ResponseFault):
    """The connection ends without a response, though the service acted on the request."""

    kind: Literal["drop-after-processing"] = "drop-after-processing"
    is_reset: bool = True


class DropWhileResponding(ResponseFault):
    """The connection ends after the headers and half the body."""

    kind: Literal["drop-while-responding"] = "drop-while-responding"
    is_reset: bool = True


class JobFails(Fault):
    """A job fails in the end."""

    kind: Literal["job-fails"] = "job-fails"
    error_code: str = _text("5001")
    error_message: str = _text("VIDEO_GENERATION_FAILED")


class JobOutOfCredits(Fault):
    """A job fails in the end for want of credits."""

    kind: Literal["job-out-of-credits"] = "job-out-of-credits"
    error_code: str = _text("INSUFFICIENT_CREDITS")
    error_message: str = _text("The account has not enough AI credits.")


class JobCleaned(Fault):
    """A job's outputs are gone SECONDS after its end."""

    kind: Literal["job-cleaned"] = "job-cleaned"
    seconds: float = in_seconds(0.0)


class JobUndocumentedStatus(Fault):
    """A job shows JOB_STATUS for its first SECONDS."""

    kind: Literal["job-undocumented-status"] = "job-undocumented-status"
    job_status: str = _text("queued")
    seconds: float = in_seconds(5.0)


class JobUnknownAtFirst(Fault):
    """Asking for a job is a 404 for its first SECONDS; lists show it."""

    kind: Literal["job-unknown-at-first"] = "job-unknown-at-first"
    seconds: float = in_seconds(5.0)


class JobAppearsLate(Fault):
    """
    A job is created only SECONDS after its submission was accepted: until then no list shows it, asking for
    it is a 404, and it costs nothing.
    """

    kind: Literal["job-appears-late"] = "job-appears-late"
    seconds: float = in_seconds(5.0)


class ForeignJobs(Fault):
    """
    Another client of the account submits a job as well: with each submission that arrives, or PER_SECOND; it
    takes SECONDS to render, as long as any other without.
    """

    kind: Literal["foreign-jobs"] = "foreign-jobs"
    same_prompt: bool = True
    per_second: float | None = Field(
        default=None, ge=0.001, le=1000, description="a number from 0.001 to 1000"
    )
    seconds: float | None = in_seconds(None)


class LaggingLists(FilteredFault):
    """The lists of jobs and of videos show how it was SECONDS ago."""

    kind: Literal["lagging-lists"] = "lagging-lists"
    seconds: float = in_seconds(5.0)


class ExpiringUrls(Fault):
    """The URLs of results have another query each time, and are a STATUS from SECONDS later on."""

    kind: Literal["expiring-urls"] = "expiring-urls"
    seconds: float = in_seconds(60.0)
    status: int = _status(403)


class WebhookTwice(Fault):
    """A webhook comes again, SECONDS after the first."""

    kind: Literal["webhook-twice"] = "webhook-twice"
    seconds: float = in_seconds(0.0)


class WebhookLate(Fault):
    """A webhook comes SECONDS after the job's end."""

    kind: Literal["webhook-late"] = "webhook-late"
    seconds: float = in_seconds(5.0)


class WebhookNever(Fault):
    """A webhook doesn't come."""

    kind: Literal["webhook-never"] = "webhook-never"


KINDS = Fault.kinds

# A name for each kind, such as FaultKind.SERVER_ERROR, made from the models so that there is no second list.
FaultKind = StrEnum("FaultKind", {kind.replace("-", "_").upper(): kind for kind in KINDS})  # type: ignore[misc]
