"""The commands and the JSON of the docs are ones that their programs take."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import subprocess
import tomllib
from urllib.parse import urlsplit

import pytest
from packaging.requirements import Requirement

from airflow_provider_pictory.client.settings import KNOWN_EXTRAS, ConnectionSettings
from airflow_provider_pictory.sandbox.command import _settings
from airflow_provider_pictory.sandbox.faults.reading import read_faults
from tests.docs.pages import ALL_BLOCKS, ROOT, of_languages

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
MAKEFILE = (ROOT / "Makefile").read_text()
OURS = PYPROJECT["project"]["name"]
PROMPT = "$ "
# What a program prints, and what isn't written to be run.
OTHERS = {"", "text", "mermaid", "python"}
COMMANDS = of_languages("console", "bash", "sh")
SANDBOX_PATHS = ("/sandbox/faults", "/sandbox/counts", "/sandbox/jobs", "/pictoryapis/v1/quota")


def commands(text):
    """Return the commands of a block: after the prompts where it has any, else all of its lines."""
    lines = re.sub(r"\\\n", " ", text).splitlines()
    if any(line.startswith(PROMPT) for line in lines):
        lines = [line.removeprefix(PROMPT) for line in lines if line.startswith((PROMPT, "export "))]
    for line in lines:
        # Quoted, what parts two commands elsewhere is a word.
        words = shlex.split(line, comments=True)
        while "&&" in words:
            yield words[: words.index("&&")]
            words = words[words.index("&&") + 1 :]
        if words:
            yield words


ALL_COMMANDS = [
    pytest.param(words, id=f"{block.page}:{' '.join(words)[:60]}")
    for block in COMMANDS
    for words in commands(block.text)
]


def check_make(words):
    for word in words:
        name, is_variable, _ = word.partition("=")
        if is_variable:
            assert f"$({name})" in MAKEFILE or f"$(if $({name})" in MAKEFILE, word
        else:
            assert re.search(rf"^{re.escape(name)}:", MAKEFILE, re.MULTILINE), word


def check_pip(words):
    assert words[0] == "install"
    for word in words[1:]:
        if word.startswith("-"):
            continue
        requirement = Requirement(re.sub(r"^\.", OURS, word))
        if requirement.name == OURS:
            assert requirement.extras <= set(PYPROJECT["project"]["optional-dependencies"])


def check_airflow(words):
    if words[:1] == ["standalone"]:
        return
    from airflow.cli.cli_parser import get_parser

    # It exits with a complaint about what it doesn't know.
    get_parser().parse_args(words)


def check_export(words):
    name, _, value = words[0].partition("=")
    assert re.fullmatch(r"[A-Z_]+", name)
    if name == "AIRFLOW_CONN_PICTORY_DEFAULT" and value.startswith("{") and "$" not in value:
        read_connection(json.loads(value))


def check_curl(words):
    (url,) = [word for word in words if word.startswith("http")]
    assert urlsplit(url).path in SANDBOX_PATHS
    if "-d" in words:
        form = json.loads(words[words.index("-d") + 1])
        assert read_faults(form["faults"])


def check_git(words):
    assert words[0] == "clone"
    assert words[1] == PYPROJECT["tool"]["pictory"]["repository-url"] or words[1].startswith("<")


def check_python(words):
    assert words[0] == "-m"
    assert importlib.util.find_spec(words[1]) is not None


def check_cp(words):
    assert all((ROOT / word).exists() for word in words[:-1]), words


CHECKS = {
    "make": check_make,
    "pip": check_pip,
    "airflow": check_airflow,
    "export": check_export,
    "curl": check_curl,
    "git": check_git,
    "python3": check_python,
    "cp": check_cp,
    "pictory-sandbox": lambda words: "--list-faults" in words or _settings(words),
    "cd": lambda words: None,
    "ls": lambda words: None,
    "mkdir": lambda words: None,
    "source": lambda words: None,
}


def read_connection(value):
    from airflow.providers.common.compat.sdk import Connection

    if isinstance(value.get("extra"), dict):
        assert set(value["extra"]) <= set(KNOWN_EXTRAS)
    made = Connection(conn_id="pictory_default", **{**value, "extra": json.dumps(value.get("extra", {}))})
    return ConnectionSettings.from_connection(made)


def test_no_block_is_written_in_a_language_that_no_test_knows():
    known = OTHERS | {"console", "bash", "sh", "json"}
    assert [
        block for block in ALL_BLOCKS if block.language not in known and not block.language.startswith("{")
    ] == []
    assert ALL_COMMANDS


@pytest.mark.parametrize("block", COMMANDS, ids=lambda block: block.page)
def test_each_block_of_commands_is_read_by_a_shell(block):
    lines = block.text.splitlines()
    if any(line.startswith(PROMPT) for line in lines):
        lines = [line.removeprefix(PROMPT) for line in lines if line.startswith(PROMPT)]

    read = subprocess.run(["sh", "-n"], input="\n".join(lines), capture_output=True, text=True, check=False)

    assert read.returncode == 0, read.stderr


@pytest.mark.parametrize("words", ALL_COMMANDS)
def test_each_command_is_one_that_its_program_takes(words):
    # Such as PICTORY_API_KEY=... in front of a command.
    while re.fullmatch(r"[A-Z_]+=.*", words[0]):
        words = words[1:]
    assert words[0] in CHECKS, f"no test knows {words[0]}"
    CHECKS[words[0]](words[1:])


@pytest.mark.parametrize("block", of_languages("json"), ids=lambda block: block.page)
def test_each_json_is_read_and_a_connection_is_one(block):
    value = json.loads(block.text)

    if "conn_type" in value:
        read_connection(value)
