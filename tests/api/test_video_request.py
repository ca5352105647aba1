"""The request for a video is checked as a whole, and becomes the body that Pictory documents."""

from __future__ import annotations

import copy
import dataclasses
import itertools
import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_pictory.api import MODEL_LIMITS, InvalidRequestError, VideoModel, VideoRequest
from airflow_provider_pictory.api.video_request import WIRE_NAMES
from tests.api.strategies import WRONG_THINGS, any_text, anything

PROMPT = "A red fox walks through fresh snow"
IMAGE = "https://example.com/image.png"
VIDEO = "https://example.com/video.mp4"
HOOK = "https://example.com/hook"
SOURCES = {"first_frame_image_url": IMAGE, "extend_video_url": VIDEO, "reference_image_urls": [IMAGE]}
ABSENT = [None, "", "None", "  "]


def faults(**fields):
    with pytest.raises(InvalidRequestError) as caught:
        VideoRequest(**{"prompt": PROMPT, **fields})
    return {fault.field: fault for fault in caught.value.faults}


def test_a_prompt_alone_is_sent_with_pictorys_defaults_spelled_out():
    assert VideoRequest(PROMPT).payload == {
        "prompt": PROMPT,
        "model": "pixverse5.5",
        "aspectRatio": "16:9",
        "duration": "5s",
    }


@pytest.mark.parametrize(("source", "value"), SOURCES.items())
def test_all_fields_are_sent_under_pictorys_names(source, value):
    request = VideoRequest(
        prompt=PROMPT, model="veo3.1", aspect_ratio="9:16", duration=6, webhook=HOOK, **{source: value}
    )

    assert request.payload == {
        "prompt": PROMPT,
        "model": "veo3.1",
        "aspectRatio": "9:16",
        "duration": "6s",
        WIRE_NAMES[source]: value,
        "webhook": HOOK,
    }


def test_the_eight_documented_fields_and_no_others_are_known():
    assert list(WIRE_NAMES.values()) == [
        "prompt",
        "model",
        "aspectRatio",
        "duration",
        "firstFrameImageUrl",
        "extendVideoUrl",
        "referenceImageUrls",
        "webhook",
    ]


def test_a_payload_is_made_of_plain_json_types():
    payload = VideoRequest(PROMPT, VideoModel.VEO_3_1, reference_image_urls=(IMAGE, IMAGE)).payload

    assert type(payload["model"]) is str
    assert type(payload["referenceImageUrls"]) is list
    assert json.loads(json.dumps(payload)) == payload


@pytest.mark.parametrize("model", list(VideoModel))
def test_every_documented_combination_is_accepted_with_its_price(model):
    limits = MODEL_LIMITS[model]
    for ratio, seconds in itertools.product(limits.aspect_ratios, limits.durations):
        request = VideoRequest(PROMPT, model.value, ratio, seconds)
        assert request.payload["aspectRatio"] == ratio
        assert request.payload["duration"] == f"{seconds}s"
        assert request.estimated_credits == pytest.approx(limits.credits_per_second * seconds)
        assert request.warnings == ()


@pytest.mark.parametrize(
    ("model", "ratio", "duration", "credits"),
    [("veo3.1", "16:9", "4s", 80), ("veo3.1_fast", "16:9", "4s", 40), ("pixverse5.5", "16:9", "5s", 8)],
)
def test_absent_ratio_and_duration_become_the_models_first(model, ratio, duration, credits):  # noqa: A002
    request = VideoRequest(PROMPT, model)

    assert (request.payload["aspectRatio"], request.payload["duration"]) == (ratio, duration)
    assert request.estimated_credits == credits


@pytest.mark.parametrize(
    ("model", "field", "value"),
    [
        ("veo3.1", "aspect_ratio", "1:1"),
        ("veo3.1_fast", "aspect_ratio", "4:3"),
        ("pixverse5.5", "aspect_ratio", "21:9"),
        ("veo3.1", "duration", 5),
        ("veo3.1_fast", "duration", "10s"),
        ("pixverse5.5", "duration", 4),
    ],
)
def test_what_another_model_could_do_is_refused_in_the_name_of_this_one(model, field, value):
    found = faults(model=model, **{field: value})

    assert list(found) == [field]
    assert f"model {model} makes" in found[field].allowed


