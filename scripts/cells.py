"""
The cells of the matrix: which Airflows are tested on which Pythons, and how their environments are made.

This table is the only one: the Makefile, CI, the run of the matrix and the page about it read it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date

PROJECT = Path(__file__).resolve().parent.parent
# adlfs of a later day than a cell's, since the tests know only it and what came after.
ADLFS = "adlfs=2026-09-01"


@dataclass(frozen=True)
class Cell:
    """
    One Airflow on one Python.

    :param name: how the cell is called in commands, folders and tables.
    :param airflow: what is asked for, the newest of which is taken.
    :param python: the version of Python.
    :param until: packages that came after this day are left out, since this Airflow breaks on them.
    :param later: packages that are left out from another day on, each as ``name=day``.
    :param pins: further requirements.
    :param groups: the dependency groups whose versions are chosen.
    :param is_of_each_python: whether the constraints serve every Python that the package allows.
    :param takes_prereleases: whether Airflow may be one that isn't released.
    :param is_lowest: whether the package's direct dependencies are the lowest that it allows.
    """

    name: str
    airflow: str
    python: str = "3.11"
    until: str | None = None
    later: tuple[str, ...] = ()
    pins: tuple[str, ...] = ()
    groups: tuple[str, ...] = ("test",)
    is_of_each_python: bool = False
    takes_prereleases: bool = False
    is_lowest: bool = False

    @property
    def constraints(self) -> Path:
        """The file that names the version of each package."""
        return PROJECT / f"constraints/airflow-{self.name}.txt"

    @property
    def environment(self) -> Path:
        """The folder of the environment."""
        return PROJECT / f".environments/airflow-{self.name}"

    @property
    def has_other_libraries(self) -> bool:
        """Whether what knows no Airflow differs as well, for its Python or its libraries are others."""
        return self.python != "3.11" or self.is_lowest

    def version_of(self, package: str) -> str:
        """Return the version of a package that the constraints name."""
        found = re.search(rf"^{re.escape(package)}==([^\s;]+)", self.constraints.read_text(), re.MULTILINE)
        return found[1] if found else "none"


# The oldest providers that we allow, on an Airflow that is newer than the lowest.
FLOORS = ("apache-airflow-providers-common-compat==1.12.0", "apache-airflow-providers-http==5.6.0")
PROVIDERS_OF_2026 = (
    "apache-airflow-providers-common-compat=2026-02-01",
    "apache-airflow-providers-http=2026-02-01",
)

# Airflow 2.11.0 to 3.1.0 know no later ones, with which they compute an object store's path without end.
OLD_PATHS = "universal-pathlib<0.3"

CELLS = (
    Cell("2.11", "apache-airflow==2.11.*", pins=FLOORS),
    Cell(
        "3.0",
        "apache-airflow==3.0.*",
        until="2025-10-01",
        later=(*PROVIDERS_OF_2026, ADLFS),
        pins=(OLD_PATHS,),
    ),
    Cell("3.1", "apache-airflow==3.1.*", until="2026-04-01", later=(ADLFS,)),
    Cell("3.2", "apache-airflow==3.2.*", until="2026-06-01", later=(ADLFS,)),
    # Of .venv as well, where everything is checked.
    Cell(
        "3.3",
        "apache-airflow==3.3.*",
        groups=("test", "check", "browser", "coverage"),
        is_of_each_python=True,
    ),
    Cell("3.3-python-3.12", "apache-airflow==3.3.*", python="3.12"),
    Cell("3.3-python-3.13", "apache-airflow==3.3.*", python="3.13"),
    Cell("3.3-python-3.14", "apache-airflow==3.3.*", python="3.14"),
    Cell("3.4", "apache-airflow>=3.4.0b2,<3.5", takes_prereleases=True),
    Cell("lowest", "apache-airflow", pins=(*FLOORS, OLD_PATHS), is_lowest=True),
    Cell(
        "lowest-python-3.13",
        "apache-airflow",
        python="3.13",
        until="2026-04-01",
        later=(ADLFS,),
        pins=FLOORS,
        is_lowest=True,
    ),
)
# CI runs the tests on these each time, as ``make test`` and ``make test-oldest``.
ALWAYS = ("3.3", "2.11")


class NoPythonError(Exception):
    """There is no interpreter for a cell; the message says which."""


def cell(name: str) -> Cell:
    """
    Return the cell of a name.

    :raises SystemExit: there is none.
    """
    for found in CELLS:
        if found.name == name:
            return found
    sys.exit(f"There is no cell {name!r}; there are {', '.join(known.name for known in CELLS)}")


def in_rotation(day: date, cells: Sequence[Cell], count: int = 2) -> list[Cell]:
    """
    Return the cells that CI runs on a day besides those that it always runs.

    :param day: of the run; each day has other cells than the day before until all had their turn.
    :param cells: those that can be had.
    :param count: how many, at most all.
    """
    others = [one for one in cells if one.name not in ALWAYS]
    first = day.toordinal() * count
    return [others[(first + index) % len(others)] for index in range(min(count, len(others)))]


def share_of(day: date, count: int = 11) -> str:
    """
    Return which share of the tests CI runs on a day, as pytest is told it.

    :param day: of the run.
    :param count: of the shares; it has no factor in common with the days between two turns of a cell.
    """
    return f"{day.toordinal() % count}/{count}"


def find_python(version: str, uv: str) -> str:
    """
    Return an interpreter: one that uv finds, one of pyenv's, or one that uv can download.

    :raises NoPythonError: there is none.
    """
    find = [uv, "python", "find", "--no-project", "--no-config"]
    found = subprocess.run(
        [*find, "--no-python-downloads", version], capture_output=True, text=True, check=False
    )
    if found.returncode == 0:
        return found.stdout.strip()
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for python in sorted(versions.glob(f"{version}.*/bin/python{version}")):
        return str(python)
    if subprocess.run([uv, "python", "install", version], capture_output=True, check=False).returncode == 0:
        return find_python(version, uv)
    raise NoPythonError(f"no Python {version} here, and uv can't download one")


def choose_versions(one: Cell, uv: str) -> None:
    """Write today's versions of everything that a cell's environment has into its constraints."""
    asked = "\n".join([one.airflow, *one.pins, *(_lowest_versions(one, uv) if one.is_lowest else [])])
    groups = [word for group in one.groups for word in ("--group", group)]
    _compile(one, uv, asked, *groups, "--output-file", str(one.constraints))


def _lowest_versions(one: Cell, uv: str) -> list[str]:
    """Return the lowest versions of the package's own dependencies, which are names before ``==``."""
    lines = _compile(one, uv, one.airflow, "--resolution", "lowest-direct").splitlines()
    text = (PROJECT / "pyproject.toml").read_text()
    pinned = {pin.partition("==")[0] for pin in one.pins}
    names = {line: line.partition("==")[0] for line in lines}
    return [
        line
        for line, name in names.items()
        if name not in pinned and re.search(rf'"{re.escape(name)}>=', text)
    ]


