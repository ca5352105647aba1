"""Draw the docs' Mermaid diagrams as SVG, without a browser; only the two kinds that the docs have."""

from __future__ import annotations

import html
import re
from typing import NamedTuple

WIDTH, FLOOR, BOX_HEIGHT, LETTER = 960, 78, 30, 8.4
COLUMN, ROW, STATE_WIDTH, STATE_HEIGHT, LINE = 226, 150, 116, 46, 17
# How far a curve keeps from the straight line, for each column that it passes.
BEND = 62
LABEL_LETTERS = 17


class UnknownDiagramError(Exception):
    """A Mermaid diagram of a kind that isn't drawn here."""


class Point(NamedTuple):
    """A place in a picture."""

    x: float
    y: float


def draw(text: str) -> str:
    """
    Return a diagram as SVG, whose colours are the page's.

    :raises UnknownDiagramError: neither the floors of the package nor states.
    """
    kind = text.split(None, 1)[0] if text.split() else "nothing"
    if kind == "flowchart":
        return draw_floors(text)
    if kind == "stateDiagram-v2":
        return draw_states(text)
    raise UnknownDiagramError(f"{kind}: only a flowchart of floors and a stateDiagram-v2 are drawn")


def read_floors(text: str) -> tuple[list[list[str]], list[tuple[str, str]]]:
    """Return the floors of the diagram and its arrows; scripts/draw_architecture.py writes no others."""
    floors = [
        [name for name in block.split() if name not in ("direction", "LR")]
        for block in re.findall(r"subgraph [^\n]*\n(.*?)\n\s*end\b", text, re.DOTALL)
    ]
    return floors, re.findall(r"(\w+) --> (\w+)", text)


def draw_floors(text: str) -> str:
    """Return the floors of the package as SVG."""
    floors, arrows = read_floors(text)
    places: dict[str, Point] = {}
    grounds, boxes = [], []
    for row, floor in enumerate(floors):
        y = row * FLOOR + 10
        grounds.append(
            f'<rect class="floor" x="0" y="{y - 6}" width="{WIDTH}" height="{BOX_HEIGHT + 12}" rx="6"/>'
        )
        for column, part in enumerate(floor):
            width = len(part) * LETTER + 20
            x = WIDTH * (column + 1) / (len(floor) + 1)
            places[part] = Point(x, y)
            boxes.append(
                f'<rect class="part" x="{x - width / 2:.0f}" y="{y}" width="{width:.0f}" '
                f'height="{BOX_HEIGHT}" rx="5"/><text x="{x:.0f}" y="{y + 20}">{html.escape(part)}</text>'
            )
    lines = []
    for one, other in arrows:
        start, end = places[one], places[other]
        top, bottom = start.y + BOX_HEIGHT, end.y - 5
        bend = (bottom - top) / 2
        lines.append(
            _arrow(
                f"M{start.x:.0f},{top:.0f} C{start.x:.0f},{top + bend:.0f} "
                f"{end.x:.0f},{bottom - bend:.0f} {end.x:.0f},{bottom:.0f}"
            )
        )
    title = "Which part of the package imports which"
    return _picture(title, (0, 0, WIDTH, len(floors) * FLOOR), [*grounds, *lines, *boxes])


def read_states(text: str) -> tuple[str, dict[str, Point], list[tuple[str, str, str]]]:
    """
    Return the title, where each state is on a grid, and the arrows with their labels.

    Mermaid finds the places by itself. Here they stand in comments: ``%% place NAME COLUMN ROW``.

    :raises UnknownDiagramError: a state has no place.
    """
    title = re.search(r"%% title (.+)", text)
    places = {
        name: Point(float(column), float(row))
        for name, column, row in re.findall(r"%% place (\S+) ([\d.]+) ([\d.]+)", text)
    }
    arrows = [
        (one, other, (label or "").strip())
        for one, other, label in re.findall(r"^\s*(\S+) --> ([^\s:]+)(?:: (.*))?$", text, re.MULTILINE)
    ]
    # The beginning and the end have one name, and two places.
    arrows = [("start" if a == "[*]" else a, "end" if b == "[*]" else b, label) for a, b, label in arrows]
    missing = {name for one, other, _ in arrows for name in (one, other)} - set(places)
    if missing:
        raise UnknownDiagramError(f"no place is said for {', '.join(sorted(missing))}")
    return title[1] if title else "States", places, arrows