@pytest.mark.parametrize("duration", [8, 8.0, "8", "8s"])
def test_a_duration_is_kept_as_seconds_and_sent_with_its_unit(duration):
    request = VideoRequest(PROMPT, duration=duration)

    assert request.duration == 8
    assert type(request.duration) is int
    assert request.payload["duration"] == "8s"


@pytest.mark.parametrize("absent", ABSENT)
@pytest.mark.parametrize("field", [field for field in WIRE_NAMES if field != "prompt"])
def test_what_a_template_leaves_where_nothing_was_given_is_not_sent(field, absent):
    assert VideoRequest(PROMPT, **{field: absent}) == VideoRequest(PROMPT)


@pytest.mark.parametrize("absent", ABSENT)
def test_a_request_without_a_prompt_is_refused(absent):
    assert list(faults(prompt=absent)) == ["prompt"]


def test_a_request_without_any_argument_is_refused():
    with pytest.raises(InvalidRequestError, match=r"^prompt: got nothing \(None\), but"):
        VideoRequest()


@pytest.mark.parametrize("length", [5, 5000])
def test_the_shortest_and_the_longest_prompt_are_sent_as_they_are(length):
    assert VideoRequest("x" * length).payload["prompt"] == "x" * length


@pytest.mark.parametrize("length", [4, 5001])
def test_a_shorter_and_a_longer_prompt_are_refused(length):
    assert list(faults(prompt="x" * length)) == ["prompt"]


@pytest.mark.parametrize("field", ["first_frame_image_url", "extend_video_url", "webhook"])
@pytest.mark.parametrize("value", ["ftp://example.com/a", "example.com/a", "s3://bucket/key", 7])
def test_a_url_pictory_could_not_fetch_is_refused(field, value):
    assert list(faults(**{field: value})) == [field]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_up_to_three_reference_images_are_sent(count):
    request = VideoRequest(PROMPT, reference_image_urls=[IMAGE] * count)

    assert request.reference_image_urls == (IMAGE,) * count
    assert request.payload["referenceImageUrls"] == [IMAGE] * count


def test_four_reference_images_are_refused():
    assert list(faults(reference_image_urls=[IMAGE] * 4)) == ["reference_image_urls"]


@pytest.mark.parametrize(
    "names", [names for count in (2, 3) for names in itertools.combinations(SOURCES, count)], ids=" ".join
)
def test_more_than_one_source_is_refused_with_the_names_of_those_given(names):
    found = faults(**{name: SOURCES[name] for name in names})

    assert list(found) == [" + ".join(names)]
    assert found[" + ".join(names)].given == f"{len(names)} sources"
    assert found[" + ".join(names)].allowed == (
        "Pictory takes at most one of first_frame_image_url, extend_video_url or reference_image_urls"
    )


@pytest.mark.parametrize("absent", ABSENT)
def test_an_absent_source_is_no_second_source(absent):
    request = VideoRequest(
        PROMPT, first_frame_image_url=IMAGE, reference_image_urls=absent, extend_video_url=absent
    )

    assert request.first_frame_image_url == IMAGE


@pytest.mark.parametrize(
    "empty",
    [[], (), [""], [None, "None", " "], "[]", " [ ] ", "()", "['']", "[None]", '["", null]'],
    ids=repr,
)
def test_a_list_without_any_reference_image_means_none_and_is_no_second_source(empty):
    request = VideoRequest(PROMPT, first_frame_image_url=IMAGE, reference_image_urls=empty)

    assert request == VideoRequest(PROMPT, first_frame_image_url=IMAGE)
    assert "referenceImageUrls" not in request.payload


def test_a_broken_source_still_counts_as_a_source():
    assert list(faults(first_frame_image_url="nonsense", extend_video_url=VIDEO)) == [
        "first_frame_image_url",
        "first_frame_image_url + extend_video_url",
    ]


def test_an_unknown_model_is_refused_once_and_what_depends_on_it_is_not_blamed():
    assert list(faults(model="veo9", aspect_ratio="21:9", duration=7)) == ["model"]


