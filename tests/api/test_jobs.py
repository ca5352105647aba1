"""A job is read tolerantly from Pictory, strictly from a trigger's event, and handed on as a flat dict."""

from __future__ import annotations

import dataclasses
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_pictory.api import JobStatus, VideoJob
from airflow_provider_pictory.api.jobs import UnreadableJobError, read_number, read_text
from tests.api.strategies import HUGE_INTEGER, WRONG_THINGS, any_text, anything, json_values

JOB_ID = "4a09edf9-d071-4847-bda5-8dea913d80fe"
URL = "https://video.example/a.mp4"
COMPLETED = {
    "status": "completed",
    "url": URL,
    "duration": "8s",
    "width": 1920,
    "height": 1080,
    "thumbnailImageUrl": "https://video.example/a.jpg",
    "previewImageUrl": "https://video.example/b.jpg",
    "lastFrameImageUrl": "https://video.example/c.png",
    "aiCreditsUsed": 12.8,
}
RESULT = {
    "job_id": JOB_ID,
    "status": "completed",
    "url": URL,
    "duration_seconds": 8.0,
    "width": 1920,
    "height": 1080,
    "thumbnail_url": "https://video.example/a.jpg",
    "preview_url": "https://video.example/b.jpg",
    "last_frame_image_url": "https://video.example/c.png",
    "ai_credits_used": 12.8,
}


def job(**changes):
    return VideoJob.from_data(JOB_ID, {**COMPLETED, **changes})


def test_a_completed_job_is_read_as_documented():
    assert job() == VideoJob(
        job_id=JOB_ID,
        status=JobStatus.COMPLETED,
        url=URL,
        duration_seconds=8.0,
        width=1920,
        height=1080,
        thumbnail_url="https://video.example/a.jpg",
        preview_url="https://video.example/b.jpg",
        last_frame_image_url="https://video.example/c.png",
        ai_credits_used=12.8,
    )


def test_a_failed_job_keeps_pictorys_words():
    failed = VideoJob.from_data(
        JOB_ID, {"status": "failed", "error_code": "5001", "error_message": "The prompt was refused"}
    )

    assert (failed.error_code, failed.error_message) == ("5001", "The prompt was refused")


def test_a_job_may_be_a_status_and_nothing_else_until_it_is_completed():
    assert VideoJob.from_data(JOB_ID, {"status": "in-progress"}) == VideoJob(JOB_ID, JobStatus.IN_PROGRESS)


@pytest.mark.parametrize(
    "absent", ["thumbnailImageUrl", "previewImageUrl", "lastFrameImageUrl", "aiCreditsUsed"]
)
def test_what_pictory_may_leave_out_of_a_completed_job_can_be_missing(absent):
    data = {name: value for name, value in COMPLETED.items() if name != absent}

    assert list(VideoJob.from_data(JOB_ID, data).result.values()).count(None) == 1


@pytest.mark.parametrize(
    ("status", "ended"), [("in-progress", False), ("completed", True), ("failed", True), ("cleaned", True)]
)
def test_the_documented_statuses_are_known_and_all_but_one_are_ends(status, ended):
    seen = job(status=status)

    assert seen.status is JobStatus(status)
    assert seen.has_ended is ended
    assert not seen.has_unknown_status


@pytest.mark.parametrize("status", ["Completed", "COMPLETED", " completed "])
def test_the_spelling_of_a_status_is_forgiven(status):
    assert job(status=status).status is JobStatus.COMPLETED
    assert job(status="IN_PROGRESS").status is JobStatus.IN_PROGRESS


@pytest.mark.parametrize("status", ["queued", "complete", "done", "cancelled", "5"])
def test_an_unknown_status_is_kept_and_is_no_end(status):
    seen = job(status=status)

    assert seen.status == status
    assert seen.has_unknown_status
    assert not seen.has_ended


@pytest.mark.parametrize("status", [None, "", "  ", True, 1.5, [], {}, ["completed"], float("nan")])
def test_a_job_without_a_status_is_unreadable(status):
    with pytest.raises(UnreadableJobError, match="no status"):
        job(status=status)


@pytest.mark.parametrize(
    "url", [None, "", "None", "a.mp4", "ftp://video.example/a.mp4", 7, ["x"], "https://a\n"]
)
def test_a_completed_job_without_a_url_to_a_video_is_unreadable(url):
    with pytest.raises(UnreadableJobError, match=f"job {JOB_ID} is completed but has no URL"):
        job(url=url)


@pytest.mark.parametrize("field", ["thumbnailImageUrl", "previewImageUrl", "lastFrameImageUrl"])
@pytest.mark.parametrize("url", ["", "a.png", "javascript:alert(1)", 7, {}, True])
def test_an_image_url_that_is_none_is_left_out(field, url):
    assert list(job(**{field: url}).result.values()).count(None) == 1


@pytest.mark.parametrize(
    ("given", "seconds"),
    [("8s", 8), ("8", 8), (8, 8), (8.5, 8.5), ("8.04s", 8.04), (" 8 s ", 8), ("0s", 0), (0, 0)],
)
def test_a_duration_is_read_in_every_form(given, seconds):
    assert job(duration=given).duration_seconds == seconds


