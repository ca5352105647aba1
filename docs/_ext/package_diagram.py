"""Draw the Mermaid diagram of the package's parts as SVG while the site is built, without a browser."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, Any

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

if TYPE_CHECKING:
    from sphinx.application import Sphinx

WIDTH, FLOOR, BOX_HEIGHT, LETTER = 960, 78, 30, 8.4


def read(text: str) -> tuple[list[list[str]], list[tuple[str, str]]]:
    """Return the floors of the diagram and its arrows; scripts/draw_architecture.py writes no others."""
    floors = [
        [name for name in block.split() if name not in ("direction", "LR")]
        for block in re.findall(r"subgraph [^\n]*\n(.*?)\n\s*end\b", text, re.DOTALL)
    ]
    return floors, re.findall(r"(\w+) --> (\w+)", text)


def draw(text: str) -> str:
    """Return the diagram as SVG, whose colours are the page's."""
    floors, arrows = read(text)
    places: dict[str, tuple[float, float, float]] = {}
    boxes = []
    for row, floor in enumerate(floors):
        y = row * FLOOR + 10
        boxes.append(
            f'<rect class="floor" x="0" y="{y - 6}" width="{WIDTH}" height="{BOX_HEIGHT + 12}" rx="6"/>'
        )
        for column, part in enumerate(floor):
            width = len(part) * LETTER + 20
            x = WIDTH * (column + 1) / (len(floor) + 1)
            places[part] = (x, y, width)
            boxes.append(
                f'<rect class="part" x="{x - width / 2:.0f}" y="{y}" width="{width:.0f}" '
                f'height="{BOX_HEIGHT}" rx="5"/><text x="{x:.0f}" y="{y + 20}">{html.escape(part)}</text>'
            )
    lines = []
    for one, other in arrows:
        (x1, y1, _), (x2, y2, _) = places[one], places[other]
        top, bottom = y1 + BOX_HEIGHT, y2 - 5
        bend = (bottom - top) / 2
        lines.append(
            f'<path class="arrow" marker-end="url(#head)" d="M{x1:.0f},{top} C{x1:.0f},{top + bend:.0f} '
            f'{x2:.0f},{bottom - bend:.0f} {x2:.0f},{bottom}"/>'
        )
    height = len(floors) * FLOOR
    marker = (
        '<defs><marker id="head" viewBox="0 0 8 8" refX="6" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto"><path class="head" d="M0,0 L8,4 L0,8 z"/></marker></defs>'
    )
    return (
        f'<svg class="package-diagram" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="Which part of the package imports which">{marker}'
        f"{''.join(part for part in boxes if 'floor' in part[:20])}{''.join(lines)}"
        f"{''.join(part for part in boxes if 'floor' not in part[:20])}</svg>"
    )


class Mermaid(SphinxDirective):
    """A Mermaid flowchart of floors."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Make the picture."""
        return [nodes.raw("", draw("\n".join(self.content)), format="html")]


def setup(app: Sphinx) -> dict[str, Any]:
    """Tell Sphinx of the directive."""
    app.add_directive("mermaid", Mermaid)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
