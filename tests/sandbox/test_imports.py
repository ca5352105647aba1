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


def test_no_module_loads_airflow_pytest_or_the_rest_of_the_package(pytestconfig):
    names = {path.stem for path in Path(sandbox.__file__).parent.glob("*.py")} - {"testing", "__init__"}

    run = subprocess.run(
        [sys.executable, "-c", LIST_MODULES.format(names=sorted(names))],
        env={"PYTHONPATH": str(pytestconfig.rootpath)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    loaded = json.loads(run.stdout)
    assert not {"airflow", "pytest", "numpy"} & set(loaded)
    own = {name for name in loaded if name.startswith("airflow_provider_pictory.")}
    assert all(name.split(".")[1] in ("api", "sandbox") for name in own)


def test_the_package_itself_loads_nothing():
    content = Path(sandbox.__file__).read_text()

    assert "import" not in content.replace("important", "")
