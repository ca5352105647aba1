"""The kinds of faults, and for each what it means and which parameters it has."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from airflow_provider_pictory.sandbox.faults.parameters import RetryAfter

if TYPE_CHECKING:
    from collections.abc import Mapping


class FaultKind(StrEnum):
    """What can go wrong."""

    SERVER_ERROR = "server-error"
    RATE_LIMIT = "rate-limit"
    CDN_REFUSAL = "cdn-refusal"
    SLOW_RESPONSE = "slow-response"
    DRIPPING_RESPONSE = "dripping-response"
    NO_RESPONSE = "no-response"
    TRUNCATED_JSON = "truncated-json"
    HTML_PAGE = "html-page"
    WRONG_SHAPE = "wrong-shape"
    DROP_BEFORE_PROCESSING = "drop-before-processing"
    DROP_AFTER_PROCESSING = "drop-after-processing"
    DROP_WHILE_RESPONDING = "drop-while-responding"
    JOB_FAILS = "job-fails"
    JOB_OUT_OF_CREDITS = "job-out-of-credits"
    JOB_CLEANED = "job-cleaned"
    JOB_UNDOCUMENTED_STATUS = "job-undocumented-status"
    JOB_UNKNOWN_AT_FIRST = "job-unknown-at-first"
    JOB_APPEARS_LATE = "job-appears-late"
    FOREIGN_JOBS = "foreign-jobs"
    LAGGING_LISTS = "lagging-lists"
    EXPIRING_URLS = "expiring-urls"
    WEBHOOK_TWICE = "webhook-twice"
    WEBHOOK_LATE = "webhook-late"
    WEBHOOK_NEVER = "webhook-never"


@dataclass(frozen=True)
class KindRules:
    """
    What is true for all faults of a kind.

    :param meaning: what happens, in words that name the parameters.
    :param defaults: the parameters of its own, each with what it is when nothing else is said.
    :param is_on_requests: whether it befalls requests as they come, whatever they are for.
    :param has_filter: whether it can be narrowed to some requests by path and method.
    :param is_always_processed: whether the service acts on the request though its response gets hurt.
    """

    meaning: str
    defaults: Mapping[str, object] = field(default_factory=dict)
    is_on_requests: bool = False
    has_filter: bool = False
    is_always_processed: bool = False

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of all parameters that such a fault can have."""
        return (*self.defaults, *(FILTERS if self.has_filter else ()), *TRIGGERS)


TRIGGERS = ("rate", "count", "after", "until")
FILTERS = ("path", "method")


def _on_requests(meaning: str, *, is_always_processed: bool = False, **defaults: object) -> KindRules:
    return KindRules(meaning, defaults, True, True, is_always_processed)


def _on_responses(meaning: str, **defaults: object) -> KindRules:
    return _on_requests(meaning, is_always_processed=True, **defaults)


def _elsewhere(meaning: str, *, has_filter: bool = False, **defaults: object) -> KindRules:
    return KindRules(meaning, defaults, has_filter=has_filter)


RULES: Mapping[FaultKind, KindRules] = {
    FaultKind.SERVER_ERROR: _on_requests(
        "An error with a STATUS from 500 up; SECONDS is what a Retry-After says.",
        status=500,
        has_body=True,
        is_processed=False,
        retry_after=RetryAfter.NONE,
        seconds=1.0,
    ),
    FaultKind.RATE_LIMIT: _on_requests(
        "A 429 for what exceeds BUDGET requests in any WINDOW of seconds, or for any request without a "
        "budget; Retry-After says when there is room again, or SECONDS.",
        budget=None,
        window=1.0,
        retry_after=RetryAfter.SECONDS,
        seconds=None,
        has_body=True,
    ),
    FaultKind.CDN_REFUSAL: _on_requests("A 403 with a page, as from the network in front.", has_body=True),
    FaultKind.SLOW_RESPONSE: _on_responses("The response comes SECONDS late.", seconds=1.0),
    FaultKind.DRIPPING_RESPONSE: _on_responses("The body comes byte by byte, one each SECONDS.", seconds=0.1),
    FaultKind.NO_RESPONSE: _on_requests("The connection stays open and nothing comes.", is_processed=False),
    FaultKind.TRUNCATED_JSON: _on_responses("Half the body, as if it was all."),
    FaultKind.HTML_PAGE: _on_requests("A page of HTML with status 200.", is_processed=False),
    FaultKind.WRONG_SHAPE: _on_responses("JSON, but not what it should be; another variant each time."),
    FaultKind.DROP_BEFORE_PROCESSING: _on_requests(
        "The connection ends, and the service never acted on the request.", is_reset=True
    ),
    FaultKind.DROP_AFTER_PROCESSING: _on_responses(
        "The connection ends without a response, though the service acted on the request.", is_reset=True
    ),
    FaultKind.DROP_WHILE_RESPONDING: _on_responses(
        "The connection ends after the headers and half the body.", is_reset=True
    ),
    FaultKind.JOB_FAILS: _elsewhere(
        "A job fails in the end.", error_code="5001", error_message="VIDEO_GENERATION_FAILED"
    ),
    FaultKind.JOB_OUT_OF_CREDITS: _elsewhere(
        "A job fails in the end for want of credits.",
        error_code="INSUFFICIENT_CREDITS",
        error_message="The account has not enough AI credits.",
    ),
    FaultKind.JOB_CLEANED: _elsewhere("A job's outputs are gone SECONDS after its end.", seconds=0.0),
    FaultKind.JOB_UNDOCUMENTED_STATUS: _elsewhere(
        "A job shows JOB_STATUS for its first SECONDS.", job_status="queued", seconds=5.0
    ),
    FaultKind.JOB_UNKNOWN_AT_FIRST: _elsewhere(
        "Asking for a job is a 404 for its first SECONDS; lists show it.", seconds=5.0
    ),
    FaultKind.JOB_APPEARS_LATE: _elsewhere(
        "A job is created only SECONDS after its submission was accepted: until then no list shows it, "
        "asking for it is a 404, and it costs nothing.",
        seconds=5.0,
    ),
    FaultKind.FOREIGN_JOBS: _elsewhere(
        "Another client of the account submits a job as well: with each submission that arrives, or "
        "PER_SECOND; it takes SECONDS to render, as long as any other without.",
        same_prompt=True,
        per_second=None,
        seconds=None,
    ),
    FaultKind.LAGGING_LISTS: _elsewhere(
        "The lists of jobs and of videos show how it was SECONDS ago.", has_filter=True, seconds=5.0
    ),
    FaultKind.EXPIRING_URLS: _elsewhere(
        "The URLs of results have another query each time, and are a STATUS from SECONDS later on.",
        seconds=60.0,
        status=403,
    ),
    FaultKind.WEBHOOK_TWICE: _elsewhere("A webhook comes again, SECONDS after the first.", seconds=0.0),
    FaultKind.WEBHOOK_LATE: _elsewhere("A webhook comes SECONDS after the job's end.", seconds=5.0),
    FaultKind.WEBHOOK_NEVER: _elsewhere("A webhook doesn't come."),
}
