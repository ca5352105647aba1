"""The matrix: which cells there are, which CI runs on a day, and what is written about them."""

from __future__ import annotations

import importlib
import json
import re
import sys
from datetime import date, timedelta
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def scripts():
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        yield importlib.import_module("cells"), importlib.import_module("matrix")
    finally:
        sys.path.remove(str(ROOT / "scripts"))


@pytest.fixture
def cells(scripts):
    return scripts[0]


@pytest.fixture
def matrix(scripts):
    return scripts[1]


def names(cells):
    return [one.name for one in cells]


def test_each_minor_release_each_python_and_the_lowest_have_a_cell_with_its_constraints(cells):
    assert {"2.11", "3.0", "3.1", "3.2", "3.3", "lowest"} <= set(names(cells.CELLS))
    assert {one.python for one in cells.CELLS} == {"3.11", "3.12", "3.13", "3.14"}
    for one in cells.CELLS:
        assert one.version_of("apache-airflow") != "none", one.name


def test_constraints_are_names_and_versions_alone(cells):
    line = re.compile(r"[a-z0-9._-]+==[\w.+!]+( ; .+)?")
    for one in cells.CELLS:
        assert all(line.fullmatch(text) for text in one.constraints.read_text().splitlines()), one.name


def test_the_lowest_are_those_that_the_package_allows(cells):
    text = (ROOT / "pyproject.toml").read_text()
    lowest = cells.cell("lowest")
    for package in ("apache-airflow", "pydantic"):
        floor = re.search(rf'"{package}>=([\d.]+)"', text)[1]
        assert lowest.version_of(package) in (floor, f"{floor}.0")
    for package in ("common-compat", "http"):
        floor = re.search(rf'"apache-airflow-providers-{package}>=([\d.]+)"', text)[1]
        assert lowest.version_of(f"apache-airflow-providers-{package}") == floor


def test_ci_has_the_same_two_cells_all_day_and_each_has_its_turn(cells):
    day = date(2026, 11, 29)
    days = [day + timedelta(days=number) for number in range(len(cells.CELLS))]
    turns = [names(cells.in_rotation(day, cells.CELLS)) for day in days]

    assert turns[0] == names(cells.in_rotation(day, cells.CELLS))
    assert all(len(set(turn)) == 2 for turn in turns)
    assert {name for turn in turns for name in turn} == set(names(cells.CELLS)) - set(cells.ALWAYS)
    assert not set(turns[0]) & set(turns[1])


@pytest.mark.parametrize("is_3_14_there", [False, True])
def test_ci_runs_each_share_of_the_tests_on_each_cell_in_the_end(cells, is_3_14_there):
    there = [one for one in cells.CELLS if is_3_14_there or one.python != "3.14"]
    days = [date(2026, 11, 29) + timedelta(days=number) for number in range(100)]
    seen = {(one.name, cells.share_of(day)) for day in days for one in cells.in_rotation(day, there)}

    others = [one for one in there if one.name not in cells.ALWAYS]
    assert len(seen) == 11 * len(others)


@pytest.mark.parametrize("left", [0, 1, 2])
def test_cells_that_cannot_be_had_have_no_turn(cells, left):
    others = [one for one in cells.CELLS if one.name not in cells.ALWAYS][:left]
    few = [*map(cells.cell, cells.ALWAYS), *others]

    assert sorted(names(cells.in_rotation(date(2026, 11, 29), few))) == sorted(names(others))


def test_a_cell_that_is_none_is_refused_with_those_that_are(cells):
    with pytest.raises(SystemExit, match=r"There is no cell '3\.9'; there are 2\.11, 3\.0"):
        cells.cell("3.9")


def test_an_interpreter_that_is_nowhere_is_said(cells, tmp_path, monkeypatch):
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    uv = tmp_path / "uv"
    uv.write_text("#!/bin/sh\nexit 1\n")
    uv.chmod(0o755)

    with pytest.raises(cells.NoPythonError, match=r"no Python 3\.14 here, and uv can't download one"):
        cells.find_python("3.14", str(uv))


def outcome(matrix, cells, name, **changes):
    scenarios = dict.fromkeys(matrix.SCENARIOS, "9 s")
    return matrix.Outcome(cells.cell(name), **{"tests": "7, 1", "scenarios": scenarios, **changes})


@pytest.mark.parametrize(
    ("changes", "status", "said"),
    [
        ({}, 0, "1 of 1 cells as they must be, 0 not run"),
        ({"wrong": ["tests failed (6, 1; 1 failed)"]}, 1, "WRONG: 3.1: tests failed (6, 1; 1 failed)"),
        ({"not_run": "no Python 3.11 here"}, 1, "NOT RUN: 3.1: no Python 3.11 here"),
    ],
)
def test_what_was_not_run_or_is_wrong_is_said_in_the_end(matrix, cells, capsys, changes, status, said):
    assert matrix.conclude([outcome(matrix, cells, "3.1", **changes)]) == status

    assert said in capsys.readouterr().out


def test_the_page_keeps_what_was_measured_of_other_cells(matrix, cells, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"Before\n{matrix.BEGIN}{matrix.END}after\n")
    matrix.write_page([outcome(matrix, cells, "3.2"), outcome(matrix, cells, "3.0")], page)
    matrix.write_page([outcome(matrix, cells, "3.0", tests="8, 0")], page)
    text = page.read_text()

    assert text.startswith("Before\n")
    assert text.endswith("after\n")
    assert re.findall(r"^\| (\S+) \|.*\| (\d, \d) \|", text, re.MULTILINE) == [
        ("3.0", "8, 0"),
        ("3.2", "7, 1"),
    ]


def test_a_cell_that_cannot_be_had_keeps_what_was_measured_of_it(matrix, cells, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"{matrix.BEGIN}{matrix.END}")
    absent = [matrix.Outcome(cells.cell(name), not_run="no Python") for name in ("3.0", "3.2")]
    matrix.write_page([outcome(matrix, cells, "3.2"), absent[0]], page)
    matrix.write_page(absent, page)

    assert re.findall(r"^\| (\S+) \|.*\| (\d, \d|not run: no Python) \|", page.read_text(), re.MULTILINE) == [
        ("3.0", "not run: no Python"),
        ("3.2", "7, 1"),
    ]


def test_scenarios_that_went_wrong_are_seen_in_the_table(matrix, cells, tmp_path):
    results = tmp_path / "results.json"
    seen = {name: {"seconds": 5, "wrong": []} for name in matrix.SCENARIOS}
    seen["wrong key"]["wrong"] = ["paid twice"]
    results.write_text(json.dumps(seen))
    of_cell = matrix.Outcome(cells.cell("3.1"))
    matrix._read(results, of_cell)

    assert of_cell.wrong == ["paid twice"]
    assert of_cell.row.count("| 5 s") == len(matrix.SCENARIOS) - 1
    assert "| wrong |" in of_cell.row
