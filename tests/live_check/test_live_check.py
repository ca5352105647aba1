"""The live check finds a sandbox as expected, sees each difference, pays once, and tells no secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from live_check.__main__ import main
from live_check.account import UNKNOWN_FIELD, check_connection
from live_check.assumptions import ALL
from live_check.findings import Findings, Outcome
from live_check.report import report, table
from live_check.run import Options, Run
from live_check.service import Service, settings_of
from live_check.with_sandbox import PROMPT, fill
from tests.conftest import API_KEY
from tests.support.pictory_words import POST, count

if TYPE_CHECKING:
    from airflow_provider_pictory.sandbox.background import PictorySandbox

QUOTA = {"aiCredits": {"used": 0, "limit": 9}}
ONLY_OVER_TLS = {"tls", "plain-http"}
VIDEOS = "/v1/aistudio/videos"


@pytest.fixture
def sandbox(pictory_sandbox_factory):
    def start(videos=0, **arguments) -> PictorySandbox:
        started = pictory_sandbox_factory(**{"api_key": API_KEY, "render_seconds": 0.2, **arguments})
        fill(started, videos)
        return started

    return start


def run(sandbox, *parts, **options):
    chosen = {"pause": 0.0, "interval": 0.05, "is_paid": "clip" in parts, **options}
    if parts:
        chosen["parts"] = parts
    return Run(settings_of(sandbox.url, sandbox.api_key), Options(**chosen))


def outcomes(run):
    return {row.assumption.name: row.outcome for row in run.check().rows()}


def test_a_sandbox_is_as_expected(sandbox):
    pictory = sandbox(videos=45)

    found = outcomes(run(pictory, is_paid=True))

    assert {name for name, outcome in found.items() if outcome is Outcome.NOT_SEEN} == ONLY_OVER_TLS
    assert set(found.values()) == {Outcome.AS_EXPECTED, Outcome.NOT_SEEN}
    assert set(found) == {assumption.name for assumption in ALL}
    # The refused one, and the one that is paid for.
    assert count(pictory, POST) == 45 + 2
    assert pictory.counts()["jobs_created"] == 45 + 1
    assert pictory.counts()["files_asked_with_key"] == 0


def test_without_paid_nothing_is_paid(sandbox):
    pictory = sandbox(videos=1)

    found = outcomes(run(pictory))

    assert found["paid-response"] is Outcome.NOT_SEEN
    assert pictory.counts()["jobs_created"] == 1


def test_an_empty_account_shows_less_and_nothing_wrong(sandbox):
    found = outcomes(run(sandbox()))

    assert Outcome.DIFFERS not in found.values()
    assert found["job-list-order"] is found["url"] is found["ledger"] is Outcome.NOT_SEEN


# Each row's difference: which part sees it, and how the sandbox makes it, with faults or dictated responses.


def respond(path, body="", **details):
    return lambda sandbox: sandbox.respond_next(path, body=body, **details)


def pages(path, *documents):
    def dictate(sandbox):
        for document in documents:
            sandbox.respond_next(path, body=document)

    return dictate


def fault(text):
    return lambda sandbox: sandbox.add_fault(text)


def job(name, **data):
    return {"success": True, "data": {"jobId": name, "status": "completed", **data}}


def video(name, date="2026-01-01T00:00:00Z"):
    names = ("prompt", "aspectRatio", "model", "width", "height", "duration")
    pictures = ("previewImageUrl", "thumbnailImageUrl", "lastFrameImageUrl")
    return {
        "id": name,
        "url": f"http://a/{name}",
        "createdDate": date,
        **dict.fromkeys((*names, *pictures), "x"),
    }


def both(*dictate):
    return lambda sandbox: [it(sandbox) for it in dictate]


def undocumented_status(sandbox):
    sandbox.set_job(sandbox.jobs()[-1]["job_id"], "queued")


def finished(sandbox):
    """Respond to each poll with a finished job that lacks most."""
    data = {"status": "completed", "url": f"{sandbox.url}/files/no/video.mp4"}
    sandbox.respond_next("/v1/jobs/", body={"success": True, "data": data}, times=9)


def listed(sandbox):
    item = {**video("x", "2020-01-01T00:00:00Z"), "url": f"{sandbox.url}/files/no/video.mp4"}
    sandbox.respond_next(VIDEOS, method="GET", body={"items": [item]})


MP4 = {"Content-Type": "video/mp4", "Content-Range": "bytes 0-7/8", "ETag": '"x"'}
DIFFERENCES = [
    ("quota", "keys", respond("/v1/quota", {"data": QUOTA})),
    ("bearer", "keys", respond("/v1/quota", QUOTA, times=2)),
    ("wrong-key", "keys", respond("/v1/quota", QUOTA, times=3)),
    ("no-key", "keys", respond("/v1/quota", QUOTA, times=4)),
    ("user-agent", "keys", respond("/v1/quota", QUOTA, times=5)),
    ("unknown-job", "refusals", respond("/v1/jobs/", {"message": "Not Found"}, status=404)),
    ("refused-request", "refusals", fault("server-error:method=POST")),
    ("refused-request", "refusals", fault("no-response:method=POST")),
    (
        "unknown-field",
        "refusals",
        respond(VIDEOS, {"fields": [{"name": UNKNOWN_FIELD}]}, status=400, method="POST"),
    ),
    ("bad-page-key", "refusals", respond("/v1/jobs", {"items": []}, times=2)),
    ("ledger-year", "refusals", respond("/v1/aicredits", [])),
    ("job-list", "lists", respond("/v1/jobs", {"items": [{"id": 1}], "nextPageKey": None})),
    ("job-list", "lists", fault("truncated-json:path=/v1/jobs")),
    ("job-list", "lists", fault("html-page:path=/v1/jobs")),
    (
        "job-list-page-size",
        "lists",
        pages(
            "/v1/jobs",
            {"items": [job("a"), job("b")], "nextPageKey": "1"},
            {"items": [job("c")], "nextPageKey": "2"},
            {"items": [job("d")], "nextPageKey": None},
        ),
    ),
    (
        "job-list-pages",
        "lists",
        pages(
            "/v1/jobs", {"items": [job("a")], "nextPageKey": "1"}, {"items": [job("a")], "nextPageKey": None}
        ),
    ),
    ("job-list-end", "lists", respond("/v1/jobs", {"items": []})),
    (
        "job-list-order",
        "lists",
        both(
            respond(
                "/v1/jobs",
                {"items": [job("a", url="http://a/1"), job("b", url="http://a/2")], "nextPageKey": None},
            ),
            respond(
                VIDEOS, {"items": [video("2", "2026-01-01T01:00:00Z"), video("1", "2026-01-01T00:00:00Z")]}
            ),
        ),
    ),
    ("job-statuses", "lists", undocumented_status),
    ("job", "lists", respond("/v1/jobs/", {"job_id": "another", "data": {"status": "completed"}})),
    ("video-list", "lists", respond(VIDEOS, {"items": [{"id": "x"}]})),
    ("video-list", "lists", fault("wrong-shape:path=/v1/aistudio/videos")),
    ("video-list-page-size", "lists", respond(VIDEOS, {"items": [video("x")] * 101})),
    ("video-list-end", "lists", respond(VIDEOS, {"items": [], "nextPageKey": None})),
    (
        "video-list-order",
        "lists",
        respond(VIDEOS, {"items": [video("1"), video("2", "2026-01-02T00:00:00Z")]}),
    ),
    ("video-dates", "lists", respond(VIDEOS, {"items": [video("1", "2099-01-02T00:00:00Z")]})),
    ("video-dates", "lists", respond(VIDEOS, {"items": [video("1", "2026-01-02T00:00:00")]})),
    (
        "video-ids",
        "lists",
        both(
            respond("/v1/jobs", {"items": [job("x")], "nextPageKey": None}),
            respond(VIDEOS, {"items": [video("x")]}),
        ),
    ),
    ("list-lag", "lists", fault("lagging-lists:path=/v1/aistudio/videos,seconds=3000")),
    ("url", "files", fault("expiring-urls:seconds=0")),
    ("url", "files", respond("/files/", status=404, times=9)),
    ("url-range", "files", respond("/files/", "0000ftyp", times=9)),
    ("url-type", "files", respond("/files/", "<html>", headers=MP4, status=206, times=9)),
    ("url-etag", "files", respond("/files/", "x", headers={**MP4, "ETag": 'W/"x"'}, status=206, times=9)),
    ("url-of-oldest", "files", respond("/files/", status=403, times=9)),
    ("last-frame", "files", respond("/files/", "0000ftyp", headers=MP4, status=206, times=9)),
    ("ledger", "ledger", respond("/v1/aicredits", {"items": []})),
    ("date", "keys", respond("/v1/quota", QUOTA, headers={"Date": "never"})),
    ("redirects", "keys", respond("/v1/quota", status=302, headers={"Location": "https://elsewhere/"})),
    ("rate-limit", "keys", fault("rate-limit:count=1")),
    ("seconds", "keys", fault("slow-response:seconds=0.4,count=1")),
    ("paid-response", "clip", fault("drop-after-processing:method=POST")),
    ("paid-response", "clip", respond(VIDEOS, {"data": {"job": "x"}}, method="POST", is_processed=True)),
    ("paid-known", "clip", fault("job-unknown-at-first:seconds=0.1")),
    ("paid-states", "clip", fault("job-fails")),
    ("paid-states", "clip", fault("job-undocumented-status:seconds=0.1")),
    ("paid-in-job-list", "clip", fault("lagging-lists:path=/v1/jobs,seconds=3000")),
    ("paid-list-top", "clip", fault("foreign-jobs:per-second=300")),
    *((f"paid-{name}", "clip", finished) for name in ("names", "pictures", "duration", "credits", "url")),
    ("paid-quota", "clip", both(finished, fault("foreign-jobs"))),
    ("paid-ledger", "clip", both(finished, respond("/v1/aicredits", [], times=2))),
    ("paid-in-video-list", "clip", fault("lagging-lists:path=/v1/aistudio/videos,seconds=3000")),
    ("paid-listed-as", "clip", both(finished, listed)),
    ("paid-created-date", "clip", both(finished, listed)),
    ("paid-fresh-url", "clip", fault("expiring-urls:seconds=0")),
]


@pytest.mark.parametrize(
    ("name", "part", "make"), DIFFERENCES, ids=[f"{number}-{it[0]}" for number, it in enumerate(DIFFERENCES)]
)
def test_each_difference_is_seen(sandbox, name, part, make, monkeypatch):
    # A silent service is given up sooner than in the half minute of a connection.
    monkeypatch.setattr("live_check.service.TIMEOUT", 1.0)
    pictory = sandbox(videos=2, render_seconds=0.0 if make is finished else 0.2)
    make(pictory)

    check = run(pictory, part, slow_after=0.3)
    found = outcomes(check)

    assert found[name] is Outcome.DIFFERS
    assert pictory.counts()["jobs_created"] - 2 == (part == "clip")


def test_each_assumption_has_such_a_difference():
    assert {it[0] for it in DIFFERENCES} | ONLY_OVER_TLS == {assumption.name for assumption in ALL}


def test_what_is_wrong_with_tls_and_plain_http_is_seen(sandbox):
    pictory = sandbox()
    pictory.respond_next("/v1/quota", body=QUOTA)
    findings = Findings()

    check_connection(Service(settings_of(pictory.url.replace("http:", "https:"), API_KEY), 0.0), findings)

    assert {row.assumption.name: row.outcome for row in findings.rows()} == dict.fromkeys(
        ONLY_OVER_TLS, Outcome.DIFFERS
    )


@pytest.mark.parametrize("status", [200, 500])
def test_nothing_is_paid_when_the_bad_request_may_have_been_accepted(sandbox, status):
    pictory = sandbox()
    pictory.respond_next(VIDEOS, method="POST", status=status, body={"data": {"jobId": "x"}})

    found = outcomes(run(pictory, "refusals", "clip"))

    assert (found["refused-request"], found["paid-response"]) == (Outcome.DIFFERS, Outcome.NOT_SEEN)
    assert count(pictory, POST) == 1


def test_a_submission_is_not_repeated_even_where_the_package_would(sandbox):
    pictory = sandbox(faults=["rate-limit:method=POST"])

    found = outcomes(run(pictory, "clip"))

    assert found["paid-response"] is Outcome.DIFFERS
    assert count(pictory, POST) == 1


def test_too_few_credits_make_no_clip(sandbox):
    pictory = sandbox(credits=7)

    assert outcomes(run(pictory, "clip"))["paid-response"] is Outcome.NOT_SEEN
    assert count(pictory, POST) == 0


SECRETS = (API_KEY, API_KEY[8:], PROMPT, "A paper boat", "token=", "nextPageKey=")


@pytest.mark.parametrize(
    "make",
    [
        fault("expiring-urls:seconds=60"),
        respond("/v1/quota", f"no {API_KEY}", status=401, times=2),
        respond("/v1/quota", {API_KEY: f"https://host/?token={API_KEY}"}, status=500, times=2),
        respond("/v1/jobs/", {"error_code": API_KEY, "error_message": PROMPT}, status=404),
        respond(VIDEOS, {"code": API_KEY, "fields": [{"name": PROMPT}, {"name": API_KEY}]}, status=400),
        respond("/v1/jobs", {"items": [job("a", status=PROMPT)], "nextPageKey": API_KEY}),
        respond("/files/", headers={"Content-Type": API_KEY, "ETag": API_KEY}, times=3),
        fault("drop-after-processing"),
        fault("wrong-shape:rate=0.5"),
    ],
    ids=lambda it: "",
)
def test_no_secret_is_in_any_output(sandbox, make, tmp_path, monkeypatch, capfd, caplog):
    pictory = sandbox(videos=21)
    make(pictory)
    monkeypatch.setenv("PICTORY_API_KEY", API_KEY)
    monkeypatch.setenv("PICTORY_API_BASE_URL", pictory.url)
    monkeypatch.setattr("live_check.__main__.LIVE", {"pause": 0.0, "interval": 0.05})
    monkeypatch.setattr("live_check.__main__.SECONDS_TO_STOP", 0.0)
    file = tmp_path / "report.md"
    caplog.clear()
    capfd.readouterr()

    status = main(["--paid", "--report", str(file)])

    # Without what the sandbox in this process logs of the requests that it got.
    said = capfd.readouterr()
    # Airflow 2 shows the file in the place of the logger.
    own = [it for it in (said.out + said.err).splitlines() if "web_log.py" not in it]
    lines = [it for it in own if "aiohttp.access" not in it]
    logged = [it.getMessage() for it in caplog.records if it.name != "aiohttp.access"]
    text = "\n".join((*lines, *logged, file.read_text()))
    assert status in (0, 1)
    assert not [secret for secret in SECRETS if secret in text]
    assert "quota" in text


def test_the_exit_status_says_whether_something_differs(sandbox, tmp_path, monkeypatch, capsys):
    pictory = sandbox()
    monkeypatch.setenv("PICTORY_API_KEY", API_KEY)
    monkeypatch.setenv("PICTORY_API_BASE_URL", pictory.url)
    monkeypatch.setattr("live_check.__main__.LIVE", {"pause": 0.0})
    arguments = ["--report", str(tmp_path / "report.md")]

    good = main(arguments)
    pictory.add_fault("server-error:path=/v1/quota")
    bad = main(arguments)
    monkeypatch.delenv("PICTORY_API_KEY")
    without_key = main(arguments)

    assert (good, bad, without_key) == (0, 1, 2)
    assert "PAID=1 would also make one clip, for 8 AI credits" in capsys.readouterr().out


def test_table_and_report_have_each_row(sandbox):
    check = run(sandbox())
    rows = check.check().rows()

    assert len(report(rows, "https://api.example", check.requests).splitlines()) > len(rows) == len(ALL)
    assert "DIFFERS" not in table(rows)
