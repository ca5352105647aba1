"""Every prompt can be drawn, and the clock is all that moves."""

from __future__ import annotations

import pytest
from PIL import ImageChops

from airflow_provider_pictory.sandbox.drawing import Painter, Scene, drawable
from airflow_provider_pictory.sandbox.wire import FRAME_SIZES

CAPTION = "veo3.1 \u00b7 16:9 \u00b7 8 s"


def scene(prompt, size=(640, 360)):
    return Scene(prompt=prompt, caption=CAPTION, duration=8, width=size[0], height=size[1])


def box_of_change(one, other):
    return ImageChops.difference(one, other).getbbox()


@pytest.mark.parametrize(
    "prompt",
    [
        "x" * 5000,
        "word " * 1000,
        "\U0001f98a\U0001f3ac\U0001f468\u200d\U0001f469\u200d\U0001f467 \u2728",
        "\u05e9\u05dc\u05d5\u05dd \u0639\u0627\u0644\u0645 \u202eright to left",
        "\u65e5\u672c\u8a9e\u306e\u30d7\u30ed\u30f3\u30d7\u30c8",
        "\x00\x07\x1b[31m\r\n\t\x7f",
        "\ud800\udfff lone surrogates",
        "     ",
        "a\u0301\u0301\u0301" * 500,
        "W" * 40 + " i",
    ],
)
@pytest.mark.parametrize("size", [FRAME_SIZES["16:9"], FRAME_SIZES["9:16"]])
def test_any_prompt_can_be_drawn_in_any_size(prompt, size):
    assert Painter(scene(prompt, size)).paint(1.0).size == size


def test_the_prompt_is_in_the_picture():
    with_text = Painter(scene("A red fox walks through snow")).paint(0)
    left, top, right, bottom = box_of_change(with_text, Painter(scene("A red fox")).paint(0))

    assert right - left > 300
    assert bottom - top > 30


def test_the_same_prompt_gets_the_same_colours_and_another_one_others():
    def corner(prompt):
        return Painter(scene(prompt)).paint(0).resize((8, 8)).getpixel((0, 3))

    def distance(one, other):
        return sum(abs(a - b) for a, b in zip(one, other, strict=True))

    assert distance(corner("A red fox"), corner("A red fox")) < 12
    assert distance(corner("A red fox"), corner("A blue whale")) > 12


def test_only_the_strip_with_the_clock_changes_over_time():
    painter = Painter(scene("A red fox walks through snow"))

    early, late = painter.paint(1.0).copy(), painter.paint(7.5).copy()

    _, top, _, _ = box_of_change(early, late)
    assert top >= 360 - 66


def test_every_tenth_of_a_second_looks_different():
    painter = Painter(scene("A red fox walks through snow"))
    pictures = [painter.paint(tenth / 10).tobytes() for tenth in range(81)]

    assert len(set(pictures)) == 81


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Gr\u00fc\u00dfe \u2013 caf\u00e9", "Grusse - cafe"),
        ("fox \U0001f98a in snow \u2744\ufe0f", "fox  in snow "),
        ("it^s `code`", "it^s `code`"),
        ("bell\x07", "bell"),
    ],
)
def test_what_the_font_lacks_is_written_with_what_it_has(text, shown):
    assert drawable(text) == shown
