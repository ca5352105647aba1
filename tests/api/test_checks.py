"""Each check takes what a template may leave behind, and refuses the rest with words that help."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_pictory.api import (
    MODEL_LIMITS,
    InvalidRequestError,
    Response,
    ResponseError,
    VideoModel,
    checks,
)
from airflow_provider_pictory.api.responses import read_submission
from airflow_provider_pictory.api.validation_errors import RefusedValueError
from airflow_provider_pictory.api.video_request import WIRE_NAMES
from tests.api.strategies import HUGE_INTEGER, WRONG_THINGS, any_text, anything

JOB_ID = "4a09edf9-d071-4847-bda5-8dea913d80fe"
URL = "https://example.com/a.png"
PIXVERSE = (VideoModel.PIXVERSE_5_5, MODEL_LIMITS[VideoModel.PIXVERSE_5_5])
NEW_MODEL = (None, None)


def refusal(check, value, *context):
    with pytest.raises(RefusedValueError) as caught:
        check(value, *context)
    return caught.value


@pytest.mark.parametrize("value", [None, "", "None", " None ", "  ", "\n\t"])
def test_what_a_template_leaves_where_nothing_was_given_counts_as_absent(value):
    assert checks.is_absent(value)


@pytest.mark.parametrize("value", ["none", "null", "0", 0, False, [], {}, "No", b""])
def test_anything_else_counts_as_given(value):
    assert not checks.is_absent(value)


@pytest.mark.parametrize("length", [5, 6, 4999, 5000])
def test_a_prompt_may_have_5_to_5000_characters(length):
    assert checks.prompt("x" * length) == "x" * length


@pytest.mark.parametrize("length", [1, 4, 5001, 100_000])
def test_a_prompt_of_another_length_is_refused_with_its_length(length):
    refused = refusal(checks.prompt, "x" * length)

    assert f"{length:,} characters" in refused.given
    assert "5 to 5,000 characters" in refused.allowed


def test_white_space_around_a_prompt_does_not_count():
    assert checks.prompt("\n  a fox  \n") == "a fox"
    assert "4 characters" in refusal(checks.prompt, " " * 10 + "four" + " " * 10).given


def test_the_length_of_a_prompt_is_counted_in_characters_not_bytes():
    assert checks.prompt("狐" * 5000) == "狐" * 5000
    assert checks.prompt("🦊" * 5) == "🦊" * 5


@pytest.mark.parametrize("value", [None, "", "None", "   "])
def test_a_prompt_is_needed(value):
    assert "nothing" in refusal(checks.prompt, value).given


@pytest.mark.parametrize("value", [b"a red fox", 12345, ["a red fox"], {"prompt": "a red fox"}, True])
def test_a_prompt_of_another_type_is_refused_with_its_type(value):
    assert type(value).__name__ in refusal(checks.prompt, value).given


def test_half_a_character_is_no_text():
    assert "half a character" in refusal(checks.prompt, "a red fox \ud83e").given
    assert checks.prompt("a red fox \U0001f98a") == "a red fox \U0001f98a"


@pytest.mark.parametrize("name", ["veo3.1", "veo3.1_fast", "pixverse5.5"])
def test_a_model_may_be_given_by_name_or_as_member(name):
    assert checks.model(name) is checks.model(f" {name} ") is checks.model(VideoModel(name))


@pytest.mark.parametrize("value", [None, "", "None"])
def test_the_absent_model_is_pictorys_default(value):
    assert checks.model(value) is VideoModel.PIXVERSE_5_5


@pytest.mark.parametrize(
    "value", ["veo3", "veo3.1_slow", "VEO_3_1", "sora", "pixverse5.5,veo3.1", 3.1, b"veo3.1"]
)
def test_an_unknown_model_is_refused_with_all_known_ones(value):
    allowed = refusal(checks.model, value).allowed

    assert "veo3.1, veo3.1_fast or pixverse5.5" in allowed
    assert "extra_fields" in allowed


@pytest.mark.parametrize("value", [8, 8.0, "8", "8s", " 8s ", "8 s", "8.0", "8.00s", "08"])
def test_a_duration_may_be_written_in_every_sensible_way(value):
    assert checks.duration(value, *PIXVERSE) == 8
    assert checks.duration(value, *NEW_MODEL) == 8


@pytest.mark.parametrize(
    "value",
    [
        0,
        -8,
        7,
        8.5,
        "8.5",
        "eight",
        "8m",
        "-8",
        "+8",
        "8e0",
        "8,0",
        "٨",
        "8ss",
        "s",
        True,
        [8],
        {"s": 8},
        b"8",
    ],
)
def test_a_duration_that_the_model_lacks_is_refused_with_those_it_has(value):
    assert refusal(checks.duration, value, *PIXVERSE).allowed == "model pixverse5.5 makes 5, 8 or 10 seconds"


@pytest.mark.parametrize(
    "value",
    [0, -8, 8.5, "eight", True, float("nan"), float("inf"), pytest.param(HUGE_INTEGER, id="huge"), 10**9],
)
def test_without_a_known_model_a_duration_is_still_a_sensible_number_of_whole_seconds(value):
    assert "whole seconds" in refusal(checks.duration, value, *NEW_MODEL).allowed


@given(st.integers(1, 999_999_999))
def test_without_a_known_model_any_whole_number_of_seconds_passes_in_all_its_forms(seconds):
    for form in (seconds, float(seconds), str(seconds), f"{seconds}s"):
        assert checks.duration(form, *NEW_MODEL) == seconds


def test_an_absent_duration_is_the_models_first():
    assert checks.duration("", *PIXVERSE) == 5
    assert checks.duration(None, *NEW_MODEL) is None


def test_an_aspect_ratio_is_one_of_the_models():
    assert checks.aspect_ratio(" 3:4 ", *PIXVERSE) == "3:4"
    assert checks.aspect_ratio(None, *PIXVERSE) == "16:9"
    assert refusal(checks.aspect_ratio, "21:9", *PIXVERSE).allowed == (
        "model pixverse5.5 makes 16:9, 9:16, 1:1, 3:4 or 4:3"
    )


def test_without_a_known_model_an_aspect_ratio_is_at_least_a_text():
    assert checks.aspect_ratio("21:9", *NEW_MODEL) == "21:9"
    assert checks.aspect_ratio("", *NEW_MODEL) is None
    assert refusal(checks.aspect_ratio, 16 / 9, *NEW_MODEL).given.startswith("float")


@pytest.mark.parametrize(
    "value",
    [
        URL,
        "http://example.com",
        "HTTPS://EXAMPLE.COM/A.PNG",
        "https://example.com:8443/a.png?b=c&d=%20#e",
        "https://user@example.com/a.png",
        "https://192.0.2.1/a.png",
        "https://[2001:db8::1]/a.png",
        "https://bücher.example/ä.png",
    ],
)
def test_a_url_passes_as_it_is(value):
    assert checks.url(value) == value
    assert checks.url(f" {value}\n") == value


@pytest.mark.parametrize(
    "value",
    [
        "ftp://example.com/a.png",
        "s3://bucket/a.png",
        "gs://bucket/a.png",
        "file:///etc/passwd",
        "data:image/png;base64,AAAA",
        "javascript:alert(1)",
        "example.com/a.png",
        "//example.com/a.png",
        "/a.png",
        "https://",
        "https:///a.png",
        "https:example.com",
        "https://?a",
        "https://exa mple.com/a.png",
        "https://example.com/a b.png",
        "https://example.com/a\nb.png",
        "https://example.com/a\tb.png",
        "https://example.com/\0",
        "https://example.com/\x7f",
        "https://example.com/\ud800",
        "https://[::1",
        "https://example.com:port/",
        "https://example.com:99999/",
        "[https://example.com]",
        "{{ params.url }}",
        "not a url",
    ],
)
def test_what_is_no_http_url_is_refused(value):
    assert "http:// or https://" in refusal(checks.url, value).allowed


@pytest.mark.parametrize("value", [b"https://example.com", 1, ["https://example.com"], {}, False])
def test_a_url_of_another_type_is_refused_with_its_type(value):
    assert type(value).__name__ in refusal(checks.url, value).given


@pytest.mark.parametrize("value", [None, "", "None"])
def test_a_url_may_be_absent(value):
    assert checks.url(value) is None


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("form", [list, tuple, json.dumps, str], ids=["list", "tuple", "json", "literal"])
def test_1_to_3_reference_images_may_be_given_as_a_list_or_as_the_text_of_one(count, form):
    urls = [f"https://example.com/{number}.png" for number in range(count)]

    assert checks.reference_image_urls(form(urls)) == tuple(urls)


def test_a_single_url_is_a_list_of_one():
    assert checks.reference_image_urls(URL) == (URL,)


def test_absent_reference_images_are_skipped():
    assert checks.reference_image_urls(None) == ()
    assert checks.reference_image_urls([URL, "", None, "None"]) == (URL,)
    assert checks.reference_image_urls(f'["{URL}", null]') == (URL,)


def test_more_than_three_reference_images_are_refused():
    refused = refusal(checks.reference_image_urls, [URL] * 4)

    assert refused.given == "4 reference images"
    assert "1 to 3" in refused.allowed


@pytest.mark.parametrize("value", [b"https://example.com", {URL: 1}, {URL}, 3, True, iter([URL])])
def test_reference_images_of_another_type_are_refused(value):
    assert "list of 1 to 3" in refusal(checks.reference_image_urls, value).allowed


def test_the_position_of_a_bad_reference_image_is_told():
    assert refusal(checks.reference_image_urls, [URL, "ftp://example.com"]).given == (
        "'ftp://example.com' as image 2"
    )
    assert refusal(checks.reference_image_urls, [[URL]]).given.endswith("as image 1")


@pytest.mark.parametrize("text", ["[", "[1", "['a", "[{[]: 1}]", "[" * 5000, "[" + "9" * 5000 + "]", "[\0]"])
def test_the_text_of_a_broken_list_is_refused(text):
    assert "list of 1 to 3" in refusal(checks.reference_image_urls, text).allowed


def test_extra_fields_may_hold_all_that_json_can():
    fields = {"seed": 7, "style": None, "nested": {"list": [1, 2.5, "x", True]}}

    assert checks.extra_fields(fields, WIRE_NAMES) == fields
    assert checks.extra_fields(None, WIRE_NAMES) == {}
    assert checks.extra_fields("None", WIRE_NAMES) == {}
    assert checks.extra_fields(" {} ", WIRE_NAMES) == {}


@pytest.mark.parametrize(
    "fields",
    [
        "text",
        ["seed"],
        {1: "number as name"},
        {"a": {1, 2}},
        {"a": b"bytes"},
        {"a": float("nan")},
        {"a": float("inf")},
        {"a": object()},
        {"a": {(1, 2): 3}},
        {"a": HUGE_INTEGER},
        {"a": WRONG_THINGS["deeply nested"]},
    ],
    ids=range(11),
)
def test_extra_fields_that_cannot_be_sent_are_refused(fields):
    refusal(checks.extra_fields, fields, WIRE_NAMES)


@pytest.mark.parametrize(("ours", "pictorys"), [(o, p) for o, p in WIRE_NAMES.items() if o != p])
def test_an_extra_field_under_our_name_would_be_dropped_by_pictory_so_it_is_refused(ours, pictorys):
    assert (
        refusal(checks.extra_fields, {ours: 1}, WIRE_NAMES).allowed == f"Pictory calls this field {pictorys}"
    )


CHECKS = {
    "prompt": checks.prompt,
    "model": checks.model,
    "url": checks.url,
    "reference images": checks.reference_image_urls,
    "duration": lambda value: checks.duration(value, *PIXVERSE),
    "duration of a new model": lambda value: checks.duration(value, *NEW_MODEL),
    "aspect ratio": lambda value: checks.aspect_ratio(value, *PIXVERSE),
    "aspect ratio of a new model": lambda value: checks.aspect_ratio(value, *NEW_MODEL),
    "extra fields": lambda value: checks.extra_fields(value, WIRE_NAMES),
}


def check_or_refuse(check, value):
    try:
        check(value)
    except RefusedValueError as refused:
        assert refused.allowed  # noqa: PT017


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
@pytest.mark.parametrize("value", WRONG_THINGS.values(), ids=WRONG_THINGS)
def test_a_check_gives_a_clean_value_or_refuses(check, value):
    check_or_refuse(check, value)


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
@given(value=anything)
def test_a_check_gives_a_clean_value_or_refuses_whatever_comes(check, value):
    check_or_refuse(check, value)


@given(any_text)
@example("[" + "-" * 3000 + "1]")
def test_any_text_for_reference_images_is_read_or_refused(text):
    try:
        urls = checks.reference_image_urls(f"[{text}]")
    except RefusedValueError:
        return
    assert all(url.startswith("http") for url in urls)


@pytest.mark.parametrize(
    "job_id",
    [
        *(
            JOB_ID,
            JOB_ID.upper(),
            "job-1",
            "a",
            "1234",
            "abc_DEF.1:2",
            "x" * 4000,
            "-x",
            "ä",
            "\uff14a09edf9",
        ),
        *("../quota", "a/b", "a/../../quota", "a\\b", "%2e%2e%2fquota", "a?b=c", "a#b", "a b"),
    ],
)
def test_any_printable_text_can_be_a_job_id(job_id):
    assert checks.job_id(job_id) == job_id
    assert checks.job_id(f"  {job_id}\n") == job_id


@pytest.mark.parametrize("value", [None, "None", "", "   ", "\n"])
def test_a_missing_job_id_is_refused_with_the_usual_reason(value):
    with pytest.raises(
        InvalidRequestError, match=r"^job_id: got .*does the task that submits the video run before"
    ):
        checks.job_id(value)


@pytest.mark.parametrize("value", [{"job_id": JOB_ID}, [JOB_ID], 1234, True, JOB_ID.encode(), 1.5])
def test_a_job_id_of_another_type_is_refused_with_its_type(value):
    with pytest.raises(InvalidRequestError, match=f"^job_id: got {type(value).__name__} .*the job id alone"):
        checks.job_id(value)


@pytest.mark.parametrize(
    "value",
    [
        "..",
        ".",
        "?",
        "a\nb",
        "a\r\nHost: evil.example",
        "\ud800",
        "\0",
        "{{ task_instance }}",
        "{'job_id': '4a09edf9'}",
        "['4a09edf9']",
        "https://example.com/a.mp4",
        "x" * 4001,
    ],
)
def test_what_can_not_be_asked_for_is_no_job_id(value):
    with pytest.raises(InvalidRequestError, match="a job id looks like") as caught:
        checks.job_id(value)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("value", WRONG_THINGS.values(), ids=WRONG_THINGS)
def test_no_wrong_thing_is_a_job_id(value):
    with pytest.raises(InvalidRequestError):
        checks.job_id(value)


@given(anything | any_text)
def test_whatever_passes_as_a_job_id_is_one_harmless_path_segment(value):
    try:
        job_id = checks.job_id(value)
    except InvalidRequestError:
        return
    assert job_id == value.strip()
    assert job_id.isprintable()
    segment = quote(job_id, safe="")
    assert not set(segment) & set("/\\?#@ \t\r\n")
    assert segment not in ("", ".", "..")


@given(anything | any_text)
@example("a/b")
@example("x" * 3000)
@example(7)
def test_a_submission_and_a_question_for_a_job_know_the_same_ids(value):
    try:
        accepted = read_submission(
            Response(200, json.dumps({"data": {"jobId": value}}, default=str).encode())
        )
    except ResponseError:
        return
    assert checks.job_id(accepted) == accepted


def test_the_usual_job_id_is_a_uuid_in_either_case():
    assert checks.is_usual_job_id(JOB_ID)
    assert checks.is_usual_job_id(JOB_ID.upper())


@pytest.mark.parametrize(
    "value", ["", "job-1", JOB_ID[:-1], JOB_ID + "0", JOB_ID.replace("-", ""), f"{JOB_ID}\n"]
)
def test_anything_else_is_an_unusual_one(value):
    assert not checks.is_usual_job_id(value)
