"""The directive ``mermaid``: what GitHub draws by itself becomes SVG while the site is built."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from docutils import nodes
from drawing import UnknownDiagramError, draw
from sphinx.util.docutils import SphinxDirective

if TYPE_CHECKING:
    from sphinx.application import Sphinx


class Mermaid(SphinxDirective):
    """A Mermaid diagram of floors or of states."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Make the picture."""
        try:
            picture = draw("\n".join(self.content))
        except UnknownDiagramError as error:
            raise self.error(str(error)) from error
        # Wider than a narrow page, where it is moved by itself.
        return [nodes.raw("", f'<div class="diagram">{picture}</div>', format="html")]


def setup(app: Sphinx) -> dict[str, Any]:
    """Tell Sphinx of the directive."""
    app.add_directive("mermaid", Mermaid)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
