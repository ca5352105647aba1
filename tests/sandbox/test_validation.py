"""A submission's body is read as strictly as Pictory reads it."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_pictory.api import MODEL_LIMITS, VideoModel, VideoRequest
from airflow_provider_pictory.sandbox.bodies import InvalidBodyError
from airflow_provider_pictory.sandbox.validation import SOURCES, read_order

PROMPT = "A red fox walks through fresh snow"
IMAGE = "https://example.com/image.png"


def order(**fields):
    return read_order(json.dumps({"prompt": PROMPT, **fields}).encode())


def faults(**fields):
    with pytest.raises(InvalidBodyError) as caught:
        order(**fields)
    return caught.value.faults


def test_a_prompt_alone_is_enough_and_gets_the_documented_defaults():
    accepted = order()

    assert accepted.model == VideoModel.PIXVERSE_5_5
    assert (accepted.aspect_ratio, accepted.duration, accepted.price) == ("16:9", 5, 8)
    assert not accepted.webhook
    assert accepted.sources == {}


@pytest.mark.parametrize("model", list(VideoModel))
def test_every_documented_combination_is_accepted_and_has_its_price(model):
    limits = MODEL_LIMITS[model]
    for ratio in limits.aspect_ratios:
        for seconds in limits.durations:
            accepted = order(model=model, aspectRatio=ratio, duration=f"{seconds}s")
            assert (accepted.aspect_ratio, accepted.duration) == (ratio, seconds)
            assert accepted.price == pytest.approx(limits.credits_per_second * seconds)


@pytest.mark.parametrize("length", [5, 5000])
def test_a_prompt_has_5_to_5000_characters(length):
    assert order(prompt="x" * length).prompt == "x" * length


@pytest.mark.parametrize("prompt", ["", "four", "x" * 5001, None, 5, ["a prompt"], {"text": PROMPT}])
def test_any_other_prompt_is_refused(prompt):
    assert list(faults(prompt=prompt)) == ["prompt"]


def test_the_prompt_is_required():
    with pytest.raises(InvalidBodyError) as caught:
        read_order(b"{}")

    assert caught.value.faults == {"prompt": "prompt is required"}


@pytest.mark.parametrize("duration", ["8", 8, 8.0, "8 s", "08s", "8S", "7s", "s", "", None, True, ["8s"]])
def test_a_duration_is_exactly_one_of_the_model_s_own_texts(duration):
    assert list(faults(model="veo3.1", duration=duration)) == ["duration"]


@pytest.mark.parametrize("ratio", ["1:1", "16x9", " 16:9", "", None, 1.78])
def test_an_aspect_ratio_is_one_of_the_model_s(ratio):
    assert list(faults(model="veo3.1", aspectRatio=ratio)) == ["aspectRatio"]


@pytest.mark.parametrize("model", ["veo", "VEO3.1", "", None, 3.1, {}])
def test_an_unknown_model_is_refused_without_guessing_at_its_limits(model):
    assert list(faults(model=model, aspectRatio="21:9", duration="60s")) == ["model"]


@pytest.mark.parametrize("name", ["firstFrameImageUrl", "extendVideoUrl", "webhook"])
@pytest.mark.parametrize(
    "uri",
    [
        "",
        "image.png",
        "ftp://example.com/a",
        "https://",
        "http://[",
        "https://exa mple.com",
        None,
        1,
        [IMAGE],
    ],
)
def test_a_uri_is_one_http_uri(name, uri):
    assert list(faults(**{name: uri})) == [name]


@pytest.mark.parametrize("images", [[], [IMAGE] * 4, IMAGE, [None], ["image.png"], None, {"0": IMAGE}])
def test_reference_images_are_1_to_3_uris(images):
    assert list(faults(referenceImageUrls=images)) == ["referenceImageUrls"]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_1_to_3_reference_images_are_accepted(count):
    assert order(referenceImageUrls=[IMAGE] * count).sources == {"referenceImageUrls": [IMAGE] * count}


def test_more_than_one_source_is_refused_at_each_of_them():
    assert set(faults(firstFrameImageUrl=IMAGE, extendVideoUrl=IMAGE)) == {
        "firstFrameImageUrl",
        "extendVideoUrl",
    }


def test_everything_that_is_wrong_is_named_at_once():
    assert set(faults(prompt="", model="veo3.1", duration="5s", webhook="x")) == {
        "prompt",
        "duration",
        "webhook",
    }


def test_with_reference_images_veo_makes_8_seconds_and_charges_for_them():
    accepted = order(model="veo3.1", duration="4s", referenceImageUrls=[IMAGE])

    assert (accepted.duration, accepted.price) == (8, 160)


def test_with_reference_images_pixverse_makes_what_was_asked():
    assert order(duration="10s", referenceImageUrls=[IMAGE]).duration == 10


def test_unknown_fields_are_dropped_without_a_word_but_can_be_seen():
    accepted = order(aspect_ratio="1:1", seed=7)

    assert accepted.aspect_ratio == "16:9"
    assert accepted.body["seed"] == 7


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"prompt", b"[]", b'"text"', b"null", b'{"prompt": NaN}', b"\xff\xfe", b"[" * 100_000],
)
def test_a_body_that_is_no_json_object_is_refused(content):
    with pytest.raises(InvalidBodyError) as caught:
        read_order(content)

    assert caught.value.faults == {}


@given(st.binary(max_size=200))
def test_no_bytes_whatever_cause_any_other_error(content):
    with contextlib.suppress(InvalidBodyError):
        read_order(content)


texts = st.text("0123456789s:/hpt. \n\U0001f98a", max_size=12)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=4,
)
field_names = st.sampled_from(["prompt", "model", "aspectRatio", "duration", *SOURCES, "webhook"])


@given(st.dictionaries(field_names, json_values, max_size=4))
def test_no_value_whatever_causes_any_other_error(body):
    with contextlib.suppress(InvalidBodyError):
        read_order(json.dumps(body).encode())


@given(
    model=st.sampled_from(VideoModel),
    data=st.data(),
    prompt=st.text("a9. \u00e9\U0001f98a\n", max_size=60).map(lambda text: f"A red {text} fox"),
)
def test_what_our_own_requests_look_like_is_accepted_at_the_estimated_price(model, data, prompt):
    request = VideoRequest(
        prompt=prompt,
        model=model,
        aspect_ratio=data.draw(st.sampled_from(MODEL_LIMITS[model].aspect_ratios)),
        duration=data.draw(st.sampled_from(MODEL_LIMITS[model].durations)),
        reference_image_urls=data.draw(st.lists(st.just(IMAGE), max_size=3)) or None,
        webhook=data.draw(st.sampled_from([None, "https://example.com/hook"])),
    )

    accepted = read_order(json.dumps(request.payload).encode())

    assert accepted.price == request.estimated_credits
    assert accepted.duration == request.expected_duration
