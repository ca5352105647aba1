"""What was requested is known again by a fingerprint, and among finished videos, but can't be read."""

from __future__ import annotations

import unicodedata
from dataclasses import replace

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from airflow_provider_pictory.api import InvalidRequestError, VideoRequest
from airflow_provider_pictory.api.listings import ListedVideo
from airflow_provider_pictory.submission.fingerprint import RequestFingerprint
from tests.submission.records import PROMPT, a_fingerprint

IMAGE = "https://files.example/in/boat.png"
OTHER_IMAGE = "https://files.example/in/ship.png"
COPY = "https://cdn.pictory.example/9f2c/boat.png"
QUERIES = ["", "?X-Amz-Signature=5ca1ab1e&X-Amz-Date=1", "?X-Amz-Signature=deadbeef", "#now", "?", "?a=1#b?c"]
some_query = pytest.mark.parametrize("query", QUERIES)


def fingerprint(prompt=PROMPT, **given):
    return a_fingerprint(prompt, **given).digest


# The fingerprint


@some_query
@pytest.mark.parametrize(
    "make",
    [
        lambda query: {"first_frame_image_url": IMAGE + query},
        lambda query: {"extend_video_url": IMAGE + query},
        lambda query: {"reference_image_urls": [IMAGE + query, OTHER_IMAGE + query], "model": "veo3.1"},
        lambda query: {"webhook": IMAGE + query},
        lambda query: {"extra_fields": {"musicUrl": IMAGE + query}},
        lambda query: {"extra_fields": {"scenes": [{"media": {"url": IMAGE + query}}, IMAGE + query]}},
        lambda query: {"extra_fields": {"firstFrameImageUrl": IMAGE + query}},
        lambda query: {"first_frame_image_url": IMAGE.replace("https", "HTTPS") + query},
    ],
    ids=["first frame", "extend", "references", "webhook", "extra", "nested extra", "overriding", "capitals"],
)
def test_presigned_urls_of_another_day_leave_the_fingerprint_as_it_was(make, query):
    assert fingerprint(**make(query)) == fingerprint(**make("?of=yesterday"))


def test_a_prompt_is_no_url_even_if_it_begins_like_one():
    assert fingerprint("https://boats.example/?kind=paper") != fingerprint("https://boats.example/?kind=tin")


def test_a_query_within_a_text_that_is_no_url_counts():
    assert fingerprint(extra_fields={"title": "Why? Because"}) != fingerprint(extra_fields={"title": "Why?"})


def test_the_order_of_fields_does_not_count():
    fields = {"seed": 7, "style": {"light": "soft", "grain": 1}}
    turned = {"style": {"grain": 1, "light": "soft"}, "seed": 7}

    assert fingerprint(extra_fields=fields) == fingerprint(extra_fields=turned)


def test_the_order_of_reference_images_counts():
    assert fingerprint(reference_image_urls=[IMAGE, OTHER_IMAGE]) != fingerprint(
        reference_image_urls=[OTHER_IMAGE, IMAGE]
    )


def test_the_same_url_in_another_role_is_another_request():
    digests = {
        fingerprint(first_frame_image_url=IMAGE),
        fingerprint(extend_video_url=IMAGE),
        fingerprint(reference_image_urls=[IMAGE]),
    }

    assert len(digests) == 3


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": "A paper boat on a sunny street"},
        {"prompt": PROMPT.upper()},
        {"model": "veo3.1_fast", "duration": 8},
        {"aspect_ratio": "9:16"},
        {"duration": 10},
        {"first_frame_image_url": OTHER_IMAGE},
        {"first_frame_image_url": IMAGE.replace("https", "http")},
        {"first_frame_image_url": None},
        {"webhook": "https://hooks.example/other"},
        {"extra_fields": {"seed": 8}},
        {"extra_fields": {"seed": "7"}},
        {"extra_fields": {}},
        {"conn_id": "pictory_other"},
        {"base_url": "http://127.0.0.1:8080"},
    ],
    ids=str,
)
def test_every_change_of_what_is_requested_changes_the_fingerprint(change):
    requested = {
        "duration": 8,
        "first_frame_image_url": IMAGE,
        "webhook": "https://hooks.example/done",
        "extra_fields": {"seed": 7},
    }

    assert fingerprint(**{**requested, **change}) != fingerprint(**requested)


