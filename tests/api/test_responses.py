"""Every response is a job id, a job, a quota, or one kind of error; nothing else ever comes out."""

from __future__ import annotations

import copy
import json
import math
import pickle
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_pictory.api import (
    JobStatus,
    Quota,
    Response,
    ResponseError,
    ResponseErrorKind,
    VideoJob,
)
from airflow_provider_pictory.api.headers import read_retry_after
from airflow_provider_pictory.api.responses import read_job, read_quota, read_submission
from tests.api.strategies import any_text, json_values

JOB_ID = "4a09edf9-d071-4847-bda5-8dea913d80fe"
OTHER_JOB_ID = "00000000-0000-4000-8000-000000000000"
URL = "https://video.example/a.mp4"
NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
HTML = b"<!DOCTYPE html>\n<html><body>Sign in</body></html>"
UNAUTHORIZED = {"message": "Unauthorized"}
INVALID_BODY = {
    "code": "INVALID_REQUEST_BODY",
    "message": "The request body is invalid",
    "fields": [
        {"name": "duration", "errors": "must be one of 4s, 6s, 8s"},
        {"name": "prompt", "errors": "is required"},
    ],
}
READERS = {
    "submission": read_submission,
    "job": lambda response: read_job(response, JOB_ID),
    "quota": read_quota,
}
every_reader = pytest.mark.parametrize("read", READERS.values(), ids=READERS)


def response(document, status=200, **headers):
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return Response(status, body, {name.replace("_", "-"): value for name, value in headers.items()})


def error_of(read, *arguments, **keywords):
    with pytest.raises(ResponseError) as caught:
        read(response(*arguments, **keywords))
    return caught.value


# Submissions


@pytest.mark.parametrize(
    "document",
    [
        {"success": True, "data": {"jobId": JOB_ID}},
        {"success": True, "data": {"job_id": JOB_ID}},
        {"success": True, "jobId": JOB_ID},
        {"job_id": JOB_ID},
        {"data": {"jobId": f" {JOB_ID} ", "status": "in-progress"}},
        {"data": {"jobId": None}, "job_id": JOB_ID},
        {"data": {"jobId": 7}, "job_id": JOB_ID},
        {"data": {"jobId": "a\nb"}, "job_id": JOB_ID},
    ],
)
def test_a_job_id_is_found_in_every_envelope_that_pictory_uses(document):
    assert read_submission(response(document)) == JOB_ID


@pytest.mark.parametrize(
    "document",
    [
        {"success": True},
        {"success": True, "data": {}},
        {"success": True, "data": None},
        {"success": True, "data": []},
        {"success": True, "data": JOB_ID},
        {"success": True, "data": {"jobId": None}},
        {"success": True, "data": {"jobId": ""}},
        {"success": True, "data": {"jobId": "  "}},
        {"success": True, "data": {"jobId": True}},
        {"success": True, "data": {"jobId": ["x"]}},
        {"success": False, "data": {"message": "Something went wrong"}},
        {"message": "Unauthorized"},
        {},
    ],
)
def test_success_without_a_job_id_is_unreadable(document):
    error = error_of(read_submission, document)

    assert error.kind is ResponseErrorKind.UNREADABLE
    assert "no job id" in error.message
    assert error.status_code == 200


@pytest.mark.parametrize(
    ("given_", "kept"),
    [
        ("a\nb", "a\\nb"),
        ("\ud800", "\\ud800"),
        ("..", ".."),
        ("None", "None"),
        ("z" * 1_000_000, "z" * 4000),
        ("\0" * 5000, "\\x00" * 1000),
    ],
)
def test_a_job_id_that_nothing_can_be_asked_with_is_kept(given_, kept):
    error = error_of(read_submission, {"success": True, "data": {"jobId": given_}})

    assert error.kind is ResponseErrorKind.UNREADABLE
    assert error.job_id == kept
    assert error.message.isprintable()
    assert len(error.message) < 1000


# Jobs


def test_a_job_in_progress_is_read_as_documented():
    document = {"job_id": JOB_ID, "success": True, "data": {"status": "in-progress"}}

    assert read_job(response(document), JOB_ID) == VideoJob(JOB_ID, JobStatus.IN_PROGRESS)


