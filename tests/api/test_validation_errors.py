"""A fault tells the field, what was given and what is allowed, and fits into a log line."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given

from airflow_provider_pictory.api import FieldError, InvalidRequestError
from airflow_provider_pictory.api.validation_errors import listed, shown
from tests.api.strategies import WRONG_THINGS, anything

FAULTS = (
    FieldError("prompt", "'hi'", "5 to 5,000 characters are needed"),
    FieldError("model", "'veo9'", "it must be veo3.1"),
)


def test_a_fault_reads_as_field_given_and_allowed():
    assert str(FAULTS[0]) == "prompt: got 'hi', but 5 to 5,000 characters are needed"


def test_the_error_lists_all_faults():
    error = InvalidRequestError(FAULTS)

    assert error.faults == FAULTS
    assert str(error) == "; ".join(str(fault) for fault in FAULTS)


def test_the_error_is_a_value_error():
    assert isinstance(InvalidRequestError(FAULTS), ValueError)


def test_the_error_survives_being_sent_to_another_process():
    again = pickle.loads(pickle.dumps(InvalidRequestError(iter(FAULTS))))

    assert again.faults == FAULTS
    assert str(again) == str(InvalidRequestError(FAULTS))


@pytest.mark.parametrize(("value", "literal"), [("a", "'a'"), (None, "None"), (8, "8"), ([1], "[1]")])
def test_a_short_value_is_shown_as_its_literal(value, literal):
    assert shown(value) == literal


def test_a_long_value_is_cut_short_visibly():
    assert shown("x" * 500) == "'" + "x" * 76 + "..."


@pytest.mark.parametrize("value", WRONG_THINGS.values(), ids=WRONG_THINGS)
def test_a_value_whose_literal_python_refuses_is_shown_in_other_words(value):
    assert 0 < len(shown(value)) <= 80


@given(anything)
def test_whatever_is_shown_fits_into_one_log_line(value):
    text = shown(value)

    assert len(text) <= 80
    assert text.isprintable()


@pytest.mark.parametrize(
    ("values", "words"),
    [(["a"], "a"), (["a", "b"], "a or b"), ((4, 6, 8), "4, 6 or 8"), (iter("ab"), "a or b")],
)
def test_values_are_listed_as_a_person_would(values, words):
    assert listed(values) == words
