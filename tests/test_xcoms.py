"""What a task returns where each of its fields becomes an XCom of its own."""

from __future__ import annotations

import airflow
import pytest

from airflow_provider_pictory.xcoms import without_unknown_fields

RESULT = {"path": "films/1.mp4", "ai_credits_used": None, "seconds": 0}


@pytest.mark.parametrize(
    ("version", "is_split", "left"),
    [
        ("3.0.6", True, {"path": "films/1.mp4", "seconds": 0}),
        ("3.0.6", False, RESULT),
        ("3.1.8", True, RESULT),
        ("2.11.2", True, RESULT),
    ],
)
def test_airflow_3_0_is_given_no_field_that_it_would_refuse(monkeypatch, version, is_split, left):
    monkeypatch.setattr(airflow, "__version__", version)

    assert without_unknown_fields(RESULT, is_split=is_split) == left