def test_a_completed_job_is_read_as_documented():
    document = {
        "job_id": JOB_ID,
        "success": True,
        "data": {
            "status": "completed",
            "url": URL,
            "duration": "8s",
            "width": 1280,
            "height": 720,
            "lastFrameImageUrl": "https://video.example/a.png",
            "aiCreditsUsed": 12.8,
        },
    }

    job = read_job(response(document), JOB_ID)

    assert (job.status, job.url, job.duration_seconds) == (JobStatus.COMPLETED, URL, 8)
    assert (job.width, job.height, job.ai_credits_used) == (1280, 720, 12.8)
    assert (job.thumbnail_url, job.last_frame_image_url) == (None, "https://video.example/a.png")


def test_a_failed_job_is_a_job_and_no_error():
    data = {"status": "failed", "error_code": "5001", "error_message": "Content was refused"}
    document = {"job_id": JOB_ID, "success": False, "data": data}

    job = read_job(response(document), JOB_ID)

    assert (job.status, job.error_code, job.error_message) == (
        JobStatus.FAILED,
        "5001",
        "Content was refused",
    )


def test_a_job_that_failed_for_want_of_credits_is_a_failed_job():
    data = {"status": "failed", "error_code": "INSUFFICIENT_CREDITS"}

    assert read_job(response({"success": False, "data": data}), JOB_ID).error_code == "INSUFFICIENT_CREDITS"


def test_a_cleaned_job_is_read():
    assert read_job(response({"data": {"status": "cleaned"}}), JOB_ID).status is JobStatus.CLEANED


def test_an_unknown_status_is_read_as_it_is():
    assert read_job(response({"data": {"status": "queued"}}), JOB_ID).status == "queued"


@pytest.mark.parametrize(
    "envelope",
    [
        {"job_id": JOB_ID},
        {"jobId": JOB_ID},
        {"data": {"jobId": JOB_ID}},
        {"data": {"job_id": JOB_ID}},
        {},
    ],
)
def test_a_job_is_known_by_its_id_in_every_envelope_or_by_none(envelope):
    document = {**envelope, "data": {"status": "in-progress", **envelope.get("data", {})}}

    assert read_job(response(document), JOB_ID).job_id == JOB_ID


@pytest.mark.parametrize("place", ["job_id", "jobId", "data.job_id", "data.jobId"])
@pytest.mark.parametrize("other", [OTHER_JOB_ID, "", 7, [JOB_ID], {}, False])
def test_a_job_of_another_id_is_unreadable(place, other):
    data = {"status": "completed", "url": URL}
    document = {"data": data}
    (data if place.startswith("data.") else document)[place.removeprefix("data.")] = other

    error = error_of(READERS["job"], document)

    assert error.kind is ResponseErrorKind.UNREADABLE
    assert JOB_ID in error.message


@pytest.mark.parametrize(
    "document",
    [
        {"job_id": JOB_ID, "success": True, "data": {"status": "completed"}},
        {"job_id": JOB_ID, "success": True, "data": {"status": "completed", "url": ""}},
        {"job_id": JOB_ID, "success": True, "data": {"status": "completed", "url": "a.mp4"}},
        {"job_id": JOB_ID, "success": True, "data": {}},
        {"job_id": JOB_ID, "success": True, "data": {"status": None}},
        {"job_id": JOB_ID, "success": True, "data": {"status": math.nan}},
        {"job_id": JOB_ID, "success": True, "data": ["completed"]},
        {"job_id": JOB_ID, "success": True},
        {"job_id": JOB_ID, "success": True, "status": "completed"},
        {"success": False, "error_message": "Something went wrong"},
        {},
    ],
)
def test_a_job_that_says_too_little_is_unreadable(document):
    assert error_of(READERS["job"], document).kind is ResponseErrorKind.UNREADABLE


NOT_FOUND = {"error_code": "5000", "error_message": "JOB_NOT_FOUND"}


@pytest.mark.parametrize("document", [NOT_FOUND, {"data": NOT_FOUND}, {"success": False, "data": NOT_FOUND}])
@pytest.mark.parametrize("status", [404, 200, 400])
def test_an_unknown_job_is_told_from_a_missing_page_by_pictorys_words(document, status):
    error = error_of(READERS["job"], document, status)

    assert error.kind is ResponseErrorKind.JOB_NOT_FOUND
    assert (error.code, error.status_code) == ("5000", status)
    assert "5000: JOB_NOT_FOUND" in error.message