@pytest.mark.parametrize(
    "given", [None, "", "eight", "8m", -8, "-8", True, [], {}, math.nan, math.inf, 10**400]
)
def test_a_duration_that_makes_no_sense_is_left_out(given):
    assert job(duration=given).duration_seconds is None


def test_width_and_height_are_whole_numbers_whatever_they_were():
    seen = job(width="1920", height=1080.0)

    assert (seen.width, seen.height) == (1920, 1080)
    assert type(seen.width) is type(seen.height) is int


def test_the_credits_used_are_fractional():
    assert job(aiCreditsUsed=1.6).ai_credits_used == 1.6
    assert job(aiCreditsUsed="12.8").ai_credits_used == 12.8


def test_a_look_at_a_job_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        job().status = "failed"


def test_the_result_is_a_flat_dict_of_exactly_the_promised_names():
    assert job().result == RESULT
    assert list(job().result) == list(RESULT)
    assert all(type(value) in (str, int, float) for value in job().result.values())


def test_the_result_is_what_json_makes_of_it():
    assert json.loads(json.dumps(job().result)) == RESULT


@pytest.mark.parametrize("status", ["in-progress", "completed", "failed", "cleaned", "queued"])
def test_a_job_survives_the_way_through_a_triggers_event(status):
    seen = job(status=status, error_code="5001", error_message="why")

    assert VideoJob.from_dict(json.loads(json.dumps(seen.to_dict()))) == seen


@pytest.mark.parametrize("field", list(RESULT))
def test_an_event_without_one_of_the_fields_is_unreadable(field):
    values = job().to_dict()
    del values[field]

    with pytest.raises(UnreadableJobError):
        VideoJob.from_dict(values)


def test_an_event_with_an_unknown_field_is_unreadable():
    with pytest.raises(UnreadableJobError):
        VideoJob.from_dict({**job().to_dict(), "more": 1})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("job_id", None),
        ("job_id", 7),
        ("job_id", ""),
        ("status", None),
        ("status", ["completed"]),
        ("url", None),
        ("url", ""),
        ("url", 7),
        ("url", "file:///etc/passwd"),
        ("thumbnail_url", 7),
        ("preview_url", ["https://video.example/b.jpg"]),
        ("last_frame_image_url", "javascript:alert(1)"),
        ("duration_seconds", "8s"),
        ("duration_seconds", -8),
        ("duration_seconds", True),
        ("width", "1920"),
        ("height", []),
        ("ai_credits_used", math.nan),
        ("error_code", 5001),
        ("error_message", {}),
    ],
)
def test_an_event_with_a_field_of_a_wrong_type_is_unreadable(field, value):
    with pytest.raises(UnreadableJobError):
        VideoJob.from_dict({**job().to_dict(), field: value})


@pytest.mark.parametrize("value", WRONG_THINGS.values(), ids=WRONG_THINGS)
def test_no_wrong_thing_is_an_event(value):
    with pytest.raises(UnreadableJobError):
        VideoJob.from_dict(value)


@given(st.dictionaries(st.sampled_from([*COMPLETED, "error_code", "error_message"]), anything))
def test_any_data_is_read_as_a_job_that_json_can_carry_or_is_unreadable(data):
    try:
        seen = VideoJob.from_data(JOB_ID, data)
    except UnreadableJobError:
        return
    carried = json.dumps(seen.to_dict(), allow_nan=False, ensure_ascii=False).encode()
    assert VideoJob.from_dict(json.loads(carried)) == seen
    assert seen.result["job_id"] == JOB_ID
    assert not (seen.status == "completed" and not seen.url)


@given(st.fixed_dictionaries({name: anything | st.just(value) for name, value in job().to_dict().items()}))
def test_any_event_is_read_as_a_job_that_json_can_carry_or_is_unreadable(values):
    try:
        seen = VideoJob.from_dict(values)
    except UnreadableJobError:
        return
    assert VideoJob.from_dict(json.loads(json.dumps(seen.to_dict(), allow_nan=False))) == seen


@given(json_values)
def test_any_json_value_is_read_as_an_event_or_is_unreadable(value):
    with pytest.raises(UnreadableJobError):
        VideoJob.from_dict(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "plain"),
        (5000, "5000"),
        (" two\n  lines\t", "two lines"),
        ("half \ud800 character", "half character"),
        ("null \0 and escape \x1b[31m", "null and escape [31m"),
        ("right\u202eto left", "right to left"),
        ("🦊 狐 ü", "🦊 狐 ü"),
        ("", None),
        (" \n", None),
        ("\ud800", None),
        (None, None),
        (True, None),
        (1.5, None),
        ([], None),
        ({}, None),
        pytest.param(HUGE_INTEGER, None, id="huge"),
    ],
)
def test_a_text_becomes_one_line_that_can_be_printed_and_stored(value, text):
    assert read_text(value) == text


@given(any_text)
def test_any_text_can_be_printed_and_stored_once_it_is_read(value):
    text = read_text(value)

    assert text is None or (text.isprintable() and text.encode() and text == text.strip())


@given(anything)
def test_any_number_that_is_read_is_finite_and_not_negative(value):
    number = read_number(value)

    assert number is None or (type(number) is float and 0 <= number < math.inf)
