"""What sensors and operators know about the triggers without loading them."""

from __future__ import annotations

from datetime import timedelta
from importlib import import_module
from types import SimpleNamespace

import pytest
from airflow.triggers.base import BaseTrigger

from airflow_provider_pictory.waiting.starting import TASK_TRIGGER, backstop_after, is_missed_without_worker

PLAIN = {
    "outlets": [],
    "multiple_outputs": False,
    "has_on_success_callback": False,
    "has_on_execute_callback": False,
    "has_on_skipped_callback": False,
}


def test_airflow_finds_the_trigger_that_takes_the_place_of_a_task():
    module, _, name = TASK_TRIGGER.rpartition(".")

    trigger = getattr(import_module(module), name)

    assert issubclass(trigger, BaseTrigger)
    assert f"{trigger.__module__}.{trigger.__qualname__}" == TASK_TRIGGER


def test_airflows_own_timeout_comes_well_after_the_triggers_deadline():
    assert backstop_after(60) == timedelta(seconds=360)


def test_nothing_is_missed_of_a_plain_task():
    assert not is_missed_without_worker(SimpleNamespace(**PLAIN))


@pytest.mark.parametrize("name", PLAIN)
def test_what_only_happens_on_a_worker_is_missed_without_one(name):
    assert is_missed_without_worker(SimpleNamespace(**{**PLAIN, name: [object()]}))
