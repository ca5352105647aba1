"""Where records lie among Airflow's Variables: with names that can be listed, and without."""

from __future__ import annotations

import itertools
import json
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import task

from airflow_provider_pictory.exceptions import PictoryRecordError
from airflow_provider_pictory.submission.names import RECORD_PREFIX, short_prompt
from airflow_provider_pictory.submission.record import CloseReason, RecordState
from airflow_provider_pictory.submission.store import RecordStore, open_store
from airflow_provider_pictory.submission.variable_index import INDEX_PREFIX, KEPT_WITHOUT_LISTING
from airflow_provider_pictory.submission.variables import (
    CLAIM_PREFIX,
    ListedVariables,
    NamedVariables,
    open_variables,
)
from tests.submission.records import OTHER_PLACE, PLACE, a_fingerprint, an_intent
from tests.support import airflow_versions
from tests.support.dag_runs import a_dag, forget_submissions
from tests.support.task_tries import Variables, VariablesWithoutNames, kept_in

JOB_ID = "4a09edf9-d071-4847-bda5-8dea913d80fe"
OTHER_JOB_ID = "00000000-0000-4000-8000-000000000000"
NOW = datetime.now(UTC)


def accepted(job_id=JOB_ID, *, place=PLACE, now=NOW, **changes):
    return an_intent(place=place, now=now).accepted(job_id, now).but(**changes)


def write(record):
    """Write as a process of its own does."""
    variables = open_variables()
    variables.find(record.place.digest)
    variables.write(record, "a record")


def find(place):
    return [text for _, text in open_variables().find(place.digest)]


def store_now():
    """Open the store of a task instance as a process of its own does."""
    store = RecordStore(PLACE, open_variables(), None, has_earlier_tries=True)
    store.read()
    return store


def owners(job_id):
    return open_variables().claims([job_id]).owners(job_id)


# Both kinds


def test_the_kind_is_chosen_by_what_airflow_can_do(any_variables):
    assert isinstance(open_variables(), ListedVariables if hasattr(any_variables, "keys") else NamedVariables)


def test_a_record_is_found_by_its_task_instance_alone(any_variables):
    write(accepted())
    write(accepted(try_number=2))

    assert find(PLACE) == [accepted(try_number=2).as_json()]
    assert find(OTHER_PLACE) == []
    assert find(PLACE._replace(map_index=0)) == []


def test_one_variable_per_video_or_two_where_names_cannot_be_listed(any_variables):
    write(an_intent(now=NOW))
    assert len(any_variables.texts) == 1
    write(accepted())

    assert len(any_variables.texts) == (1 if hasattr(any_variables, "keys") else 2)


def test_a_job_belongs_to_whoever_has_recorded_it(any_variables):
    write(accepted())
    write(accepted(OTHER_JOB_ID, place=OTHER_PLACE, is_claimed=True))

    assert owners(JOB_ID) == {PLACE.digest}
    assert owners(OTHER_JOB_ID) == {OTHER_PLACE.digest}
    assert owners("another") == set()
    ((_, text),) = open_variables().find_by_job(OTHER_JOB_ID)
    assert json.loads(text)["task_id"] == OTHER_PLACE.task_id


@pytest.mark.parametrize("is_claimed", [False, True], ids=["of a response", "found in the lists"])
@pytest.mark.parametrize("writes", range(12))
def test_a_crash_leaves_no_claim_of_a_job_that_the_next_try_knows_nothing_of(
    any_variables, monkeypatch, writes, is_claimed
):
    before = store_now()
    intent = before.write_intent(an_intent(now=NOW))
    set_variable, done = any_variables.set, itertools.count()

    def set_or_die(*arguments):
        if next(done) == writes:
            raise KeyboardInterrupt
        set_variable(*arguments)

    clock = SimpleNamespace(now=lambda: NOW, sleep=lambda seconds: None)
    with monkeypatch.context() as patch, suppress(KeyboardInterrupt):
        patch.setattr(any_variables, "set", set_or_die)
        if is_claimed:
            before.claim(intent, JOB_ID, clock)
        else:
            before.write(intent.accepted(JOB_ID, NOW))
    record = store_now().read()

    assert record.state in (RecordState.INTENT, RecordState.ACCEPTED)
    knows = record.job_id == JOB_ID
    assert owners(JOB_ID) == ({PLACE.digest} if knows else set())
    assert knows is (record.state is RecordState.ACCEPTED)
    if writes == 11:
        assert knows


