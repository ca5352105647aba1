"""The service's memory: what becomes of jobs and credits as time passes."""

from __future__ import annotations

import json

import pytest

from airflow_provider_pictory.api import JobStatus
from airflow_provider_pictory.sandbox.service import (
    Clock,
    InsufficientCreditsError,
    Service,
    UnfinishedJobError,
    UnknownJobError,
)
from airflow_provider_pictory.sandbox.validation import read_order


def order(**fields):
    return read_order(
        json.dumps({"prompt": "A red fox", "model": "veo3.1", "duration": "8s", **fields}).encode()
    )


@pytest.fixture
def service():
    return Service(render_seconds=20, credit_limit=400, clock=Clock(lambda: 1_800_000_000.0))


def test_a_job_is_in_progress_for_exactly_the_set_time(service):
    job = service.submit(order())

    service.clock.advance(19.9)
    assert service.status(job) == JobStatus.IN_PROGRESS
    service.clock.advance(0.1)
    assert service.status(job) == JobStatus.COMPLETED


def test_credits_are_taken_at_submission_and_run_out(service):
    service.submit(order())
    service.submit(order())
    assert service.credits_used == 320

    with pytest.raises(InsufficientCreditsError):
        service.submit(order())
    assert (service.credits_used, len(service.jobs)) == (320, 2)

    service.submit(order(duration="4s"))
    assert service.credits_used == 400


def test_many_small_prices_add_up_exactly():
    service = Service(render_seconds=0, credit_limit=1280)
    for _ in range(100):
        service.submit(order(model="pixverse5.5", duration="8s"))

    assert service.credits_used == 1280


def test_a_failed_job_gets_its_credits_back_once(service):
    job = service.submit(order())

    service.set_status(job.job_id, "failed", error_code="7", error_message="NO")
    service.set_status(job.job_id, "failed")

    assert service.status(job) == JobStatus.FAILED
    assert service.credits_used == 0
    assert [transaction.amount for transaction in service.transactions] == [160, -160]


@pytest.mark.parametrize("status", ["queued", "in-progress"])
def test_a_status_that_is_no_end_stays_for_as_long_as_nobody_changes_it(service, status):
    job = service.submit(order())

    service.set_status(job.job_id, status)
    service.clock.advance(1000)

    assert service.status(job) == status
    assert not service.has_ended(job)


def test_only_a_job_that_has_ended_can_be_cleaned(service):
    job = service.submit(order())
    with pytest.raises(UnfinishedJobError):
        service.clean(job.job_id)

    service.clock.advance(20)
    service.clean(job.job_id)

    assert service.status(job) == JobStatus.CLEANED
    assert service.finished_jobs_at(service.clock.now()) == []
    assert service.credits_used == 160


def test_an_unknown_job_is_an_error_everywhere(service):
    for attempt in (
        service.job,
        service.clean,
        service.job_of_video,
        lambda it: service.set_status(it, "failed"),
    ):
        with pytest.raises(UnknownJobError):
            attempt("nobody")


def test_a_video_s_id_is_not_its_job_s(service):
    job = service.submit(order())

    assert job.video_id != job.job_id
    assert service.job_of_video(job.video_id) is job
