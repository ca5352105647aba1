"""What the pages have to say, and that their links lead somewhere."""

from __future__ import annotations

import ast
import inspect
import re
import tomllib
from functools import cache
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_pictory import exceptions
from airflow_provider_pictory.client.settings import KNOWN_EXTRAS
from tests.docs.pages import DOCS, PAGES, ROOT, name_of, of_languages, without_blocks

ERRORS = [
    name
    for name, cls in vars(exceptions).items()
    if inspect.isclass(cls) and issubclass(cls, exceptions.PictoryError)
]
GAP = "\0"
FIRST_PAGES = [ROOT / "README.md", DOCS / "quickstart.md"]
LONGEST_SENTENCE, LONGEST_README, LONGEST_DAG = 30, 110, 15
LINK = re.compile(r"\]\(([^)\s]+)\)")


def anchors(page):
    """Return the anchors of a page's headings, as GitHub and MyST make them."""
    headings = re.findall(r"^#+ (.+)$", without_blocks(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def sections(page):
    """Return the sections of a page by their headings of the third level."""
    found = re.findall(r"^### `(\w+)`$\n(.*?)(?=^##|\Z)", page.read_text(), re.DOTALL | re.MULTILINE)
    return dict(found)


@cache
def texts_of_the_code():
    """Return all texts of the package, with a mark where a value is put in."""
    texts = []
    for file in sorted((ROOT / "airflow_provider_pictory").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.JoinedStr):
                parts = (part.value if isinstance(part, ast.Constant) else GAP for part in node.values)
                texts.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
    return texts


def test_each_error_has_a_section_on_the_errors_page():
    assert set(sections(DOCS / "errors.md")) == set(ERRORS)


@pytest.mark.parametrize(("name", "section"), sections(DOCS / "errors.md").items())
def test_the_errors_page_is_right_about_retries(name, section):
    is_final = issubclass(getattr(exceptions, name), AirflowFailException)
    assert f"Retried: {'no' if is_final else 'yes'}." in section


@pytest.mark.parametrize(("name", "section"), sections(DOCS / "errors.md").items())
def test_the_errors_page_quotes_messages_of_the_code(name, section):
    for quoted in re.findall(r"^> (.+(?:\n> .+)*)$", section, re.MULTILINE):
        for part in re.split(r"\.\.\.", quoted.replace("\n> ", " ")):
            words = part.strip()
            assert not words or any(words in text for text in texts_of_the_code()), words


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_within_the_repository_lead_to_something(page):
    for link in LINK.findall(without_blocks(page)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert target.is_relative_to(ROOT), link
        if anchor:
            assert anchor in anchors(target), link


def test_each_picture_of_the_ui_is_one_that_make_pictures_takes():
    used = {Path(link).name for page in PAGES for link in LINK.findall(page.read_text()) if "images/" in link}
    taken = re.findall(r'take_picture\(browser, "(.+?)"\)', (ROOT / "tests/e2e/test_browser.py").read_text())

    assert used == set(taken)


def test_the_repository_s_address_stands_in_one_place_only():
    address = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pictory"]["repository-url"]
    for page in PAGES:
        assert "readthedocs" not in page.read_text()
        if not address:
            assert not re.search(r"github\.com/[^)\s]*airflow-provider-pictory", page.read_text())


def test_each_extra_of_the_connection_is_documented():
    pages = "".join(page.read_text() for page in PAGES)
    assert [extra for extra in KNOWN_EXTRAS if f"`{extra}`" not in pages] == []


def sentences(page):
    """Return the sentences of a page, each as a list of words; headings, items and cells are some, too."""
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", without_blocks(page))
    text = re.sub(r"^(#|[-*>] |\d+\. |\|)", r"\n\n\1", text, flags=re.MULTILINE)
    for part in re.split(r"\n\s*\n|\|", text):
        for sentence in re.split(r"(?<=[.!?:])\s+", part):
            if words := [word for word in sentence.split() if re.search(r"\w", word)]:
                yield words


@pytest.mark.parametrize("page", FIRST_PAGES, ids=name_of)
def test_what_a_new_user_reads_has_short_sentences(page):
    assert [" ".join(words) for words in sentences(page) if len(words) > LONGEST_SENTENCE] == []


def test_the_readme_is_one_that_people_read_to_its_end():
    lines = (ROOT / "README.md").read_text().splitlines()
    (dag,) = (block for block in of_languages("python") if block.page == "README.md")
    assert len(lines) <= LONGEST_README
    assert len(dag.text.splitlines()) <= LONGEST_DAG