def test_all_faults_are_reported_together_with_field_given_and_allowed():
    with pytest.raises(InvalidRequestError) as caught:
        VideoRequest(
            "hi",
            "veo3.1",
            "1:1",
            "10s",
            first_frame_image_url="ftp://example.com/a",
            extend_video_url=VIDEO,
            reference_image_urls=[IMAGE] * 4,
            webhook="nonsense",
            extra_fields={"aspect_ratio": "1:1"},
        )

    assert [fault.field for fault in caught.value.faults] == [
        "extra_fields",
        "prompt",
        "aspect_ratio",
        "duration",
        "first_frame_image_url",
        "reference_image_urls",
        "webhook",
        "first_frame_image_url + extend_video_url + reference_image_urls",
    ]
    message = str(caught.value)
    assert "prompt: got 2 characters ('hi'), but a text of 5 to 5,000 characters is needed" in message
    assert "aspect_ratio: got '1:1', but model veo3.1 makes 16:9 or 9:16" in message
    assert "duration: got '10s', but model veo3.1 makes 4, 6 or 8 seconds" in message
    assert "reference_image_urls: got 4 reference images, but 1 to 3 are allowed" in message
    assert "webhook: got 'nonsense', but it must be a public URL" in message
    assert (
        "extra_fields: got the field name 'aspect_ratio', but Pictory calls this field aspectRatio" in message
    )


def test_extra_fields_are_sent_as_they_are():
    extra = {"seed": 7, "style": {"name": "noir", "strength": None}}

    assert VideoRequest(PROMPT, extra_fields=extra).payload == {**VideoRequest(PROMPT).payload, **extra}


@pytest.mark.parametrize(
    ("wire_name", "broken"),
    [
        ("prompt", "x"),
        ("model", "veo9"),
        ("aspectRatio", "21:9"),
        ("duration", "60s"),
        ("firstFrameImageUrl", "s3://bucket/key"),
        ("extendVideoUrl", "pictory:123"),
        ("referenceImageUrls", [IMAGE] * 4),
        ("webhook", None),
    ],
)
def test_an_extra_field_replaces_its_argument_and_switches_its_check_off(wire_name, broken):
    ours = next(name for name, wire in WIRE_NAMES.items() if wire == wire_name)

    request = VideoRequest(**{"prompt": PROMPT, ours: b"wrong"}, extra_fields={wire_name: broken})

    assert request.payload[wire_name] == broken


def test_an_extra_field_leaves_the_checks_of_other_fields_on():
    assert list(faults(extra_fields={"duration": "60s"}, aspect_ratio="21:9")) == ["aspect_ratio"]


def test_a_new_model_takes_any_ratio_and_duration_and_its_price_is_unknown():
    request = VideoRequest(PROMPT, aspect_ratio="21:9", duration=60, extra_fields={"model": "veo9"})

    assert request.payload == {"prompt": PROMPT, "model": "veo9", "aspectRatio": "21:9", "duration": "60s"}
    assert request.estimated_credits is None
    assert str(request) == "model veo9, 60s, 21:9, cost unknown"


def test_a_new_model_is_sent_without_defaults_that_nobody_knows():
    assert VideoRequest(PROMPT, extra_fields={"model": "veo9"}).payload == {"prompt": PROMPT, "model": "veo9"}


def test_a_duration_among_the_extra_fields_makes_the_price_unknown():
    assert VideoRequest(PROMPT, extra_fields={"duration": "60s"}).estimated_credits is None


def test_a_source_among_the_extra_fields_is_not_counted():
    request = VideoRequest(PROMPT, first_frame_image_url=IMAGE, extra_fields={"extendVideoUrl": VIDEO})

    assert request.payload["extendVideoUrl"] == VIDEO


def test_later_changes_to_the_given_extra_fields_change_nothing():
    extra = {"seed": 7}
    request = VideoRequest(PROMPT, extra_fields=extra)
    extra["seed"] = 8

    assert request.payload["seed"] == 7


@pytest.mark.parametrize(
    ("model", "duration", "credits"), [("veo3.1", 4, 160), ("veo3.1_fast", 6, 80), ("veo3.1", None, 160)]
)
def test_veo_with_reference_images_is_estimated_at_8_seconds_with_a_warning(model, duration, credits):  # noqa: A002
    request = VideoRequest(PROMPT, model, duration=duration, reference_image_urls=[IMAGE])

    assert request.estimated_credits == credits
    (warning,) = request.warnings
    assert f"model {model} probably makes 8 s" in warning
    assert f"({duration or 4}s here)" in warning
    assert request.payload["duration"] == f"{duration or 4}s"  # what was asked for is still asked for


