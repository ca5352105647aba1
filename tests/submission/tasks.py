"""Tasks whose tries a test runs one by one, against a real Pictory, and what they log to and write to."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from airflow_provider_pictory.api import VideoRequest
from airflow_provider_pictory.hooks.pictory import PictoryHook
from airflow_provider_pictory.submission.names import RECORD_PREFIX
from airflow_provider_pictory.submission.policy import SubmissionPolicy
from airflow_provider_pictory.submission.record import TaskPlace
from airflow_provider_pictory.submission.task_submitter import TaskSubmitter
from tests.conftest import API_KEY
from tests.support.task_tries import TaskInstance, Variables

FOX = VideoRequest("A red fox walks through fresh snow", "veo3.1_fast", duration=6)
WHALE = VideoRequest("A blue whale sings at dawn", "veo3.1_fast", duration=6)


class FragileVariables(Variables):
    """Variables that can't be read or written while a test says so."""

    def __init__(self):
        super().__init__()
        self.is_readable = True
        # Of the keys that begin so, and after how many more writes.
        self.unwritable = None
        self.writes_left = 0

    def get(self, key, default):
        if not self.is_readable:
            raise ConnectionError("no database")
        return super().get(key, default)

    def keys(self, prefix=None):
        if not self.is_readable:
            raise ConnectionError("no database")
        return super().keys(prefix)

    def set(self, key, value, description=None):
        if self.unwritable is not None and key.startswith(self.unwritable):
            if self.writes_left <= 0:
                raise ConnectionError("no database")
            self.writes_left -= 1
        super().set(key, value, description)


class Task:
    """
    A task whose tries a test runs one by one.

    :param pictory: the account.
    :param variables: where it keeps its records.
    :param log: where all tries log to.
    """

    def __init__(self, pictory, variables, log, *, request=FOX, **instance):
        self.pictory = pictory
        self.variables = variables
        self.log = log
        self.request = request
        self.rules = {}
        self.connection = "pictory_default"
        self.instance = TaskInstance(**instance)
        self.submission = None
        self.delivers = True
        self.waits = True
        # Airflow's store of task state, where it has one.
        self.state = None

    def run(self, hook=None):
        """Run the present try as an operator does that doesn't wait."""
        self.submission = TaskSubmitter(
            context={"ti": self.instance, "task_state_store": self.state},
            hook=hook or PictoryHook(self.connection),
            policy=SubmissionPolicy.read(**{**asdict(SubmissionPolicy()), **self.rules}),
            log=self.log,
            waits=self.waits,
        )
        submitted = self.submission.ensure(self.request)
        if self.delivers:
            self.submission.note_delivery()
        return submitted

    def finish(self):
        """Wait for the present try's job, which is to have ended, and conclude as an operator does."""
        return self.submission.conclude(PictoryHook(self.connection).get_job(self.submission.job_id))

    def fails(self, kind, hook=None):
        """Run the present try, which ends in an error of exactly this kind."""
        with pytest.raises(kind) as caught:
            self.run(hook)
        assert type(caught.value) is kind
        assert API_KEY not in str(caught.value)
        return caught.value

    def retry(self, **arguments):
        self.instance.retry()
        return self.run(**arguments)

    def clear(self, **arguments):
        self.instance.clear()
        return self.run(**arguments)

    @property
    def place(self):
        instance = self.instance
        return TaskPlace(instance.dag_id, instance.run_id, instance.task_id, instance.map_index)

    @property
    def key(self):
        (name,) = self.variables.keys(f"{RECORD_PREFIX}{self.place.digest}")
        return name

    @property
    def record(self):
        return json.loads(self.variables.texts[self.key])

    @property
    def recorded_jobs(self):
        earlier = [job["job_id"] for job in self.record.get("earlier_jobs", ())]
        return [*earlier, self.record["job_id"]] if "job_id" in self.record else earlier
