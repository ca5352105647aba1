"""What a task has submitted is recorded as text that is understood completely, or refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_pictory.api.listings import BaselineKind
from airflow_provider_pictory.submission.fingerprint import RequestFingerprint
from airflow_provider_pictory.submission.names import RecordName
from airflow_provider_pictory.submission.record import (
    MOST_EARLIER_JOBS,
    CloseReason,
    EarlierJob,
    LostSubmission,
    RecordState,
    SubmissionRecord,
    TaskPlace,
    read_record,
)
from tests.api.strategies import json_values
from tests.submission.records import PLACE, PROMPT, an_intent

JOB_ID = "4a09edf9-d071-4847-bda5-8dea913d80fe"


def accepted(job_id=JOB_ID, **changes):
    return an_intent().accepted(job_id, datetime.now(UTC)).but(**changes)


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
moments = st.datetimes(timezones=st.just(UTC))
modern_moments = st.datetimes(datetime(1971, 1, 1), datetime(2999, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
numbers = st.floats(min_value=0, allow_nan=False, allow_infinity=False)
earlier_jobs = st.lists(st.builds(EarlierJob, job_id=texts, fingerprint=texts), max_size=3).map(tuple)
lost_submissions = st.lists(
    st.builds(
        LostSubmission,
        intended_at=moments,
        server_time=st.none() | moments,
        baseline=st.sampled_from(BaselineKind),
        newest_job_id=st.none() | texts,
    ),
    max_size=2,
).map(tuple)
digests = st.text("0123456789abcdef", min_size=64, max_size=64)
fingerprints = st.builds(
    RequestFingerprint,
    digest=texts,
    pictory_conn_id=texts,
    base_url=texts,
    prompt_digest=digests,
    model=st.none() | texts,
    aspect_ratio=st.none() | texts,
    durations=st.lists(numbers, max_size=2).map(tuple),
    sources=st.dictionaries(texts, st.lists(texts, max_size=3).map(tuple), max_size=3),
)
records = st.builds(
    SubmissionRecord,
    revision=st.integers(0, 10**6),
    state=st.sampled_from(RecordState),
    reason=st.none() | st.sampled_from(CloseReason),
    dag_id=texts,
    run_id=texts,
    task_id=texts,
    map_index=st.integers(-1, 10**6),
    item=st.none() | texts,
    iteration=st.none() | st.integers(0, 10**6),
    fingerprint=fingerprints,
    try_number=st.integers(0, 10**9),
    max_tries=st.integers(0, 10**9),
    task_instance_id=texts,
    intended_at=modern_moments,
    time_limit=numbers,
    window=numbers,
    server_time=st.none() | moments,
    baseline=st.sampled_from(BaselineKind),
    newest_job_id=st.none() | texts,
    candidates=st.none() | st.lists(texts, max_size=3).map(tuple),
    job_id=st.none() | texts.filter(bool),
    is_claimed=st.booleans(),
    has_ended=st.booleans(),
    accepted_at=st.none() | moments,
    estimated_credits=st.none() | numbers,
    earlier_jobs=earlier_jobs,
    lost=lost_submissions,
    is_kept=st.booleans(),
)


# What is written


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(records)
def test_every_record_is_read_as_it_was_written_also_by_way_of_a_store_of_objects(record):
    text = record.as_json()

    assert read_record(text) == record
    assert read_record(json.dumps(json.loads(text))) == record


def test_a_record_holds_a_thousand_candidates_in_less_than_64_kb_also_when_encrypted():
    """A Variable is a TEXT of 65,535 bytes in MySQL, and Fernet makes four characters of three bytes."""
    many = tuple(EarlierJob(job_id=JOB_ID, fingerprint="f" * 64) for _ in range(MOST_EARLIER_JOBS))
    size = len(an_intent().but(candidates=(JOB_ID,) * 1000, earlier_jobs=many).as_json())

    assert size < 64 * 1024
    assert size * 4 / 3 + 200 < 65_535


def test_the_prompt_is_nowhere_in_it():
    assert PROMPT not in accepted().as_json()
    assert JOB_ID in accepted().as_json()


def test_no_job_id_is_ever_forgotten_but_the_oldest_of_many():
    record = accepted("job-0")
    for number in range(1, MOST_EARLIER_JOBS + 5):
        record = accepted(f"job-{number}", earlier_jobs=record.jobs_so_far)

    assert [it.job_id for it in record.jobs_so_far] == [
        f"job-{number}" for number in range(5, MOST_EARLIER_JOBS + 5)
    ]
    assert record.but(job_id=None).jobs_so_far == record.earlier_jobs


def test_what_never_arrived_is_remembered_and_nothing_else_is():
    lost = an_intent().closed(CloseReason.NOT_SUBMITTED)

    (remembered,) = lost.lost_so_far
    assert remembered.intended_at == lost.intended_at
    assert an_intent(lost=lost.lost_so_far).closed(CloseReason.REFUSED).lost_so_far == (remembered,)
    assert an_intent().closed(CloseReason.REFUSED).lost_so_far == ()


def test_a_record_says_of_which_version_it_is():
    assert json.loads(an_intent().as_json())["version"] == 1


# What can't be understood


def document(**changes):
    written = json.loads(accepted().as_json())
    return json.dumps({name: value for name, value in {**written, **changes}.items() if value is not ...})


NOT_UNDERSTOOD = {
    "nothing": "",
    "no JSON": "job 17",
    "cut short": document()[:-1],
    "cut in the middle": document()[:100],
    "not an object": json.dumps([document()]),
    "null": "null",
    "a text": json.dumps(document()),
    "an empty object": "{}",
    "a page": "<html><body>404</body></html>",
    "another version": document(version=2),
    "a version that is no number": document(version="1"),
    "an unknown field": document(second_job_id=JOB_ID),
    "an unknown state": document(state="cancelled"),
    "no state": document(state=...),
    "an unknown reason": document(reason="because"),
    "no fingerprint": document(fingerprint=...),
    "a fingerprint with an unknown field": document(
        fingerprint={**json.loads(document())["fingerprint"], "priority": 1}
    ),
    "a fingerprint that is none": document(fingerprint=PROMPT),
    "no task": document(task_id=...),
    "a job id that is a number": document(job_id=7),
    "a number that is a text": document(try_number="1"),
    "a number that is a truth": document(max_tries=True),
    "a number with a fraction": document(try_number=1.5),
    "a moment that is none": document(intended_at="soon"),
    "a moment without a time zone": document(intended_at="2026-01-01T00:00:00"),
    "no moment": document(intended_at=...),
    "no window": document(window=...),
    "candidates that are a text": document(candidates=JOB_ID),
    "candidates that are numbers": document(candidates=[1]),
    "an earlier job without its fingerprint": document(earlier_jobs=[{"job_id": JOB_ID}]),
    "a lost submission without its moment": document(lost=[{"baseline": "empty"}]),
    "an unknown baseline": document(baseline="guessed"),
}


@pytest.mark.parametrize("text", NOT_UNDERSTOOD.values(), ids=NOT_UNDERSTOOD)
def test_what_is_not_completely_understood_is_refused(text):
    with pytest.raises(ValueError, match=r".") as raised:
        read_record(text)

    assert len(str(raised.value)) < 700


def test_the_message_names_what_is_wrong():
    fingerprint = {**json.loads(document())["fingerprint"], "priority": 1}

    with pytest.raises(ValueError, match=r"fingerprint\.priority: .*; "):
        read_record(document(state="odd", job_id=7, fingerprint=fingerprint))


@pytest.mark.parametrize(
    "newer",
    [
        document(version=2),
        document(second_job_id=JOB_ID),
        document(lost=[{"intended_at": "2026-01-01T00:00:00Z", "region": "eu"}]),
    ],
    ids=["another version", "an unknown field", "an unknown field within"],
)
def test_a_record_of_a_newer_version_is_refused_with_what_to_do(newer):
    with pytest.raises(
        ValueError, match="a newer version of this provider may have written it, which is nee"
    ):
        read_record(newer)


def test_what_is_merely_broken_is_not_said_to_be_newer():
    with pytest.raises(ValueError, match=r"^job_id: [^;]*$"):
        read_record(document(job_id=7))


@given(json_values.map(json.dumps) | texts)
def test_anything_else_is_refused_and_nothing_else_raised(text):
    with pytest.raises(ValueError, match=r"."):
        read_record(text)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(records, st.data())
def test_a_record_that_was_cut_anywhere_is_refused(record, data):
    text = record.as_json()

    with pytest.raises(ValueError, match=r"."):
        read_record(text[: data.draw(st.integers(0, len(text) - 1))])


# What it is called


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(records)
def test_the_name_of_a_variable_says_all_that_others_ask(record):
    name = RecordName.of(record)

    assert RecordName.read(str(name)) == name
    assert len(str(name)) <= 250
    assert str(name).isascii()
    assert name.place == record.place.digest
    assert bool(name.job) is (record.job_id is not None or record.state is not RecordState.INTENT)
    is_intent = record.state is RecordState.INTENT
    assert name.is_being_claimed is (is_intent and record.job_id is not None)
    assert name.has_lost is bool(record.lost)


@pytest.mark.parametrize("number", range(64))
def test_whatever_a_jobs_digest_ends_with_the_job_is_known_by_it(number):
    claimed, responded = accepted(f"job-{number}", is_claimed=True), accepted(f"job-{number}")

    for record in (claimed, responded):
        assert RecordName.read(str(RecordName.of(record))) == RecordName.of(record)
    assert RecordName.of(claimed).job == RecordName.of(responded).job


@pytest.mark.parametrize(
    "text",
    [
        "",
        "pictory_submission_",
        "pictory_submission_of_mine",
        "pictory_submission_a_b_c_d_e_f",
        "pictory_submission_a_soon_b_c",
        "pictory_index_a_1_b_c",
    ],
)
def test_other_variables_names_are_no_records(text):
    assert RecordName.read(text) is None


def test_a_place_is_named_as_people_know_it():
    assert str(PLACE) == "videos.generate of run manual__2026-01-01"
    assert str(PLACE._replace(map_index=3)) == "videos.generate[3] of run manual__2026-01-01"
    assert str(PLACE._replace(iteration=2)) == "videos.generate of run manual__2026-01-01, iteration 2"
    assert str(PLACE._replace(item="k")) == "videos.generate of run manual__2026-01-01, item 'k'"


places_of_tasks = st.builds(
    TaskPlace,
    texts,
    texts,
    texts,
    st.integers(-1, 10**6),
    st.none() | texts,
    st.none() | st.integers(0, 10**6),
)


@given(places_of_tasks, places_of_tasks)
def test_no_two_task_instances_share_a_name(one, other):
    assert (one.digest == other.digest) is (one == other)
