"""The release check: what it accepts in a wheel and an sdist, and what it refuses."""

from __future__ import annotations

import importlib
import io
import re
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

from airflow_provider_pictory import __version__

ROOT = Path(__file__).parents[1]
VERSION = "1.2.3rc4"
ADDRESS = "https://example.com/somebody/provider"
CODE = {"airflow_provider_pictory/__init__.py", "airflow_provider_pictory/api/models.py"}
METADATA = {"name": ["airflow-provider-pictory"], "version": [VERSION], "license-expression": ["Apache-2.0"]}


@pytest.fixture(scope="module")
def checks():
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        yield importlib.import_module("dist_checks")
    finally:
        sys.path.remove(str(ROOT / "scripts"))


@pytest.fixture
def tracked(checks):
    return {*CODE, *checks.NEEDED_IN_SDIST, ".ci/run", ".pre-commit-config.yaml"}


@pytest.fixture
def sdist(checks, tracked):
    """The files of an sdist with which nothing is wrong."""
    return {name for name in tracked if not name.startswith((".ci", ".pre"))} | {"PKG-INFO"}


@pytest.fixture
def wheel():
    """The files of a wheel with which nothing is wrong."""
    names = ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE")
    return CODE | {f"airflow_provider_pictory-{VERSION}.dist-info/{name}" for name in names}


def test_an_sdist_with_all_that_is_committed_is_right(checks, sdist, tracked):
    assert checks.faults_of_sdist(sdist, tracked) == []


@pytest.mark.parametrize("lost", ["docs/conf.py", "airflow_provider_pictory/api/models.py"])
def test_a_file_that_an_sdist_lacks_is_named_once(checks, sdist, tracked, lost):
    assert checks.faults_of_sdist(sdist - {lost}, tracked) == [f"the sdist lacks {lost}"]


def test_what_an_sdist_is_for_is_missed_even_where_the_commit_lacks_it(checks, sdist, tracked):
    assert checks.faults_of_sdist(sdist - {"Makefile"}, tracked - {"Makefile"}) == [
        "the sdist lacks Makefile"
    ]


def test_an_sdist_has_nothing_that_somebody_left_in_the_folder(checks, sdist, tracked):
    assert checks.faults_of_sdist(sdist | {"docs/notes.md"}, tracked) == [
        "the sdist has docs/notes.md, which isn't in the commit"
    ]


def test_what_the_check_needs_of_an_sdist_is_there(checks):
    assert [name for name in checks.NEEDED_IN_SDIST if not (ROOT / name).is_file()] == []


def test_a_wheel_with_the_package_alone_is_right(checks, wheel, tracked):
    assert checks.faults_of_wheel(wheel, tracked, VERSION) == []


@pytest.mark.parametrize("lost", ["api/models.py", "entry_points.txt", "LICENSE"])
def test_a_file_that_a_wheel_lacks_is_named(checks, wheel, tracked, lost):
    (name,) = (name for name in wheel if name.endswith(lost))
    assert checks.faults_of_wheel(wheel - {name}, tracked, VERSION) == [f"the wheel lacks {name}"]


def test_a_wheel_has_no_tests(checks, wheel, tracked):
    assert checks.faults_of_wheel(wheel | {"tests/conftest.py"}, tracked, VERSION) == [
        "the wheel has tests/conftest.py as well"
    ]


def test_modules_are_named_as_they_are_imported(checks, wheel):
    assert checks.modules_of(wheel | {"airflow_provider_pictory/py.typed"}) == [
        "airflow_provider_pictory",
        "airflow_provider_pictory.api.models",
    ]


def test_the_files_are_read_from_the_archives(checks, tmp_path):
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        for name in ("a-1/PKG-INFO", "a-1/docs/conf.py"):
            archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    with zipfile.ZipFile(tmp_path / "a.whl", "w") as archive:
        archive.writestr("a/__init__.py", "")
        archive.writestr(
            "a-1.dist-info/METADATA", "Name: a\nClassifier: One\nClassifier: Two\n\nText: none\n"
        )

    assert checks.files_of_sdist(tmp_path / "a.tar.gz") == {"PKG-INFO", "docs/conf.py"}
    assert checks.files_of_wheel(tmp_path / "a.whl") == {"a/__init__.py", "a-1.dist-info/METADATA"}
    assert checks.metadata_of_wheel(tmp_path / "a.whl") == {"name": ["a"], "classifier": ["One", "Two"]}


