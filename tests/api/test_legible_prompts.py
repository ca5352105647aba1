"""A prompt of which nothing can be seen isn't sent, under whatever name it was given."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_pictory.api import InvalidRequestError, VideoRequest

NOTHING_TO_SEE = [
    "\0" * 5,
    "\0" * 5000,
    "\x1b\x07\x08\x00\x7f\x01",
    "\x80\x85\x9f\x90\x91",
    "\u200b\u200c\u200d\u2060\ufeff",
    "\ufeff" * 10,
    "\u00ad\u200e\u200f\u202a\u202e\u2066",
    "\u2800" * 8,
    "\u3164\u115f\u1160\uffa0\u3164",
    "\ufe0f" * 6,
    "\u0301" * 6,
    "\ufffd" * 6,
    "\ue000\ue001\ue002\uf8ff\ue003",
    "\U000e0041" * 6,
    "\U0003fffe\ufdd0\ufdd1\U0010ffff\u0378",
    "\ud83e\udd8a" * 5,
    "\udcff" * 5,
    " \u200b \u200b \u200b ",
]
LEGIBLE = [
    "A red fox",
    "A red\nfox\tin\r\nsnow",
    "Renard\u00a0roux sous la neige\u202f!",
    "\u4e00\u53ea\u7ea2\u72d0\u72f8",
    "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
    "\U0001f98a\U0001f98a\U0001f98a\U0001f98a\U0001f98a",
    "\U0001f469\u200d\U0001f680 in space",
    "\ufeffA red fox",
    "fox \U0001fae8 \U000e0378",
    "?????",
    "e\u0301te\u0301 en ville",
]


@pytest.mark.parametrize("prompt", NOTHING_TO_SEE, ids=ascii)
def test_a_prompt_of_which_nothing_can_be_seen_is_refused(prompt):
    for fields in ({"prompt": prompt}, {"extra_fields": {"prompt": prompt}}):
        with pytest.raises(InvalidRequestError, match="prompt"):
            VideoRequest(**fields)


@pytest.mark.parametrize("prompt", LEGIBLE, ids=ascii)
def test_a_prompt_of_which_something_can_be_seen_is_taken(prompt):
    assert VideoRequest(prompt=prompt).payload["prompt"] == prompt.strip()
    assert VideoRequest(extra_fields={"prompt": prompt}).payload["prompt"] == prompt


@pytest.mark.parametrize("control", [*map(chr, range(32)), "\x7f", "\x80", "\x9f"], ids=ascii)
def test_a_control_character_within_a_prompt_is_named(control):
    prompt = f"A red{control}fox"

    if control in "\n\r\t":
        assert VideoRequest(prompt=prompt).payload["prompt"] == prompt
    else:
        with pytest.raises(InvalidRequestError) as caught:
            VideoRequest(prompt=prompt)
        assert f"prompt: got the control character {control!r}, but besides line breaks" in str(caught.value)


@pytest.mark.parametrize("nothing", [None, "", "  ", "None"], ids=repr)
def test_extra_fields_dont_take_the_prompt_away(nothing):
    with pytest.raises(InvalidRequestError, match=r"extra_fields: got nothing .* as the prompt"):
        VideoRequest(prompt="A red fox", extra_fields={"prompt": nothing})


def test_a_prompt_of_another_form_is_left_to_pictory():
    assert VideoRequest(extra_fields={"prompt": ["A red fox"]}).payload["prompt"] == ["A red fox"]


@pytest.mark.parametrize("mark", ["\0", "\x80", "\x9f", "\u200b", "\u2060", "\ufeff"], ids=ascii)
def test_an_invisible_mark_in_a_url_is_refused(mark):
    with pytest.raises(InvalidRequestError, match="webhook"):
        VideoRequest(prompt="A red fox", webhook=f"https://example.com/{mark}")


def test_so_is_one_in_an_aspect_ratio_that_is_not_known_here():
    with pytest.raises(InvalidRequestError, match="aspect_ratio"):
        VideoRequest(prompt="A red fox", aspect_ratio="21:9\0", extra_fields={"model": "tomorrow1.0"})


@given(st.text(min_size=5, max_size=20))
def test_a_prompt_that_is_taken_has_something_to_see_and_nothing_that_nobody_means(prompt):
    try:
        request = VideoRequest(prompt=prompt)
    except InvalidRequestError:
        return

    categories = {unicodedata.category(mark) for mark in request.prompt if mark not in "\n\r\t"}
    assert any(category[0] in "LNPS" for category in categories)
    assert not categories & {"Cc", "Cs"}
