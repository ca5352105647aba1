"""What a try does with the record of the tries before it, as a table: a pure decision."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from airflow_provider_pictory.api import JobStatus, VideoJob
from airflow_provider_pictory.exceptions import PictoryAPIError, PictoryJobNotFoundError
from airflow_provider_pictory.submission.attempt import (
    Attempt,
    Reattach,
    Reconcile,
    Relation,
    Submit,
    decide,
    is_not_found,
    needs_certainty,
    needs_poll,
)
from airflow_provider_pictory.submission.policy import OnClear, SubmissionPolicy
from airflow_provider_pictory.submission.record import CloseReason, RecordState
from tests.submission.records import an_intent

NOW = datetime(2026, 1, 1, tzinfo=UTC)
INTENT = an_intent(now=NOW, try_number=1, max_tries=1, task_instance_id="first")
ACCEPTED = INTENT.accepted("job", NOW)
DELIVERED = ACCEPTED.but(state=RecordState.DELIVERED)
FAILED = ACCEPTED.closed(CloseReason.JOB_FAILED)
REFUSED = INTENT.closed(CloseReason.REFUSED)

RETRY = Attempt(2, 1, "second")
CLEAR = Attempt(2, 2, "second")
NEW_RUN = Attempt(1, 1, "another")
ATTEMPTS = {"retry": RETRY, "clear": CLEAR, "new run": NEW_RUN}

SAME, OTHER = INTENT.fingerprint.digest, "another"
RUNNING, COMPLETED, JOB_FAILED, CLEANED = (
    VideoJob("job", status, url="https://video.example/job.mp4" if status == JobStatus.COMPLETED else None)
    for status in (JobStatus.IN_PROGRESS, JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CLEANED)
)
UNKNOWN_JOB = PictoryJobNotFoundError("Pictory knows no such job", status_code=404)
OUT_OF_ORDER = PictoryAPIError("Pictory responded with HTTP 503", status_code=503)


def decision(record, attempt, polled=None, fingerprint=SAME, **policy):
    return decide(record, attempt, SubmissionPolicy(**policy), fingerprint, polled)


@pytest.mark.parametrize(
    ("attempt", "relation"),
    [
        (RETRY, Relation.RETRY),
        (CLEAR, Relation.CLEAR),
        (NEW_RUN, Relation.NEW_RUN),
        (Attempt(1, 1, "first"), Relation.RETRY),
        (Attempt(1, 1, ""), Relation.NEW_RUN),
        (Attempt(2, 0, "second"), Relation.CLEAR),
        (Attempt(0, 1, "second"), Relation.NEW_RUN),
    ],
)
def test_a_try_is_told_by_airflows_counts(attempt, relation):
    assert attempt.relation_to(INTENT) is relation


def test_where_airflow_has_no_ids_the_same_number_is_another_run():
    assert Attempt(1, 1).relation_to(INTENT.but(task_instance_id="")) is Relation.NEW_RUN


def test_a_signed_record_is_the_present_trys():
    for attempt in ATTEMPTS.values():
        signed = attempt.sign(INTENT)
        assert attempt.relation_to(signed) is Relation.RETRY
        assert Attempt(attempt.try_number + 1, attempt.max_tries, "next").relation_to(signed) is (
            Relation.RETRY
        )


def test_without_a_record_a_video_is_submitted():
    for attempt in ATTEMPTS.values():
        assert decision(None, attempt) == Submit(None)


@pytest.mark.parametrize("on_clear", OnClear)
@pytest.mark.parametrize("attempt", ATTEMPTS.values(), ids=ATTEMPTS)
def test_what_became_of_an_intent_is_found_out_first(attempt, on_clear):
    is_new_wanted = attempt is CLEAR and on_clear is OnClear.NEW

    assert decision(INTENT, attempt, on_clear=on_clear) == Reconcile(INTENT, is_new_wanted)


@pytest.mark.parametrize("attempt", [RETRY, CLEAR], ids=["retry", "clear"])
def test_after_a_refusal_a_video_is_submitted(attempt):
    assert decision(REFUSED, attempt) == Submit(REFUSED)


@pytest.mark.parametrize("record", [ACCEPTED, DELIVERED, FAILED, REFUSED])
def test_a_run_that_was_made_again_has_a_life_of_its_own(record):
    assert decision(record, NEW_RUN) == Submit(record.closed(CloseReason.PREVIOUS_RUN))


GOES_ON, ANOTHER = True, False
TABLE = {
    # A retry goes on with the job, whatever became of it.
    "retry running": (RETRY, ACCEPTED, RUNNING, SAME, GOES_ON),
    "retry completed": (RETRY, ACCEPTED, COMPLETED, SAME, GOES_ON),
    "retry delivered": (RETRY, DELIVERED, COMPLETED, SAME, GOES_ON),
    "retry failed": (RETRY, FAILED, JOB_FAILED, SAME, GOES_ON),
    "retry cleaned": (RETRY, ACCEPTED, CLEANED, SAME, GOES_ON),
    "retry unknown": (RETRY, ACCEPTED, UNKNOWN_JOB, SAME, GOES_ON),
    "retry unreadable": (RETRY, ACCEPTED, OUT_OF_ORDER, SAME, GOES_ON),
    "retry of another request": (RETRY, ACCEPTED, COMPLETED, OTHER, GOES_ON),
    # A clear goes on with what runs or was never delivered.
    "clear running": (CLEAR, ACCEPTED, RUNNING, SAME, GOES_ON),
    "clear running of another request": (CLEAR, ACCEPTED, RUNNING, OTHER, GOES_ON),
    "clear delivered running": (CLEAR, DELIVERED, RUNNING, SAME, GOES_ON),
    "clear completed": (CLEAR, ACCEPTED, COMPLETED, SAME, GOES_ON),
    "clear completed of another request": (CLEAR, ACCEPTED, COMPLETED, OTHER, ANOTHER),
    "clear completed of no request": (CLEAR, ACCEPTED, COMPLETED, None, ANOTHER),
    "clear delivered": (CLEAR, DELIVERED, COMPLETED, SAME, ANOTHER),
    "clear job failed": (CLEAR, ACCEPTED, JOB_FAILED, SAME, ANOTHER),
    "clear noted failure": (CLEAR, FAILED, None, SAME, ANOTHER),
    "clear cleaned": (CLEAR, ACCEPTED, CLEANED, SAME, ANOTHER),
    "clear unknown": (CLEAR, ACCEPTED, UNKNOWN_JOB, SAME, GOES_ON),
    "clear unreadable": (CLEAR, ACCEPTED, OUT_OF_ORDER, SAME, GOES_ON),
}


@pytest.mark.parametrize(("attempt", "record", "polled", "fingerprint", "goes_on"), TABLE.values(), ids=TABLE)
def test_the_table(attempt, record, polled, fingerprint, goes_on):
    made = decision(record, attempt, polled, fingerprint)

    if goes_on:
        assert made == Reattach(record)
    else:
        assert isinstance(made, Submit)
        assert made.previous == record
        assert "This task was cleared" in made.reason


@pytest.mark.parametrize("polled", [RUNNING, COMPLETED, JOB_FAILED, CLEANED, UNKNOWN_JOB])
@pytest.mark.parametrize("record", [ACCEPTED, DELIVERED, FAILED])
def test_an_author_may_decide_what_a_clear_means(record, polled):
    assert decision(record, CLEAR, polled, on_clear=OnClear.REATTACH) == Reattach(record)
    assert isinstance(decision(record, CLEAR, None, on_clear=OnClear.NEW), Submit)
    assert decision(record, RETRY, polled, on_clear=OnClear.NEW) == Reattach(record)


def test_a_failed_job_is_followed_by_another_only_if_the_author_says_so():
    assert decision(FAILED, RETRY, JOB_FAILED) == Reattach(FAILED)
    assert "Job job failed" in decision(FAILED, RETRY, JOB_FAILED, resubmit_failed=True).reason
    assert decision(ACCEPTED, RETRY, RUNNING, resubmit_failed=True) == Reattach(ACCEPTED)


@pytest.mark.parametrize(
    ("former", "pushes", "goes_on"),
    [
        (["job_id"], True, True),
        (["job_id", "return_value"], True, False),
        (["job_id"], False, False),
        ([], True, False),
    ],
)
def test_xcoms_tell_a_delivery_from_a_crash_right_after_it_was_noted(former, pushes, goes_on):
    attempt = Attempt(2, 2, "second", frozenset(former), pushes)

    assert isinstance(decision(DELIVERED, attempt, COMPLETED), Reattach) is goes_on


@pytest.mark.parametrize(
    ("record", "attempt", "on_clear", "is_polled", "must_know"),
    [
        (None, RETRY, "auto", False, None),
        (INTENT, CLEAR, "auto", False, None),
        (REFUSED, CLEAR, "auto", False, None),
        (ACCEPTED, RETRY, "auto", True, False),
        (ACCEPTED, CLEAR, "auto", True, True),
        (ACCEPTED, CLEAR, "reattach", True, False),
        (ACCEPTED, CLEAR, "new", False, None),
        (FAILED, CLEAR, "auto", False, None),
        (FAILED, RETRY, "auto", True, False),
        (ACCEPTED, NEW_RUN, "auto", False, None),
    ],
)
def test_a_job_is_polled_only_where_that_matters(record, attempt, on_clear, is_polled, must_know):
    policy = SubmissionPolicy(on_clear=OnClear(on_clear))

    assert needs_poll(record, attempt, policy) is is_polled
    if is_polled:
        assert needs_certainty(record, attempt, policy) is must_know


def test_a_try_is_described_as_airflow_counts_it():
    instance = SimpleNamespace(try_number=3, max_tries=2, id="x")
    server = SimpleNamespace(xcom_keys_to_clear=["job_id"])

    assert Attempt.of(instance, pushes_result=False) == Attempt(3, 2, "x", None, False)
    instance._ti_context_from_server = server
    assert Attempt.of(instance, pushes_result=True).former_xcoms == {"job_id"}
    server.xcom_keys_to_clear = None
    assert Attempt.of(instance, pushes_result=True).former_xcoms == frozenset()
    # As Airflow 3.4 has it, where no try is told of another one's.
    server.loop = None
    assert Attempt.of(instance, pushes_result=True).former_xcoms is None
    assert [Attempt(number, 2).has_retry_left for number in (1, 2, 3)] == [True, True, False]


def test_a_404_is_told_also_without_pictorys_words():
    assert is_not_found(UNKNOWN_JOB)
    assert is_not_found(PictoryAPIError("<h1>", status_code=404))
    assert not is_not_found(OUT_OF_ORDER)
    assert not is_not_found(RUNNING)
