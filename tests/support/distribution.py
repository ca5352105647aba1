"""Which tests one worker of pytest-xdist runs: those that share an Airflow, or the cases of another one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xdist.scheduler import LoadScopeScheduling

if TYPE_CHECKING:
    import pytest

# What begins like that is for one worker alone; the first that fits counts.
WITH_AN_AIRFLOW = ("tests/chaos/test_crashes.py", "tests/e2e/test_ui.py", "tests/e2e/")


class Scheduling(LoadScopeScheduling):
    """
    Give each worker the next test, with all its cases, that nobody has begun.

    The mark ``xdist_group`` would do the same, but not with pytest 9.2 and pytest-xdist 3.8.
    """

    def __init__(self, config: pytest.Config, log: object = None) -> None:
        super().__init__(config, log)
        # In the order of collection, and not by their number of cases.
        config.option.loadscopereorder = False

    def _split_scope(self, nodeid: str) -> str:
        together = (path for path in WITH_AN_AIRFLOW if nodeid.startswith(path))
        return next(together, nodeid.partition("[")[0])
