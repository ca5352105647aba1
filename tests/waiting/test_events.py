"""What a worker makes of the event that it is resumed with: it believes little and asks when in doubt."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_pictory.api import JobStatus, VideoJob
from airflow_provider_pictory.exceptions import (
    PictoryAPIError,
    PictoryAuthenticationError,
    PictoryJobNotFoundError,
    PictoryJobTimedOutError,
)
from airflow_provider_pictory.hooks.pictory import PictoryHook
from airflow_provider_pictory.waiting.events import (
    ended_event,
    inconclusive_event,
    job_after_event,
    read_event,
)
from airflow_provider_pictory.waiting.limits import WaitLimit
from tests.support.pictory_words import JOB, count, submit

ID = "4a09edf9-d071-4847-bda5-8dea913d80fe"
COMPLETED = VideoJob(
    job_id=ID,
    status=JobStatus.COMPLETED,
    url="https://example.com/video.mp4",
    duration_seconds=8.0,
    width=1280,
    height=720,
    ai_credits_used=12.8,
)
GOOD = ended_event(COMPLETED)
SOON = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
PAST = "2020-01-01T00:00:00+00:00"

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def good_with(**changes):
    return {**GOOD, "job": {**GOOD["job"], **changes}}


def good_without(name):
    return {**GOOD, "job": {key: value for key, value in GOOD["job"].items() if key != name}}


MALFORMED = {
    "nothing": None,
    "a text": "ended",
    "a list": ["ended"],
    "empty": {},
    "no job": {"outcome": "ended"},
    "job none": {"outcome": "ended", "job": None},
    "job a text": {"outcome": "ended", "job": "4a09edf9"},
    "inconclusive": inconclusive_event(ID, PictoryAPIError("No response")),
    "unknown outcome": {**GOOD, "outcome": "success"},
    "outcome none": {**GOOD, "outcome": None},
    "outcome of another type": {**GOOD, "outcome": ["ended"]},
    "another job": good_with(job_id="00000000-d071-4847-bda5-8dea913d80fe"),
    "job id of another type": good_with(job_id=7),
    "no status": good_without("status"),
    "status none": good_with(status=None),
    "not ended": good_with(status="in-progress"),
    "unknown status": good_with(status="post-processing"),
    "no url": good_without("url"),
    "url none": good_with(url=None),
    "url empty": good_with(url=""),
    "url of another type": good_with(url=["https://example.com/video.mp4"]),
    "url without a host to fetch from": good_with(url="javascript:alert(1)"),
    "duration as on the wire": good_with(duration_seconds="8s"),
    "width a text": good_with(width="1280"),
    "width a bool": good_with(width=True),
    "duration endless": good_with(duration_seconds=float("inf")),
    "duration no number": good_with(duration_seconds=float("nan")),
    "credits negative": good_with(ai_credits_used=-1),
    "thumbnail a number": good_with(thumbnail_url=7),
    "an unknown field": good_with(progress=1.0),
}


@pytest.mark.parametrize("status", [JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CLEANED])
def test_the_event_of_an_ended_job_is_believed(status):
    job = VideoJob(
        job_id=ID,
        status=status,
        url="https://example.com/video.mp4" if status is JobStatus.COMPLETED else None,
        error_code="5002",
    )

    assert read_event(ended_event(job), ID) == job


@pytest.mark.parametrize("event", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_event_is_not_believed(event):
    assert read_event(event, ID) is None


@given(json_values)
def test_no_other_event_is_ever_believed(event):
    assert read_event(event, ID) is None


@given(st.sampled_from(sorted(GOOD["job"])), json_values)
def test_an_event_with_one_field_changed_is_believed_only_as_a_whole_and_sound(field, value):
    job = read_event(good_with(**{field: value}), ID)

    if job is not None:
        assert job.job_id == ID
        assert job.has_ended
        assert not job.has_unknown_status
        assert isinstance(job.url, str) if job.status is JobStatus.COMPLETED else True
        for number in (job.duration_seconds, job.width, job.height, job.ai_credits_used):
            assert number is None or (isinstance(number, (int, float)) and number >= 0)
        for text in (job.thumbnail_url, job.preview_url, job.last_frame_image_url, job.error_code):
            assert text is None or isinstance(text, str)


def after(event, job_id, deadline=SOON):
    hook = PictoryHook()
    limit = WaitLimit("timeout", 60.0, datetime.fromisoformat(deadline))
    try:
        return job_after_event(event, hook=hook, job_id=job_id, limit=limit, advice="Go on so.")
    finally:
        hook.close()


def test_a_believed_event_costs_no_look(pictory):
    assert after(GOOD, ID) == COMPLETED
    assert pictory.counts()["requests"] == {}


@pytest.mark.parametrize("event", MALFORMED.values(), ids=MALFORMED)
def test_whatever_else_came_the_job_itself_is_asked_once(pictory, event):
    job_id = submit()

    assert after(event, job_id).job_id == job_id

    assert count(pictory, JOB) == 1


def test_a_job_in_progress_is_waited_on_while_there_is_time(busy_pictory):
    assert after(None, submit()) is None


def test_a_job_in_progress_after_the_deadline_is_a_timeout_with_advice(busy_pictory):
    with pytest.raises(PictoryJobTimedOutError, match=r"goes on and is paid for.* Go on so\.$"):
        after(None, submit(), PAST)


def test_an_end_after_the_deadline_is_an_end_all_the_same(pictory):
    assert after(None, submit(), PAST).status is JobStatus.COMPLETED


@pytest.mark.parametrize("deadline", [SOON, PAST], ids=["time left", "no time left"])
def test_what_time_cannot_mend_is_said_as_it_is(pictory, connect, deadline):
    job_id = submit()
    with pytest.raises(PictoryJobNotFoundError):
        after(None, "a-render-job", deadline)

    connect(pictory.url, "pictai_revoked")
    with pytest.raises(PictoryAuthenticationError):
        after(None, job_id, deadline)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_trouble_that_may_pass_is_waited_out_while_there_is_time(busy_pictory, status):
    job_id = submit()
    busy_pictory.respond_next("/v1/jobs", status=status, times=2)

    assert after(None, job_id) is None
    with pytest.raises(PictoryJobTimedOutError, match="whether it has ended is unknown"):
        after(None, job_id, PAST)