@pytest.mark.parametrize("act", ["remove", "remove_all"])
def test_what_is_removed_is_gone_with_its_claim(any_variables, act):
    write(accepted())
    variables = open_variables()
    variables.find(PLACE.digest)
    getattr(variables, act)(accepted())

    assert any_variables.texts == {}
    assert variables.version(PLACE.digest) == variables.known_version(PLACE.digest)


def test_what_another_try_writes_changes_the_version(any_variables):
    variables = open_variables()
    variables.find(PLACE.digest)
    variables.write(an_intent(now=NOW), "")
    assert variables.version(PLACE.digest) == variables.known_version(PLACE.digest)

    write(an_intent(now=NOW + timedelta(seconds=1)))

    assert variables.version(PLACE.digest) != variables.known_version(PLACE.digest)


def test_ids_of_any_length_make_names_that_airflow_takes(any_variables):
    # The fake refuses what is longer than Airflow's column.
    place = PLACE._replace(dag_id="d" * 250, run_id="✈" * 250, task_id="r" * 250, map_index=1023)
    write(accepted("j" * 1000, place=place, is_claimed=True))

    assert len(find(place)) == 1
    assert owners("j" * 1000) == {place.digest}
    assert all(name.isascii() for name in any_variables.texts)


# Where names can be listed


@pytest.fixture
def listed():
    variables = Variables()
    with kept_in(variables):
        yield variables


PROMPT = short_prompt(accepted())


def claims():
    return open_variables().claims(())


def test_a_list_of_names_tells_who_waits_for_a_response(listed):
    write(an_intent(now=NOW))
    write(accepted(place=OTHER_PLACE))
    write(an_intent(a_fingerprint("Something else"), place=OTHER_PLACE._replace(map_index=1), now=NOW))

    assert claims().pending(PROMPT) == {PLACE.digest}
    assert claims().undecided(PROMPT) == {PLACE.digest}


def test_what_a_crash_left_under_two_names_is_one_submission(listed):
    write(an_intent(now=NOW))
    pending = dict(listed.texts)
    write(accepted())
    listed.texts.update(pending)

    assert claims().pending(PROMPT) == set()
    assert len(find(PLACE)) == 2


def test_a_task_with_an_earlier_job_may_wait_for_a_response_again(listed):
    write(accepted())
    earlier = dict(listed.texts)
    write(an_intent(now=NOW + timedelta(hours=1)))
    listed.texts.update(earlier)

    assert claims().pending(PROMPT) == {PLACE.digest}


def test_an_earlier_job_stays_known_while_an_identical_task_is_undecided(listed):
    write(an_intent(place=OTHER_PLACE, now=NOW))
    write(accepted())
    write(accepted(OTHER_JOB_ID, now=NOW + timedelta(hours=1)))

    assert owners(JOB_ID) == owners(OTHER_JOB_ID) == {PLACE.digest}
    write(accepted("third", place=OTHER_PLACE))
    write(accepted(OTHER_JOB_ID, now=NOW + timedelta(hours=1), has_ended=True))
    assert owners(JOB_ID) == set()


def test_a_task_that_is_about_to_claim_a_job_stays_undecided(listed):
    """It may crash there and take another job in the end, so that the records of others are still needed."""
    claim = accepted(is_claimed=True)
    write(claim.but(state=RecordState.INTENT))

    assert claims().owners(JOB_ID) == claims().undecided(PROMPT) == {PLACE.digest}
    write(claim)
    assert claims().undecided(PROMPT) == set()
    assert len(listed.texts) == 1


def test_a_task_with_a_submission_taken_for_lost_stays_undecided(listed):
    lost = an_intent(now=NOW).closed(CloseReason.NOT_SUBMITTED).lost_so_far
    write(accepted(lost=lost))

    assert claims().pending(PROMPT) == set()
    assert claims().undecided(PROMPT) == {PLACE.digest}
    write(accepted())
    assert claims().undecided(PROMPT) == set()
    assert len(listed.texts) == 1