@pytest.mark.parametrize(
    ("changed", "address", "faults"),
    [
        ({}, "", []),
        ({"project-url": [f"Source, {ADDRESS}"]}, ADDRESS, []),
        ({"version": ["1.2.3"]}, "", ["the metadata's version is ['1.2.3'], not 1.2.3rc4"]),
        ({"name": ["another"]}, "", ["the metadata's name is ['another'], not airflow-provider-pictory"]),
        ({"license-expression": None}, "", ["the metadata's license-expression is None, not Apache-2.0"]),
        ({}, ADDRESS, [f"the metadata has no link to {ADDRESS}"]),
        (
            {"project-url": ["Source, https://example.com/invented"]},
            "",
            ["the metadata has links, but no address is set: ['Source, https://example.com/invented']"],
        ),
    ],
)
def test_the_metadata_says_what_the_project_says(checks, changed, address, faults):
    assert checks.faults_of_metadata({**METADATA, **changed}, VERSION, address) == faults


@pytest.mark.parametrize(
    ("heading", "found"), [("## 1.2.3rc4", True), ("## 1.2.3rc4 - 2026-11-29", True), ("## 1.2.3rc41", False)]
)
def test_a_version_has_a_section_of_its_own_in_the_changelog(checks, heading, found):
    assert checks.has_section(f"# Changelog\n\n{heading}\n\n- Something\n", VERSION) is found


def test_an_address_that_is_unset_is_said_loudly(checks):
    lines = checks.about_address("").splitlines()

    assert any("repository-url in pyproject.toml is UNSET" in line for line in lines)
    assert {len(line) for line in lines} == {len(lines[0])}
    assert lines[0] == lines[-1] == "!" * len(lines[0])


def test_an_address_that_is_set_is_named_and_not_complained_about(checks):
    assert checks.about_address(ADDRESS) == f"The repository's address is {ADDRESS}."


def test_the_address_is_the_setting_s(checks):
    text = (ROOT / "pyproject.toml").read_text()
    setting = tomllib.loads(text)["tool"]["pictory"]["repository-url"]

    assert checks.address_of(text) == setting.rstrip("/")
    assert checks.address_of(f'[tool.pictory]\nrepository-url = "{ADDRESS}/"') == ADDRESS


@pytest.mark.parametrize(
    ("address", "changelog", "is_clean", "objections"),
    [
        (ADDRESS, f"## {VERSION}", True, []),
        ("", f"## {VERSION}", True, ["[tool.pictory] repository-url is unset"]),
        (ADDRESS, "## Unreleased", True, [f"CHANGELOG.md has no section for {VERSION}"]),
        (ADDRESS, f"## {VERSION}", False, ["there are changes that aren't committed"]),
    ],
)
def test_only_what_is_complete_may_be_published(checks, address, changelog, is_clean, objections):
    assert checks.objections(address, changelog, VERSION, is_clean) == objections


def test_this_version_has_a_section_in_the_changelog(checks):
    assert checks.has_section((ROOT / "CHANGELOG.md").read_text(), __version__)


def test_the_version_stands_in_one_place_only():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())

    assert "version" in settings["project"]["dynamic"]
    places = [
        ROOT / settings["tool"]["hatch"]["version"]["path"],
        ROOT / "pyproject.toml",
        *ROOT.glob("docs/*"),
    ]
    found = [
        path for path in places if path.is_file() and f'"{__version__}"' in path.read_text(errors="replace")
    ]
    assert found == places[:1]


def test_no_python_is_claimed_that_could_not_be_run():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    claimed = re.findall(r"Python :: (3\.\d+)", "\n".join(settings["project"]["classifiers"]))
    table = (
        (ROOT / "docs/compatibility.md").read_text().partition("<!-- measured")[2].partition("<!-- end")[0]
    )
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()[3:]]
    not_run = {row[2] for row in rows if row[4].startswith("not run:")}

    assert claimed == ["3.11", "3.12", "3.13"] + ([] if "3.14" in not_run else ["3.14"])
    assert rows
    assert not_run.isdisjoint(claimed)