def test_a_default_that_is_spelled_out_is_the_same_request():
    assert fingerprint(duration="5s", aspect_ratio="16:9", model="pixverse5.5") == fingerprint()


queries = st.sampled_from(QUERIES)
hosts = st.sampled_from(["https://a.example/1.png", "https://a.example/2.png", "http://b.example/1.png"])
sources = st.one_of(
    st.just({}),
    st.builds(lambda url: {"first_frame_image_url": url}, hosts),
    st.builds(lambda url: {"extend_video_url": url}, hosts),
    st.builds(lambda urls: {"reference_image_urls": urls}, st.lists(hosts, min_size=1, max_size=2)),
)
extras = st.sampled_from(
    [
        {},
        {"seed": 7},
        {"seed": 8},
        {"seed": "7"},
        {"model": "wan3"},
        {"musicUrl": "https://a.example/1.mp3"},
        {"nested": {"url": "https://a.example/1.mp3", "seed": 7}},
        {"nested": {"seed": 7, "url": "https://a.example/1.mp3"}},
        {"nested": ["https://a.example/1.mp3"]},
    ]
)
settings_of_a_video = st.fixed_dictionaries(
    {
        "prompt": st.sampled_from([PROMPT, f" {PROMPT}\n", "A tin boat?", "A tin boat#", "A tin boat"]),
        "aspect_ratio": st.sampled_from([None, "16:9", "9:16"]),
        "duration": st.sampled_from([None, 5, "5s", 8]),
        "webhook": st.sampled_from([None, "https://a.example/done"]),
    }
)


@st.composite
def requests_with_queries(draw):
    """What is requested with and without queries in its URLs."""
    plain = {**draw(settings_of_a_video), **draw(sources), "extra_fields": draw(extras)}

    def with_queries(value, name=""):
        if isinstance(value, dict):
            return {key: with_queries(item, key) for key, item in value.items()}
        if isinstance(value, list):
            return [with_queries(item) for item in value]
        is_url = isinstance(value, str) and value.startswith("http") and name != "prompt"
        return value + draw(queries) if is_url else value

    return plain, with_queries(plain)


@settings(max_examples=400)
@given(requests_with_queries(), requests_with_queries())
def test_two_requests_are_the_same_request_if_and_only_if_they_differ_in_queries_at_most(one, other):
    (plain, queried), (other_plain, other_queried) = one, other
    is_same = VideoRequest(**plain).payload == VideoRequest(**other_plain).payload

    assert (fingerprint(**queried) == fingerprint(**other_queried)) is is_same


def test_neither_the_prompt_nor_a_signature_can_be_read_in_it():
    written = a_fingerprint(
        first_frame_image_url=f"{IMAGE}?X-Amz-Signature=5ca1ab1e",
        webhook="https://hooks.example/?token=5ca1ab1e",
        extra_fields={"seed": "s33d"},
    ).model_dump_json()

    assert not [it for it in (PROMPT, "paper", "rainy", "5ca1ab1e", "s33d", "hooks") if it in written]
    assert IMAGE in written


