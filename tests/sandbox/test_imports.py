"""The sandbox stands on the API alone, and pytest is needed by nobody but its fixtures."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from airflow_provider_pictory import sandbox

LIST_MODULES = """
import importlib, json, sys
for name in {names}:
    importlib.import_module("airflow_provider_pictory.sandbox." + name)
print(json.dumps(sorted(sys.modules)))
"""


def loaded_with(names, pytestconfig):
    run = subprocess.run(
        [sys.executable, "-c", LIST_MODULES.format(names=sorted(names))],
        env={"PYTHONPATH": str(pytestconfig.rootpath)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return json.loads(run.stdout)


def test_no_module_loads_airflow_pytest_or_the_rest_of_the_package(pytestconfig):
    folder = Path(sandbox.__file__).parent
    modules = (path.relative_to(folder).with_suffix("") for path in folder.rglob("*.py"))
    names = {".".join(module.parts) for module in modules} - {"testing", "__init__"}

    loaded = loaded_with(names, pytestconfig)

    assert not {"airflow", "pytest", "numpy"} & set(loaded)
    own = {name for name in loaded if name.startswith("airflow_provider_pictory.")}
    assert all(name.split(".")[1] in ("api", "sandbox") for name in own)


def test_help_and_the_description_of_faults_need_no_further_package(pytestconfig):
    loaded = loaded_with({"command", "faults", "faults.explaining"}, pytestconfig)

    assert not {"aiohttp", "av", "PIL"} & set(loaded)


def test_the_package_itself_loads_nothing():
    content = Path(sandbox.__file__).read_text()

    assert "import" not in content.replace("important", "")