def test_a_claim_is_withdrawn_though_an_identical_task_is_undecided(listed):
    write(an_intent(place=OTHER_PLACE, now=NOW))
    variables = open_variables()
    intent = an_intent(now=NOW)
    claimed = intent.accepted(JOB_ID, NOW, is_claimed=True)
    for record in (intent, claimed):
        variables.write(record, "")
    variables.withdraw(claimed, intent, "")

    assert owners(JOB_ID) == set()
    assert find(PLACE) == [intent.as_json()]


def test_a_name_that_is_listed_but_cannot_be_read_is_trouble(listed, monkeypatch):
    write(accepted())
    monkeypatch.setattr(listed, "get", lambda key, default: default)

    with pytest.raises(PictoryRecordError, match="is listed but can't be read"):
        find(PLACE)


def test_names_that_cannot_be_listed_are_trouble(listed, monkeypatch):
    def fail(prefix=None):
        raise ValueError("<html>")

    monkeypatch.setattr(listed, "keys", fail)

    for act in (lambda: find(PLACE), claims, lambda: open_variables().version(PLACE.digest)):
        with pytest.raises(ValueError, match="<html>"):
            act()


# Where names can't be listed


@pytest.fixture
def named():
    variables = VariablesWithoutNames()
    with kept_in(variables):
        yield variables


def test_reading_nothing_is_believed_only_after_a_probe(named):
    get = named.get
    named.get = lambda key, default: default

    for act in (lambda: find(PLACE), lambda: owners(JOB_ID), lambda: open_variables().version(PLACE.digest)):
        with pytest.raises(PictoryRecordError, match="just written can't be read"):
            act()
    named.get = get
    assert find(PLACE) == []
    assert named.texts == {}, "no probe is left"


def test_a_read_that_fails_once_is_repeated(named):
    write(accepted())
    get, failures = named.get, iter([True])
    named.get = lambda key, default: default if next(failures, False) else get(key, default)

    assert len(find(PLACE)) == 1


def index_of(variables):
    (name,) = (name for name in variables.texts if name.startswith(INDEX_PREFIX))
    return name


def make_older(variables, age):
    """Let everything in the one index that there is be older."""
    name = index_of(variables)
    lines = json.loads(variables.texts[name])
    variables.texts[name] = json.dumps(
        {key: (datetime.fromisoformat(moment) - age).isoformat() for key, moment in lines.items()}
    )


def submit(place, job_id=JOB_ID):
    record = accepted(job_id, place=place)
    write(record)
    open_variables().tidy(record.place, [record], datetime.now(UTC), lambda: False)


def runs(number):
    return [PLACE._replace(run_id=f"run {index}") for index in range(number)]


def test_old_variables_go_with_a_later_submission_of_the_task_and_young_ones_stay(named):
    write(accepted("elsewhere", place=PLACE._replace(dag_id="other videos")))
    for number, place in enumerate(runs(3)):
        submit(place, f"job-{number}")
        if number < 2:
            make_older(named, KEPT_WITHOUT_LISTING - timedelta(seconds=60))

    assert [bool(find(place)) for place in runs(3)] == [False, True, True]
    names = sorted(name.removesuffix(name.rpartition("_")[2]) for name in named.texts)
    assert names == sorted([INDEX_PREFIX] + [CLAIM_PREFIX] * 3 + [RECORD_PREFIX] * 3)


def test_a_task_that_goes_on_with_its_job_keeps_its_variables_young(named):
    for _ in range(3):
        submit(PLACE)
        make_older(named, KEPT_WITHOUT_LISTING - timedelta(seconds=60))

    assert len(find(PLACE)) == 1


GARBAGE = {
    "no JSON": "{",
    "not an object": "[1, 2]",
    "a text": '"pictory"',
    "null": "null",
    "no moments": '{"pictory_submission_1": "soon"}',
    "numbers": '{"pictory_submission_1": 7}',
    "empty": "{}",
    "a moment without a time zone": '{"pictory_submission_1": "2026-01-01T00:00:00"}',
}


