"""What can be seen for free: keys, refusals, lists, ledger, and how the connection behaves."""

from __future__ import annotations

import socket
import ssl
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit
from urllib.request import getproxies

import requests
from requests.utils import select_proxy

from airflow_provider_pictory.api import ResponseError, ResponseErrorKind
from airflow_provider_pictory.api.headers import read_http_date
from airflow_provider_pictory.api.responses import Quota, read_job, read_quota
from airflow_provider_pictory.client.session import USER_AGENT
from airflow_provider_pictory.client.settings import API_PATH
from airflow_provider_pictory.client.submitting import SUBMIT_PATH
from live_check.findings import code, names_of

if TYPE_CHECKING:
    from live_check.findings import Findings
    from live_check.service import Exchange, Service

WRONG_KEY = "pictai_00000000-no-key-of-anybody"
URLLIB = "Python-urllib/3.12"
REFUSED_FIELD = "prompt"
UNKNOWN_FIELD = "fieldOfLiveCheck"
# Wrong in so many ways that no service can make a video of it, whichever of them it looks at.
REFUSED_BODY = {
    REFUSED_FIELD: "x",
    "model": "no-model-of-live-check",
    "aspectRatio": "0:0",
    "duration": "0s",
    UNKNOWN_FIELD: True,
}
LEDGER_FIELDS = {"transactionId", "type", "amount", "source", "description", "plan", "transactionDate"}
_PLAIN_REFUSALS = range(300, 500)


def check_connection(service: Service, findings: Findings) -> None:
    """See TLS and what plain http does."""
    base = urlsplit(service.settings.base_url)
    host = base.hostname or ""
    if base.scheme != "https":
        findings.miss(("tls", "plain-http"), "the base URL is http")
        return
    if select_proxy(service.settings.base_url, getproxies()):
        findings.miss(("tls",), "a proxy is in between")
    else:
        _check_tls(host, base.port or 443, findings)
    try:
        # Without the key, which must never go over plain http.
        response = requests.get(
            f"http://{base.netloc}{API_PATH}/v1/quota",
            headers={"User-Agent": USER_AGENT},
            auth=lambda request: request,
            allow_redirects=False,
            timeout=service.settings.timeout,
            stream=True,
        )
    except requests.RequestException as error:
        findings.note("plain-http", f"no response ({type(error).__name__})", is_expected=True)
        return
    with response:
        leads_to = urlsplit(response.headers.get("Location", "")).scheme
        is_redirect = 300 <= response.status_code < 400
        findings.note(
            "plain-http",
            f"{response.status_code}" + (f", a redirect to {leads_to or 'nowhere'}" if is_redirect else ""),
            is_expected=response.status_code in _PLAIN_REFUSALS and (not is_redirect or leads_to == "https"),
        )


def _check_tls(host: str, port: int, findings: Findings) -> None:
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    try:
        with (
            socket.create_connection((host, port), timeout=10) as connection,
            context.wrap_socket(connection, server_hostname=host) as secured,
        ):
            version = secured.version() or "unknown"
    except OSError as error:
        findings.note("tls", f"no connection ({type(error).__name__})", is_expected=False)
    else:
        findings.note("tls", version, is_expected=version in ("TLSv1.2", "TLSv1.3"))


def check_keys(service: Service, findings: Findings) -> None:
    """See what the key opens, and what happens without it."""
    quota_of(service, findings)
    bearer = service.get_with("/v1/quota", f"Bearer {service.settings.api_key}")
    findings.note("bearer", f"{bearer.status}", is_expected=bearer.status == 401)
    wrong = service.get_with("/v1/quota", WRONG_KEY)
    says = "message Unauthorized" if wrong.document.get("message") == "Unauthorized" else "another message"
    findings.note("wrong-key", f"{wrong.status}, {says}", is_expected=(wrong.status, says[0]) == (401, "m"))
    without = service.get_with("/v1/quota", None)
    findings.note("no-key", f"{without.status}", is_expected=without.status == 401)
    # Without a key, since it isn't the API that refuses.
    robot = service.get_with("/v1/quota", None, URLLIB)
    kind = "no JSON" if robot.json is None else "JSON"
    findings.note(
        "user-agent", f"{robot.status}, {kind}", is_expected=robot.status == 403 and robot.json is None
    )


def quota_of(service: Service, findings: Findings) -> Quota | None:
    """Return the quota, and note how it came."""
    exchange = service.get("/v1/quota")
    try:
        quota = read_quota(exchange.response)
    except ResponseError as error:
        findings.note("quota", refusal(exchange, error), is_expected=False)
        return None
    findings.note("quota", f"{exchange.status}, {names_of(exchange.document)}", is_expected=True)
    return quota


def refusal(exchange: Exchange, error: ResponseError) -> str:
    """Return what the package makes of a response, without what it quotes."""
    fields = f", fields {names_of(exchange.document)}" if exchange.document else ""
    return f"{exchange.status}, read as {error.kind}{fields}"