def _compile(one: Cell, uv: str, asked: str, *arguments: str) -> str:
    options = ["--extra", "sandbox", "--no-header", "--no-annotate", "--upgrade"]
    options += ["--python-version", one.python]
    # Of an Airflow that is released nothing else may be unreleased either.
    options += ["--prerelease", "allow"] if one.takes_prereleases else []
    options += ["--exclude-newer", one.until] if one.until else []
    options += [word for package in one.later for word in ("--exclude-newer-package", package)]
    # What has to be compiled can't be installed everywhere; of Airflow 2, some is published in no other form.
    options += ["--only-binary", ":all:"] if one.python != "3.11" else []
    # Of what serves one Python alone, others may have no versions at all.
    options += ["--universal"] if one.is_of_each_python else []
    command = [uv, "pip", "compile", "--quiet", "--constraint", "/dev/stdin", *options]
    done = subprocess.run(
        [*command, *arguments, "pyproject.toml"],
        cwd=PROJECT,
        input=asked,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"No versions can be chosen for the cell {one.name}")
    return done.stdout


def install(one: Cell, uv: str) -> None:
    """
    Make a cell's environment.

    :raises NoPythonError: there is no interpreter for it.
    """
    python = find_python(one.python, uv)
    venv = [uv, "venv", "--quiet", "--allow-existing", "--python", python, str(one.environment)]
    packages = [uv, "pip", "install", "--quiet", "--python", str(one.environment)]
    packages += ["--constraint", str(one.constraints), "--editable", ".[sandbox]", "--group", "test"]
    packages += ["--prerelease", "allow"] if one.takes_prereleases else []
    for command in (venv, packages):
        if subprocess.run(command, cwd=PROJECT, check=False).returncode:
            sys.exit(f"The environment of the cell {one.name} can't be made")


def main(arguments: Iterable[str]) -> int:
    """Do one thing: ``names``, ``constraints UV [CELL...]`` or ``install UV CELL...``."""
    task, *rest = arguments
    if task == "names":
        print(" ".join(one.name for one in CELLS))
        return 0
    uv, *names = rest
    for one in [cell(name) for name in names] or CELLS:
        try:
            choose_versions(one, uv) if task == "constraints" else install(one, uv)
        except NoPythonError as error:
            sys.exit(f"The cell {one.name} can't be installed: {error}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