@pytest.mark.parametrize("text", GARBAGE.values(), ids=GARBAGE)
def test_an_index_that_makes_no_sense_is_begun_anew(named, text):
    submit(PLACE)
    named.texts[index_of(named)] = text
    submit(PLACE)
    index = json.loads(named.texts[index_of(named)])

    assert set(index) == set(named.texts) - {index_of(named)}
    assert all(datetime.fromisoformat(moment).tzinfo for moment in index.values())


def test_a_variable_that_a_person_has_deleted_already_is_no_reason_to_stop(named):
    one, other = runs(2)
    submit(one)
    for name in [name for name in named.texts if not name.startswith(INDEX_PREFIX)]:
        named.delete(name)
    make_older(named, KEPT_WITHOUT_LISTING + timedelta(days=1))
    submit(other)

    assert set(json.loads(named.texts[index_of(named)])) == set(named.texts) - {index_of(named)}


def test_each_task_has_an_index_of_its_own_over_all_its_runs(named):
    for changes in ({}, {"run_id": "run 2"}, {"dag_id": "b"}, {"task_id": "u"}, {"map_index": 0}):
        submit(PLACE._replace(**changes))

    assert sum(name.startswith(INDEX_PREFIX) for name in named.texts) == 4


# In a real Airflow


@pytest.fixture
def in_a_task(run_dag):
    """Run a function in a task of a real Airflow, which Variables and the store of task state need."""

    def run(function):
        returned = []
        with a_dag() as dag:

            @task(task_id="the_task")
            def the_task(**context):
                returned.append(function(context))

            the_task()
        finished = run_dag(dag)
        for error in finished.errors("the_task"):
            raise error
        (value,) = returned
        return value

    return run


@pytest.fixture
def forget():
    """Take out of the database what tests have put there, this one and those before."""
    forget_submissions()
    yield
    forget_submissions()


def in_database():
    """Return the Variables of this provider that are in the database, by their keys."""
    from airflow import models, settings
    from sqlalchemy.orm import Session

    with Session(settings.engine) as session:
        found = session.query(models.Variable).filter(models.Variable.key.like("pictory%")).all()
        return {it.key: it for it in found}


@contextmanager
def database_out_of_order():
    """Let the table of Variables be away for a while, so that the database refuses to read it."""
    import sqlalchemy
    from airflow import settings

    def rename(one, other):
        with settings.engine.begin() as connection:
            connection.execute(sqlalchemy.text(f"ALTER TABLE {one} RENAME TO {other}"))

    rename("variable", "variable_away")
    try:
        yield
    finally:
        rename("variable_away", "variable")


in_airflow = pytest.mark.usefixtures("airflow_database", "forget")
both_kinds = pytest.mark.parametrize("kind", [ListedVariables, NamedVariables])


def store_of(kind, place=PLACE):
    return RecordStore(place, kind(), None, has_earlier_tries=True)


@in_airflow
def test_a_try_finds_what_the_one_before_wrote(run_dag):
    found = []
    with a_dag(retries=2) as dag:

        @task
        def submit(**context):
            store = open_store(context)
            record = store.read()
            found.append(record and record.try_number)
            store.write(accepted(place=store.place, try_number=context["ti"].try_number))
            assert len(found) == 3

        submit()

    assert run_dag(dag).states == {"submit": "success"}
    assert found == [None, 1, 2]


@in_airflow
@airflow_versions.needs_loops
def test_the_iterations_of_a_loop_have_a_record_each(run_dag):
    from airflow.sdk import task_group

    found = []
    with a_dag() as dag:

        @task_group
        def video():
            @task
            def submit(**context):
                store, number = open_store(context), len(found)
                found.append((store.read(), store.place.iteration, context["loop"].index))
                store.write(accepted(f"job-{number}", place=store.place))
                assert store.read().job_id == f"job-{number}"

            submit()

        video.loop(max_iterations=3)

    assert run_dag(dag).dag_run.state == "success"
    assert found == [(None, number, number) for number in range(3)]


@in_airflow
def test_the_instances_of_a_mapped_task_have_a_record_each(run_dag):
    found = []
    with a_dag() as dag:

        @task
        def submit(number, **context):
            store = open_store(context)
            found.append((number, store.read()))
            store.write(accepted(f"job-{number}", place=store.place))
            found.append((number, store.read().job_id))

        submit.expand(number=[0, 1, 2])

    assert run_dag(dag).states == {"submit": ["success"] * 3}
    assert sorted(found, key=lambda it: it[0]) == [
        *((0, None), (0, "job-0")),
        *((1, None), (1, "job-1")),
        *((2, None), (2, "job-2")),
    ]


