"""The pages of the documentation and what they are made of, for the tests of all of them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted(DOCS.rglob("*.md")),
]
BLOCK = re.compile(
    r"^(?P<indent> *)```(?P<language>[\w{}-]*)[^\n]*\n(?P<text>.*?)^(?P=indent)```$", re.DOTALL | re.MULTILINE
)


class Block(NamedTuple):
    """A fenced block of a page."""

    page: str
    language: str
    text: str


def name_of(page: Path) -> str:
    """Return what a page is called in the names of tests."""
    return str(page.relative_to(ROOT))


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page, without the indentation that a list gives them."""
    return [
        Block(
            name_of(page),
            match["language"],
            "\n".join(line.removeprefix(match["indent"]) for line in match["text"].split("\n")),
        )
        for match in BLOCK.finditer(page.read_text())
    ]


ALL_BLOCKS = [block for page in PAGES for block in blocks(page)]


def of_languages(*languages: str) -> list[Block]:
    """Return the blocks that are written in one of the languages."""
    return [block for block in ALL_BLOCKS if block.language in languages]


def without_blocks(page: Path) -> str:
    """Return the text of a page without its fenced blocks."""
    return BLOCK.sub("", page.read_text())
