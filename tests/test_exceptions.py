"""One error for each thing a user would handle differently, and none is retried that no retry can mend."""

from __future__ import annotations

import copy
import inspect
import pickle

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowTaskTimeout,
)

from airflow_provider_pictory import exceptions
from airflow_provider_pictory.exceptions import (
    PictoryAPIError,
    PictoryAuthenticationError,
    PictoryBatchError,
    PictoryBatchFailedError,
    PictoryConfigurationError,
    PictoryDownloadError,
    PictoryError,
    PictoryExecutionTimeoutError,
    PictoryFileExistsError,
    PictoryInsufficientCreditsError,
    PictoryInvalidRequestError,
    PictoryJobError,
    PictoryJobExpiredError,
    PictoryJobFailedError,
    PictoryJobNotFoundError,
    PictoryJobTimedOutError,
    PictoryJobUnfinishedError,
    PictoryRateLimitedError,
    PictoryRecordError,
    PictoryRedirectedError,
    PictorySpendingLimitError,
    PictoryStorageError,
    PictorySubmissionIndeterminateError,
    PictorySubmissionPendingError,
)

PARENTS = {
    PictoryError: AirflowException,
    PictoryConfigurationError: PictoryError,
    PictoryInvalidRequestError: PictoryError,
    PictoryAPIError: PictoryError,
    PictoryRateLimitedError: PictoryAPIError,
    PictoryRedirectedError: PictoryAPIError,
    PictoryAuthenticationError: PictoryAPIError,
    PictoryInsufficientCreditsError: PictoryAPIError,
    PictoryJobNotFoundError: PictoryAPIError,
    PictorySpendingLimitError: PictoryError,
    PictoryRecordError: PictoryError,
    PictorySubmissionIndeterminateError: PictoryError,
    PictorySubmissionPendingError: PictoryError,
    PictoryJobError: PictoryError,
    PictoryJobFailedError: PictoryJobError,
    PictoryJobExpiredError: PictoryJobError,
    PictoryJobTimedOutError: PictoryJobError,
    PictoryExecutionTimeoutError: PictoryError,
    PictoryJobUnfinishedError: PictoryError,
    PictoryDownloadError: PictoryError,
    PictoryStorageError: PictoryError,
    PictoryBatchError: PictoryError,
    PictoryBatchFailedError: PictoryBatchError,
    PictoryFileExistsError: PictoryError,
}
# A try that ends in one of these may be followed by another.
RETRIED = {
    PictoryError,
    PictoryAPIError,
    PictoryRateLimitedError,
    PictoryRecordError,
    PictorySubmissionPendingError,
    PictoryExecutionTimeoutError,
    PictoryJobUnfinishedError,
    PictoryDownloadError,
    PictoryStorageError,
    PictoryBatchError,
}
every_error = pytest.mark.parametrize("kind", PARENTS)


def test_these_are_all():
    assert set(PARENTS) == {
        kind
        for _, kind in inspect.getmembers(exceptions, inspect.isclass)
        if kind.__module__ == exceptions.__name__
    }


@every_error
def test_catching_a_parent_catches_its_children(kind):
    assert issubclass(kind, PARENTS[kind])
    assert issubclass(kind, PictoryError)


@every_error
def test_airflow_retries_only_what_a_retry_can_mend(kind):
    assert issubclass(kind, AirflowFailException) is (kind not in RETRIED)


@every_error
def test_an_error_says_what_it_was_made_with(kind):
    assert str(kind("One sentence.")) == "One sentence."
    assert kind.__doc__


@every_error
def test_an_error_survives_copies_and_other_processes(kind):
    error = kind("One sentence.")
    error.note = "kept"

    for again in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert type(again) is kind
        assert (str(again), vars(again)) == ("One sentence.", vars(error))


@pytest.mark.parametrize("kind", [kind for kind in PARENTS if issubclass(kind, PictoryAPIError)])
def test_an_error_of_a_call_carries_what_a_retry_policy_needs(kind):
    error = kind("One sentence.", status_code=429, code="SLOW_DOWN", retry_after=7.5)

    for same in (error, pickle.loads(pickle.dumps(error))):
        assert (same.status_code, same.code, same.retry_after) == (429, "SLOW_DOWN", 7.5)


@pytest.mark.parametrize("kind", [kind for kind in PARENTS if issubclass(kind, PictoryAPIError)])
def test_a_call_without_a_response_has_no_status(kind):
    error = kind("One sentence.")

    assert (error.status_code, error.code, error.retry_after) == (None, None, None)


@pytest.mark.parametrize("kind", [kind for kind in PARENTS if issubclass(kind, PictoryJobError)])
def test_an_error_of_a_job_carries_its_id(kind):
    assert pickle.loads(pickle.dumps(kind("One sentence.", job_id="job-1"))).job_id == "job-1"


def test_an_execution_timeout_is_airflows_own_and_carries_the_job():
    error = pickle.loads(pickle.dumps(PictoryExecutionTimeoutError("One sentence.", job_id="job-1")))

    assert isinstance(error, AirflowTaskTimeout)
    assert error.job_id == "job-1"


def test_a_failed_job_carries_pictorys_code():
    error = PictoryJobFailedError("One sentence.", job_id="job-1", error_code="5001")

    assert (error.job_id, error.error_code) == ("job-1", "5001")


def test_an_unknown_submission_carries_what_is_known_about_it():
    interruption = TimeoutError("the alarm")
    error = PictorySubmissionIndeterminateError("One sentence.", job_id="job-1", interruption=interruption)

    assert (error.job_id, error.interruption) == ("job-1", interruption)
    plain = PictorySubmissionIndeterminateError("One sentence.")
    assert (plain.job_id, plain.interruption) == (None, None)


def test_an_unresolved_submission_carries_what_a_retry_policy_needs():
    error = PictorySubmissionPendingError("One sentence.", retry_after=120.0, candidates=("job-1",))
    error = pickle.loads(pickle.dumps(error))

    assert (error.retry_after, error.candidates) == (120.0, ("job-1",))
    assert PictorySubmissionPendingError("One sentence.").retry_after is None
