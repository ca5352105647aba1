"""What Airflow reads about the provider is valid, true, and costs nothing to read."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path

import airflow
import jsonschema
import pytest

import airflow_provider_pictory
from airflow_provider_pictory.decorators.batch import pictory_videos_task
from airflow_provider_pictory.decorators.pictory import pictory_video_task
from airflow_provider_pictory.get_provider_info import get_provider_info
from airflow_provider_pictory.hooks.pictory import PictoryHook
from airflow_provider_pictory.links.pictory import OPERATOR_EXTRA_LINKS

PACKAGE = Path(airflow_provider_pictory.__file__).parent
# What the providers in Airflow's own repository say besides, each version of Airflow some of it.
OF_THE_REPOSITORY = {"state": "ready", "source-date-epoch": 0, "versions": ["0.1.0"], "dependencies": []}


def schema(name):
    path = Path(airflow.__path__[0], name)
    if not path.exists():
        pytest.skip(f"this Airflow has no {name}")
    return json.loads(path.read_text())


def test_airflow_accepts_it_when_it_starts():
    jsonschema.validate(get_provider_info(), schema("provider_info.schema.json"))


def test_every_name_in_it_is_one_that_airflow_knows():
    known = schema("provider.yaml.schema.json")
    asked = {name: value for name, value in OF_THE_REPOSITORY.items() if name in known["required"]}

    jsonschema.validate(asked | get_provider_info(), known)
    assert known["additionalProperties"] is False


def test_airflow_finds_it_under_its_entry_point():
    (entry,) = (
        entry
        for entry in entry_points(group="apache_airflow_provider")
        if entry.value.startswith("airflow_provider_pictory.")
    )

    assert entry.name == "provider_info"
    assert entry.load() is get_provider_info
    assert entry.dist.metadata["Name"] == get_provider_info()["package-name"]


def test_airflow_offers_the_connection_type():
    from airflow.providers_manager import ProvidersManager

    hook = ProvidersManager().hooks["pictory"]

    assert (hook.hook_name, hook.package_name) == ("Pictory", "airflow-provider-pictory")
    assert hook.connection_id_attribute_name == "pictory_conn_id"


@pytest.mark.parametrize("kind", ["operators", "sensors", "hooks", "triggers"])
def test_all_modules_of_a_kind_are_listed(kind):
    listed = [module for entry in get_provider_info()[kind] for module in entry["python-modules"]]
    # Of the hooks, one module is public.
    there = (
        ["pictory"]
        if kind == "hooks"
        else sorted(path.stem for path in (PACKAGE / kind).glob("*.py") if path.stem != "__init__")
    )

    assert sorted(listed) == [f"airflow_provider_pictory.{kind}.{name}" for name in there]
    assert all(import_module(module) for module in listed)


@pytest.mark.parametrize("decorator", [pictory_video_task, pictory_videos_task])
def test_airflow_knows_the_decorators(decorator):
    from airflow.providers.common.compat.sdk import task

    names = {it["class-name"]: it["name"] for it in get_provider_info()["task-decorators"]}
    name = names[f"{decorator.__module__}.{decorator.__qualname__}"]

    assert getattr(task, name) is decorator


def test_airflow_knows_the_links():
    from airflow.providers_manager import ProvidersManager

    ours = {f"{type(link).__module__}.{type(link).__qualname__}" for link in OPERATOR_EXTRA_LINKS}

    assert set(get_provider_info()["extra-links"]) == ours
    assert ours <= set(ProvidersManager().extra_links_class_names)


def test_the_transfer_is_listed_between_integrations_that_there_are():
    info = get_provider_info()
    (transfer,) = info["transfers"]
    integrations = {integration["integration-name"] for integration in info["integrations"]}

    assert import_module(transfer["python-module"]).PictoryToObjectStorageOperator
    assert {transfer["source-integration-name"], transfer["target-integration-name"]} <= integrations


def test_the_connection_type_is_the_hooks():
    (connection,) = get_provider_info()["connection-types"]

    assert connection["hook-class-name"] == f"{PictoryHook.__module__}.{PictoryHook.__qualname__}"
    assert connection["connection-type"] == PictoryHook.conn_type
    assert connection["hook-name"] == PictoryHook.hook_name


def test_the_connection_form_is_the_same_wherever_airflow_reads_it():
    (connection,) = get_provider_info()["connection-types"]
    behaviour = {name.replace("-", "_"): value for name, value in connection["ui-field-behaviour"].items()}

    assert behaviour == PictoryHook.get_ui_field_behaviour()


@pytest.mark.parametrize(
    ("value", "is_valid"), [(30, True), (0.5, True), (None, True), (0, False), (-1, False), (86401, False)]
)
def test_the_form_takes_the_timeouts_that_the_hook_takes(value, is_valid):
    (connection,) = get_provider_info()["connection-types"]
    timeout = connection["conn-fields"]["timeout"]["schema"]

    assert jsonschema.Draft7Validator(timeout).is_valid(value) is is_valid


def test_nobody_can_spoil_it_for_the_next_reader():
    get_provider_info()["operators"].clear()

    assert get_provider_info()["operators"]


def test_reading_it_imports_nothing():
    program = (
        "import sys; before = set(sys.modules)\n"
        "from airflow_provider_pictory.get_provider_info import get_provider_info; get_provider_info()\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    finished = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )

    assert set(finished.stdout.split()) - {"typing"} <= {
        "__future__",
        "airflow_provider_pictory",
        "airflow_provider_pictory.get_provider_info",
        *_imported_by("typing"),
    }


def _imported_by(module):
    program = f"import sys; before = set(sys.modules); import {module}; print(*(set(sys.modules) - before))"
    finished = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    return finished.stdout.split()
