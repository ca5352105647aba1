"""JSON of others, and the depth that we take: the same on each Python, whose own limits differ."""

from __future__ import annotations

import pytest

from airflow_provider_pictory.api.json_text import DEEPEST, is_too_deep, read_json

LEVELS = {
    "lists": ("[", "]"),
    "dicts": ('{"a":', "}"),
    "both": ('[{"a":', "}]"),
}


def nested(kind, depth):
    opening, closing = LEVELS[kind]
    return opening * depth + "1" + closing * depth


@pytest.mark.parametrize("kind", ["lists", "dicts"])
def test_a_document_may_have_as_many_levels_as_we_take(kind):
    document = read_json(nested(kind, DEEPEST))

    assert not is_too_deep(document)


@pytest.mark.parametrize("depth", [DEEPEST + 1, 900, 1_100, 5_000, 100_000])
@pytest.mark.parametrize("kind", LEVELS)
def test_a_document_with_more_levels_is_refused_on_each_python(kind, depth):
    with pytest.raises(ValueError, match="more than 100 levels"):
        read_json(nested(kind, depth))


@pytest.mark.parametrize("text", ["", "[", b"\xff", '{"a": }'])
def test_what_is_no_json_is_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011  (whatever the parser says)
        read_json(text)


def test_tuples_are_levels_too_and_what_holds_itself_is_too_deep():
    endless = []
    endless.append(endless)
    deep = ()
    for _ in range(DEEPEST + 1):
        deep = (deep,)

    assert is_too_deep(endless)
    assert is_too_deep({"a": deep})
    assert not is_too_deep({"a": (1, "text", {"b": None})})