@pytest.mark.parametrize(
    "fields",
    [
        {"style": {1: "a", "b": 2}},
        {"model": "\ud800"},
        {"prompt": 7},
        {"duration": None},
        {"duration": True},
        {"duration": "9" * 400 + "s"},
        {"duration": 10**400},
        {"referenceImageUrls": [None, 7, IMAGE]},
        {"firstFrameImageUrl": {"url": IMAGE}},
    ],
    ids=lambda fields: f"{fields}"[:60],
)
def test_whatever_a_request_may_send_can_be_described(fields):
    ours = a_fingerprint(extra_fields=fields)

    assert ours.matches(ListedVideo(prompt="Another prompt")) is False
    assert ours.digest == a_fingerprint(extra_fields=fields).digest


# Among finished videos

FINISHED = ListedVideo(
    url="https://files.pictory.example/1.mp4",
    prompt=PROMPT,
    model="pixverse5.5",
    aspect_ratio="16:9",
    duration_seconds=5.0,
)


def changed(**changes):
    return replace(FINISHED, **changes)


@pytest.mark.parametrize(
    ("video", "verdict"),
    {
        "it, as ordered": (FINISHED, True),
        "another prompt": (changed(prompt="A tin boat"), False),
        "its prompt in capitals": (changed(prompt=PROMPT.upper()), False),
        "a beginning of its prompt": (changed(prompt=PROMPT[:-1]), False),
        "no prompt": (changed(prompt=None), None),
        "another model": (changed(model="veo3.1"), False),
        "another ratio": (changed(aspect_ratio="9:16"), False),
        "longer than ordered": (changed(duration_seconds=8.0), False),
        "a little shorter than ordered": (changed(duration_seconds=4.1), True),
        "a little longer than ordered": (changed(duration_seconds=5.9), True),
        "no model": (changed(model=None), True),
        "no ratio": (changed(aspect_ratio=None), True),
        "no length": (changed(duration_seconds=None), True),
        "nothing but the prompt": (ListedVideo(prompt=PROMPT), True),
        "nothing at all": (ListedVideo(), None),
        "a source that wasn't given": (changed(sources={"firstFrameImageUrl": IMAGE}), False),
        "an old date": (changed(created_at=None), True),
    }.values(),
    ids=lambda it: "" if isinstance(it, ListedVideo) else str(it),
)
def test_a_finished_video_is_compared_with_what_was_requested(video, verdict):
    assert a_fingerprint().matches(video) is verdict


@pytest.mark.parametrize(
    ("requested", "listed"),
    [
        ("Ein Papierboot übers Meer", unicodedata.normalize("NFD", "Ein Papierboot übers Meer")),
        (unicodedata.normalize("NFD", "한글 종이배"), "한글 종이배"),
        ("A boat\r\non a street", "A boat\non a street"),
        ("A boat\n\n on\ta  street", "A boat on a street"),
        ("A boat on\u00a0a street", "A boat on a street"),
        ("A boat on a street", "  A boat on a street\n"),
        ("A 🚢 on a street", "A 🚢 on a street"),
    ],
)
def test_a_prompt_may_come_back_tidied_up(requested, listed):
    ours = a_fingerprint(requested)

    assert ours.matches(ListedVideo(prompt=listed)) is True
    assert ours.matches(ListedVideo(prompt=f"{listed} again")) is False


@given(
    st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn", "Co"]), min_size=5, max_size=80).filter(
        lambda it: len(it.strip()) > 4
    )
)
def test_every_prompt_is_known_again_by_itself_and_not_by_another(prompt):
    try:
        ours = a_fingerprint(prompt)
    except InvalidRequestError:
        reject()

    assert ours.matches(ListedVideo(prompt=prompt)) is True
    assert ours.matches(ListedVideo(prompt=unicodedata.normalize("NFD", prompt))) is True
    assert ours.matches(ListedVideo(prompt=f"{prompt}.")) is False


