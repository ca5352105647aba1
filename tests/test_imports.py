"""What the package needs by itself: no module asks for what only its tests, or an extra, would bring."""

from __future__ import annotations

import subprocess
import sys

import pytest

# As in a process of somebody who has installed the package, but not what is hidden here.
IMPORT = """
import importlib, pkgutil, sys

for name in {hidden}:
    sys.modules[name] = None
import airflow_provider_pictory
from airflow.providers.common.compat.sdk import AirflowOptionalProviderFeatureException

path, prefix = airflow_provider_pictory.__path__, "airflow_provider_pictory."
for name in [module.name for module in pkgutil.walk_packages(path, prefix)]:
    if {condition}:
        try:
            importlib.import_module(name)
        except AirflowOptionalProviderFeatureException as error:
            # Of the version of Airflow, which it names.
            assert "needs Airflow" in str(error)
print("all imported")
"""
OF_THE_SANDBOX = "name.startswith('airflow_provider_pictory.sandbox.')"
THE_FIXTURES = "name == 'airflow_provider_pictory.sandbox.testing'"


@pytest.fixture
def import_without(pytestconfig, airflow_database, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(pytestconfig.rootpath))

    def run(hidden, condition):
        return subprocess.run(
            [sys.executable, "-c", IMPORT.format(hidden=hidden, condition=condition)],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return run


def test_without_extras_each_module_but_the_sandbox_s_can_be_imported(import_without):
    finished = import_without(("pytest", "av", "PIL"), f"not {OF_THE_SANDBOX}")

    assert finished.stdout.endswith("all imported\n"), finished.stderr


def test_without_pytest_each_module_of_the_sandbox_but_the_fixtures_can_be_imported(import_without):
    finished = import_without(("pytest", "_pytest"), f"{OF_THE_SANDBOX} and not ({THE_FIXTURES})")

    assert finished.stdout.endswith("all imported\n"), finished.stderr


def test_the_fixtures_say_in_one_sentence_that_they_need_pytest(import_without):
    finished = import_without(("pytest", "_pytest"), THE_FIXTURES)

    assert finished.stderr.splitlines()[-1] == (
        "ModuleNotFoundError: The fixtures of airflow_provider_pictory.sandbox.testing need pytest: "
        "pip install pytest 'airflow-provider-pictory[sandbox]'"
    )