@in_airflow
def test_this_airflow_lists_names_or_has_no_way_to(in_a_task):
    def look(context):
        write(accepted())
        kind = type(open_variables())
        return kind, kind is NamedVariables or [name.place for name in open_variables().names()]

    kind, places = in_a_task(look)

    assert (kind, places) in ((ListedVariables, [PLACE.digest]), (NamedVariables, True))


@in_airflow
@both_kinds
def test_variables_of_a_real_airflow_keep_records_and_claims(in_a_task, kind):
    if kind is ListedVariables and not airflow_versions.LISTS_VARIABLES:
        pytest.skip("this Airflow can't list the names of Variables")

    def act(context):
        store, other = store_of(kind), store_of(kind, OTHER_PLACE)
        store.read()
        store.write(an_intent(place=PLACE, now=NOW))
        store.write(accepted())
        return (
            store_of(kind).read().job_id,
            other.read(),
            kind().claims([JOB_ID]).owners(JOB_ID),
            store_of(kind).insist_on_no_other_try,
        )

    job_id, nothing, has_it, _ = in_a_task(act)

    assert (job_id, nothing, has_it) == (JOB_ID, None, {PLACE.digest})
    found = in_database()
    assert len(found) == (1 if kind is ListedVariables else 2)
    assert {it.description for it in found.values()} == {f"What {PLACE} has submitted to Pictory"}


@in_airflow
@both_kinds
def test_names_of_variables_hide_nothing_from_logs(in_a_task, kind):
    def act(context):
        variables = kind()
        variables.write(accepted(is_claimed=True), "")
        variables.tidy(accepted().place, [accepted()], NOW, lambda: False)

    in_a_task(act)

    assert airflow_versions.redact("visible", "pictory_password") == "***"
    assert [airflow_versions.redact("visible", name) for name in in_database()] == ["visible"] * len(
        in_database()
    )


@in_airflow
@pytest.mark.parametrize(
    "act",
    [
        lambda store: store.read(),
        lambda store: store.claims([JOB_ID]),
        lambda store: store.read_owners([JOB_ID]),
        lambda store: store.insist_on_no_other_try(),
        lambda store: store.write(an_intent(place=PLACE)),
        pytest.param(lambda store: store.remove(accepted()), marks=airflow_versions.needs_failing_deletes),
    ],
    ids=["its record", "a claim", "others' records", "its version", "writing", "deleting"],
)
def test_a_database_out_of_order_is_never_taken_for_nothing(in_a_task, act):
    def read(context):
        store = open_store(context)
        write(accepted(place=store.place))
        store.read()
        with database_out_of_order():
            try:
                return act(store)
            except PictoryRecordError:
                return "refused"

    assert in_a_task(read) == "refused"


@in_airflow
def test_in_the_store_of_task_state_it_is_an_object_for_ever(in_a_task):
    from airflow_provider_pictory.submission.task_state_record import STATE_KEY

    def write(context):
        if context.get("task_state_store") is None:
            return None
        store = open_store(context)
        store.write(accepted(place=store.place))
        return context["task_state_store"].get(STATE_KEY), context["ti"].run_id, context["ti"].dag_id

    written = in_a_task(write)
    if written is None:
        pytest.skip("this Airflow has no store of task state")
    value, run_id, dag_id = written
    from airflow import settings
    from sqlalchemy import text

    with settings.engine.connect() as connection:
        where = "FROM task_state_store WHERE run_id = :run_id AND dag_id = :dag_id"
        ((expires_at, key),) = connection.execute(
            text(f"SELECT expires_at, key {where}"), {"run_id": run_id, "dag_id": dag_id}
        )

    assert value["job_id"] == JOB_ID
    assert value["state"] == RecordState.ACCEPTED
    assert (expires_at, key) == (None, STATE_KEY)
    assert len(in_database()) == 1, "and in a Variable, since a clear may empty this store"
