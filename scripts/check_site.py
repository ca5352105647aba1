"""
Check the links of the built site: each leads to a page and a place that are there.

Nothing that a page loads comes from another host, so that the site and its search work without a network.
"""

from __future__ import annotations

import sys
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

# What a browser loads by itself, unlike the links that a person follows.
LOADED = {("img", "src"), ("script", "src"), ("link", "href"), ("source", "src")}
# The indexes that Sphinx's own templates name as relations, whether they are made or not.
RELATIONS = {"index", "search", "author", "copyright"}


class Page(HTMLParser):
    """The links and the places of one page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[tuple[str, str]] = []
        self.places: set[str] = set()
        self.has_error = False
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Note what a tag names and where it leads."""
        values = dict(attributes)
        # What a theme or a directive complains about where only a reader of the page would see it.
        self.has_error |= "system-message" in (values.get("class") or "")
        if tag == "link" and values.get("rel") in RELATIONS:
            return
        for name in ("id", "name"):
            if place := values.get(name):
                self.places.add(place)
        for name in ("href", "src"):
            if (link := values.get(name)) is not None:
                self.links.append((link, "loaded" if (tag, name) in LOADED else "link"))


@cache
def read(path: Path) -> Page:
    """Return a page, which many others lead to."""
    return Page(path)


def faults_of(page: Path) -> list[str]:
    """Return what is wrong with the links of a page."""
    faults = ["shows an error of its own"] if read(page).has_error else []
    for link, kind in read(page).links:
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            if kind == "loaded" and parts.scheme != "data":
                faults.append(f"loads {link} from another host")
            continue
        target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
        if not target.is_file():
            faults.append(f"{link}: there is no such file")
        elif parts.fragment and target.suffix == ".html" and parts.fragment not in read(target).places:
            faults.append(f"{link}: there is no such place on the page")
    return faults


def main() -> int:
    """Print each fault, and return the exit status."""
    site = Path(sys.argv[1]).resolve()
    pages = sorted(site.rglob("*.html"))
    count, links = 0, 0
    for page in pages:
        links += len(read(page).links)
        for fault in faults_of(page):
            print(f"{page.relative_to(site)}: {fault}")
            count += 1
    print(f"{links} links on {len(pages)} pages, {count} faults")
    return 1 if count or not pages else 0


if __name__ == "__main__":
    sys.exit(main())