def test_veo_with_reference_images_at_8_seconds_needs_no_warning():
    assert VideoRequest(PROMPT, "veo3.1", duration=8, reference_image_urls=[IMAGE]).warnings == ()


@pytest.mark.parametrize("source", ["first_frame_image_url", "extend_video_url"])
def test_other_sources_leave_the_duration_alone(source):
    request = VideoRequest(PROMPT, "veo3.1", duration=4, **{source: SOURCES[source]})

    assert (request.estimated_credits, request.warnings) == (80, ())


def test_pixverse_with_reference_images_keeps_the_duration():
    request = VideoRequest(PROMPT, duration=10, reference_image_urls=[IMAGE])

    assert (request.estimated_credits, request.warnings) == (16, ())


def test_reference_images_among_the_extra_fields_count_for_the_estimate_as_well():
    request = VideoRequest(PROMPT, "veo3.1", duration=4, extra_fields={"referenceImageUrls": [IMAGE]})

    assert request.estimated_credits == 160
    assert request.warnings


@pytest.mark.parametrize(("asked", "warned"), [("8s", False), ("4s", True), ("60s", True)])
def test_the_warning_speaks_of_the_duration_that_is_sent(asked, warned):
    request = VideoRequest(PROMPT, "veo3.1", reference_image_urls=[IMAGE], extra_fields={"duration": asked})

    assert bool(request.warnings) is warned
    assert all(f"({asked} here)" in warning for warning in request.warnings)


def test_a_request_describes_itself_without_its_prompt():
    assert str(VideoRequest(PROMPT)) == "model pixverse5.5, 5s, 16:9, about 8 AI credits"


def test_a_request_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        VideoRequest(PROMPT).prompt = "another"


def test_equal_requests_are_equal_and_copies_too():
    request = VideoRequest(PROMPT, "veo3.1", duration="4s", reference_image_urls=json.dumps([IMAGE]))

    assert request == VideoRequest(f" {PROMPT} ", VideoModel.VEO_3_1, "16:9", 4.0, None, "", [IMAGE])
    assert pickle.loads(pickle.dumps(request)) == copy.deepcopy(request) == request


@pytest.mark.parametrize(
    ("field", "value"),
    [
        pytest.param(field, value, id=f"{name} as {field}")
        for field in [*WIRE_NAMES, "extra_fields"]
        for name, value in WRONG_THINGS.items()
        if not (field == "extra_fields" and isinstance(value, dict))
        and not (field == "prompt" and isinstance(value, str) and value.isascii())
    ],
)
def test_a_wrong_thing_in_any_field_is_refused_in_its_name(field, value):
    found = faults(**{field: value})

    assert list(found) == [field]
    assert len(str(found[field])) < 400
    assert str(found[field]).isprintable()


requests = st.fixed_dictionaries(
    {"prompt": anything | st.just(PROMPT)},
    optional={
        **{field: anything | st.just(SOURCES.get(field, IMAGE)) for field in WIRE_NAMES if field != "prompt"},
        "duration": st.sampled_from([4, 5, "8s"]) | anything,
        "model": st.sampled_from(list(VideoModel)) | anything,
        "extra_fields": anything | st.dictionaries(st.sampled_from([*WIRE_NAMES.values(), "new"]), anything),
    },
)


@given(requests)
def test_any_arguments_make_a_request_that_can_be_sent_or_are_refused_with_reasons(arguments):
    try:
        request = VideoRequest(**arguments)
    except InvalidRequestError as error:
        assert error.faults  # noqa: PT017
        assert all(fault.field and fault.given and fault.allowed for fault in error.faults)  # noqa: PT017
        return
    json.dumps(request.payload, allow_nan=False).encode()
    assert request.estimated_credits is None or request.estimated_credits > 0
    assert str(request)
    assert all(request.warnings)


@given(st.dictionaries(any_text, anything))
def test_extra_fields_either_reach_the_payload_unchanged_or_are_refused(extra):
    try:
        payload = VideoRequest(PROMPT, extra_fields=extra).payload
    except InvalidRequestError:
        return
    assert {name: payload[name] for name in extra} == extra