def test_a_404_without_those_words_is_just_refused():
    assert error_of(READERS["job"], {"message": "Not Found"}, 404).kind is ResponseErrorKind.REFUSED


# Quota


def test_a_quota_is_read_as_documented():
    document = {
        "aiCredits": {"used": 690, "limit": 22000},
        "videoMinutes": {"used": 1, "limit": 2},
        "transcriptionMinutes": {"used": 1, "limit": 2},
        "elevenLabsVoiceOverMinutes": {"used": 1, "limit": 2},
    }

    quota = read_quota(response(document))

    assert quota == Quota(ai_credits_used=690, ai_credits_limit=22000)
    assert quota.ai_credits_left == 21310


def test_nobody_has_less_than_no_credits_left():
    assert Quota(ai_credits_used=30.5, ai_credits_limit=22).ai_credits_left == 0


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"aiCredits": None},
        {"aiCredits": []},
        {"aiCredits": 5},
        {"aiCredits": {"used": 1}},
        {"aiCredits": {"limit": 1}},
        {"aiCredits": {"used": None, "limit": 1}},
        {"aiCredits": {"used": math.nan, "limit": 1}},
        {"aiCredits": {"used": 1, "limit": math.inf}},
        {"aiCredits": {"used": -1, "limit": 1}},
        {"aiCredits": {"used": "many", "limit": 1}},
        {"data": {"aiCredits": {"used": 1, "limit": 1}}},
    ],
)
def test_a_quota_without_ai_credits_is_unreadable(document):
    error = error_of(read_quota, document)

    assert error.kind is ResponseErrorKind.UNREADABLE
    assert "no AI credits" in error.message


# Errors


@every_reader
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, ResponseErrorKind.INVALID_REQUEST),
        (401, ResponseErrorKind.UNAUTHORIZED),
        (402, ResponseErrorKind.REFUSED),
        (403, ResponseErrorKind.FORBIDDEN),
        (404, ResponseErrorKind.REFUSED),
        (405, ResponseErrorKind.REFUSED),
        (413, ResponseErrorKind.REFUSED),
        (429, ResponseErrorKind.RATE_LIMITED),
        (499, ResponseErrorKind.REFUSED),
        (500, ResponseErrorKind.SERVER_ERROR),
        (502, ResponseErrorKind.SERVER_ERROR),
        (503, ResponseErrorKind.SERVER_ERROR),
        (504, ResponseErrorKind.SERVER_ERROR),
        (599, ResponseErrorKind.SERVER_ERROR),
        (301, ResponseErrorKind.REDIRECTED),
        (302, ResponseErrorKind.REDIRECTED),
        (304, ResponseErrorKind.REDIRECTED),
        (307, ResponseErrorKind.REDIRECTED),
        (308, ResponseErrorKind.REDIRECTED),
        (203, ResponseErrorKind.UNREADABLE),
        (204, ResponseErrorKind.UNREADABLE),
        (102, ResponseErrorKind.UNREADABLE),
    ],
)
@pytest.mark.parametrize(
    "body", [b"", HTML, b'{"message": "Something"}', b"[1]"], ids=["-", "html", "json", "list"]
)
def test_every_other_status_is_one_kind_of_error_whatever_the_body(read, status, kind, body):
    error = error_of(read, body, status)

    assert (error.kind, error.status_code) == (kind, status)
    assert error.message.startswith(f"Pictory responded with HTTP {status}")
    assert str(error) == error.message


@pytest.mark.parametrize("status", [200, 201, 202])
def test_a_job_id_that_was_paid_for_is_read_under_every_status_of_acceptance(status):
    assert read_submission(Response(status, b'{"data": {"jobId": "an-id"}}')) == "an-id"


@every_reader
def test_a_bad_key_is_told(read):
    error = error_of(read, UNAUTHORIZED, 401)

    assert error.kind is ResponseErrorKind.UNAUTHORIZED
    assert error.message == "Pictory responded with HTTP 401 (Unauthorized)"


