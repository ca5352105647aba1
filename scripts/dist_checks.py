"""What a wheel and an sdist have to be like, without building or installing anything."""

from __future__ import annotations

import email.parser
import tarfile
import tomllib
import zipfile
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

PACKAGE = "airflow_provider_pictory"
DISTRIBUTION = "airflow-provider-pictory"
# What only serves the repository itself.
NOT_IN_SDIST = (".ci/", ".pre-commit-config.yaml")
# What is made while the sdist is built.
MADE_FOR_SDIST = {"PKG-INFO"}
# What a person unpacks an sdist for, whatever the commit has.
NEEDED_IN_SDIST = (
    ".github/workflows/publish.yml",
    "CHANGELOG.md",
    "LICENSE",
    "Makefile",
    "README.md",
    "SECURITY.md",
    "constraints/airflow-3.3.txt",
    "docs/_ext/code_tables.py",
    "docs/conf.py",
    "docs/index.md",
    "example_dags/example_pictory_generate_video.py",
    "hatch_build.py",
    "live_check/__main__.py",
    "pyproject.toml",
    "scripts/dist.py",
    "tests/conftest.py",
)


def files_of_sdist(path: Path) -> set[str]:
    """Return the names of the files of an sdist, without the folder that all are in."""
    with tarfile.open(path) as archive:
        return {member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()}


def faults_of_sdist(files: Collection[str], tracked: Collection[str]) -> list[str]:
    """
    Return what is wrong with the files of an sdist.

    :param files: of the sdist, from its own folder on.
    :param tracked: the files of the commit that it was built from.
    """
    faults = [f"the sdist lacks {name}" for name in NEEDED_IN_SDIST if name not in files]
    wanted = {name for name in tracked if not name.startswith(NOT_IN_SDIST)}
    faults += [f"the sdist lacks {name}" for name in sorted(wanted - set(files) - set(NEEDED_IN_SDIST))]
    unknown = set(files) - set(tracked) - MADE_FOR_SDIST
    return faults + [f"the sdist has {name}, which isn't in the commit" for name in sorted(unknown)]


def files_of_wheel(path: Path) -> set[str]:
    """Return the names of the files of a wheel."""
    with zipfile.ZipFile(path) as archive:
        return {name for name in archive.namelist() if not name.endswith("/")}


def faults_of_wheel(files: Collection[str], tracked: Collection[str], version: str) -> list[str]:
    """
    Return what is wrong with the files of a wheel.

    :param files: of the wheel.
    :param tracked: the files of the commit that it was built from.
    :param version: of the package.
    """
    information = f"{PACKAGE}-{version}.dist-info"
    wanted = {name for name in tracked if name.startswith(f"{PACKAGE}/")}
    wanted |= {f"{information}/{name}" for name in ("METADATA", "RECORD", "WHEEL", "entry_points.txt")}
    wanted.add(f"{information}/licenses/LICENSE")
    faults = [f"the wheel lacks {name}" for name in sorted(wanted - set(files))]
    return faults + [f"the wheel has {name} as well" for name in sorted(set(files) - wanted)]


def modules_of(files: Collection[str]) -> list[str]:
    """Return the names of the modules among the files of a wheel."""
    paths = [PurePosixPath(name) for name in files if name.startswith(f"{PACKAGE}/") and name.endswith(".py")]
    parts = [path.parts[:-1] if path.stem == "__init__" else path.with_suffix("").parts for path in paths]
    return sorted(".".join(names) for names in parts)


def metadata_of_wheel(path: Path) -> dict[str, list[str]]:
    """Return the metadata of a wheel: for each field, in small letters, its values."""
    with zipfile.ZipFile(path) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        message = email.parser.Parser().parsestr(archive.read(name).decode())
    found: dict[str, list[str]] = {}
    for field, value in message.items():
        found.setdefault(field.lower(), []).append(value)
    return found


def faults_of_metadata(metadata: dict[str, list[str]], version: str, address: str) -> list[str]:
    """
    Return what is wrong with the metadata of a wheel.

    :param metadata: by field, in small letters.
    :param version: of the package.
    :param address: of the repository, empty while it isn't decided.
    """
    faults = []
    for field, value in (("name", DISTRIBUTION), ("version", version), ("license-expression", "Apache-2.0")):
        if metadata.get(field) != [value]:
            faults.append(f"the metadata's {field} is {metadata.get(field)}, not {value}")
    urls = metadata.get("project-url", [])
    if address and not any(address in url for url in urls):
        faults.append(f"the metadata has no link to {address}")
    if not address and urls:
        faults.append(f"the metadata has links, but no address is set: {urls}")
    return faults


def has_section(changelog: str, version: str) -> bool:
    """Tell whether a changelog has a section for a version."""
    return any(
        line.startswith(f"## {version} ") or line == f"## {version}" for line in changelog.splitlines()
    )


def address_of(pyproject: str) -> str:
    """Return the repository's address that a ``pyproject.toml`` names, empty while it isn't decided."""
    address: str = tomllib.loads(pyproject)["tool"]["pictory"]["repository-url"]
    return address.rstrip("/")


def about_address(address: str) -> str:
    """Return what a person who builds a release has to know about the repository's address."""
    if address:
        return f"The repository's address is {address}."
    lines = (
        "[tool.pictory] repository-url in pyproject.toml is UNSET.",
        "The package has no links to its repository, and its README on a package",
        "index shows no pictures. Set it before a release is published.",
    )
    width = max(map(len, lines))
    frame = "!" * (width + 6)
    return "\n".join([frame, *(f"!! {line:<{width}} !!" for line in lines), frame])


def objections(address: str, changelog: str, version: str, is_clean: bool) -> list[str]:
    """
    Return why what was built must not be published, which anybody may build for trial.

    :param address: of the repository.
    :param changelog: its text.
    :param version: of the package.
    :param is_clean: whether the commit has all that is in the folder.
    """
    found = []
    if not address:
        found.append("[tool.pictory] repository-url is unset")
    if not has_section(changelog, version):
        found.append(f"CHANGELOG.md has no section for {version}")
    if not is_clean:
        found.append("there are changes that aren't committed")
    return found
