"""What the end of a batch says of the items that have no video."""

from __future__ import annotations

import pytest

from airflow_provider_pictory.batch.manifest import what_helps

FAILED, RUNNING, UNKNOWN = "5001", "PictoryJobTimedOutError", "PictorySubmissionIndeterminateError"
AGAIN = "A clear of this task keeps the other videos, and submits and pays for"
WAITS = "A clear of this task waits again for the jobs of"


@pytest.mark.parametrize(
    ("codes", "policy", "words"),
    [
        ([FAILED, FAILED], {}, f"{AGAIN} these again"),
        ([RUNNING], {}, f"{WAITS} 1, which costs nothing"),
        ([UNKNOWN], {}, "A clear of this task asks again what became of 1"),
        (
            [FAILED, RUNNING, RUNNING],
            {},
            f"{AGAIN} 1 of these again. {WAITS} 2, which costs nothing",
        ),
        ([FAILED], {"resubmits": True}, "With resubmit_failed the next try submits them again"),
        (
            [FAILED, RUNNING],
            {"resubmits": True, "is_always_new": True},
            "With resubmit_failed the next try submits 1 of them again. "
            "The next try waits again for the jobs of 1, which costs nothing",
        ),
        (
            [RUNNING],
            {"is_always_new": True},
            "With on_clear='new' a clear of this task submits and pays for all of its videos again",
        ),
    ],
)
def test_what_becomes_of_them_is_told_by_what_each_has_ended_in(codes, policy, words):
    manifest = [{"state": "completed", "error_code": None}]
    manifest += [{"state": "failed", "error_code": code} for code in codes]

    assert what_helps(manifest, **{"resubmits": False, "is_always_new": False, **policy}) == words
