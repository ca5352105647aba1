"""What tests of submissions share: time that they hand in, Variables in memory, and accounts at a sandbox."""

from __future__ import annotations

import time

import pytest

from airflow_provider_pictory.sandbox.service import Clock as SandboxClock
from tests.conftest import RENDER_SECONDS
from tests.submission.accounts import Account, Log, Time
from tests.submission.tasks import FragileVariables, Task
from tests.support.task_tries import Clock, Variables, VariablesWithoutNames, kept_in, passing


@pytest.fixture
def shared_time():
    return Time()


@pytest.fixture(params=[Variables, VariablesWithoutNames], ids=["names listed", "names not listed"])
def any_variables(request):
    """Keep records in Variables of an Airflow that lists their names, and of one that doesn't."""
    variables = request.param()
    with kept_in(variables):
        yield variables


@pytest.fixture
def account_variables():
    variables = Variables()
    with kept_in(variables):
        yield variables


@pytest.fixture
def account_at(pictory_at, shared_time, account_variables):
    """Open an account, with the sandbox's arguments; its jobs take a minute unless told otherwise."""
    accounts = []

    def open_account(**arguments):
        arguments = {"render_seconds": 60.0, "credits": 10**9, "fetch_sources": False, **arguments}
        sandbox = pictory_at(clock=SandboxClock(shared_time.time), **arguments)
        accounts.append(Account(sandbox, shared_time, account_variables))
        return accounts[-1]

    yield open_account
    for account in accounts:
        account.hook.close()


@pytest.fixture
def account(account_at):
    """An account with a job from long ago."""
    account = account_at(seed=7)
    account.post("Something from last week")
    account.time.now += 7 * 24 * 3600
    return account


# Of tasks whose tries are run one by one


@pytest.fixture
def clock():
    # A real server's responses carry the real date.
    clock = Clock(time.time())
    with passing(clock):
        yield clock


@pytest.fixture
def variables():
    variables = FragileVariables()
    with kept_in(variables):
        yield variables


@pytest.fixture
def log():
    return Log()


@pytest.fixture
def day_long_pictory(pictory_at, clock):
    """A Pictory that lives by the same clock as the worker, and whose jobs take a day."""
    return pictory_at(render_seconds=RENDER_SECONDS, clock=SandboxClock(clock.time), fetch_sources=False)


@pytest.fixture
def make_task(day_long_pictory, variables, log):
    def make(**arguments):
        return Task(day_long_pictory, variables, log, **arguments)

    return make
