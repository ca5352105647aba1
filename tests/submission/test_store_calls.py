"""How often a submission calls the stores of Airflow, over its API server or in its database."""

from __future__ import annotations

import pytest

from airflow_provider_pictory.operators.pictory import GenerateVideoOperator
from airflow_provider_pictory.submission import forgetting, task_states, tidying, variables
from tests.support.airflow_versions import HAS_LOOPS, note_calls_of_tasks
from tests.support.dag_runs import a_dag

# From Airflow 3.4 on nothing but the record tells the next try that this one has delivered.
MOST_CALLS = 13 if HAS_LOOPS else 9
MOST_CALLS_IN_DATABASE = 9


@pytest.fixture
def calls(monkeypatch):
    """Note the calls of a task's to Airflow's stores by name, on Airflow 3 at its one way out."""
    made = []

    def note(message):
        if any(store in type(message).__name__ for store in ("Variable", "TaskState")):
            made.append(type(message).__name__)

    if not note_calls_of_tasks(monkeypatch, note):
        return _calls_to_the_database(monkeypatch)
    return made


def _calls_to_the_database(monkeypatch):
    made = []
    inside = []

    def noted(name, function):
        def call(*arguments, **named):
            # Airflow 2 sets a Variable by deleting it first.
            if not inside:
                made.append(name)
            inside.append(name)
            try:
                return function(*arguments, **named)
            finally:
                inside.pop()

        return call

    for name in ("get", "set", "delete"):
        monkeypatch.setattr(variables.Variable, name, noted(name, getattr(variables.Variable, name)))
    monkeypatch.setattr(variables, "list_names", noted("list", variables.list_names))
    find = noted("state", task_states.find_task_state)
    for module in (task_states, tidying, forgetting):
        monkeypatch.setattr(module, "find_task_state", find)
    return made


def test_a_submission_makes_few_calls(pictory, run_dag, calls):
    with a_dag() as dag:
        GenerateVideoOperator(task_id="generate", prompt="A paper boat on a lake")
    run = run_dag(dag)

    assert run.states == {"generate": "success"}
    most = MOST_CALLS_IN_DATABASE if "list" in calls else MOST_CALLS
    assert 0 < len(calls) <= most, calls
