"""What the package assumes about Pictory and a run can see, one row of the table each."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from airflow_provider_pictory.client.settings import DEFAULT_SUBMISSION_WINDOW

WINDOW = f"{DEFAULT_SUBMISSION_WINDOW:g} s"


class Source(StrEnum):
    """Where an assumption comes from, which says how sure we are."""

    DOCUMENTED = "documented"
    GUESS = "guess"


@dataclass(frozen=True)
class Assumption:
    """
    One row of the table.

    :param name: how tests and the report call it.
    :param text: what is assumed.
    :param expected: what is to be seen.
    :param source: where that comes from.
    """

    name: str
    text: str
    expected: str
    source: Source = Source.DOCUMENTED


def _guess(name: str, text: str, expected: str) -> Assumption:
    return Assumption(name, text, expected, Source.GUESS)


CONNECTION = (
    _guess("tls", "The API is served over TLS with a trusted certificate", "TLSv1.2 or TLSv1.3"),
    _guess("plain-http", "Plain http doesn't serve the API", "a redirect, a refusal or no response"),
)
KEYS = (
    Assumption("quota", "The quota is a bare object", "200, aiCredits with used and limit"),
    Assumption("bearer", "The key is sent raw; after 'Bearer ' it is refused", "401"),
    Assumption("wrong-key", "A wrong key is refused", "401, message Unauthorized"),
    _guess("no-key", "A request without a key is refused", "401"),
    Assumption("user-agent", "The User-Agent of urllib is refused in front of the API", "403, no JSON"),
)
REFUSALS = (
    Assumption("unknown-job", "An unknown job is not found", "404, code 5000, JOB_NOT_FOUND"),
    Assumption(
        "refused-request", "A bad request is refused", "400, INVALID_REQUEST_BODY, fields with prompt"
    ),
    Assumption("unknown-field", "An unknown field is not complained about", "not among the fields"),
    _guess("bad-page-key", "A page key that is none is refused", "400"),
    Assumption("ledger-year", "The credit ledger's year needs a month", "400"),
)
JOB_LIST = (
    Assumption("job-list", "Each item of the job list has success, data.jobId and data.status", "200, each"),
    _guess("job-list-page-size", "All pages of the job list but the last have one size", "one size"),
    _guess("job-list-pages", "A page of the job list goes on where the one before ended", "no job twice"),
    Assumption("job-list-end", "The last page of the job list has nextPageKey null", "null"),
    Assumption("job-list-order", "The job list is in the order of creation, newest first", "newest first"),
    Assumption("job-statuses", "Jobs have documented statuses only", "documented ones"),
    Assumption("job", "A job that is listed can be asked for", "200, job_id, the same status"),
)
VIDEO_LIST = (
    Assumption("video-list", "Each item of the video list has the documented fields", "200, each"),
    Assumption("video-list-page-size", "A page of the video list has at most 100 videos", "at most 100"),
    Assumption("video-list-end", "The last page of the video list has no nextPageKey", "absent"),
    Assumption("video-list-order", "The video list is newest first, by createdDate", "newest first"),
    Assumption("video-dates", "createdDate is ISO 8601 and not later than the Date header", "each"),
    Assumption("video-ids", "The id of a listed video is not its job's", "none is a job's"),
    _guess("list-lag", "A finished video of the job list is in the video list", "each"),
)
LEDGER = (
    Assumption("ledger", "The credit ledger is a bare array of documented lines", "200, documented fields"),
)
FILES = (
    Assumption("url", "The URL of a video needs no key", "served without a key"),
    _guess("url-range", "The URL of a video serves ranges", "206 with Content-Range"),
    _guess("url-type", "What it serves is an MP4", "video/mp4 that begins with ftyp"),
    _guess("url-etag", "It has an ETag that stays the same", "a strong ETag, twice the same"),
    _guess("url-of-oldest", "The URL of the oldest listed video is served as well", "served"),
    Assumption("last-frame", "The last frame is a PNG that needs no key", "image/png"),
)
WHOLE_RUN = (
    _guess("date", "Each response has a Date header", "in each"),
    _guess("redirects", "No call is redirected", "none"),
    _guess("rate-limit", "One request a second is not too many", "no 429"),
    _guess("seconds", "Each call takes less than the 5 s that a baseline may take", "less than 5 s"),
)
PAID = (
    Assumption("paid-response", "A submission brings a job id", "200, success, data.jobId"),
    _guess("paid-known", "The job can be asked for at once", "200"),
    Assumption("paid-states", "The job is in progress, then completed", "in-progress, completed"),
    _guess("paid-in-job-list", "The job list shows the job in time", f"within {WINDOW}"),
    Assumption("paid-list-top", "The newest job is the first of the job list", "first"),
    Assumption("paid-names", "The finished job has the documented fields", "all of them"),
    _guess("paid-pictures", "It has thumbnailImageUrl and previewImageUrl", "both"),
    Assumption("paid-duration", "duration is a text such as 5s", "the duration that was asked for"),
    Assumption("paid-credits", "aiCreditsUsed is what the model's price says", "the estimate"),
    Assumption("paid-quota", "The quota's used credits rise by the price", "the estimate"),
    _guess("paid-ledger", "The credit ledger has a debit of the price", "a debit of the estimate"),
    _guess("paid-in-video-list", "The video list shows the video in time", f"within {WINDOW}"),
    Assumption("paid-listed-as", "It is listed as it was asked for", "prompt, model, ratio, duration"),
    _guess("paid-created-date", "createdDate lies between submission and end, by the Date header", "between"),
    Assumption("paid-url", "Job and video list have the same file", "the same address"),
    _guess("paid-fresh-url", "The job asked for again has a URL that is served", "served"),
)

FREE = (*CONNECTION, *KEYS, *REFUSALS, *JOB_LIST, *VIDEO_LIST, *LEDGER, *FILES, *WHOLE_RUN)
ALL = (*FREE, *PAID)

# What no run can see without harm, luck or a second account.
NEVER_SEEN = (
    "the form of a 429, unless one comes",
    "out of credits (INSUFFICIENT_CREDITS), as an HTTP error or as a failed job",
    "failed and cleaned jobs, unless the account has some",
    "DELETE /v1/jobs/{jobid}/clean, which deletes for good",
    "webhooks, which need a public address",
    "the sources of a video, and whether the Veo models make 8 s of reference images",
    "how many jobs may run at a time",
    "how long URLs live beyond the age of the oldest video in the list",
)
