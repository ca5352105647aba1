"""The check of the built site's links finds what leads nowhere."""

from __future__ import annotations

import runpy
import sys

import pytest

from tests.docs.pages import ROOT

GOOD = '<h1 id="top">x</h1><a href="#top">x</a><a href="sub/two.html#end">x</a><a href="https://pictory.ai/">x</a>'


@pytest.fixture
def check(tmp_path, monkeypatch, capsys):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "two.html").write_text('<p id="end"><img src="data:image/png;base64,AA">')

    def check(text):
        (tmp_path / "one.html").write_text(text)
        monkeypatch.setattr(sys, "argv", ["check_site.py", str(tmp_path)])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(ROOT / "scripts/check_site.py"), run_name="__main__")
        return ended.value.code, capsys.readouterr().out

    return check


def test_a_site_whose_links_lead_somewhere_passes(check):
    assert check(GOOD) == (0, "4 links on 2 pages, 0 faults\n")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('<a href="three.html">x</a>', "three.html: there is no such file"),
        ('<a href="sub/two.html#start">x</a>', "two.html#start: there is no such place"),
        ('<a href="#nowhere">x</a>', "#nowhere: there is no such place"),
        ('<img src="picture.png">', "picture.png: there is no such file"),
        (
            '<script src="https://example.com/x.js"></script>',
            "loads https://example.com/x.js from another host",
        ),
        ('<aside class="system-message">x</aside>', "shows an error of its own"),
        ('<link rel="stylesheet" href="//example.com/x.css">', "from another host"),
    ],
)
def test_what_leads_nowhere_or_elsewhere_is_named(check, text, said):
    code, output = check(text)

    assert code == 1
    assert said in output
