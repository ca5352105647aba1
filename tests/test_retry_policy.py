"""When a try follows another: at the moment that the error asks for, and otherwise as Airflow would."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta

import pytest
from airflow.providers.common.compat.sdk import AirflowOptionalProviderFeatureException

from airflow_provider_pictory.exceptions import (
    PictoryAPIError,
    PictoryError,
    PictoryRateLimitedError,
    PictoryRecordError,
    PictorySubmissionPendingError,
)
from airflow_provider_pictory.operators.pictory import GenerateVideoOperator
from tests.support.airflow_versions import RetryAction, needs_no_retry_policies, needs_retry_policies
from tests.support.dag_runs import a_dag
from tests.support.pictory_words import POST, count, only_job

PROMPT = "A paper boat on a rainy street"
DAY = timedelta(days=1)


@needs_retry_policies
@pytest.mark.parametrize(
    ("error", "delay"),
    [
        (PictoryRateLimitedError("?", status_code=429, retry_after=90), timedelta(seconds=90)),
        (PictoryRateLimitedError("?", status_code=429, retry_after=0), timedelta(0)),
        (PictoryRateLimitedError("?", status_code=429, retry_after=10.0**9), DAY),
        (PictorySubmissionPendingError("?", retry_after=149.5), timedelta(seconds=149.5)),
        (PictorySubmissionPendingError("?", retry_after=-1), timedelta(0)),
    ],
    ids=["429", "429 at once", "429 for ever", "unresolved", "unresolved and past"],
)
def test_it_waits_for_what_the_error_says(error, delay):
    decision = evaluate(error)

    assert (decision.action, decision.retry_delay) == (RetryAction.RETRY, delay)
    assert type(error).__name__ in decision.reason


@needs_retry_policies
@pytest.mark.parametrize(
    "error",
    [
        PictoryRateLimitedError("?", status_code=429),
        PictorySubmissionPendingError("?"),
        PictoryAPIError("?", status_code=503, retry_after=90),
        PictoryRecordError("?"),
        PictoryError("?"),
        ConnectionError("?"),
        KeyboardInterrupt(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_all_else_is_as_airflow_would_have_it(error):
    decision = evaluate(error)

    assert (decision.action, decision.retry_delay) == (RetryAction.DEFAULT, None)


@needs_retry_policies
def test_airflow_asks_it_about_each_failed_try(pictory, run_dag, monkeypatch):
    from airflow_provider_pictory.retry_policy import PictoryRetryPolicy

    for name in ("reconcile.until_settled", "submitter.settles_in"):
        monkeypatch.setattr(f"airflow_provider_pictory.submission.{name}", lambda record, **moments: 0.5)
    pictory.set_faults(["drop-after-processing:method=POST,count=1"])
    # dag.test() knows no delays other than the task's own.
    with a_dag(retries=1, retry_policy=PictoryRetryPolicy()) as dag:
        GenerateVideoOperator(task_id="generate", prompt=PROMPT)

    run = run_dag(dag)

    assert "PictorySubmissionPendingError asks for 0:00:00.5" in run.log
    assert (run.states["generate"], run.tries("generate")) == ("success", 2)
    assert run.xcom("generate") == only_job(pictory)["job_id"]
    assert count(pictory, POST) == 1


@needs_no_retry_policies
def test_an_airflow_without_retry_policies_says_what_to_do():
    with pytest.raises(
        AirflowOptionalProviderFeatureException, match=r"needs Airflow 3\.3 or later"
    ) as caught:
        import airflow_provider_pictory.retry_policy  # noqa: F401
    assert "use retries and retry_delay" in str(caught.value)


@needs_retry_policies
def test_it_loads_no_http_client():
    program = "import sys, airflow_provider_pictory.retry_policy; print('aiohttp' in sys.modules)"
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert finished.stdout.strip().endswith("False")


def evaluate(error):
    from airflow_provider_pictory.retry_policy import PictoryRetryPolicy

    return PictoryRetryPolicy().evaluate(error, try_number=1, max_tries=3)
