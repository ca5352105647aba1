"""Transfers here take real MP4s from hosts on this machine, to its disk and to an S3 server on it."""

import inspect

import pytest

from airflow_provider_pictory.transfers.pictory_to_object_storage import PictoryToObjectStorageOperator
from tests.support.saving_fixtures import *  # noqa: F403  (fixtures)


@pytest.fixture
def save():
    """Run the operator, on any thread, and give what it returns."""

    def save(**arguments):
        operator = PictoryToObjectStorageOperator(task_id="save", **arguments)
        # Without Airflow's wrapper, which wants to be called by a task's own thread alone.
        return inspect.unwrap(type(operator).execute)(operator, {})

    return save
