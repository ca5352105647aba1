"""
Keep what this version stores under ``tests/fixtures/stored``, for the tests of all later versions.

To be run once for each version, before it is released; ``--again`` replaces what is there of a version that
isn't released yet.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

# Before Airflow is imported.
import tests.conftest  # noqa: F401
from airflow_provider_pictory import __version__
from airflow_provider_pictory.sandbox.background import PictorySandbox

FOLDER = Path(__file__).parents[1] / "fixtures/stored"


def main() -> int:
    """Write the files and give the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.stored", description=__doc__)
    parser.add_argument("--again", action="store_true")
    arguments = parser.parse_args()
    folder = FOLDER / __version__
    if folder.exists() and not arguments.again:
        sys.stdout.write(f"{folder} is there; --again replaces it, unless {__version__} is released\n")
        return 1
    with PictorySandbox(render_seconds=10**6) as pictory:
        os.environ["AIRFLOW_CONN_PICTORY_DEFAULT"] = pictory.connection_json
        from tests.stored.samples import samples
        from tests.support.pictory_words import submit

        made = samples(submit())
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in made.items():
        (folder / f"{name}.json").write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")
    sys.stdout.write(f"What version {__version__} stores is in {folder}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
