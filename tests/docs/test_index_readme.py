"""The README reads the same on a package index, where no file lies beside it, and links stand next to it."""

from __future__ import annotations

import re
import sys

import pytest

from tests.docs.pages import ROOT

pytest.importorskip("hatchling", reason="hatchling builds the package, and make check brings it")

sys.path.insert(0, str(ROOT))
from hatch_build import for_an_index, links_to

README = (ROOT / "README.md").read_text()
LINK = re.compile(r"\]\(([^)]*)\)")


def test_links_and_pictures_are_absolute_once_there_is_an_address():
    made = for_an_index(README, "https://example.com/somebody/provider")

    assert all(link.startswith("https://") for link in LINK.findall(made))
    assert "](https://example.com/somebody/provider/raw/main/docs/images/graph.png)" in made
    assert "](https://example.com/somebody/provider/blob/main/docs/quickstart.md)" in made


def test_without_an_address_no_link_leads_nowhere_and_no_word_is_lost():
    made = for_an_index(README, "")

    assert LINK.findall(made) == ["https://pictory.ai/"]
    assert "![" not in made
    without_pictures = re.sub(r"!\[[^\]]*\]\([^)]*\)", "", README)
    assert made.split() == re.sub(r"\[([^\]]*)\]\((?!https)[^)]*\)", r"\1", without_pictures).split()


def test_links_to_other_sites_and_to_places_on_the_page_stay():
    text = "[a](https://pictory.ai/) [b](#install) [c](mailto:somebody@example.com)"
    assert for_an_index(text, "https://example.com/x") == text


def test_links_beside_it_lead_to_files_of_the_repository_once_there_is_an_address():
    links = links_to("https://example.com/somebody/provider")

    assert links["Source"] == "https://example.com/somebody/provider"
    files = [link.partition("/blob/main/")[2] for link in links.values() if "/blob/" in link]
    assert files == ["docs/index.md", "CHANGELOG.md"]
    assert all((ROOT / file).is_file() for file in files)


def test_without_an_address_there_are_no_links_beside_it():
    assert links_to("") == {}
