"""How tasks that lost the same submission divide its jobs: each job to one of them, and none too early."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_pictory.division import DIVISION_PREFIX, LONGEST_SILENCE, Division
from tests.task_tries import Clock, Variables, kept_in, passing

FINGERPRINT = "f" * 64
KEY = DIVISION_PREFIX + FINGERPRINT


@pytest.fixture
def clock():
    clock = Clock()
    with passing(clock):
        yield clock


@pytest.fixture
def variables(clock):
    variables = Variables()
    with kept_in(variables):
        yield variables


def task(name):
    return Division(FINGERPRINT, name)


def test_a_task_alone_gets_the_one_job(variables):
    assert task("a").share(["one"]) == "one"


def test_a_task_alone_gets_none_of_two(variables):
    assert task("a").share(["one", "two"]) is None


def test_two_tasks_get_one_each_whatever_the_order_in_which_they_see_them(variables):
    first, second = task("a"), task("b")
    assert first.share(["two", "one"]) is None

    assert second.share(["one", "two"]) == "two"
    assert first.share(["two", "one"]) == "one"


def test_a_task_too_many_gets_none(variables):
    tasks = [task(name) for name in "abc"]
    for it in tasks:
        it.share(["one", "two"])

    assert [it.share(["one", "two"]) for it in tasks] == ["one", "two", None]


def test_a_task_that_sees_other_jobs_is_not_counted(variables):
    task("a").share(["one", "two", "three"])

    assert task("b").share(["one", "two"]) is None


def test_a_task_of_another_wish_is_not_counted(variables):
    Division("e" * 64, "a").share(["one", "two"])

    assert task("b").share(["one", "two"]) is None


def test_a_task_that_looks_no_more_is_not_counted(variables, clock):
    task("a").share(["one", "two"])
    clock.sleep(LONGEST_SILENCE)

    assert task("b").share(["one", "two"]) is None


def test_a_task_that_leaves_is_not_counted_and_the_last_takes_the_variable_along(variables):
    first, second = task("a"), task("b")
    first.share(["one", "two"])
    second.share(["one", "two"])

    first.leave()
    assert second.share(["one", "two"]) is None
    second.leave()
    assert variables.texts == {}


def test_a_task_that_never_joined_leaves_nothing(variables):
    variables.texts[KEY] = "not for it to touch"
    task("a").leave()

    assert variables.texts == {KEY: "not for it to touch"}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"b": 1}', '{"b": {"at": "x", "jobs": []}}', "null"])
def test_what_cannot_be_read_counts_for_nobody_and_is_replaced(variables, text):
    variables.texts[KEY] = text

    assert task("a").share(["one", "two"]) is None
    assert list(json.loads(variables.texts[KEY])) == ["a"]


def test_an_airflow_that_keeps_no_variables_leaves_each_task_alone(variables, monkeypatch):
    def fail(*arguments):
        raise RuntimeError("no Variables today")

    monkeypatch.setattr(variables, "get", fail)
    monkeypatch.setattr(variables, "set", fail)
    it = task("a")

    assert it.share(["one", "two"]) is None
    assert it.share(["one"]) == "one"
    it.leave()


def test_the_variables_name_is_short_enough_for_airflow():
    assert len(KEY) <= 250


@given(
    names=st.lists(st.text(min_size=1), min_size=1, max_size=6, unique=True),
    jobs=st.lists(st.text(min_size=1), min_size=1, max_size=6, unique=True),
    data=st.data(),
)
def test_once_all_have_joined_each_job_falls_to_one_task_unless_there_are_too_many(names, jobs, data):
    with passing(Clock()), kept_in(Variables()):
        tasks = [Division(FINGERPRINT, name) for name in names]
        for it in tasks:
            it.share(jobs)
        order = data.draw(st.permutations(tasks))
        shares = [share for it in order if (share := it.share(data.draw(st.permutations(jobs))))]

    assert sorted(shares) == (sorted(jobs) if len(jobs) <= len(names) else [])