def draw_states(text: str) -> str:
    """Return a diagram of states as SVG."""
    title, grid, arrows = read_states(text)
    places = {name: Point(at.x * COLUMN + 90, at.y * ROW + 100) for name, at in grid.items()}
    lines, labels, boxes = [], [], []
    for one, other, label in arrows:
        path, middle = _curve(places[one], places[other], one, other)
        lines.append(_arrow(path))
        labels.append(_label(label, middle))
    for name, at in places.items():
        if name in ("start", "end"):
            boxes.append(f'<circle class="{name}" cx="{at.x:.0f}" cy="{at.y:.0f}" r="9"/>')
            continue
        boxes.append(
            f'<rect class="part" x="{at.x - STATE_WIDTH / 2:.0f}" y="{at.y - STATE_HEIGHT / 2:.0f}" '
            f'width="{STATE_WIDTH}" height="{STATE_HEIGHT}" rx="9"/>'
            f'<text class="state" x="{at.x:.0f}" y="{at.y + 5:.0f}">{html.escape(name)}</text>'
        )
    margin = STATE_WIDTH / 2 + 10
    left = min(at.x - (20 if name == "start" else margin) for name, at in places.items())
    right = max(at.x + (20 if name == "end" else margin) for name, at in places.items())
    bottom = max(at.y for at in places.values()) + STATE_HEIGHT
    return _picture(title, (left, 0, right - left, bottom), [*lines, *boxes, *labels])


def _curve(start: Point, end: Point, one: str, other: str) -> tuple[str, Point]:
    """Return an arrow between two states and where its label is; one that goes back bends upwards."""
    if start.y == end.y and end.x > start.x:
        start, end = _beside(start, one, 1), _beside(end, other, -1)
        return (
            f"M{start.x:.0f},{start.y:.0f} L{end.x:.0f},{end.y:.0f}",
            Point((start.x + end.x) / 2, start.y - 12),
        )
    if start.y == end.y:
        height = start.y - STATE_HEIGHT / 2
        lift = BEND * abs(start.x - end.x) / COLUMN * 0.55
        path = (
            f"M{start.x:.0f},{height:.0f} C{start.x:.0f},{height - lift:.0f} "
            f"{end.x:.0f},{height - lift:.0f} {end.x:.0f},{height - 4:.0f}"
        )
        return path, Point((start.x + end.x) / 2, height - lift * 0.75 - 8)
    down = 1 if end.y > start.y else -1
    if start.x != end.x:
        # To the side of the other one, whose top and bottom are for those that come straight.
        side = 1 if start.x > end.x else -1
        begin = Point(start.x, start.y + down * STATE_HEIGHT / 2)
        finish = Point(end.x + side * (STATE_WIDTH / 2 + 4), end.y)
        label = Point((begin.x + finish.x) / 2 + side * 58, (begin.y + finish.y) / 2 + 8)
    else:
        # A label beside its own line, on the side away from the one that comes back.
        begin = Point(start.x + 26 * down, start.y + down * STATE_HEIGHT / 2)
        finish = Point(begin.x, end.y - down * (STATE_HEIGHT / 2 + 4))
        label = Point(begin.x + 72 * down, (begin.y + finish.y) / 2)
    return f"M{begin.x:.0f},{begin.y:.0f} L{finish.x:.0f},{finish.y:.0f}", label


def _beside(at: Point, name: str, side: int) -> Point:
    half = 11 if name in ("start", "end") else STATE_WIDTH / 2
    return Point(at.x + side * (half + (4 if side < 0 else 0)), at.y)


def _label(text: str, at: Point) -> str:
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) > LABEL_LETTERS:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    top = at.y - (len(lines) - 1) * LINE
    return "".join(
        f'<text class="label" x="{at.x:.0f}" y="{top + number * LINE:.0f}">{html.escape(line)}</text>'
        for number, line in enumerate(lines)
        if line
    )


def _arrow(path: str) -> str:
    return f'<path class="arrow" marker-end="url(#head)" d="{path}"/>'


def _picture(title: str, box: tuple[float, float, float, float], parts: list[str]) -> str:
    marker = (
        '<defs><marker id="head" viewBox="0 0 8 8" refX="6" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto"><path class="head" d="M0,0 L8,4 L0,8 z"/></marker></defs>'
    )
    view = " ".join(f"{number:.0f}" for number in box)
    return (
        f'<svg class="diagram" viewBox="{view}" role="img" aria-label="{html.escape(title)}">'
        f"{marker}{''.join(parts)}</svg>"
    )
