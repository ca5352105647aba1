"""
Build wheel and sdist from the last commit, twice, and check them as somebody who installs them would.

What is built lies in ``dist`` in the end. With ``--publish`` that is also checked which only a release needs.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from dist_checks import (
    DISTRIBUTION,
    PACKAGE,
    about_address,
    address_of,
    faults_of_metadata,
    faults_of_sdist,
    faults_of_wheel,
    files_of_sdist,
    files_of_wheel,
    metadata_of_wheel,
    modules_of,
    objections,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

PROJECT = Path(__file__).resolve().parent.parent
PROGRAMS = Path(sys.executable).parent
CONSTRAINTS = PROJECT / "constraints/airflow-3.3.txt"
# The sandbox draws and serves videos, for which a worker needs no library.
NEED_EXTRA = f"{PACKAGE}.sandbox"

# Runs in the clean environment: imports each module that it is given, and says which can't be imported.
IMPORT_ALL = """
import importlib, sys

prefix, *names = sys.argv[1:]
package = importlib.import_module(names[0])
assert package.__file__.startswith(prefix), f"{package.__file__} isn't what was installed"
failed = []
for name in names:
    try:
        importlib.import_module(name)
    except ImportError as error:
        failed.append(f"{name}: {error}")
print("\\n".join(failed))
sys.exit(bool(failed))
"""


class CheckFailedError(Exception):
    """Something is wrong with what was built; the message says what."""


def main() -> int:
    """Build and check, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--uv", default="uv", help="the program that makes the clean environment")
    parser.add_argument("--publish", action="store_true", help="refuse what must not be published")
    arguments = parser.parse_args()
    address = address_of(committed("pyproject.toml"))
    print(about_address(address), flush=True)
    try:
        with tempfile.TemporaryDirectory(prefix="dist-") as folder:
            built = build_and_check(Path(folder), arguments.uv, address)
            refuse(objections_to(built, address), arguments.publish)
            keep(built)
    except CheckFailedError as error:
        print(f"The release failed: {error}")
        return 1
    print(about_address(address))
    return 0


def build_and_check(folder: Path, uv: str, address: str) -> list[Path]:
    """
    Return a wheel and an sdist with which nothing is wrong.

    :param folder: for all that is made.
    :param uv: the program that makes the clean environment.
    :param address: of the repository, empty while it isn't decided.
    """
    tracked = export(folder / "first")
    export(folder / "second")
    moment = run("git", "log", "-1", "--format=%ct").strip()
    built = build(folder / "first", folder / "built", moment)
    compare(built, build(folder / "second", folder / "built-again", moment))
    check_files(built, tracked, address)
    check_installed(built, folder / "environment", uv)
    return built


def export(folder: Path) -> set[str]:
    """
    Write the files of the last commit into a folder, and return their names.

    So that nothing is built which isn't committed, and it doesn't matter where a clone lies.
    """
    folder.mkdir()
    archive = folder.with_suffix(".tar")
    run("git", "archive", "--output", archive, "HEAD")
    with tarfile.open(archive) as files:
        # Python 3.11.4 and later have filters, and 3.12 warns where none is named.
        if hasattr(tarfile, "data_filter"):
            files.extraction_filter = tarfile.data_filter
        files.extractall(folder)  # noqa: S202  (made just now, from our own commit)
        return {member.name for member in files.getmembers() if member.isfile()}


def build(source: Path, target: Path, moment: str) -> list[Path]:
    """
    Build an sdist, and a wheel from it.

    :param source: the folder with the files.
    :param target: the folder for what is built.
    :param moment: of the last commit in seconds, which all files are said to be of.
    """
    say(f"Building, as of SOURCE_DATE_EPOCH={moment}")
    environment = {**os.environ, "SOURCE_DATE_EPOCH": moment}
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", target, source, environment=environment)
    return sorted(target.iterdir())


def compare(built: Iterable[Path], again: Iterable[Path]) -> None:
    """Make sure that two builds are the same, byte for byte."""
    first, second = ({path.name: digest(path) for path in paths} for paths in (built, again))
    if first != second:
        raise CheckFailedError(f"two builds of one commit differ: {first} and {second}")
    say("Both builds are the same, byte for byte")