def check_refusals(service: Service, findings: Findings) -> bool:
    """
    See how bad requests are refused.

    :return: whether a submission that had to be refused was accepted, so that one may have been paid for.
    """
    job_id = str(uuid.uuid4())
    unknown = service.get(f"/v1/jobs/{job_id}")
    levels = (unknown.document, unknown.data)
    codes = {level.get("error_code") for level in levels} | {level.get("error_message") for level in levels}
    kind = kind_of(unknown, job_id)
    where = "in data" if "error_code" in unknown.data else "at the top"
    shown = ", ".join(sorted(code(it) for it in codes if it is not None)) or "no code"
    findings.note(
        "unknown-job",
        f"{unknown.status}, {shown}, {where}",
        is_expected=unknown.status == 404
        and kind is ResponseErrorKind.JOB_NOT_FOUND
        and {"5000", "JOB_NOT_FOUND"} <= codes,
    )
    refused = service.post(SUBMIT_PATH, REFUSED_BODY)
    fields = _fields(refused)
    findings.note(
        "refused-request",
        f"{refused.status}, {code(refused.document.get('code'))}, fields {names_of(fields)}",
        is_expected=refused.status == 400
        and refused.document.get("code") == "INVALID_REQUEST_BODY"
        and REFUSED_FIELD in fields,
    )
    findings.note(
        "unknown-field",
        "among the fields" if UNKNOWN_FIELD in fields else "not among them",
        is_expected=UNKNOWN_FIELD not in fields,
    )
    page = service.get("/v1/jobs?nextPageKey=no-key-of-a-page")
    findings.note("bad-page-key", f"{page.status}", is_expected=page.status == 400)
    year = service.get(f"/v1/aicredits/usage?year={datetime.now(UTC).year}")
    findings.note("ledger-year", f"{year.status}", is_expected=year.status == 400)
    return refused.status < 400 or refused.status >= 500


def kind_of(exchange: Exchange, job_id: str) -> ResponseErrorKind | None:
    """Return what kind of error the package sees in a response about a job; ``None`` where it sees a job."""
    try:
        read_job(exchange.response, job_id)
    except ResponseError as error:
        return error.kind
    return None


def _fields(exchange: Exchange) -> list[str]:
    fields = exchange.document.get("fields")
    items = fields if isinstance(fields, list) else []
    names = [item.get("name") for item in items if isinstance(item, dict)]
    return [name for name in names if isinstance(name, str)]


def check_ledger(service: Service, findings: Findings) -> None:
    """See the form of the credit ledger."""
    exchange = service.get("/v1/aicredits/usage")
    lines = ledger_lines(exchange)
    if lines is None:
        findings.note("ledger", f"{exchange.status}, no array of objects", is_expected=False)
        return
    if not lines:
        findings.miss(("ledger",), "an empty array: there are no transactions this month")
        return
    there = set.intersection(*(set(line) for line in lines))
    kinds = {line.get("type") for line in lines}
    is_expected = there >= LEDGER_FIELDS and kinds <= {"debit", "credit"}
    findings.note(
        "ledger", f"{exchange.status}, {len(lines)} lines with {names_of(there)}", is_expected=is_expected
    )


def ledger_lines(exchange: Exchange) -> list[dict[str, Any]] | None:
    """Return the lines of the ledger; ``None`` where there is no array of them."""
    lines = exchange.json
    if exchange.status != 200 or not isinstance(lines, list):
        return None
    return lines if all(isinstance(line, dict) for line in lines) else None


def check_whole_run(service: Service, findings: Findings, slow_after: float) -> None:
    """Say what all responses of this run had in common."""
    exchanges = service.exchanges
    if not exchanges:
        findings.miss(("date", "redirects", "rate-limit", "seconds"), "there was no response")
        return
    dated = sum(read_http_date(it.response.headers.get("date", "")) is not None for it in exchanges)
    findings.note("date", f"in {dated} of {len(exchanges)}", is_expected=dated == len(exchanges))
    redirected = sum(300 <= it.status < 400 for it in exchanges)
    findings.note("redirects", f"{redirected} of {len(exchanges)} calls", is_expected=not redirected)
    limited = [it for it in exchanges if it.status == 429]
    forms = {"Retry-After" if "retry-after" in it.response.headers else "no Retry-After" for it in limited}
    seen = f"{len(limited)} of {len(exchanges)}"
    findings.note(
        "rate-limit",
        f"{seen} with {' and '.join(sorted(forms))}" if limited else seen,
        is_expected=not limited,
    )
    slowest = max(it.seconds for it in exchanges)
    typical = sorted(it.seconds for it in exchanges)[len(exchanges) // 2]
    findings.note(
        "seconds", f"median {typical:.2f} s, slowest {slowest:.2f} s", is_expected=slowest < slow_after
    )


def page_path(path: str, page_key: str | None) -> str:
    """Return the path of a page of a list."""
    return f"{path}?nextPageKey={quote(page_key, safe='')}" if page_key else path