@pytest.mark.parametrize(
    ("name", "given", "listed", "verdict"),
    [
        ("firstFrameImageUrl", IMAGE, IMAGE, True),
        ("firstFrameImageUrl", f"{IMAGE}?sign=1", f"{IMAGE}?sign=2", True),
        ("firstFrameImageUrl", IMAGE, (IMAGE,), True),
        ("firstFrameImageUrl", IMAGE, OTHER_IMAGE, False),
        ("firstFrameImageUrl", IMAGE, COPY, None),
        ("firstFrameImageUrl", IMAGE, None, None),
        ("extendVideoUrl", IMAGE, IMAGE, True),
        ("extendVideoUrl", IMAGE, OTHER_IMAGE, False),
        ("extendVideoUrl", IMAGE, COPY, None),
        ("referenceImageUrls", [IMAGE, OTHER_IMAGE], (IMAGE, OTHER_IMAGE), True),
        ("referenceImageUrls", [IMAGE, OTHER_IMAGE], (OTHER_IMAGE, IMAGE), True),
        ("referenceImageUrls", [IMAGE, OTHER_IMAGE], (IMAGE,), False),
        ("referenceImageUrls", [IMAGE, OTHER_IMAGE], (IMAGE, COPY), None),
        ("referenceImageUrls", [IMAGE], IMAGE, True),
        ("referenceImageUrls", [IMAGE], (), None),
    ],
)
def test_sources_are_compared_by_their_paths_and_copies_need_a_persons_eye(name, given, listed, verdict):
    arguments = {
        "firstFrameImageUrl": "first_frame_image_url",
        "extendVideoUrl": "extend_video_url",
        "referenceImageUrls": "reference_image_urls",
    }
    ours = a_fingerprint(**{arguments[name]: given})

    assert ours.matches(changed(sources={name: listed} if listed else {})) is verdict


def test_a_setting_that_differs_outweighs_one_that_is_unclear():
    ours = a_fingerprint(first_frame_image_url=IMAGE)

    assert ours.matches(changed(model="veo3.1", sources={"firstFrameImageUrl": COPY})) is False


@pytest.mark.parametrize(("seconds", "verdict"), [(8.0, True), (4.0, True), (6.0, None)])
def test_reference_images_may_make_a_video_longer_than_asked(seconds, verdict):
    ours = a_fingerprint(model="veo3.1", duration=4, reference_image_urls=[IMAGE])
    video = changed(model="veo3.1", duration_seconds=seconds, sources={"referenceImageUrls": (IMAGE,)})

    assert ours.matches(video) is verdict


def test_extra_fields_are_what_is_compared_where_they_replace_an_argument():
    ours = a_fingerprint(
        extra_fields={"model": "wan3", "duration": "12s", "aspectRatio": "21:9", "prompt": "Boats!"}
    )
    video = ListedVideo(prompt="Boats!", model="wan3", aspect_ratio="21:9", duration_seconds=12.0)

    assert ours.matches(video) is True
    assert ours.matches(replace(video, model="pixverse5.5")) is False
    assert ours.matches(replace(video, duration_seconds=5.0)) is False
    assert ours.matches(replace(video, aspect_ratio="16:9")) is False
    assert ours.matches(replace(video, prompt=PROMPT)) is False


def test_what_was_left_to_pictory_fits_whatever_it_chose():
    ours = a_fingerprint(extra_fields={"model": None, "duration": None, "aspectRatio": None})

    for video in (changed(model="veo3.1"), changed(aspect_ratio="1:1"), changed(duration_seconds=10.0)):
        assert ours.matches(video) is True


@pytest.mark.parametrize(
    "url",
    [
        "http://[",
        "https://[::1",
        "not a url",
        "https://",
        7,
        None,
    ],
)
def test_a_listed_source_that_is_no_url_raises_nothing(url):
    ours = a_fingerprint(first_frame_image_url=IMAGE)

    assert ours.matches(changed(sources={"firstFrameImageUrl": url})) in (None, False)


def test_it_comes_back_from_json_as_it_was():
    ours = a_fingerprint(first_frame_image_url=IMAGE, duration=8)

    assert RequestFingerprint.model_validate_json(ours.model_dump_json()) == ours
