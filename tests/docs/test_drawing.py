"""The Mermaid diagrams of the docs become SVG without a browser."""

from __future__ import annotations

import importlib
from xml.etree import ElementTree as ET

import pytest

from tests.docs.pages import of_languages

drawing = importlib.import_module("drawing")

STATES = """stateDiagram-v2
    %% title How far a submission has come
    %% place start 0 0
    %% place intent 1 0
    %% place accepted 2 0
    %% place closed 1 1
    %% place end 3 0
    [*] --> intent: before the <POST>
    intent --> accepted
    accepted --> intent: cleared
    intent --> closed: refused
    closed --> intent
    accepted --> [*]: deleted
"""


@pytest.mark.parametrize("block", of_languages("mermaid"), ids=lambda block: block.page)
def test_each_diagram_of_the_docs_is_drawn_with_all_its_parts(block):
    picture = ET.fromstring(drawing.draw(block.text))

    shown = {text.text for text in picture.iter("text")}
    if block.text.startswith("flowchart"):
        floors, arrows = drawing.read_floors(block.text)
        assert shown == {part for floor in floors for part in floor}
    else:
        _, places, arrows = drawing.read_states(block.text)
        assert shown >= set(places) - {"start", "end"}
    assert len([path for path in picture.iter("path") if path.get("class") == "arrow"]) == len(arrows)


def test_states_and_labels_are_shown_and_escaped():
    picture = ET.fromstring(drawing.draw(STATES))

    assert picture.get("aria-label") == "How far a submission has come"
    assert {"intent", "accepted", "closed", "before the <POST>"} <= {
        text.text for text in picture.iter("text")
    }
    assert [circle.get("class") for circle in picture.iter("circle")] == ["start", "end"]


def test_nothing_lies_outside_the_picture():
    picture = ET.fromstring(drawing.draw(STATES))

    left, _, width, height = map(float, picture.get("viewBox").split())
    for text in picture.iter("text"):
        assert left < float(text.get("x")) < left + width
        assert 0 < float(text.get("y")) < height


def test_a_state_without_a_place_is_refused():
    with pytest.raises(drawing.UnknownDiagramError, match="no place is said for accepted"):
        drawing.draw(STATES.replace("%% place accepted 2 0", ""))


@pytest.mark.parametrize("text", ["", "sequenceDiagram\n  a->>b: hello"])
def test_other_diagrams_are_refused(text):
    with pytest.raises(drawing.UnknownDiagramError, match="only"):
        drawing.draw(text)
