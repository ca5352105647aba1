"""What the author of a DAG may decide about submitting, and how what makes no sense is refused."""

from __future__ import annotations

import pytest

from airflow_provider_pictory.exceptions import PictoryInvalidRequestError
from airflow_provider_pictory.submission.policy import OnClear, OnUnknownSubmission, SubmissionPolicy

RULES = {
    "on_clear": "auto",
    "on_unknown_submission": "fail",
    "resubmit_failed": False,
    "reconcile_timeout": 900.0,
    "max_credits": None,
    "check_quota": False,
}


def test_rules_are_read_as_an_operator_hands_them_over():
    rules = SubmissionPolicy.read(**RULES)

    assert rules == SubmissionPolicy()


def test_rules_may_come_out_of_templates():
    rules = SubmissionPolicy.read(
        **{**RULES, "on_clear": "new", "on_unknown_submission": "resubmit", "max_credits": "20.5"}
    )

    assert rules.on_clear is OnClear.NEW
    assert rules.on_unknown_submission is OnUnknownSubmission.RESUBMIT
    assert rules.max_credits == 20.5


def test_no_max_credits_is_no_limit():
    assert SubmissionPolicy.read(**RULES, max_credits_was_given=False).max_credits is None


@pytest.mark.parametrize("nothing", [None, "", "  ", "None", "null"])
def test_max_credits_that_came_out_empty_is_refused(nothing):
    with pytest.raises(PictoryInvalidRequestError, match=r"max_credits: got .* comes out empty is no limit"):
        SubmissionPolicy.read(**{**RULES, "max_credits": nothing}, max_credits_was_given=True)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("on_clear", "always", ["'always'", "auto", "new", "reattach"]),
        ("on_clear", None, ["None", "reattach"]),
        ("on_unknown_submission", "ignore", ["'ignore'", "fail", "resubmit"]),
        ("on_unknown_submission", True, ["True", "resubmit"]),
        ("resubmit_failed", "yes", ["'yes'", "True or False"]),
        ("resubmit_failed", None, ["None", "True or False"]),
        ("check_quota", 1, ["1", "True or False"]),
        ("max_credits", "many", ["'many'", "20"]),
        ("max_credits", -1, ["-1", "20"]),
        ("max_credits", True, ["True", "20"]),
        ("max_credits", float("nan"), ["nan", "20"]),
        ("max_credits", float("inf"), ["inf", "20"]),
        ("reconcile_timeout", 0, ["0", "positive number of seconds"]),
        ("reconcile_timeout", "900", ["'900'", "positive number of seconds"]),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused_by_its_name(field, value, words):
    with pytest.raises(PictoryInvalidRequestError) as caught:
        SubmissionPolicy.read(**{**RULES, field: value})

    assert field in str(caught.value)
    for word in words:
        assert word in str(caught.value)