def test_a_refused_body_is_told_with_pictorys_complaints_by_field():
    error = error_of(read_submission, INVALID_BODY, 400)

    assert error.kind is ResponseErrorKind.INVALID_REQUEST
    assert error.code == "INVALID_REQUEST_BODY"
    assert error.fields == {"duration": "must be one of 4s, 6s, 8s", "prompt": "is required"}
    assert error.message == (
        "Pictory responded with HTTP 400 (INVALID_REQUEST_BODY: The request body is invalid); "
        "duration: must be one of 4s, 6s, 8s; prompt: is required"
    )


@pytest.mark.parametrize(
    "fields",
    [
        None,
        {},
        "duration",
        [None, 1, "x", [], {}],
        [{"name": None, "errors": "x"}],
        [{"errors": "x"}],
        [{"name": "\ud800", "errors": "x"}],
    ],
)
def test_complaints_in_another_form_are_left_out(fields):
    error = error_of(read_submission, {**INVALID_BODY, "fields": fields}, 400)

    assert error.fields == {}
    assert error.code == "INVALID_REQUEST_BODY"


def test_complaints_are_shown_in_one_printable_line_and_cut_short():
    fields = [
        {"name": "prompt\n\x1b[31m" + "x" * 1000, "errors": "too\nlong \ud800 " + "y" * 1000},
        {"name": "model", "errors": ["wrong", {"really": "wrong"}]},
        {"name": "webhook"},
    ] + [{"name": f"field {number}", "errors": "wrong"} for number in range(1000)]

    error = error_of(read_submission, {**INVALID_BODY, "fields": fields}, 400)

    assert error.message.isprintable()
    assert "wrong" in error.fields["model"]
    assert "webhook" in error.fields
    assert len(error.message) < 10_000


@pytest.mark.parametrize(
    ("read", "status"),
    [
        (read, status)
        for read in READERS.values()
        for status in (200, 400, 402, 403, 429)
        if (read, status) != (read_quota, 200)
    ],
)
@pytest.mark.parametrize(
    "document",
    [
        {"code": "INSUFFICIENT_CREDITS", "message": "Not enough AI credits"},
        {"error_code": "INSUFFICIENT_CREDITS"},
        {"message": "INSUFFICIENT_CREDITS"},
        {"success": False, "data": {"error_code": "4002", "error_message": "INSUFFICIENT_CREDITS"}},
    ],
)
def test_want_of_credits_is_told_under_whichever_status(read, status, document):
    error = error_of(read, document, status)

    assert error.kind is ResponseErrorKind.INSUFFICIENT_CREDITS
    assert "INSUFFICIENT_CREDITS" in error.message


@every_reader
@pytest.mark.parametrize("word", ["INSUFFICIENT_CREDITS", "JOB_NOT_FOUND"])
def test_a_server_in_trouble_is_not_believed_what_it_says(read, word):
    assert error_of(read, {"code": word}, 500).kind is ResponseErrorKind.SERVER_ERROR


@every_reader
def test_a_redirect_is_told_with_its_target(read):
    error = error_of(read, b"", 302, location="https://elsewhere.example/")

    assert "'https://elsewhere.example/'" in error.message
    assert "not followed" in error.message


@every_reader
@pytest.mark.parametrize("status", [403, 429, 500, 502, 503, 520])
def test_a_page_is_blamed_on_nothing_that_its_status_does_not_say(read, status):
    assert error_of(read, HTML, status).message == f"Pictory responded with HTTP {status} with a page of HTML"


@every_reader
def test_a_page_that_is_not_found_may_mean_a_wrong_base_url(read):
    assert "a wrong base URL" in error_of(read, HTML, 404).message


def test_a_redirect_to_nowhere_is_told_too():
    assert "nowhere" in error_of(read_quota, b"", 302).message


@every_reader
@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "not JSON: it is empty"),
        (b"   ", "not JSON: it is empty"),
        (HTML, "not JSON: a page of HTML, as a proxy, a login page or a wrong base URL would send"),
        (b"\n <html lang=en>", "a page of HTML"),
        (b'{"success": true, "data": {"jobId": "4a09', 'not JSON: \'{"success"'),
        (b"OK", "not JSON: 'OK'"),
        (b"\xff\xfe\x00", "not JSON"),
        (b"\x80\x81", "not JSON"),
        (b"[]", "not a JSON object: '[]'"),
        (b'[{"status": "completed"}]', "not a JSON object"),
        (b"null", "not a JSON object"),
        (b"true", "not a JSON object"),
        (b"NaN", "not a JSON object"),
        (b'"completed"', "not a JSON object"),
        (b"200", "not a JSON object"),
        (b"[" * 100_000, "not JSON"),
        (b'{"a":' * 100_000, "not JSON"),
        (b"9" * 10_000, "not JSON"),
    ],
    ids=range(18),
)
def test_a_response_that_is_no_json_object_is_unreadable(read, body, words):
    error = error_of(read, body)

    assert error.kind is ResponseErrorKind.UNREADABLE
    assert words in error.message
    assert "(HTTP 200)" in error.message


