"""
What the metadata has from the repository's address: links, and the README as a package index shows it.

Its links and pictures are absolute, since it stands alone there.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

# A link or a picture, unless it leads to another site or to a place on the same page.
RELATIVE = re.compile(r"(!?)\[([^\]]*)\]\((?![a-z]+:|#)([^)\s]+)\)")


def for_an_index(readme: str, address: str) -> str:
    """
    Return the README with absolute links.

    :param readme: as it is in the repository.
    :param address: of the repository; while it is empty, links become plain text and pictures are left out.
    """

    def absolute(link: re.Match[str]) -> str:
        is_picture, text, path = link.groups()
        if not address:
            return "" if is_picture else text
        return f"{is_picture}[{text}]({address}/{'raw' if is_picture else 'blob'}/main/{path})"

    made = RELATIVE.sub(absolute, readme)
    return made if address else re.sub(r"\n{3,}", "\n\n", made)


def links_to(address: str) -> dict[str, str]:
    """
    Return the links that a package index shows beside the README.

    :param address: of the repository; while it is empty, there are none.
    """
    if not address:
        return {}
    return {
        "Source": address,
        "Documentation": f"{address}/blob/main/docs/index.md",
        "Changelog": f"{address}/blob/main/CHANGELOG.md",
        "Issues": f"{address}/issues",
    }


class IndexMetadata(MetadataHookInterface):
    """Puts what depends on the repository's address into the metadata."""

    PLUGIN_NAME = "custom"

    def update(self, metadata: dict[str, Any]) -> None:
        """Set the fields ``readme`` and ``urls``."""
        root = Path(self.root)
        text = (root / "README.md").read_text(encoding="utf-8")
        settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
        address = settings["tool"]["pictory"]["repository-url"].rstrip("/")
        metadata["readme"] = {"content-type": "text/markdown", "text": for_an_index(text, address)}
        metadata["urls"] = links_to(address)
