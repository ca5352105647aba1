"""The kills that matter most, on a real Airflow; ``make chaos`` has them all."""

from __future__ import annotations

import pytest

from tests.chaos.crashes import run_short

pytestmark = pytest.mark.end_to_end


def test_clips_whose_tasks_are_killed_are_paid_for_once(tmp_path):
    report = run_short(tmp_path)

    assert report.has_passed, "\n".join(report.lines)