@every_reader
def test_a_byte_order_mark_is_forgiven(read):
    document = {
        "jobId": JOB_ID,
        "data": {"status": "in-progress"},
        "aiCredits": {"used": 1, "limit": 2},
    }

    assert read(response(b"\xef\xbb\xbf" + json.dumps(document).encode()))


@every_reader
@pytest.mark.parametrize("status", [200, 400, 404, 500])
@pytest.mark.parametrize(
    "body", [b"x" * 1_000_000, json.dumps({"message": "y" * 1_000_000}).encode()], ids="xy"
)
def test_a_long_body_is_cut_short_in_the_message(read, status, body):
    assert len(error_of(read, body, status).message) < 1000


@pytest.mark.parametrize(
    "document",
    [
        {"job_id": "z" * 1_000_000, "data": {"status": "completed"}},
        {"data": {"status": "completed"}, "jobId": [["z" * 1_000_000]]},
    ],
)
def test_a_long_job_id_is_cut_short_in_the_message(document):
    assert len(error_of(READERS["job"], document).message) < 1000


@pytest.mark.parametrize("depth", [*range(100, 1000, 50), 5_000])
def test_a_response_that_is_nested_almost_too_deeply_is_still_just_unreadable(depth):
    nested = b'{"a":' * depth + b"1" + b"}" * depth
    body = (
        b'{"code": %b, "fields": [{"name": "x", "errors": %b}], "job_id": %b, "data": {"status": "failed"}}'
        % ((nested,) * 3)
    )

    assert error_of(READERS["job"], body).kind is ResponseErrorKind.UNREADABLE
    assert error_of(READERS["job"], body, 400).kind is ResponseErrorKind.INVALID_REQUEST


@every_reader
@pytest.mark.parametrize("status", [200, 302, 400, 500])
def test_what_the_server_says_reaches_a_message_in_one_printable_line(read, status):
    nasty = "a\nb \ud800 \0 \x1b[31m \u202e"
    document = {
        "code": nasty,
        "message": nasty,
        "job_id": nasty,
        "fields": [{"name": nasty, "errors": nasty}],
    }

    for error in (
        error_of(read, document, status, location=nasty),
        error_of(read, nasty.encode(errors="replace"), status),
    ):
        assert error.message.isprintable()
        assert error.code is None or error.code.isprintable()


def test_an_error_survives_being_sent_to_another_process():
    error = error_of(read_submission, INVALID_BODY, 400)

    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(again) is ResponseError
        assert str(again) == str(error)
        assert vars(again) == vars(error)


# Retry-After


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0),
        ("7", 7),
        (" 120 ", 120),
        ("Thu, 01 Jan 2026 12:00:30 GMT", 30),
        ("Thu, 01 Jan 2026 13:00:30 +0100", 30),
        ("Thursday, 01-Jan-26 12:00:30 GMT", 30),
        ("Thu Jan  1 12:00:30 2026", 30),
        ("Thu, 01 Jan 2026 12:00:30 -0000", 30),
        ("Thu, 01 Jan 2026 11:59:00 GMT", 0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("0.503", 0.503),
        ("1.", 1),
        (".5", 0.5),
        ("120, 120", 120),
        ("120,60", 120),
        ("soon, 7", 7),
        ("Thu, 01 Jan 2026 12:00:30 GMT, Thu, 01 Jan 2026 12:00:20 GMT", 30),
        ("20, Thu, 01 Jan 2026 12:00:30 GMT", 30),
        # Seconds and milliseconds since 1970.
        ("1767268830", 30),
        ("1767268830.5", 30.5),
        ("1767268830500", 30.5),
        ("1767268799", 0),
    ],
)
def test_retry_after_is_read_in_its_forms_and_in_those_that_services_send_in_their_place(header, seconds):
    assert read_retry_after(response(b"", retry_after=header), now=NOW) == seconds