def digest(path: Path) -> str:
    """Return a file's SHA-256."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def wheel_and_sdist(built: list[Path]) -> tuple[Path, Path]:
    """Return the two files that a build makes."""
    by_kind = {path.suffix: path for path in built}
    if set(by_kind) != {".whl", ".gz"} or len(built) != len(by_kind):
        raise CheckFailedError(f"a build makes one wheel and one sdist, not {[path.name for path in built]}")
    return by_kind[".whl"], by_kind[".gz"]


def check_files(built: list[Path], tracked: set[str], address: str) -> None:
    """Check what the files say of themselves and what is in them."""
    wheel, sdist = wheel_and_sdist(built)
    say(run(PROGRAMS / "twine", "check", "--strict", *built))
    say(run(PROGRAMS / "check-wheel-contents", "--config", PROJECT / "pyproject.toml", wheel))
    version, in_wheel, in_sdist = version_of(wheel), files_of_wheel(wheel), files_of_sdist(sdist)
    faults = faults_of_wheel(in_wheel, tracked, version) + faults_of_sdist(in_sdist, tracked)
    faults += faults_of_metadata(metadata_of_wheel(wheel), version, address)
    if faults:
        raise CheckFailedError("\n  ".join(["", *faults]))
    say(
        f"The wheel has {len(in_wheel)} files, the sdist {len(in_sdist)}: all of the commit that belong there"
    )


def version_of(wheel: Path) -> str:
    """Return the package's version, which the code says and the wheel's name as well."""
    found: list[str] = re.findall(
        r'^__version__ = "(.+)"$', committed(f"{PACKAGE}/__init__.py"), re.MULTILINE
    )
    (version,) = found
    if wheel.name.split("-")[1] != version:
        raise CheckFailedError(f"{wheel.name} isn't of version {version}")
    return version


def check_installed(built: list[Path], environment: Path, uv: str) -> None:
    """Install Airflow and the wheel alone into a clean environment, and do with it what Airflow does."""
    wheel, _ = wheel_and_sdist(built)
    names = modules_of(files_of_wheel(wheel))
    run(uv, "venv", "--quiet", "--python", f"{sys.version_info.major}.{sys.version_info.minor}", environment)
    install(uv, environment, "apache-airflow", wheel)
    without_extra = [name for name in names if not name.startswith(NEED_EXTRA)]
    import_all(environment, without_extra)
    said = run(environment / "bin/airflow", "providers", "get", DISTRIBUTION, environment=clean(environment))
    if DISTRIBUTION not in said or version_of(wheel) not in said:
        raise CheckFailedError(f"Airflow doesn't know the provider: {said}")
    say(f"{len(without_extra)} modules are imported beside Airflow alone, and Airflow knows the provider")
    # Of its modules, one has the fixtures for somebody's own tests.
    install(uv, environment, f"{wheel}[sandbox]", "pytest")
    import_all(environment, names)
    run(environment / "bin/pictory-sandbox", "--help", environment=clean(environment))
    say(f"All {len(names)} modules are imported with the extra 'sandbox', whose command starts")


def install(uv: str, environment: Path, *packages: str | Path) -> None:
    """Install packages in the versions of the newest supported Airflow, and check that they fit together."""
    python = environment / "bin/python"
    run(uv, "pip", "install", "--quiet", "--python", python, "--constraint", CONSTRAINTS, *packages)
    run(uv, "pip", "check", "--quiet", "--python", python)


def import_all(environment: Path, names: list[str]) -> None:
    """Import modules as a worker does, from what was installed and nothing else."""
    python, prefix = environment / "bin/python", environment.resolve()
    run(python, "-P", "-c", IMPORT_ALL, prefix, *names, environment=clean(environment))


def clean(environment: Path) -> dict[str, str]:
    """Return the environment of a new user, whatever that of ours is set to."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PYTHON"))}
    return {
        **own,
        "AIRFLOW_HOME": str(environment / "airflow-home"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    }


def objections_to(built: list[Path], address: str) -> list[str]:
    """Return why what was built must not be published."""
    is_clean = not run("git", "status", "--porcelain").strip()
    if not is_clean:
        say("What isn't committed was not built")
    return objections(address, committed("CHANGELOG.md"), version_of(wheel_and_sdist(built)[0]), is_clean)


def refuse(found: list[str], is_to_be_published: bool) -> None:
    """Say what speaks against publishing, and raise if it is about to be done."""
    if found and is_to_be_published:
        raise CheckFailedError(f"this must not be published: {'; '.join(found)}")
    for objection in found:
        say(f"Not to be published yet: {objection}")


def keep(built: list[Path]) -> None:
    """Move what was built into the project's folder ``dist``, in place of what was there."""
    target = PROJECT / "dist"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    for path in built:
        shutil.copy(path, target)
        say(f"dist/{path.name}  {path.stat().st_size:,} bytes  sha256:{digest(path)}")


def committed(name: str) -> str:
    """Return a file's text in the last commit."""
    return run("git", "show", f"HEAD:{name}")


def run(*command: str | Path, environment: dict[str, str] | None = None) -> str:
    """
    Run a program in the project's folder, and return what it printed.

    :param command: the program and its arguments.
    :param environment: of the program, ours by default.
    :raises CheckFailedError: it failed; the message ends with what it printed.
    """
    words = [str(word) for word in command]
    done = subprocess.run(
        words,
        cwd=PROJECT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise CheckFailedError(f"{Path(words[0]).name} {words[1]} failed:\n{done.stdout}")
    return done.stdout


def say(words: str) -> None:
    """Tell the user something at once, also where the output goes into a file."""
    print(words.strip(), flush=True)


if __name__ == "__main__":
    sys.exit(main())