@pytest.mark.parametrize("moment", ["Thu, 01 Jan 2026 12:00:30 GMT", "1767268830"])
def test_a_moment_counts_from_the_services_own_clock(moment):
    date = "Thu, 01 Jan 2026 12:00:20 GMT"

    assert read_retry_after(response(b"", retry_after=moment, date=date)) == 10


def test_without_that_a_moment_counts_from_now():
    moment = format_datetime(datetime.now(UTC) + timedelta(minutes=2), usegmt=True)

    assert 110 < read_retry_after(response(b"", retry_after=moment)) <= 120


@pytest.mark.parametrize(
    "header",
    [
        "86401",
        "999999999",
        "9" * 20,
        "9" * 10_000,
        "Wed, 01 Jan 2200 00:00:00 GMT",
        "Fri, 31 Dec 9999 23:59:59 GMT",
    ],
    ids=range(6),
)
def test_nothing_longer_than_a_day_is_waited_for(header):
    assert read_retry_after(response(b"", retry_after=header), now=NOW) == 86400


@pytest.mark.parametrize(
    "header",
    [
        "",
        "  ",
        "-5",
        "+5",
        "-0.5",
        "1.5.1",
        ".",
        "1e3",
        "inf",
        "nan",
        "Infinity",
        ",",
        "soon",
        "٣",
        "5 s",
        "Thu",
        "99 Foo 2026",
        "Thu, 99 Jan 2026 12:00:00 GMT",
    ],
)
def test_a_retry_after_that_makes_no_sense_is_left_out(header):
    assert read_retry_after(response(b"", retry_after=header), now=NOW) is None


def test_no_retry_after_is_none():
    assert read_retry_after(response(b"")) is None


@given(any_text | st.from_regex(r"\A[A-Z][a-z]{2}, \d{1,6} [A-Z][a-z]{2} \d{1,9} [\d:]{1,9} [+-]?\w{1,9}\Z"))
def test_any_retry_after_is_read_or_left_out(header):
    seconds = read_retry_after(response(b"", retry_after=header), now=NOW)

    assert seconds is None or 0 <= seconds <= 86400


@every_reader
@pytest.mark.parametrize("status", [429, 500, 503])
def test_an_error_that_passes_carries_how_long_to_wait(read, status):
    assert error_of(read, b"", status, retry_after="7").retry_after == 7
    assert error_of(read, b"", status).retry_after is None


# Anything at all


@every_reader
@given(
    status=st.sampled_from([200, 400, 401, 403, 404, 429, 500]) | st.integers(100, 999),
    body=st.binary(),
    headers=st.dictionaries(st.sampled_from(["retry-after", "location", "content-type"]), any_text),
)
def test_any_bytes_under_any_status_are_read_or_a_response_error(read, status, body, headers):
    with pytest.raises(ResponseError) as caught:
        read(Response(status, body, headers))
    assert caught.value.status_code == status
    assert caught.value.message.isprintable()


words = st.sampled_from([JOB_ID, "completed", "failed", "JOB_NOT_FOUND", "INSUFFICIENT_CREDITS", URL])
names = st.sampled_from(
    [
        *("data", "job_id", "jobId", "status", "url", "duration", "width", "aiCreditsUsed"),
        *("aiCredits", "used", "limit"),
        *("code", "error_code", "message", "error_message", "fields", "name", "errors"),
    ]
)
documents = st.recursive(
    json_values | words,
    lambda inner: st.dictionaries(names, inner, max_size=6) | st.lists(inner, max_size=3),
)


@every_reader
@given(status=st.sampled_from([200] * 5 + [400, 404, 429, 500]), document=documents)
def test_any_json_document_under_any_status_is_read_or_a_response_error(read, status, document):
    try:
        found = read(response(document, status))
    except ResponseError as error:
        assert error.message.isprintable()  # noqa: PT017
        assert len(error.message) < 10_000  # noqa: PT017
        return
    assert status == 200
    if isinstance(found, str):
        assert found.strip() == found != ""
    elif isinstance(found, VideoJob):
        assert found.job_id == JOB_ID
        json.dumps(found.to_dict(), allow_nan=False, ensure_ascii=False).encode()
    else:
        assert 0 <= found.ai_credits_left < math.inf
